//! When a transport pauses: its provider is unavailable, asks for a slower pace, or refuses our account.
//!
//! During an interruption no submission begins until the pause ends; then one at a time, until the provider gives a
//! proper answer. So an outage costs a few attempts, not one for each SMS that waits.
//!
//! One rejection like the other, many times in a row, is more likely a fault of the account or of the provider than of so many
//! SMS: then, too, only one at a time goes on, so that the fault does not end all that wait.
//!
//! An answer that speaks of the account (401, 403, 404, ...) may mean one recipient: only when another SMS gets one, too,
//! and none was answered properly in between, does the transport pause.

mod refusals;
mod rejection_row;

use std::time::Duration;

use tokio::time::Instant;
use vumi_kit::{
    backoff::Backoff,
    clock::Timestamp,
    sms::{Decision, SmsId},
};

use self::{refusals::Refusals, rejection_row::RejectionRow};

pub(super) use self::refusals::FirstRefusal;

/// After so many submissions in a row without a proper answer the provider is unavailable.
const UNAVAILABLE_AFTER: u32 = 10;

/// The longest pause after rejections: each probe that is rejected ends an SMS, and those of others wait behind it.
const LONGEST_AFTER_REJECTIONS: Duration = Duration::from_secs(60);

/// The longest pause where the provider asks for a slower pace and names no time.
const LONGEST_THROTTLED: Duration = Duration::from_secs(30);

/// Why a transport pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InterruptionCause {
    Unavailable,
    Throttled,
    Misconfigured,
    Rejects,
}

/// When a transport pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct BreakerLimits {
    /// How long a pause takes: each one in a row longer than the one before, up to a bound.
    pub(super) backoff: Backoff,
    /// `outbox.max_refusals`: so often an SMS is answered as if the account were wrong, then it is refused itself.
    pub(super) max_refusals: u32,
    /// After so many rejections in a row that say the same; 0: never.
    pub(super) pause_after_rejections: u32,
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
    limits: BreakerLimits,
    refusals: Refusals,
    interruption: Option<Interruption>,
    /// Submissions in a row without a proper answer.
    unanswered: u32,
    /// Why the first of them failed, and when.
    first_failure: Option<(String, Timestamp)>,
    rejections: RejectionRow,
    pauses: u32,
}

impl Breaker {
    pub(super) fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            refusals: Refusals::default(),
            interruption: None,
            unanswered: 0,
            first_failure: None,
            rejections: RejectionRow::default(),
            pauses: 0,
        }
    }

    pub(super) fn interruption(&self) -> Option<&Interruption> {
        self.interruption.as_ref()
    }

    /// What went wrong first, and when, where too few submissions failed to call it an outage.
    pub(super) fn first_failure(&self) -> Option<&(String, Timestamp)> {
        self.first_failure.as_ref()
    }

    /// The SMS that was answered as if the account were wrong, where no second one was.
    pub(super) fn first_refusal(&self) -> Option<&FirstRefusal> {
        self.refusals.first()
    }

    /// Whether an SMS was answered so often as if the account were wrong that it is refused: `max_refusals` times while others
    /// were taken, or some times that where nothing tells whose fault it is.
    pub(super) fn gives_up(&self, sms: SmsId) -> bool {
        self.refusals.are_too_many(sms, self.limits.max_refusals)
    }

    /// The wait before an SMS is tried again that was answered as if the account were wrong.
    pub(super) fn wait_of(&self, sms: SmsId) -> Duration {
        match self.refusals.of(sms) {
            0 => Duration::ZERO,
            times => self.limits.backoff.wait(times),
        }
    }

    /// Forgets an SMS that has ended.
    pub(super) fn forget(&mut self, sms: SmsId) {
        self.refusals.forget(sms);
    }

    /// The end of the pause, if there is one now.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.interruption.as_ref().map(|interruption| interruption.until).filter(|until| *until > now)
    }

    /// Whether another submission may begin beside those in flight.
    pub(super) fn allows(&self, now: Instant, in_flight: usize) -> bool {
        self.interruption.as_ref().is_none_or(|interruption| interruption.until <= now && in_flight == 0)
    }

    /// Takes the decision on an SMS into account. Answers whether a pause began.
    pub(super) fn record(&mut self, sms: SmsId, decision: &Decision, now: Instant, at: Timestamp) -> bool {
        match decision {
            Decision::Accepted { .. } => {
                self.record_proper_answer(sms);
                false
            }
            Decision::Rejected { provider_response, .. } => self.record_rejection(sms, provider_response, now, at),
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
                let second = self.refusals.count(sms, provider_response, at);
                let pauses = self.interruption.is_some() || second;
                pauses && self.pause(InterruptionCause::Misconfigured, provider_response, None, now, at)
            }
        }
    }

    fn record_proper_answer(&mut self, sms: SmsId) {
        let refusals = std::mem::take(&mut self.refusals).after_proper_answer(sms);
        *self = Self { refusals, ..Self::new(self.limits) };
    }

    /// A proper answer, unless it is one of many that say the same.
    fn record_rejection(&mut self, sms: SmsId, provider_response: &str, now: Instant, at: Timestamp) -> bool {
        let row = std::mem::take(&mut self.rejections).with(provider_response);
        let pauses = self.limits.pause_after_rejections > 0 && row.count() >= self.limits.pause_after_rejections;
        if !pauses {
            self.record_proper_answer(sms);
        }
        self.rejections = row;
        pauses && self.pause(InterruptionCause::Rejects, provider_response, None, now, at)
    }

    fn pause(
        &mut self,
        cause: InterruptionCause,
        provider_response: &str,
        asked: Option<Duration>,
        now: Instant,
        at: Timestamp,
    ) -> bool {
        let asked = asked.map(|wait| wait.min(self.limits.backoff.most));
        // Those that were in flight when the pause began tell nothing new, unless they name a longer wait.
        if let Some(until) = self.paused_until(now) {
            let Some(longer) = asked.map(|wait| now + wait).filter(|end| *end > until) else { return false };
            if let Some(interruption) = &mut self.interruption {
                interruption.until = longer;
            }
            return true;
        }
        self.pauses += 1;
        let most = match cause {
            InterruptionCause::Rejects => LONGEST_AFTER_REJECTIONS,
            InterruptionCause::Throttled if asked.is_none() => LONGEST_THROTTLED,
            _ => Duration::MAX,
        };
        let until = now + asked.unwrap_or_else(|| self.limits.backoff.wait(self.pauses)).min(most);
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

    use super::{Breaker, BreakerLimits, InterruptionCause, UNAVAILABLE_AFTER};

    const AT: Timestamp = Timestamp::from_seconds(1_000);

    fn breaker() -> Breaker {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Breaker::new(BreakerLimits { backoff, max_refusals: 3, pause_after_rejections: 20 })
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
            assert!(!breaker.record(1, &no_answer(), now, AT));
        }
        assert!(breaker.allows(now, 63));
        assert!(breaker.record(1, &no_answer(), now, AT));
        assert!(!breaker.allows(now, 0));
    }

    #[test]
    fn after_the_pause_one_probe_at_a_time_until_one_is_answered() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..UNAVAILABLE_AFTER {
            breaker.record(1, &no_answer(), now, AT);
        }
        let later = now + Duration::from_secs(2);
        assert!(breaker.allows(later, 0));
        assert!(!breaker.allows(later, 1));
        assert!(breaker.record(1, &no_answer(), later, AT), "a failed probe pauses again");
        assert!(!breaker.allows(later, 0));
        assert_eq!(breaker.interruption().unwrap().since, AT);
        breaker.record(1, &accepted(), later, AT);
        assert!(breaker.allows(later, 63));
        assert!(breaker.interruption().is_none());
    }

    #[test]
    fn those_in_flight_when_a_pause_begins_do_not_lengthen_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..100 {
            breaker.record(1, &no_answer(), now, AT);
        }
        assert!(breaker.paused_until(now).unwrap() <= now + Duration::from_secs(1));
    }

    fn rejected(words: &str) -> Decision {
        Decision::Rejected { status: TransportStatus::RoutingError, provider_response: words.to_owned() }
    }

    #[test]
    fn twenty_rejections_that_say_the_same_pause_and_one_at_a_time_goes_on() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for number in 1..20 {
            assert!(!breaker.record(number, &rejected(&format!("301: no credit for 2783123456{number}")), now, AT));
        }
        assert!(breaker.allows(now, 63));
        assert!(breaker.record(20, &rejected("301: no credit for 27840000000"), now, AT));
        assert_eq!(breaker.interruption().unwrap().cause, InterruptionCause::Rejects);
        assert!(!breaker.record(21, &rejected("301: no credit for 27840000000"), now, AT), "it was in flight");
        let later = now + Duration::from_secs(2);
        assert!(breaker.allows(later, 0) && !breaker.allows(later, 1));
        assert!(breaker.record(22, &rejected("301: no credit for 27840000001"), later, AT), "the probe, too");
        let much_later = later + Duration::from_secs(600);
        breaker.record(23, &accepted(), much_later, AT);
        assert!(breaker.allows(much_later, 63));
        assert!(!breaker.record(24, &rejected("301: no credit for 27840000001"), much_later, AT), "counted anew");
    }

    #[test]
    fn rejections_that_differ_or_with_an_sms_taken_in_between_pause_nobody() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for number in 0..100 {
            assert!(!breaker.record(number, &rejected(&format!("{}: no route", 100 + number % 2)), now, AT));
        }
        for number in 0..100 {
            assert!(!breaker.record(number, &rejected("114: no route"), now, AT));
            if number % 19 == 18 {
                breaker.record(1_000, &accepted(), now, AT);
            }
        }
        let never = BreakerLimits { pause_after_rejections: 0, ..breaker.limits };
        let mut never = Breaker::new(never);
        assert!((0..100).all(|number| !never.record(number, &rejected("114: no route"), now, AT)));
    }

    #[test]
    fn a_throttle_holds_for_as_long_as_the_carrier_said() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.record(
            1,
            &Decision::Throttled { retry_after_s: Some(7), provider_response: "slow down".to_owned() },
            now,
            AT,
        );
        assert_eq!(breaker.paused_until(now), Some(now + Duration::from_secs(7)));
        assert_eq!(breaker.interruption().unwrap().cause, InterruptionCause::Throttled);
    }

    fn misconfigured() -> Decision {
        Decision::Misconfigured { provider_response: "HTTP 404".to_owned() }
    }

    #[test]
    fn one_sms_that_is_refused_again_and_again_pauses_nobody() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..20 {
            assert!(!breaker.record(1, &misconfigured(), now, AT));
            assert!(breaker.allows(now, 63));
        }
        assert_eq!(breaker.first_refusal().unwrap().since, AT);
        breaker.record(2, &accepted(), now, AT);
        assert!(breaker.first_refusal().is_none());
        assert!(!breaker.record(3, &misconfigured(), now, AT), "the second SMS, with one taken in between");
    }

    #[test]
    fn a_refusal_of_a_second_sms_is_one_of_the_account() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert!(!breaker.record(1, &misconfigured(), now, AT));
        assert!(breaker.record(2, &misconfigured(), now, AT));
        assert!(!breaker.allows(now, 0));
        let later = now + Duration::from_secs(2);
        assert!(breaker.record(2, &misconfigured(), later, AT), "a failed probe pauses again");
        breaker.record(1, &accepted(), later, AT);
        assert!(breaker.allows(later, 63));
    }

    #[test]
    fn an_sms_is_given_up_after_some_refusals_while_others_are_taken_and_after_more_where_nothing_is_sent() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..11 {
            breaker.record(1, &misconfigured(), now, AT);
        }
        assert!(!breaker.gives_up(1));
        breaker.record(1, &misconfigured(), now, AT);
        assert!(breaker.gives_up(1), "12 times, and nothing else was sent");
        breaker.forget(1);
        assert!(!breaker.gives_up(1));

        breaker.record(4, &misconfigured(), now, AT);
        breaker.record(5, &accepted(), now, AT);
        breaker.record(4, &misconfigured(), now, AT);
        assert!(!breaker.gives_up(4));
        breaker.record(4, &misconfigured(), now, AT);
        assert!(breaker.gives_up(4), "3 times, and another SMS was taken");
        assert!(!breaker.gives_up(5));
    }
}
