//! When a transport pauses: its carrier is away, asks for less, or refuses our account.
//!
//! While there is trouble nothing is begun until the pause ends; then one submission at a time, until the carrier
//! answers one properly. So an outage costs a few attempts, not one of everything that waits.

use std::time::Duration;

use tokio::time::Instant;
use vumi_kit::{backoff::Backoff, clock::Timestamp, sms::Decision};

/// So many submissions in a row that got no proper answer: the carrier is away, not just unlucky.
const AWAY_AFTER: u32 = 10;

/// Why a transport pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Away,
    Throttled,
    Misconfigured,
}

/// Trouble with the carrier: from the first sign until it answers properly.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) why: Why,
    pub(super) said: String,
    pub(super) since: Timestamp,
    /// The end of the present pause.
    pub(super) until: Instant,
}

/// Counts trouble and ends it.
pub(super) struct Breaker {
    waits: Backoff,
    trouble: Option<Trouble>,
    unanswered: u32,
    /// Why the first of the unanswered was not answered, and when.
    doubt: Option<(String, Timestamp)>,
    pauses: u32,
}

impl Breaker {
    pub(super) fn new(waits: Backoff) -> Self {
        Self { waits, trouble: None, unanswered: 0, doubt: None, pauses: 0 }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// What went wrong, and since when, while nothing is answered and it is too early to call that an outage.
    pub(super) fn doubt(&self) -> Option<&(String, Timestamp)> {
        self.doubt.as_ref()
    }

    /// The end of the pause, if there is one now.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.trouble.as_ref().map(|trouble| trouble.until).filter(|until| *until > now)
    }

    /// Whether another submission may be begun beside those in flight.
    pub(super) fn lets_begin(&self, now: Instant, in_flight: usize) -> bool {
        self.trouble.as_ref().is_none_or(|trouble| trouble.until <= now && in_flight == 0)
    }

    /// Learns from a decision. Answers whether a pause began.
    pub(super) fn learn(&mut self, decision: &Decision, now: Instant, at: Timestamp) -> bool {
        match decision {
            Decision::Accepted { .. } | Decision::Rejected { .. } => {
                self.trouble = None;
                self.unanswered = 0;
                self.doubt = None;
                self.pauses = 0;
                false
            }
            Decision::Retry { said, .. } => {
                self.unanswered += 1;
                self.doubt.get_or_insert_with(|| (said.clone(), at));
                let pauses = self.trouble.is_some() || self.unanswered >= AWAY_AFTER;
                pauses && self.pause(Why::Away, said, None, now, at)
            }
            Decision::Throttled { retry_after_s, said } => {
                self.pause(Why::Throttled, said, retry_after_s.map(Duration::from_secs), now, at)
            }
            Decision::Misconfigured { said } => self.pause(Why::Misconfigured, said, None, now, at),
        }
    }

    fn pause(&mut self, why: Why, said: &str, asked: Option<Duration>, now: Instant, at: Timestamp) -> bool {
        // Those that were in flight when the pause began tell nothing new, unless they name a longer wait.
        if let Some(until) = self.paused_until(now) {
            let Some(longer) = asked.map(|wait| now + wait.min(self.waits.most)).filter(|end| *end > until) else {
                return false;
            };
            if let Some(trouble) = &mut self.trouble {
                trouble.until = longer;
            }
            return true;
        }
        self.pauses += 1;
        let wait = asked.map_or_else(|| self.waits.wait(self.pauses), |wait| wait.min(self.waits.most));
        let since = self.trouble.as_ref().map_or(at, |trouble| trouble.since);
        self.trouble = Some(Trouble { why, said: said.to_owned(), since, until: now + wait });
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

    use super::{AWAY_AFTER, Breaker, Why};

    const AT: Timestamp = Timestamp::from_seconds(1_000);

    fn breaker() -> Breaker {
        Breaker::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)))
    }
    fn no_answer() -> Decision {
        Decision::Retry { said: "connection refused".to_owned(), unsure: false }
    }
    fn accepted() -> Decision {
        Decision::Accepted { provider_id: None, status: TransportStatus::Queued, said: String::new() }
    }

    #[test]
    fn a_few_failures_are_bad_luck_and_several_in_a_row_an_outage() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 1..AWAY_AFTER {
            assert!(!breaker.learn(&no_answer(), now, AT));
        }
        assert!(breaker.lets_begin(now, 63));
        assert!(breaker.learn(&no_answer(), now, AT));
        assert!(!breaker.lets_begin(now, 0));
    }

    #[test]
    fn after_the_pause_one_probe_at_a_time_until_one_is_answered() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..AWAY_AFTER {
            breaker.learn(&no_answer(), now, AT);
        }
        let later = now + Duration::from_secs(2);
        assert!(breaker.lets_begin(later, 0));
        assert!(!breaker.lets_begin(later, 1));
        assert!(breaker.learn(&no_answer(), later, AT), "a failed probe pauses again");
        assert!(!breaker.lets_begin(later, 0));
        assert_eq!(breaker.trouble().unwrap().since, AT);
        breaker.learn(&accepted(), later, AT);
        assert!(breaker.lets_begin(later, 63));
        assert!(breaker.trouble().is_none());
    }

    #[test]
    fn those_in_flight_when_a_pause_begins_do_not_lengthen_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..100 {
            breaker.learn(&no_answer(), now, AT);
        }
        assert!(breaker.paused_until(now).unwrap() <= now + Duration::from_secs(1));
    }

    #[test]
    fn a_throttle_holds_for_as_long_as_the_carrier_said() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.learn(&Decision::Throttled { retry_after_s: Some(7), said: "slow down".to_owned() }, now, AT);
        assert_eq!(breaker.paused_until(now), Some(now + Duration::from_secs(7)));
        assert_eq!(breaker.trouble().unwrap().why, Why::Throttled);
    }

    #[test]
    fn one_refusal_of_the_account_is_enough() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert!(breaker.learn(&Decision::Misconfigured { said: "001".to_owned() }, now, AT));
        assert!(!breaker.lets_begin(now, 0));
    }
}
