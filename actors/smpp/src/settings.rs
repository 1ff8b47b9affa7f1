//! The settings of the SMPP server: the `[smpp]` table.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_front_kit::tls::TlsSettings;
use vumi_kit::{address::listen_address, kind::Problem, name::Name, settings_schema::HumanDuration};
use vumi_smpp_codec::Alphabet;

/// The settings of the SMPP server. Every key has a default; without the table there is no server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmppSettings {
    /// The address to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "listen_address")]
    pub bind: SocketAddr,
    /// A listener with TLS, beside the one at `bind` or in its place. Default none.
    pub tls: Option<TlsSettings>,
    /// How the server calls itself in the answer to a bind, 15 characters at the most.
    pub system_id: String,
    /// The transport that carries what ESMEs submit. Default none: the routes of `[[outbound]]` choose one for each SMS.
    #[schemars(example = &"smsc")]
    pub transport: Option<Name>,
    /// What `data_coding = 0` means, in both directions.
    pub default_alphabet: EsmeAlphabet,
    /// Requests of one bind that are worked on at once. While there are so many, the server reads no further ones from that
    /// socket.
    pub window: usize,
    /// Receipts and SMS that may be on their way to one bind without its answer.
    pub deliver_window: usize,
    /// SMS that an account may submit a second, all its binds together, counted by each process; beyond that they are
    /// answered with RTHROTTLED. Default 0: no limit.
    #[schemars(extend("unit" = "a second"))]
    pub rate: u32,
    /// Binds of one account at once, in each process; `vumi account smpp NAME --binds N` gives one another number.
    pub binds_per_account: u32,
    /// Connections that one address may hold (of IPv6 one /64).
    pub connections_per_address: usize,
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// Connections that are not bound yet, at once; further ones are closed, and those of one address beyond a quarter of them.
    pub max_unbound: usize,
    /// How long a connection may take to bind.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub bind_within: Duration,
    /// The most parts that an SMS may take whose text an ESME hands in whole, in `message_payload`.
    pub max_segments: u32,
    /// After so long without a PDU an ESME is asked whether it is still there (enquire_link).
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub enquire_link_after: Duration,
    /// How long an ESME may take to answer: an enquire_link, or its connection is closed; a receipt or SMS, or its bind is
    /// given no further ones.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_within: Duration,
    /// How long receipts and SMS wait for an ESME that takes them. After that they are given up, as posts to callbacks are.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub give_up_after: Duration,
    /// How many wrong passwords are checked a minute for one account from one address.
    #[schemars(extend("unit" = "a minute"))]
    pub wrong_passwords: u32,
    /// Passwords that are checked at once; each takes some 20 ms of a core.
    pub password_checks: usize,
    /// How long a stop waits for requests under way and for answers.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub drain_within: Duration,
}

/// What `data_coding = 0` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EsmeAlphabet {
    /// GSM 03.38, an octet a septet.
    #[default]
    Gsm7,
    /// ISO-8859-1.
    Latin1,
    /// ASCII.
    Ascii,
    /// Windows code page 1252.
    Windows1252,
    /// UTF-8.
    Utf8,
}

impl EsmeAlphabet {
    /// The codec's.
    pub(crate) const fn alphabet(self) -> Alphabet {
        match self {
            Self::Gsm7 => Alphabet::Gsm7,
            Self::Latin1 => Alphabet::Latin1,
            Self::Ascii => Alphabet::Ascii,
            Self::Windows1252 => Alphabet::Cp1252,
            Self::Utf8 => Alphabet::Utf8,
        }
    }
}

impl Default for SmppSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 2775)),
            tls: None,
            system_id: "vumi".to_owned(),
            transport: None,
            default_alphabet: EsmeAlphabet::default(),
            window: 128,
            deliver_window: 16,
            rate: 0,
            binds_per_account: 8,
            connections_per_address: 256,
            max_connections: 4096,
            max_unbound: 256,
            bind_within: Duration::from_secs(10),
            max_segments: 9,
            enquire_link_after: Duration::from_secs(60),
            answer_within: Duration::from_secs(30),
            give_up_after: Duration::from_secs(3 * 24 * 3600),
            wrong_passwords: 10,
            password_checks: 2,
            drain_within: Duration::from_secs(5),
        }
    }
}

/// The most characters of a system_id: 16 octets with its NUL.
const LONGEST_SYSTEM_ID: usize = 15;
/// The longest an ESME's answer is waited for: what waits for it is leased for a little longer.
pub(crate) const LONGEST_ANSWER: Duration = Duration::from_secs(60);

impl SmppSettings {
    /// The addresses that are listened on.
    pub fn binds(&self) -> impl Iterator<Item = SocketAddr> {
        [self.bind].into_iter().chain(self.tls.as_ref().and_then(|tls| tls.bind))
    }

    /// What is wrong with settings that parse; touches nothing outside.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let counts = [
            ("window", self.window),
            ("deliver_window", self.deliver_window),
            ("binds_per_account", self.binds_per_account as usize),
            ("connections_per_address", self.connections_per_address),
            ("max_connections", self.max_connections),
            ("max_unbound", self.max_unbound),
            ("max_segments", self.max_segments as usize),
            ("wrong_passwords", self.wrong_passwords as usize),
            ("password_checks", self.password_checks),
        ];
        let times = [
            ("bind_within", self.bind_within),
            ("enquire_link_after", self.enquire_link_after),
            ("answer_within", self.answer_within),
            ("give_up_after", self.give_up_after),
            ("drain_within", self.drain_within),
        ];
        let zero = counts.into_iter().filter(|(_, n)| *n == 0).map(|(key, _)| (key, "must be at least 1"));
        let no_time = times.into_iter().filter(|(_, t)| t.is_zero()).map(|(key, _)| (key, "must be longer than 0s"));
        let id = &self.system_id;
        let good_id = !id.is_empty() && id.len() <= LONGEST_SYSTEM_ID && id.bytes().all(|b| b.is_ascii_graphic());
        let bad_id = (!good_id).then_some(("system_id", "must be 1 to 15 ASCII characters without blanks"));
        let segments = (self.max_segments > 255).then_some(("max_segments", "an SMS has 255 parts at the most"));
        let answer = (self.answer_within > LONGEST_ANSWER).then_some(("answer_within", "must be 60s or less"));
        zero.chain(no_time)
            .chain(bad_id)
            .chain(segments)
            .chain(answer)
            .map(|(key, what)| Problem::new(key, what))
            .chain(self.tls.iter().flat_map(|tls| tls.check(self.bind)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{EsmeAlphabet, SmppSettings};

    #[test]
    fn an_empty_table_gives_the_defaults_and_they_pass_the_check() {
        let settings: SmppSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, SmppSettings::default());
        assert_eq!(settings.check(), vec![]);
    }

    #[test]
    fn keys_are_read_unknown_ones_refused_and_bounds_named() {
        let settings: SmppSettings =
            serde_json::from_str(r#"{"bind": "0.0.0.0:0", "default_alphabet": "latin1", "transport": "smsc"}"#)
                .unwrap();
        assert_eq!((settings.default_alphabet, settings.bind.port()), (EsmeAlphabet::Latin1, 0));
        assert!(serde_json::from_str::<SmppSettings>(r#"{"windwo": 1}"#).is_err());
        let wrong = SmppSettings {
            window: 0,
            system_id: "a name of blanks".to_owned(),
            max_segments: 256,
            answer_within: Duration::from_secs(61),
            bind_within: Duration::ZERO,
            ..SmppSettings::default()
        };
        let keys: Vec<String> = wrong.check().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["window", "bind_within", "system_id", "max_segments", "answer_within"]);
    }
}
