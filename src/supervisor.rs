//! The supervisor: starts the components in order, starts one again that fails, tells how all are, stops them.
//!
//! actix's own supervisor keeps the old state after a stop and does not notice a panic. This one watches every
//! component's lifeline; when it drops, the component's settings are read again and its kind's `start` is called again
//! on a fresh arbiter, with back-off and within a budget. A component that does not answer its health question for long is
//! replaced in the same way (`hung`). Without the store or the router nothing is worth running: if one of them dies, the
//! process ends and begins clean.

mod accounts;
mod error;
mod hung;
mod registry;
mod start;
mod stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{backoff::Backoff, kind::Problem, settings_schema::HumanDuration};

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
    /// How often a component is asked how it is. Default `5s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub ask_every: Duration,
    /// A component that does not answer for so many of these periods is replaced by a fresh one. What the old one does
    /// after that is refused. Default 6.
    pub hung_after: u32,
    /// So many components that were replaced may still be blocked. One more, and the process ends with an error: it
    /// begins clean when it is started again. Default 2.
    pub max_hung: usize,
    /// When stopping: how long each stage may finish what is under way.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub drain: Duration,
}

impl SupervisorSettings {
    /// What is wrong with settings that parse.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let never_asked = self.ask_every.is_zero().then(|| Problem::new("ask_every", "must be longer than 0s"));
        let always_hung = (self.hung_after == 0).then(|| Problem::new("hung_after", "must be at least 1"));
        never_asked.into_iter().chain(always_hung).collect()
    }
}

impl Default for SupervisorSettings {
    fn default() -> Self {
        Self {
            restart: Backoff::new(Duration::from_millis(200), Duration::from_secs(30)),
            restarts: 10,
            within: Duration::from_secs(600),
            ask_every: Duration::from_secs(5),
            hung_after: 6,
            max_hung: 2,
            drain: Duration::from_secs(10),
        }
    }
}
