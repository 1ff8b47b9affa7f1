//! How an outbox is, for the operator.

use tokio::time::Instant;
use vumi_kit::health::{Health, State};

use super::breaker::{Breaker, FirstRefusal, Interruption, InterruptionCause};

/// What the engine publishes of itself.
pub(super) struct OutboxStatus {
    pub(super) state: State,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) unrecorded: usize,
    /// SMS returned since the start because their lease was nearly over.
    pub(super) returned_for_lease: u64,
    pub(super) store_error: Option<String>,
    pub(super) breaker: Breaker,
}

impl OutboxStatus {
    pub(super) fn starting(breaker: Breaker) -> Self {
        Self {
            state: State::Starting,
            in_flight: 0,
            waiting: 0,
            unrecorded: 0,
            returned_for_lease: 0,
            store_error: None,
            breaker,
        }
    }

    pub(super) fn health(&self) -> Health {
        let mut health = Health { state: self.state, detail: self.counts() };
        if let Some(error) = &self.store_error {
            health.detail = format!("{}; {} outcomes wait for the store: {error}", health.detail, self.unrecorded);
            degrade(&mut health);
        }
        if let Some(interruption) = self.breaker.interruption() {
            health.detail = format!("{}; {}", described(interruption), health.detail);
            // A slower pace is no fault.
            if interruption.cause != InterruptionCause::Throttled {
                degrade(&mut health);
            }
        } else if let Some(FirstRefusal { provider_response, since, .. }) = self.breaker.first_refusal() {
            let since = since.to_seconds_text();
            health.detail = format!(
                "the provider refuses our account or settings, or one SMS alone, since {since}: {provider_response}; {}",
                health.detail
            );
            degrade(&mut health);
        } else if let Some((provider_response, since)) = self.breaker.first_failure() {
            let since = since.to_seconds_text();
            health.detail = format!("no answer since {since}: {provider_response}; {}", health.detail);
            degrade(&mut health);
        }
        health
    }

    fn counts(&self) -> String {
        let returned = match self.returned_for_lease {
            0 => String::new(),
            count => format!(", {count} given back since their lease was nearly over (`store.lease`)"),
        };
        format!("{} in flight, {} waiting here{returned}", self.in_flight, self.waiting)
    }
}

fn degrade(health: &mut Health) {
    if health.state == State::Up {
        health.state = State::Degraded;
    }
}

fn described(interruption: &Interruption) -> String {
    let what = match interruption.cause {
        InterruptionCause::Unavailable => "the provider is unavailable",
        InterruptionCause::Throttled => "the provider asks for a slower pace",
        InterruptionCause::Misconfigured => "the provider refuses our account or settings: mend them",
    };
    let next = interruption.until.saturating_duration_since(Instant::now()).as_secs();
    let since = interruption.since.to_seconds_text();
    format!("{what}, since {since}: {}; next try in {next} s", interruption.provider_response)
}
