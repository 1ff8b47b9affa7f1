//! The settings of a transport over SMPP.

mod receipts;
mod sms;
mod ussd;

use std::{collections::BTreeMap, time::Duration};

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
use vumi_smpp_codec::BindMode;

pub(super) use receipts::{MessageIds, PartReceipts, SmppReceiptSettings};
pub(super) use sms::{Numbering, SmsSettings, Validity, octets_of_hex};
pub(super) use ussd::{CodeIn, SCREEN_SEPTETS, ScreenCoding, SmppUssdSettings, UssdProfile, no_dialogues};

use super::statuses::{SubmitStatus, status_of_key};
use crate::{
    outbox::OutboxSettings,
    tls::{NO_AUTHORITIES, NO_IDENTITY, TlsTarget, authorities, identity},
};

/// Connections to an SMSC that speaks SMPP 3.4 (3.3 and 5.0 are understood).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The SMSC.
    #[schemars(example = &"smsc.example.com")]
    pub(super) host: String,
    /// Its port. Default 2775
    #[serde(default = "default_port")]
    pub(super) port: u16,
    /// Whether the connections are by TLS. Default false
    #[serde(default)]
    pub(super) tls: bool,
    /// The authorities whose certificates are trusted, or the SMSC's own certificate, in PEM form; `ca_file` names a file
    /// with them. None: the machine's authorities.
    #[serde(default)]
    #[schemars(example = &"-----BEGIN CERTIFICATE-----...")]
    pub(super) ca: Option<String>,
    /// The name in the SMSC's certificate. None: `host`
    #[serde(default)]
    #[schemars(example = &"smsc.example.com")]
    pub(super) server_name: Option<String>,
    /// Our certificate, where the SMSC asks for one, in PEM form; `client_certificate_file` names a file with it.
    #[serde(default)]
    #[schemars(example = &"-----BEGIN CERTIFICATE-----...")]
    pub(super) client_certificate: Option<String>,
    /// Its private key, in PEM form; `client_key_file` names a file with it.
    #[serde(default)]
    #[schemars(with = "Option<Secret>")]
    pub(super) client_key: Option<SecretString>,
    /// The name of the account, 15 characters at the most.
    pub(super) system_id: String,
    /// Its password, 8 characters at the most.
    #[schemars(with = "Secret")]
    pub(super) password: SecretString,
    /// What the SMSC calls our kind of system. Default empty
    #[serde(default)]
    pub(super) system_type: String,
    /// The numbers whose SMS we want, where the SMSC asks for it. Default empty
    #[serde(default)]
    pub(super) address_range: String,
    /// The version that the bind names: `3.3` (nothing that 3.4 added is sent), `3.4` or `5.0`. Default 3.4
    #[serde(default)]
    pub(super) version: Version,
    /// How each session is bound. Default transceiver
    #[serde(default)]
    pub(super) bind: BindAs,
    /// Sessions at once, as many as the SMSC allows. With `transmitter_and_receiver` each is two connections. Default 1
    #[serde(default = "default_sessions")]
    pub(super) sessions: usize,
    /// PDUs that may wait for their answers in one session: a text of three parts is three. `outbox.window` bounds the sum of
    /// all sessions. Default 10
    #[serde(default = "default_window")]
    pub(super) window: usize,
    /// How long making a connection may take. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) connect_limit: Duration,
    /// How long the answer to a bind may take. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) bind_limit: Duration,
    /// After so long without a PDU from the SMSC it is asked whether it is there (enquire_link); it has `outbox.call_limit` to
    /// answer. Default 30s
    #[serde(default = "default_enquire_link", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) enquire_link: Duration,
    /// The waits between attempts to connect. Default 1s to 60s
    #[serde(default = "default_reconnect")]
    pub(super) reconnect: Backoff,
    /// The wait before the next attempt where the SMSC says that we are bound already: it still has our last session. Default 30s
    #[serde(default = "default_already_bound", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) already_bound: Duration,
    /// How long each step of a stop may wait: for what is under way, for the answer to unbind. Default 5s
    #[serde(default = "default_drain_limit", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) drain_limit: Duration,
    /// SMS and receipts from the SMSC that may wait for the ledger; more are refused as temporary errors, and the SMSC sends
    /// them again. Default 1000
    #[serde(default = "default_queue")]
    pub(super) queue: usize,
    /// How long the parts of an SMS from a person wait for those that are missing, an hour at the most; then it is handed on as
    /// far as it is there, marked as incomplete. None: `store.join_parts_within`
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<HumanDuration>", example = &"2m")]
    pub(super) join_parts_within: Option<Duration>,
    /// The account that SMS from people belong to, unless their route names another.
    #[serde(default)]
    pub(super) account: Option<String>,
    /// The number people write to, where the SMSC does not say.
    #[serde(default)]
    #[schemars(example = &"38080")]
    pub(super) short_code: Option<Address>,
    /// What answers to submissions mean where it is not the usual: the command_status, decimal or with `0x`, and one of
    /// `accepted`, `retry`, `throttled`, `queue_full`, `routing_error`, `message_error`, `delivery_error`, `misconfigured`,
    /// `bind_again`.
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, SubmitStatus>,
    /// How often an SMS is tried that the SMSC answers with a temporary error; then it ends as failed. With the usual waits
    /// (`outbox.retry`) ten attempts take some minutes. Default 10
    #[serde(default = "default_max_temporary")]
    pub(super) max_temporary: u32,
    /// How SMS are written.
    #[serde(default)]
    pub(super) sms: SmsSettings,
    /// USSD over the same sessions. None: what comes of USSD is refused.
    #[serde(default)]
    pub(super) ussd: Option<SmppUssdSettings>,
    /// How receipts are read.
    #[serde(default)]
    pub(super) receipts: SmppReceiptSettings,
    /// Window, rate, retries of SMS.
    #[serde(default)]
    pub(super) outbox: OutboxSettings,
}

/// How a session is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BindAs {
    /// One connection for both ways.
    #[default]
    Transceiver,
    /// Two connections, the receiver first.
    TransmitterAndReceiver,
    /// Sends only: no receipts, no SMS from people.
    Transmitter,
    /// Receives only.
    Receiver,
}

impl BindAs {
    /// The connections of one session, the first to be bound first.
    pub(super) const fn modes(self) -> &'static [BindMode] {
        match self {
            Self::Transceiver => &[BindMode::Transceiver],
            Self::TransmitterAndReceiver => &[BindMode::Receiver, BindMode::Transmitter],
            Self::Transmitter => &[BindMode::Transmitter],
            Self::Receiver => &[BindMode::Receiver],
        }
    }
}

/// The version that a bind names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Version {
    #[serde(rename = "3.3")]
    V33,
    #[default]
    #[serde(rename = "3.4")]
    V34,
    #[serde(rename = "5.0")]
    V50,
}

impl Version {
    /// interface_version.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::V33 => 0x33,
            Self::V34 => 0x34,
            Self::V50 => 0x50,
        }
    }
}

const fn default_port() -> u16 {
    2775
}

const fn default_sessions() -> usize {
    1
}

const fn default_window() -> usize {
    10
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn default_enquire_link() -> Duration {
    Duration::from_secs(30)
}

const fn default_reconnect() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
}

const fn default_already_bound() -> Duration {
    Duration::from_secs(30)
}

const fn default_drain_limit() -> Duration {
    Duration::from_secs(5)
}

const fn default_queue() -> usize {
    1_000
}

const fn default_max_temporary() -> u32 {
    10
}

impl Settings {
    /// What is wrong with them. Pure.
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.host.trim().is_empty() {
            problems.push(Problem::new("host", "is empty; expected a host name or an IP address"));
        }
        if self.port == 0 {
            problems.push(Problem::new("port", "expected 1 to 65535"));
        }
        let fields = [
            ("system_id", self.system_id.as_str(), 15),
            ("password", self.password.expose_secret(), 8),
            ("system_type", &self.system_type, 12),
            ("address_range", &self.address_range, 40),
        ];
        for (key, text, most) in fields {
            if text.len() > most || !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
                problems.push(Problem::new(
                    key,
                    format!("expected {most} characters of ASCII at the most: SMPP carries no more"),
                ));
            }
        }
        problems.extend(self.check_tls());
        problems.extend(self.check_limits());
        let odd = self.statuses.keys().filter(|key| status_of_key(key).is_none());
        let what = "expected a command_status as a number, such as `0x14` or `20`";
        problems.extend(odd.map(|key| Problem::new(format!("statuses.{key}"), what)));
        problems.extend(self.sms.check(self.version));
        problems.extend(self.check_ussd());
        problems.extend(self.outbox.check());
        problems
    }

    fn check_ussd(&self) -> Vec<Problem> {
        let Some(ussd) = &self.ussd else { return Vec::new() };
        let mut problems = ussd.check();
        if self.version == Version::V33 {
            problems.push(Problem::new("ussd", "USSD needs TLVs, which `version = \"3.3\"` does not have: set 3.4"));
        }
        if matches!(self.bind, BindAs::Transmitter | BindAs::Receiver) {
            let what = "USSD goes both ways: set `bind` to `transceiver` or `transmitter_and_receiver`";
            problems.push(Problem::new("ussd", what));
        }
        problems
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the connections trust and show; none: they are without TLS.
    pub(super) fn tls_target(&self) -> Option<TlsTarget> {
        let server_name = self.server_name.as_ref().unwrap_or(&self.host).clone();
        let identity = self.client_certificate.clone().zip(self.client_key.as_ref());
        let identity = identity.map(|(certificate, key)| (certificate, key.expose_secret().to_owned()));
        self.tls.then(|| TlsTarget { server_name, ca: self.ca.clone(), identity })
    }

    fn check_tls(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let unused = "means nothing without `tls = true`: set it, or leave this out";
        let given = [
            ("ca", self.ca.is_some()),
            ("server_name", self.server_name.is_some()),
            ("client_certificate", self.client_certificate.is_some()),
            ("client_key", self.client_key.is_some()),
        ];
        let given_in_vain = given.iter().filter(|(_, given)| *given && !self.tls);
        problems.extend(given_in_vain.map(|(key, _)| Problem::new(*key, unused)));
        if self.ca.as_ref().is_some_and(|ca| authorities(ca).is_none()) {
            problems.push(Problem::new("ca", NO_AUTHORITIES));
        }
        let name = |name: &String| ServerName::try_from(name.as_str()).is_ok();
        if !self.server_name.as_ref().is_none_or(name) {
            problems.push(Problem::new("server_name", "is no host name and no IP address"));
        }
        let readable = match (&self.client_certificate, &self.client_key) {
            (None, None) => true,
            (Some(certificate), Some(key)) => identity(certificate, key.expose_secret()).is_some(),
            _ => false,
        };
        if !readable {
            problems.push(Problem::new("client_certificate", NO_IDENTITY));
        }
        problems
    }

    fn check_limits(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let times = [
            ("connect_limit", self.connect_limit, 60),
            ("bind_limit", self.bind_limit, 60),
            ("enquire_link", self.enquire_link, 3_600),
            ("already_bound", self.already_bound, 3_600),
            ("drain_limit", self.drain_limit, 60),
        ];
        for (key, time, most_s) in times {
            if time.is_zero() || time > Duration::from_secs(most_s) {
                problems.push(Problem::new(key, format!("expected a time above zero, {most_s}s at the most")));
            }
        }
        if self.join_parts_within.is_some_and(|time| time.is_zero() || time > Duration::from_secs(3_600)) {
            problems.push(Problem::new("join_parts_within", "expected a time above zero, 3600s at the most"));
        }
        let counts = [("sessions", self.sessions, 64), ("window", self.window, 1_000), ("queue", self.queue, 100_000)];
        for (key, count, most) in counts {
            if !(1..=most).contains(&count) {
                problems.push(Problem::new(key, format!("expected 1 to {most}")));
            }
        }
        if !(1..=100).contains(&self.max_temporary) {
            problems.push(Problem::new("max_temporary", "expected 1 to 100 attempts"));
        }
        let Backoff { first, most } = self.reconnect;
        if first.is_zero() || first > most || most > Duration::from_secs(600) {
            let what = "expected `first` above zero and not above `most`, and `most` 10m at the most";
            problems.push(Problem::new("reconnect", what));
        }
        problems
    }
}
