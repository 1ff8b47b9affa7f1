//! How a component is, as it says itself.

use actix::Message;
use serde::{Deserialize, Serialize};

use crate::{ledger::Backlog, name::Name};

/// Asks a component how it is. It answers from what it knows, at once.
#[derive(Debug, Message)]
#[rtype(result = "Health")]
pub struct AskHealth;

/// How a component is.
#[derive(Clone, Debug, PartialEq, Eq, actix::MessageResponse)]
pub struct Health {
    /// Whether it works.
    pub state: State,
    /// In words, for an operator: what it does or what is wrong and since when.
    pub detail: String,
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// On its way up.
    Starting,
    /// Works.
    Up,
    /// Takes work and keeps it, but something it depends on is away: a carrier, say.
    Degraded,
    /// It can keep nothing, since what it depends on is away or refuses (the database, say): nothing is accepted.
    Away,
    /// It failed and is being started again.
    Restarting,
    /// It failed too often: it stays down until an operator acts.
    Failed,
    /// Being stopped.
    Stopping,
}

impl State {
    /// Whether work handed to the part is in good hands.
    #[must_use]
    pub const fn takes_work(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }

    /// In one word.
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

/// A part of the running router and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name: that of the component, or `store`, `router`, `http`.
    pub name: Name,
    /// What it is: `transport`, `campaign`, `front-end`, `store`, `router`.
    pub role: String,
    /// Whether it works.
    pub state: State,
    /// In words.
    pub detail: String,
    /// How often it was started again.
    pub restarts: u32,
    /// The SMS of a transport that are due; none where there are none, or where the store did not answer in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<Backlog>,
}

/// Asks the supervisor how all parts are.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Part>")]
pub struct AskParts;
