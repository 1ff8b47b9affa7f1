//! The settings of the front-end: the `[http]` table.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_front_kit::tls::TlsSettings;
use vumi_kit::{address::listen_address, kind::Problem, network::Network, settings_schema::HumanDuration};

use crate::request::trusted_proxies::ForwardedHeader;

/// The settings of the HTTP front-end. Every key has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// The address to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "listen_address")]
    pub bind: SocketAddr,
    /// A listener with TLS, beside the one at `bind` or in its place. Default none: put a proxy that speaks TLS in front.
    pub tls: Option<TlsSettings>,
    /// Threads that serve requests.
    pub workers: usize,
    /// Connections a worker holds at once; more wait to be accepted. When only one in 16 is left, those that have been
    /// idle longest are closed.
    pub max_connections: usize,
    /// Connections that one address may hold (of IPv6 one /64); further ones are refused with 429. The trusted proxies'
    /// do not count.
    pub connections_per_address: usize,
    /// The largest body, in bytes; a larger one is refused with 413. Default 4 MiB, enough for a batch of 10,000.
    #[schemars(extend("unit" = "bytes"))]
    pub max_body: usize,
    /// The bytes that the bodies of all requests under way may take, not counting the first 16 KiB of each; a body beyond
    /// that is refused with 503. Reading one takes some times its size. Default 64 MiB.
    #[schemars(extend("unit" = "bytes"))]
    pub max_bodies: usize,
    /// The bytes of answers that wait for one address to read them (of IPv6 one /64); beyond that the connection is
    /// closed that waits longest. Default 16 MiB; the trusted proxies' do not count.
    #[schemars(extend("unit" = "bytes"))]
    pub unread_per_address: usize,
    /// The bytes of answers that wait for all clients to read them; beyond that a connection is closed of the address
    /// with the most. Default 64 MiB.
    #[schemars(extend("unit" = "bytes"))]
    pub max_unread: usize,
    /// The most parts an SMS may take (160 or 70 characters in one, 153 or 67 in each of more). Default 9, which carriers
    /// commonly join.
    pub max_segments: u32,
    /// The most recipients of one call.
    pub max_batch: usize,
    /// How long a connection without a request is kept open.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub keep_alive: Duration,
    /// How long a client may take to send a request's head.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub head_within: Duration,
    /// How long a client may take to send a body.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub body_within: Duration,
    /// How long the answer to one request may take, body included, and how long its client may take to read it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_within: Duration,
    /// How long requests under way may take to finish when the router stops: no longer than `supervisor.drain`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub drain_within: Duration,
    /// Calls an account may make.
    pub rates: RateSettings,
    /// How long an account is remembered before the store is asked again. What this version's commands change takes effect
    /// within a second all the same.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub account_ttl: Duration,
    /// How long a password that was right is remembered (as a keyed digest) before Argon2 checks it again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub password_ttl: Duration,
    /// Argon2 checks at once: each takes some 20 ms of a core and 19 MiB.
    pub password_checks: usize,
    /// How many passwords a minute may be tried for one user name from one address, and ten times as many for all names
    /// from one address and for one name from all addresses; further ones are refused with 429. One that was right
    /// before, and a wrong one that is repeated, do not count.
    #[schemars(extend("unit" = "a minute"))]
    pub wrong_passwords: u32,
    /// The proxies that clients come through: addresses or networks, such as `["127.0.0.1", "10.0.0.0/8"]`. Only they
    /// are believed about a client's address; without this, all clients of a proxy share its address.
    pub trusted_proxies: Vec<Network>,
    /// The header in which they name the client: `x-forwarded-for` or `forwarded`. Default `x-forwarded-for`. The proxy
    /// must append to it or replace it.
    pub forwarded_header: ForwardedHeader,
    /// How long an `Idempotency-Key` is kept.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub idempotency_keep: Duration,
}

/// Calls a minute for each account; 0 sets no limit. A batch is one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateSettings {
    /// `send.json`, `template_send.json` and `preview.json`.
    #[schemars(extend("unit" = "a minute"))]
    pub sending: u32,
    /// No longer used: receipts from providers have no rate.
    #[schemars(example = 0)]
    pub receipts: Option<u32>,
    /// No longer used: SMS from people have no rate.
    #[schemars(example = 0)]
    pub inbound: Option<u32>,
    /// Status calls.
    #[schemars(extend("unit" = "a minute"))]
    pub reading: u32,
    /// Callback calls.
    #[schemars(extend("unit" = "a minute"))]
    pub callbacks: u32,
    /// Conversations that are posted or replaced, in ten minutes.
    #[schemars(extend("unit" = "in 10 minutes"))]
    pub conversations: u32,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self { sending: 6_000, receipts: None, inbound: None, reading: 60, callbacks: 60, conversations: 5 }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            tls: None,
            workers: 2,
            max_connections: 4096,
            connections_per_address: 1024,
            max_body: 4 * 1024 * 1024,
            max_bodies: 64 * 1024 * 1024,
            unread_per_address: 16 * 1024 * 1024,
            max_unread: 64 * 1024 * 1024,
            max_segments: 9,
            max_batch: 10_000,
            keep_alive: Duration::from_secs(75),
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(60),
            drain_within: Duration::from_secs(8),
            rates: RateSettings::default(),
            account_ttl: Duration::from_secs(5),
            password_ttl: Duration::from_secs(300),
            password_checks: 2,
            wrong_passwords: 10,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            idempotency_keep: Duration::from_secs(24 * 3600),
        }
    }
}

impl HttpSettings {
    /// The addresses that are listened on.
    pub fn binds(&self) -> impl Iterator<Item = SocketAddr> {
        [self.bind].into_iter().chain(self.tls.as_ref().and_then(|tls| tls.bind))
    }

    /// The URL of the API on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let tls_alone = self.tls.as_ref().is_some_and(|tls| tls.bind.is_none());
        format!("{}://{}", if tls_alone { "https" } else { "http" }, self.bind)
    }

    /// What is wrong with settings that parse; touches nothing outside.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let counts = [
            ("workers", self.workers),
            ("max_connections", self.max_connections),
            ("connections_per_address", self.connections_per_address),
            ("max_body", self.max_body),
            ("unread_per_address", self.unread_per_address),
            ("max_segments", self.max_segments as usize),
            ("max_batch", self.max_batch),
            ("password_checks", self.password_checks),
            ("wrong_passwords", self.wrong_passwords as usize),
        ];
        let times = [
            ("head_within", self.head_within),
            ("body_within", self.body_within),
            ("answer_within", self.answer_within),
            ("drain_within", self.drain_within),
        ];
        let zero = counts.into_iter().filter(|(_, n)| *n == 0).map(|(key, _)| (key, "must be at least 1"));
        let no_time = times.into_iter().filter(|(_, t)| t.is_zero()).map(|(key, _)| (key, "must be longer than 0s"));
        let too_long = (self.max_segments > 255).then_some(("max_segments", "an SMS has 255 parts at the most"));
        let too_small = (self.max_bodies < self.max_body).then_some(("max_bodies", "must be max_body or more"));
        let unread =
            (self.max_unread < self.unread_per_address).then_some(("max_unread", "must be unread_per_address or more"));
        zero.chain(no_time)
            .chain(too_long)
            .chain(too_small)
            .chain(unread)
            .map(|(key, what)| Problem::new(key, what))
            .chain(self.tls.iter().flat_map(|tls| tls.check(self.bind)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::HttpSettings;

    fn read(json: &str) -> Result<HttpSettings, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_empty_table_gives_the_defaults_and_they_pass_the_check() {
        let settings = read("{}").unwrap();
        assert_eq!(settings, HttpSettings::default());
        assert_eq!(settings.check(), vec![]);
        assert_eq!(settings.bind.to_string(), "127.0.0.1:8000");
    }

    #[test]
    fn keys_are_read_and_unknown_ones_refused() {
        let settings = read(r#"{"bind": "0.0.0.0:0", "account_ttl": "1m", "rates": {"reading": 0}}"#).unwrap();
        assert_eq!(settings.account_ttl.as_secs(), 60);
        assert_eq!((settings.rates.reading, settings.rates.sending), (0, 6_000));
        assert!(read(r#"{"bnid": "0.0.0.0:0"}"#).is_err());
        assert!(read(r#"{"rates": {"recieving": 1}}"#).is_err());
    }

    #[test]
    fn a_bound_that_allows_nothing_is_named() {
        let keys: Vec<String> =
            HttpSettings { workers: 0, max_segments: 300, max_bodies: 1, ..HttpSettings::default() }
                .check()
                .into_iter()
                .map(|p| p.key)
                .collect();
        assert_eq!(keys, ["workers", "max_segments", "max_bodies"]);
    }
}
