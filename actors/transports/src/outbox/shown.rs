//! What a transport shows of itself to the operator.

use tokio::time::Instant;
use vumi_kit::health::{Health, State};

use super::breaker::{Breaker, Why};

/// What the engine shows of itself.
pub(super) struct Shown {
    pub(super) state: State,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) unrecorded: usize,
    /// SMS given back since the start because their lease was nearly over.
    pub(super) late: u64,
    pub(super) store_error: Option<String>,
    pub(super) breaker: Breaker,
}

impl Shown {
    pub(super) fn health(&self) -> Health {
        let mut detail = format!("{} in flight, {} waiting here", self.in_flight, self.waiting);
        if self.late > 0 {
            detail = format!("{detail}, {} given back since their lease was nearly over (`store.lease`)", self.late);
        }
        let mut state = self.state;
        if let Some(error) = &self.store_error {
            detail = format!("{detail}; {} outcomes wait for the store: {error}", self.unrecorded);
            state = if state == State::Up { State::Degraded } else { state };
        }
        if let Some(trouble) = self.breaker.trouble() {
            let what = match trouble.why {
                Why::Away => "the carrier is away",
                Why::Throttled => "the carrier asks for a slower pace",
                Why::Misconfigured => "the carrier refuses our account or settings: mend them",
            };
            let next = trouble.until.saturating_duration_since(Instant::now()).as_secs();
            let since = trouble.since.to_seconds_text();
            detail = format!("{what}, since {since}: {}; next try in {next} s; {detail}", trouble.said);
            // A slower pace is no fault.
            let degraded = state == State::Up && trouble.why != Why::Throttled;
            state = if degraded { State::Degraded } else { state };
        } else if let Some((said, since)) = self.breaker.doubt() {
            detail = format!("no answer since {}: {said}; {detail}", since.to_seconds_text());
            state = if state == State::Up { State::Degraded } else { state };
        }
        Health { state, detail }
    }
}
