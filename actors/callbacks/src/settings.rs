//! The settings of the callbacks.

use std::time::Duration;

use ipnet::IpNet;
use reqwest::Certificate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use vumi_kit::{backoff::Backoff, component::CALL_LIMIT, kind::Problem, settings_schema::HumanDuration};

/// The upper bound of `most_at_once`.
const MAX_AT_ONCE: usize = 4096;
/// The upper bound of `limit`: a stop waits for the posts in flight.
const MAX_LIMIT: Duration = Duration::from_secs(120);

/// How events are posted to the clients' URLs: the table `[callbacks]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallbackSettings {
    /// How often the store is asked for what is due; after a post it is asked at once.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub poll: Duration,
    /// How long one post may take, from looking up the name to the end of the answer. Default `10s`, `2m` at the
    /// most.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub limit: Duration,
    /// How many posts are under way at once, over all callbacks. Default 64, at most 4096.
    pub most_at_once: usize,
    /// How many of them may be of one callback, so that a dead URL does not hold them all. Default 4. Until a
    /// callback has answered within a quarter of `limit`, and after it has not, it gets one at a time, and all such
    /// callbacks together get half of `most_at_once`: however many hang, half is for those that answer.
    pub most_per_callback: usize,
    /// How long to wait after a failed attempt: `first` and `most`, doubling in between. Default `5s` and `1h`.
    #[serde(deserialize_with = "retry")]
    pub retry: Backoff,
    /// How long after the event a failing delivery is given up and parked.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub give_up_after: Duration,
    /// A callback is disabled when a delivery to it is given up and nothing was delivered for so long. Its client sees that,
    /// and enables it by changing it; what happens meanwhile is not posted. Default `3d`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub disable_after: Duration,
    /// Certificates (PEM) that are trusted beside the system's, for clients whose own authority signs theirs; or
    /// `ca_file`, the file that holds them.
    #[schemars(example = "-----BEGIN CERTIFICATE-----...")]
    pub ca: Option<String>,
    /// Whether callbacks to loopback, private and link-local addresses and to this machine's own are allowed. Default
    /// false: clients choose the URLs, and they should not reach what only this machine can. The clouds' metadata
    /// services are refused in any case.
    pub allow_internal: bool,
    /// Networks that no callback may reach, such as `["203.0.113.0/24", "2001:db8::/32"]`, whatever `allow_internal`
    /// says. Default none.
    #[schemars(with = "Vec<String>", example = ["203.0.113.0/24", "2001:db8::/32"])]
    pub deny: Vec<IpNet>,
    /// The ports that callbacks may reach, such as `[80, 443]`. Default all.
    pub ports: Vec<u16>,
}

const RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(3600));

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            limit: CALL_LIMIT,
            most_at_once: 64,
            most_per_callback: 4,
            retry: RETRY,
            give_up_after: Duration::from_secs(24 * 3600),
            disable_after: Duration::from_secs(3 * 24 * 3600),
            ca: None,
            allow_internal: false,
            deny: Vec::new(),
            ports: Vec::new(),
        }
    }
}

impl CallbackSettings {
    /// What is wrong with settings that parse, by key.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |fine: bool, key: &str, what: &str| {
            if !fine {
                problems.push(Problem::new(key, what));
            }
        };
        expect(!self.poll.is_zero(), "poll", "must be longer than nothing, such as 1s");
        expect(
            !self.limit.is_zero() && self.limit <= MAX_LIMIT,
            "limit",
            "must be longer than nothing and 2m at the most",
        );
        expect((1..=MAX_AT_ONCE).contains(&self.most_at_once), "most_at_once", "must be between 1 and 4096");
        expect(
            (1..=self.most_at_once).contains(&self.most_per_callback),
            "most_per_callback",
            "must be between 1 and most_at_once",
        );
        expect(
            !self.retry.first.is_zero() && self.retry.first <= self.retry.most,
            "retry",
            "first must be longer than nothing and no longer than most",
        );
        expect(
            self.authorities().is_some(),
            "ca",
            "must be one certificate or more in PEM form: -----BEGIN CERTIFICATE----- and so on",
        );
        problems
    }

    /// The certificates of `ca`; `None` where it has none or they can't be read.
    pub(crate) fn authorities(&self) -> Option<Vec<Certificate>> {
        let Some(pem) = &self.ca else { return Some(Vec::new()) };
        Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|certificates| !certificates.is_empty())
    }
}

/// A key left out has the default of the callbacks, not that of [`Backoff`].
fn retry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Backoff, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Retry {
        #[serde(default, with = "humantime_serde")]
        first: Option<Duration>,
        #[serde(default, with = "humantime_serde")]
        most: Option<Duration>,
    }
    let retry = Retry::deserialize(deserializer)?;
    Ok(Backoff::new(retry.first.unwrap_or(RETRY.first), retry.most.unwrap_or(RETRY.most)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{CallbackSettings, RETRY};

    #[test]
    fn an_empty_table_is_the_default_and_the_default_is_fine() {
        let settings: CallbackSettings = serde_json::from_value(json!({})).unwrap();
        assert_eq!(settings, CallbackSettings::default());
        assert_eq!(settings.check(), []);
    }

    #[test]
    fn a_retry_with_one_key_keeps_the_callbacks_default_of_the_other() {
        let settings: CallbackSettings = serde_json::from_value(json!({ "retry": { "first": "10s" } })).unwrap();
        assert_eq!(settings.retry.first, Duration::from_secs(10));
        assert_eq!(settings.retry.most, RETRY.most);
    }

    #[test]
    fn unknown_keys_networks_and_ports_are_refused() {
        for wrong in [
            json!({ "polll": "1s" }),
            json!({ "retry": { "fist": "1s" } }),
            json!({ "deny": ["203.0.113.0/33"] }),
            json!({ "ports": [65536] }),
        ] {
            assert!(serde_json::from_value::<CallbackSettings>(wrong).is_err());
        }
    }

    #[test]
    fn what_cannot_work_is_named_by_its_key() {
        for (wrong, key) in [
            (json!({ "poll": "0s" }), "poll"),
            (json!({ "limit": "0s" }), "limit"),
            (json!({ "limit": "10m" }), "limit"),
            (json!({ "most_at_once": 0, "most_per_callback": 0 }), "most_at_once"),
            (json!({ "most_per_callback": 65 }), "most_per_callback"),
            (json!({ "retry": { "first": "2h" } }), "retry"),
            (json!({ "ca": "no certificate" }), "ca"),
        ] {
            let settings: CallbackSettings = serde_json::from_value(wrong).unwrap();
            assert_eq!(settings.check().first().map(|problem| problem.key.as_str()), Some(key));
        }
    }
}
