//! The settings of a transport over SSMI, and the texts that people read of it.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::ServerName;
use vumi_kit::{
    address::Address,
    backoff::Backoff,
    kind::Problem,
    settings_schema::{HumanDuration, Secret},
};
use vumi_ssmi_codec::{SCREEN_UNITS, screen_units, to_latin1};

use crate::{
    outbox::OutboxSettings,
    tls::{NO_AUTHORITIES, TlsTarget, authorities},
    ussd::{DialogueSettings, DialogueTexts},
};

/// A connection to a server that speaks SSMI.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The server. Default sms.truteq.com
    #[serde(default = "default_host")]
    pub(super) host: String,
    /// Its port. Default 50008
    #[serde(default = "default_port")]
    pub(super) port: u16,
    /// Whether the connection is by TLS. Default false
    #[serde(default)]
    pub(super) tls: bool,
    /// The authorities whose certificates are trusted, or the server's own certificate, in PEM form; `ca_file` names a
    /// file with them. None: the machine's authorities.
    #[serde(default)]
    #[schemars(example = &"-----BEGIN CERTIFICATE-----...")]
    pub(super) ca: Option<String>,
    /// The name in the server's certificate. None: `host`
    #[serde(default)]
    #[schemars(example = &"sms.truteq.com")]
    pub(super) server_name: Option<String>,
    /// The user name of the login.
    pub(super) username: String,
    /// The password.
    #[schemars(with = "Secret")]
    pub(super) password: SecretString,
    /// How long making the connection may take. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) connect_limit: Duration,
    /// How long the answer to the login may take. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) login_limit: Duration,
    /// How often a link check is sent; the server has as long to answer it. Default 60s
    #[serde(default = "default_link_check", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) link_check: Duration,
    /// How long a session stays open after the last message in it. Default 300s
    #[serde(default = "default_lifetime", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) lifetime: Duration,
    /// The waits between attempts to connect, 30s at the most. Default 1s to 30s
    #[serde(default = "default_reconnect")]
    pub(super) reconnect: Backoff,
    /// Sessions open at once; further people are asked to try again later. Default 100000
    #[serde(default = "default_max_sessions")]
    pub(super) max_sessions: usize,
    /// Messages on their way to the router at once; while there are as many, nothing is read. Default 2000
    #[serde(default = "default_window")]
    pub(super) window: usize,
    /// Replies that may wait for the connection, to be written or to be acknowledged; SMS that may wait for the ledger, or
    /// for their account. Default 10000
    #[serde(default = "default_queue")]
    pub(super) queue: usize,
    /// Screens that one reply may fill; a longer one is refused. Default 9
    #[serde(default = "default_max_pages")]
    pub(super) max_pages: usize,
    /// How long each step of a stop may wait for replies and writes under way. Default 2s
    #[serde(default = "default_drain_limit", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) drain_limit: Duration,
    /// The account that SMS from people, and delivery reports, belong to. While there is none of that name, they wait
    /// in memory. Without this key they are not kept.
    #[serde(default)]
    pub(super) account: Option<String>,
    /// The number people write SMS to, where the server does not say.
    #[serde(default)]
    pub(super) short_code: Option<Address>,
    /// How long the server may try to deliver an SMS, in minutes. Default 0: as the server likes
    #[serde(default)]
    #[schemars(extend("unit" = "minutes"))]
    pub(super) sms_validity_min: u32,
    /// What people read where no campaign answers.
    #[serde(default)]
    pub(super) texts: DialogueTexts,
    /// Window, rate, retries of SMS.
    #[serde(default)]
    pub(super) outbox: OutboxSettings,
}

fn default_host() -> String {
    "sms.truteq.com".to_owned()
}

const fn default_port() -> u16 {
    50008
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn default_link_check() -> Duration {
    Duration::from_secs(60)
}

const fn default_lifetime() -> Duration {
    Duration::from_secs(300)
}

const fn default_reconnect() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(30))
}

const fn default_max_sessions() -> usize {
    100_000
}

const fn default_window() -> usize {
    2_000
}

const fn default_queue() -> usize {
    10_000
}

const fn default_max_pages() -> usize {
    9
}

const fn default_drain_limit() -> Duration {
    Duration::from_secs(2)
}

impl Settings {
    /// What is wrong with them. Pure.
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let field = |text: &str| !text.is_empty() && !text.contains([',', '\r', '\n']) && to_latin1(text).1.is_empty();
        if self.host.trim().is_empty() {
            problems.push(Problem::new("host", "is empty; expected a host name or an IP address"));
        }
        if self.port == 0 {
            problems.push(Problem::new("port", "expected 1 to 65535"));
        }
        problems.extend(self.check_tls());
        let what = "expected text of ISO-8859-1 without commas and line breaks: the protocol can't carry those";
        if !field(&self.username) {
            problems.push(Problem::new("username", what));
        }
        if !field(self.password.expose_secret()) {
            problems.push(Problem::new("password", what));
        }
        problems.extend(self.check_limits());
        let fits = |text: &str, most: usize| screen_units(text) <= most && to_latin1(text).1.is_empty();
        problems.extend(self.texts.check(fits, SCREEN_UNITS, "ISO-8859-1"));
        problems.extend(self.dialogues().check());
        problems.extend(self.outbox.check());
        problems
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// How it holds its sessions.
    pub(super) fn dialogues(&self) -> DialogueSettings {
        DialogueSettings {
            lifetime: self.lifetime,
            max_sessions: self.max_sessions,
            window: self.window,
            queue: self.queue,
            max_pages: self.max_pages,
            texts: self.texts.clone(),
        }
    }

    /// What the connection trusts; none: it is without TLS.
    pub(super) fn tls_target(&self) -> Option<TlsTarget> {
        let server_name = self.server_name.as_ref().unwrap_or(&self.host).clone();
        self.tls.then(|| TlsTarget { server_name, ca: self.ca.clone(), identity: None })
    }

    fn check_tls(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let unused = "means nothing without `tls = true`: set it, or leave this out";
        let given = [("ca", self.ca.is_some()), ("server_name", self.server_name.is_some())];
        problems
            .extend(given.iter().filter(|(_, given)| *given && !self.tls).map(|(key, _)| Problem::new(*key, unused)));
        if self.ca.as_ref().is_some_and(|ca| authorities(ca).is_none()) {
            problems.push(Problem::new("ca", NO_AUTHORITIES));
        }
        let name = |name: &String| ServerName::try_from(name.as_str()).is_ok();
        if !self.server_name.as_ref().is_none_or(name) {
            problems.push(Problem::new("server_name", "is no host name and no IP address"));
        }
        problems
    }

    fn check_limits(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let times = [
            ("connect_limit", self.connect_limit, 60),
            ("login_limit", self.login_limit, 60),
            ("link_check", self.link_check, 3_600),
            ("drain_limit", self.drain_limit, 60),
        ];
        for (key, time, most_s) in times {
            if time.is_zero() || time > Duration::from_secs(most_s) {
                problems.push(Problem::new(key, format!("expected a time above zero, {most_s}s at the most")));
            }
        }
        let Backoff { first, most } = self.reconnect;
        if first.is_zero() || first > most || most > Duration::from_secs(30) {
            let what = "expected `first` above zero and not above `most`, and `most` 30s at the most";
            problems.push(Problem::new("reconnect", what));
        }
        problems
    }
}
