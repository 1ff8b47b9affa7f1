//! The health of components, as each reports it itself.

use actix::Message;
use serde::{Deserialize, Serialize};

use crate::{ledger::Backlog, name::Name};

/// Asks a component for its health. It answers at once, from what it knows.
#[derive(Debug, Message)]
#[rtype(result = "Health")]
pub struct AskHealth;

/// The health of a component.
#[derive(Clone, Debug, PartialEq, Eq, actix::MessageResponse)]
pub struct Health {
    /// Whether it works.
    pub state: State,
    /// For an operator: what it does, or what is wrong and since when.
    pub detail: String,
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not ready yet.
    Starting,
    /// Works.
    Up,
    /// It takes work and stores it, but something it depends on is away, such as a provider.
    Degraded,
    /// It accepts nothing: something that it needs to store work is away or refuses, such as the database.
    Away,
    /// It failed and is being started again.
    Restarting,
    /// It failed too often: it stays down until an operator acts.
    Failed,
    /// Being stopped.
    Stopping,
}

impl State {
    /// Whether the part accepts work and stores it.
    #[must_use]
    pub const fn takes_work(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }

    /// As the API and the command line show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Away => "away",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
        }
    }
}

/// A part of the running program, and its health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name: that of the component, or `store`, `router`, `http`.
    pub name: Name,
    /// What it is: `transport`, `campaign`, `front-end`, `store`, `router`.
    pub role: String,
    /// Whether it works.
    pub state: State,
    /// For an operator; strangers are not told.
    #[serde(default)]
    pub detail: String,
    /// How often it was restarted.
    #[serde(default)]
    pub restarts: u32,
    /// The SMS of a transport that are due; none where there are none, or where the store did not answer in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<Backlog>,
}

/// Asks the supervisor for the health of all parts.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Part>")]
pub struct AskParts;
