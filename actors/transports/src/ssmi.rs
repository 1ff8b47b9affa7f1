//! TruTeq, or whoever else speaks SSMI: USSD sessions, and SMS, over one TCP connection.
//!
//! The protocol's frames are `vumi_ssmi_codec`. In here: [`link`] keeps the connection, [`inbound`] hears the server,
//! [`outbound`] takes the campaigns' replies, [`sessions`] remembers who dialled what, [`sms`] is the desk for SMS,
//! [`couriers`] carry it all to router and store, [`room`] is the actor.

mod complaints;
mod component;
mod core;
mod couriers;
mod inbound;
mod lanes;
mod link;
mod outbound;
mod pages;
mod sessions;
mod sms;
mod wire;

#[cfg(test)]
mod tests;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_kit::{
    address::Msisdn,
    backoff::Backoff,
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem},
};
use vumi_ssmi_codec::{SCREEN_UNITS, screen_units, to_latin1};

use crate::outbox::OutboxSettings;

/// A connection to a server that speaks SSMI.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The server. Default sms.truteq.com
    #[serde(default = "default_host")]
    host: String,
    /// Its port. Default 50008
    #[serde(default = "default_port")]
    port: u16,
    /// Who we are there.
    username: String,
    /// The password.
    password: SecretString,
    /// How long making the connection may take. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    connect_limit: Duration,
    /// How long the answer to the login may take. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    login_limit: Duration,
    /// How often the server is asked whether it is there; it has as long to answer. Default 60s
    #[serde(default = "default_link_check", with = "humantime_serde")]
    link_check: Duration,
    /// How long a session lives after the last message in it. Default 300s
    #[serde(default = "default_lifetime", with = "humantime_serde")]
    lifetime: Duration,
    /// The waits between attempts to connect, 30s at the most. Default 1s to 30s
    #[serde(default = "default_reconnect")]
    reconnect: Backoff,
    /// Sessions open at once; further people are asked to try again later. Default 100000
    #[serde(default = "default_max_sessions")]
    max_sessions: usize,
    /// Messages on their way to the router at once; while there are more, nothing is read. Default 2000
    #[serde(default = "default_window")]
    window: usize,
    /// Replies that may wait: for the connection, for the wire, to be acknowledged; SMS that may wait for the ledger, or
    /// for their account. Default 10000
    #[serde(default = "default_queue")]
    queue: usize,
    /// Screens that one reply may fill; a longer one is refused. Default 9
    #[serde(default = "default_max_pages")]
    max_pages: usize,
    /// How long each step of a stop may wait for answers and writes under way. Default 2s
    #[serde(default = "default_drain_limit", with = "humantime_serde")]
    drain_limit: Duration,
    /// The account that SMS from people, and delivery reports, belong to. While there is none of that name, they wait
    /// in memory. Without this key they are not kept.
    #[serde(default)]
    account: Option<String>,
    /// The number people write SMS to, where the server does not say.
    #[serde(default)]
    short_code: Option<Msisdn>,
    /// How long the server may try to deliver an SMS, in minutes. Default 0: as the server likes
    #[serde(default)]
    sms_validity_min: u32,
    /// What people read when no campaign answers.
    #[serde(default)]
    texts: Texts,
    /// Window, rate, retries of SMS.
    #[serde(default)]
    outbox: OutboxSettings,
}

/// What people read that no campaign wrote.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Texts {
    /// No campaign takes the message.
    unavailable: String,
    /// As many sessions are open as there may be.
    full: String,
    /// The session is over: they took too long, say.
    gone: String,
    /// What they said can't be passed on now: the campaign is being started again, or stopped. The session stays open.
    again: String,
    /// The line under a page that is not the last; its first word is what to answer.
    more: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            unavailable: "Service unavailable, please try again later.".to_owned(),
            full: "Too many people use this service now, please try again later.".to_owned(),
            gone: "This session has ended. Please dial again.".to_owned(),
            again: "One moment, please. Then send your answer again.".to_owned(),
            more: "0 More".to_owned(),
        }
    }
}

impl Texts {
    fn more_key(&self) -> &str {
        self.more.split_whitespace().next().unwrap_or_default()
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let texts =
            [("unavailable", &self.unavailable), ("full", &self.full), ("gone", &self.gone), ("again", &self.again)];
        for (key, text) in texts {
            if screen_units(text) > SCREEN_UNITS || !to_latin1(text).1.is_empty() {
                problems.push(Problem::new(
                    format!("texts.{key}"),
                    format!("expected at most {SCREEN_UNITS} 7-bit characters of ISO-8859-1"),
                ));
            }
        }
        let wrong = self.more_key().is_empty() || self.more.contains(['\r', '\n']) || screen_units(&self.more) > 40;
        if wrong || !to_latin1(&self.more).1.is_empty() {
            let what = "expected one line of at most 40 characters of ISO-8859-1 that begins with what to answer";
            problems.push(Problem::new("texts.more", what));
        }
        problems
    }
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
    /// As an operator knows the server.
    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn check_limits(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let times = [
            ("connect_limit", self.connect_limit, 60),
            ("login_limit", self.login_limit, 60),
            ("link_check", self.link_check, 3_600),
            ("lifetime", self.lifetime, 86_400),
            ("drain_limit", self.drain_limit, 60),
        ];
        for (key, time, most_s) in times {
            if time.is_zero() || time > Duration::from_secs(most_s) {
                problems.push(Problem::new(key, format!("expected a time above zero, {most_s}s at the most")));
            }
        }
        let counts = [
            ("max_sessions", self.max_sessions, 10_000_000),
            ("window", self.window, 100_000),
            ("queue", self.queue, 1_000_000),
            ("max_pages", self.max_pages, 50),
        ];
        for (key, count, most) in counts {
            if !(1..=most).contains(&count) {
                problems.push(Problem::new(key, format!("expected 1 to {most}")));
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

/// The kind.
pub(crate) struct Ssmi;

impl Kind for Ssmi {
    const NAME: &'static str = "ssmi";
    const CONVERSES: bool = true;
    const EXAMPLE: &'static str = r#"
host = "127.0.0.1"
port = 50008
username = "username"
password = "password"
link_check = "60s"
lifetime = "300s"
reconnect = { first = "1s", most = "30s" }
max_sessions = 100000
account = "username"
short_code = "38080"
texts = { unavailable = "Service unavailable, please try again later.", more = "0 More" }
"#;
    const RENAMED: &'static [(&'static str, &'static str)] = &[OutboxSettings::RENAMED];
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let field = |text: &str| !text.is_empty() && !text.contains([',', '\r', '\n']) && to_latin1(text).1.is_empty();
        if settings.host.trim().is_empty() {
            problems.push(Problem::new("host", "is empty; expected a host name or an IP address"));
        }
        if settings.port == 0 {
            problems.push(Problem::new("port", "expected 1 to 65535"));
        }
        let what = "expected text of ISO-8859-1 without commas and line breaks: the protocol can't carry those";
        if !field(&settings.username) {
            problems.push(Problem::new("username", what));
        }
        if !field(settings.password.expose_secret()) {
            problems.push(Problem::new("password", what));
        }
        problems.extend(settings.check_limits());
        problems.extend(settings.texts.check());
        problems.extend(settings.outbox.check());
        problems
    }

    fn least_lease(settings: &Settings) -> Duration {
        settings.outbox.least_lease()
    }

    fn provider_url(settings: &Settings) -> Option<String> {
        Some(format!("tcp://{}", settings.address()))
    }

    fn start(context: ComponentContext, settings: Settings) -> Result<Component, StartError> {
        Ok(component::open(context, settings))
    }
}
