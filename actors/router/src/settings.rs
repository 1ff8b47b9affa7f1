//! The settings below `[router]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{consent::ConsentSettings, kind::Problem, settings_schema::HumanDuration};

use crate::outbound::FailoverSettings;

/// The router's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterSettings {
    /// Messages that may wait for the router, and batches that the store may have ready for it.
    pub mailbox: usize,
    /// How long a message may wait for a busy campaign or transport before it is refused.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub hand_over_limit: Duration,
    /// How often received SMS that no campaign has settled are tried again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub retry_received: Duration,
    /// How SMS that go by `[[outbound]]` come back to a transport that had failed.
    pub failover: FailoverSettings,
    /// `[consent]`, a table of its own: what people read who opted out or in, or asked for help.
    #[serde(skip)]
    pub consent: ConsentSettings,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            mailbox: 10_000,
            hand_over_limit: Duration::from_secs(2),
            retry_received: Duration::from_secs(5),
            failover: FailoverSettings::default(),
            consent: ConsentSettings::default(),
        }
    }
}

impl RouterSettings {
    /// Keys that had another name, and another unit, in an earlier version.
    pub const RENAMED: &'static [(&'static str, &'static str)] =
        &[("hand_over_limit_ms", "hand_over_limit"), ("retry_received_s", "retry_received")];

    /// What is wrong with them; keys as below `[router]`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |good: bool, key: &str, what: &str| {
            if !good {
                problems.push(Problem::new(key, what));
            }
        };
        expect((1..=1_000_000).contains(&self.mailbox), "mailbox", "expected 1 to 1000000 messages");
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(60));
        expect((least..=most).contains(&self.hand_over_limit), "hand_over_limit", "expected 1ms to 60s, such as `2s`");
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(24 * 3600));
        expect((least..=most).contains(&self.retry_received), "retry_received", "expected 100ms to 24h, such as `5s`");
        problems.extend(self.failover.check());
        problems
    }
}
