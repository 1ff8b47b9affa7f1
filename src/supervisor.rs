//! The supervisor: starts the components in order, starts one again that fails, tells how all are, stops them.
//!
//! actix's own supervisor keeps the old state after a stop and does not notice a panic. This one watches every
//! component's lifeline; when it drops, the component's settings are read again and its kind's `start` is called again
//! on a fresh arbiter, with back-off and within a budget. Without the store or the router nothing is worth
//! running: if one of them dies, the process ends and begins clean.

mod accounts;
mod error;
mod registry;
mod start;
mod stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{backoff::Backoff, settings_schema::HumanDuration};

pub use error::StartFailed;
pub use start::start;
pub use stop::Running;

/// The supervisor's settings.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisorSettings {
    /// The wait before a failed component is started again: doubles from `first` to `most`.
    pub restart: Backoff,
    /// So often may a component fail within `within` before it stays down until an operator acts.
    pub restarts: u32,
    /// See `restarts`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub within: Duration,
    /// When stopping: how long each stage may finish what is under way.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub drain: Duration,
}

impl Default for SupervisorSettings {
    fn default() -> Self {
        Self {
            restart: Backoff::new(Duration::from_millis(200), Duration::from_secs(30)),
            restarts: 10,
            within: Duration::from_secs(600),
            drain: Duration::from_secs(10),
        }
    }
}
