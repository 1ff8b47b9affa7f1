//! `[transports.<name>.outbox]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{backoff::Backoff, component::CALL_LIMIT, kind::Problem, settings_schema::HumanDuration};

use super::{attempt::LISTEN_ON, breaker::BreakerLimits};

/// The longest `call_limit`: a claimed SMS must still be ours when the call ends.
const LONGEST_CALL: Duration = Duration::from_secs(30);

/// How a transport takes SMS from the ledger and submits them to its provider: `[transports.<name>.outbox]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutboxSettings {
    /// Submissions in flight at once. Default 64.
    pub(crate) window: usize,
    /// Submissions that wait in memory behind them at the most; further ones wait in the ledger. No more than the provider takes
    /// in half a second, so that accounts and priorities share it fairly. Default 1000.
    pub(crate) queue: usize,
    /// Parts of SMS a second at the most, of all processes together that run the transport: a text of three parts counts as three.
    /// None: as fast as the provider answers.
    #[schemars(extend("unit" = "a second"))]
    pub(crate) rate: Option<f64>,
    /// How often the ledger is asked for SMS that have come due. Default 1s.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(crate) poll: Duration,
    /// The waits between attempts, and of the whole transport while its provider is unavailable. Default 1s to 5m.
    pub(crate) retry: Backoff,
    /// How many times more an SMS may be submitted whose answer got lost, and whose provider can't say whether it
    /// arrived: each time it may reach the person again. 0: never again, no SMS arrives twice and some may not arrive.
    /// Then it ends as failed, its outcome unknown. Default 2.
    pub(crate) max_resubmissions: u32,
    /// How often an SMS may be answered as if the account were wrong (401, 403, 404, ...) while others are taken, before it
    /// is refused; four times that where nothing else was sent. Default 5.
    pub(crate) max_refusals: u32,
    /// After so many rejections in a row that say the same, whatever the SMS, the transport pauses, and then tries one SMS at a
    /// time until the provider answers something else. 0: never. Default 20.
    pub(crate) pause_after_rejections: u32,
    /// How long one call to the provider may take. Default 10s.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(crate) call_limit: Duration,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            window: 64,
            queue: 1000,
            rate: None,
            poll: Duration::from_secs(1),
            retry: Backoff::default(),
            max_resubmissions: 2,
            max_refusals: 5,
            pause_after_rejections: 20,
            call_limit: CALL_LIMIT,
        }
    }
}

impl OutboxSettings {
    /// The key that had another name before: see `vumi_kit::kind::Kind::RENAMED`.
    pub(crate) const RENAMED: (&'static str, &'static str) = ("outbox.unsure_attempts", "outbox.max_resubmissions");

    /// What is wrong with them; keys as below the transport's table.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |good: bool, key: &str, what: &str| {
            if !good {
                problems.push(Problem::new(format!("outbox.{key}"), what));
            }
        };
        expect((1..=10_000).contains(&self.window), "window", "expected 1 to 10000 submissions in flight");
        expect((1..=100_000).contains(&self.queue), "queue", "expected 1 to 100000 submissions in memory");
        expect(
            self.rate.is_none_or(|rate| rate.is_finite() && (0.01..=100_000.0).contains(&rate)),
            "rate",
            "expected 0.01 to 100000 parts of SMS a second",
        );
        expect(!self.poll.is_zero(), "poll", "expected a time above zero, such as `1s`");
        expect(
            !self.retry.first.is_zero() && self.retry.first <= self.retry.most,
            "retry",
            "expected `first` above zero and not above `most`",
        );
        expect(self.max_resubmissions <= 1000, "max_resubmissions", "expected 0 to 1000 further submissions");
        expect((1..=1000).contains(&self.max_refusals), "max_refusals", "expected 1 to 1000 answers");
        expect(
            self.pause_after_rejections == 0 || (5..=100_000).contains(&self.pause_after_rejections),
            "pause_after_rejections",
            "expected 5 to 100000 rejections, or 0 for never",
        );
        expect(
            !self.call_limit.is_zero() && self.call_limit <= LONGEST_CALL,
            "call_limit",
            "expected a time above zero, 30s at the most: a claimed SMS must still be ours when the call ends",
        );
        problems
    }

    /// When the transport pauses.
    pub(super) fn breaker_limits(&self) -> BreakerLimits {
        let Self { retry: backoff, max_refusals, pause_after_rejections, .. } = *self;
        BreakerLimits { backoff, max_refusals, pause_after_rejections }
    }

    /// When a call has ended at the latest.
    pub(super) fn call_cut_off(&self) -> Duration {
        self.call_limit + LISTEN_ON
    }

    /// The shortest lease under which every SMS can be sent: it may wait here for a third of it, and then there is time
    /// to look up an earlier submission and to submit.
    pub(crate) fn least_lease(&self) -> Duration {
        self.call_cut_off() * 3
    }
}

#[cfg(test)]
mod tests {
    use super::OutboxSettings;

    #[test]
    fn the_defaults_pass_their_own_check_and_nonsense_is_named() {
        assert_eq!(OutboxSettings::default().check(), []);
        let nonsense: OutboxSettings = serde_json::from_str(
            r#"{"window": 0, "rate": -1.0, "poll": "0s", "max_resubmissions": 9999, "max_refusals": 0, "pause_after_rejections": 1,
                "call_limit": "5m"}"#,
        )
        .unwrap();
        let keys: Vec<_> = nonsense.check().into_iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            [
                "outbox.window",
                "outbox.rate",
                "outbox.poll",
                "outbox.max_resubmissions",
                "outbox.max_refusals",
                "outbox.pause_after_rejections",
                "outbox.call_limit"
            ]
        );
    }
}
