//! How an outbox is, for the operator.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use vumi_kit::{
    health::{Health, State},
    transport_board::{Sendability, TransportGauge},
};

use super::{
    SubmitReadiness,
    breaker::{Breaker, FirstRefusal, Interruption, InterruptionCause},
};

/// A provider that answers nothing for so long, and for three times as long as its calls usually last, is passed over by
/// routes: its calls need not run into their limits first.
const SILENT_AFTER: Duration = Duration::from_secs(3);

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
    pub(super) readiness: SubmitReadiness,
    /// Parts a second, where the provider asked for a slower pace.
    pub(super) found_pace: Option<f64>,
    /// Since when submissions are in flight and none was answered.
    pub(super) silent_since: Option<Instant>,
    /// How long calls usually last.
    pub(super) usual_call: Duration,
    /// Where it is told to those who choose transports.
    pub(super) gauge: Arc<TransportGauge>,
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
            readiness: SubmitReadiness::Ready { window: usize::MAX },
            found_pace: None,
            silent_since: None,
            usual_call: Duration::ZERO,
            gauge: Arc::default(),
        }
    }

    /// Tells those who choose transports whether the provider takes SMS now.
    pub(super) fn tell(&self) {
        if let (State::Starting | State::Up | State::Degraded, Some(fault)) = (self.state, self.readiness.fault()) {
            return self.gauge.tell(fault, false);
        }
        let interruption = self.breaker.interruption();
        let sendability = match (self.state, interruption.map(|interruption| interruption.cause)) {
            (State::Stopping, _) => Sendability::Away,
            (_, None) if self.is_silent() => Sendability::Unavailable,
            (_, None) => Sendability::Works,
            (_, Some(InterruptionCause::Unavailable)) => Sendability::Unavailable,
            (_, Some(InterruptionCause::Throttled)) => Sendability::Throttled,
            (_, Some(InterruptionCause::Misconfigured)) => Sendability::Misconfigured,
            (_, Some(InterruptionCause::Rejects)) => Sendability::Rejects,
        };
        let idle = self.in_flight == 0 && self.waiting == 0;
        let pause_is_over = interruption.is_some_and(|interruption| interruption.until <= Instant::now());
        self.gauge.tell(sendability, idle && pause_is_over && sendability != Sendability::Away);
    }

    fn is_silent(&self) -> bool {
        self.silent_since.is_some_and(|since| since.elapsed() >= SILENT_AFTER.max(self.usual_call * 3))
    }

    pub(super) fn health(&self) -> Health {
        let mut health = Health { state: self.state, detail: self.counts() };
        if let Some(missing) = self.gauge.missing_receipts() {
            health.detail = format!("{missing}; {}", health.detail);
            degrade(&mut health);
        }
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
        let pace =
            self.found_pace.map_or_else(String::new, |pace| format!(", slowed down to {pace:.1} parts a second"));
        format!("{} in flight, {} waiting here{pace}{returned}", self.in_flight, self.waiting)
    }
}

impl Drop for OutboxStatus {
    fn drop(&mut self) {
        self.gauge.tell(Sendability::Away, false);
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
        InterruptionCause::Rejects => "the provider rejects one SMS like the other: is the account all right?",
    };
    let next = interruption.until.saturating_duration_since(Instant::now()).as_secs();
    let since = interruption.since.to_seconds_text();
    format!("{what}, since {since}: {}; next try in {next} s", interruption.provider_response)
}
