//! When a transport pauses: its provider is unavailable, asks for a slower pace, or refuses our account.
//!
//! During an interruption no submission begins until the pause ends; then one at a time, until the provider gives a
//! proper answer. So an outage costs a few attempts, not one for each SMS that waits.

use std::time::Duration;

use tokio::time::Instant;
use vumi_kit::{backoff::Backoff, clock::Timestamp, sms::Decision};

/// After so many submissions in a row without a proper answer the provider is unavailable.
const UNAVAILABLE_AFTER: u32 = 10;

/// Why a transport pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InterruptionCause {
    Unavailable,
    Throttled,
    Misconfigured,
}

/// The provider takes nothing: from the first sign of it until the next proper answer.
#[derive(Clone, Debug)]
pub(super) struct Interruption {
    pub(super) cause: InterruptionCause,
    pub(super) provider_response: String,
    pub(super) since: Timestamp,
    /// The end of the present pause.
    pub(super) until: Instant,
}

/// Begins and ends interruptions.
pub(super) struct Breaker {
    backoff: Backoff,
    interruption: Option<Interruption>,
    /// Submissions in a row without a proper answer.
    unanswered: u32,
    /// Why the first of them failed, and when.
    first_failure: Option<(String, Timestamp)>,
    pauses: u32,
}

impl Breaker {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, interruption: None, unanswered: 0, first_failure: None, pauses: 0 }
    }

    pub(super) fn interruption(&self) -> Option<&Interruption> {
        self.interruption.as_ref()
    }

    /// What went wrong first, and when, where too few submissions failed to call it an outage.
    pub(super) fn first_failure(&self) -> Option<&(String, Timestamp)> {
        self.first_failure.as_ref()
    }

    /// The end of the pause, if there is one now.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.interruption.as_ref().map(|interruption| interruption.until).filter(|until| *until > now)
    }

    /// Whether another submission may begin beside those in flight.
    pub(super) fn allows(&self, now: Instant, in_flight: usize) -> bool {
        self.interruption.as_ref().is_none_or(|interruption| interruption.until <= now && in_flight == 0)
    }

    /// Takes a decision into account. Answers whether a pause began.
    pub(super) fn record(&mut self, decision: &Decision, now: Instant, at: Timestamp) -> bool {
        match decision {
            Decision::Accepted { .. } | Decision::Rejected { .. } => {
                *self = Self::new(self.backoff);
                false
            }
            Decision::Retry { provider_response, .. } => {
                self.unanswered += 1;
                self.first_failure.get_or_insert_with(|| (provider_response.clone(), at));
                let pauses = self.interruption.is_some() || self.unanswered >= UNAVAILABLE_AFTER;
                pauses && self.pause(InterruptionCause::Unavailable, provider_response, None, now, at)
            }
            Decision::Throttled { retry_after_s, provider_response } => {
                let asked = retry_after_s.map(Duration::from_secs);
                self.pause(InterruptionCause::Throttled, provider_response, asked, now, at)
            }
            Decision::Misconfigured { provider_response } => {
                self.pause(InterruptionCause::Misconfigured, provider_response, None, now, at)
            }
        }
    }

    fn pause(
        &mut self,
        cause: InterruptionCause,
        provider_response: &str,
        asked: Option<Duration>,
        now: Instant,
        at: Timestamp,
    ) -> bool {
        let asked = asked.map(|wait| wait.min(self.backoff.most));
        // Those that were in flight when the pause began tell nothing new, unless they name a longer wait.
        if let Some(until) = self.paused_until(now) {
            let Some(longer) = asked.map(|wait| now + wait).filter(|end| *end > until) else { return false };
            if let Some(interruption) = &mut self.interruption {
                interruption.until = longer;
            }
            return true;
        }
        self.pauses += 1;
        let until = now + asked.unwrap_or_else(|| self.backoff.wait(self.pauses));
        let since = self.interruption.as_ref().map_or(at, |interruption| interruption.since);
        let provider_response = provider_response.to_owned();
        self.interruption = Some(Interruption { cause, provider_response, since, until });
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;
    use vumi_kit::{
        backoff::Backoff,
        clock::Timestamp,
        sms::{Decision, TransportStatus},
    };

    use super::{Breaker, InterruptionCause, UNAVAILABLE_AFTER};

    const AT: Timestamp = Timestamp::from_seconds(1_000);

    fn breaker() -> Breaker {
        Breaker::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)))
    }
    fn no_answer() -> Decision {
        Decision::Retry { provider_response: "connection refused".to_owned(), unknown_outcome: false }
    }
    fn accepted() -> Decision {
        Decision::Accepted { provider_id: None, status: TransportStatus::Queued, provider_response: String::new() }
    }

    #[test]
    fn a_few_failures_are_bad_luck_and_several_in_a_row_an_outage() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 1..UNAVAILABLE_AFTER {
            assert!(!breaker.record(&no_answer(), now, AT));
        }
        assert!(breaker.allows(now, 63));
        assert!(breaker.record(&no_answer(), now, AT));
        assert!(!breaker.allows(now, 0));
    }

    #[test]
    fn after_the_pause_one_probe_at_a_time_until_one_is_answered() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..UNAVAILABLE_AFTER {
            breaker.record(&no_answer(), now, AT);
        }
        let later = now + Duration::from_secs(2);
        assert!(breaker.allows(later, 0));
        assert!(!breaker.allows(later, 1));
        assert!(breaker.record(&no_answer(), later, AT), "a failed probe pauses again");
        assert!(!breaker.allows(later, 0));
        assert_eq!(breaker.interruption().unwrap().since, AT);
        breaker.record(&accepted(), later, AT);
        assert!(breaker.allows(later, 63));
        assert!(breaker.interruption().is_none());
    }

    #[test]
    fn those_in_flight_when_a_pause_begins_do_not_lengthen_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..100 {
            breaker.record(&no_answer(), now, AT);
        }
        assert!(breaker.paused_until(now).unwrap() <= now + Duration::from_secs(1));
    }

    #[test]
    fn a_throttle_holds_for_as_long_as_the_carrier_said() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.record(
            &Decision::Throttled { retry_after_s: Some(7), provider_response: "slow down".to_owned() },
            now,
            AT,
        );
        assert_eq!(breaker.paused_until(now), Some(now + Duration::from_secs(7)));
        assert_eq!(breaker.interruption().unwrap().cause, InterruptionCause::Throttled);
    }

    #[test]
    fn one_refusal_of_the_account_is_enough() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert!(breaker.record(&Decision::Misconfigured { provider_response: "001".to_owned() }, now, AT));
        assert!(!breaker.allows(now, 0));
    }
}
