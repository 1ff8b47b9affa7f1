//! The front-end's settings: the `[amqp]` table.

use std::{collections::BTreeMap, time::Duration};

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_kit::{
    backoff::Backoff,
    kind::Problem,
    name::Name,
    settings_schema::{HumanDuration, Secret},
};

/// The longest wait before the broker is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The settings of the AMQP front-end. Every key has a default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AmqpSettings {
    /// The whole address, `amqp://user:password@host:5672/%2Fvumi` (`amqps` for TLS): a `/` in the name of the
    /// vhost is written `%2F`. With it, `host`, `port`, `tls`, `user`, `password` and `vhost` are not read.
    #[schemars(with = "Option<Secret>")]
    pub url: Option<SecretString>,
    /// The broker's machine. Default `127.0.0.1`.
    pub host: String,
    /// Its port. Default 5672, or 5671 with `tls`.
    #[schemars(example = 5672)]
    pub port: Option<u16>,
    /// Whether to speak TLS. Default `false`.
    pub tls: bool,
    /// The user. Default `guest`, which the broker lets in from its own machine only.
    pub user: String,
    /// Its password. Default `guest`.
    #[schemars(with = "Secret", extend("default" = "guest"))]
    pub password: SecretString,
    /// The vhost, as `rabbitmqctl list_vhosts` shows it. Default `/`.
    pub vhost: String,
    /// How often both ends show that they are alive; a connection that is silent for twice as long is given up.
    /// Default `10s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub heartbeat: Duration,
    /// How long connecting, and declaring the topology, may take. Default `10s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub connect_within: Duration,
    /// The wait before the broker is tried again. It doubles from `first` to `most`, which is at most 30 s.
    /// Default `{ first = "200ms", most = "30s" }`.
    pub reconnect: Backoff,
    /// Deliveries that may be in work at once, for each queue. Default 200.
    pub prefetch: u16,
    /// Messages that may be published and not confirmed; more are refused until the broker confirms. Default 1000.
    pub unconfirmed: usize,
    /// How long the broker may take to confirm a message before its sender is told that it may not have arrived.
    /// Less than the router's `hand_over_limit`. Default `1500ms`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub confirm_within: Duration,
    /// How long a delivery is offered to a component that is busy or not running before the broker gets it back, for
    /// another process or a later attempt. Default `5s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub offer_for: Duration,
    /// How long a delivery stays unacknowledged while the campaign answers or the transport sends. If this process
    /// dies within that time, another one gets the delivery. Default `20s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub hold_for: Duration,
    /// How often a delivery goes back to the broker because the component it is for is busy or not running; then it is
    /// a dead letter, with a nack. Default 10.
    pub max_returns: u32,
    /// Acks and nacks that may wait for the broker, of each connector; when there are more, the newest is dropped and
    /// counted. Default 10,000.
    pub events_waiting: usize,
    /// How many message ids are remembered, by which a redelivery is recognised; and how many SMS are followed, so
    /// that their campaigns get acks and delivery reports. Default 50,000.
    pub remember: usize,
    /// The queue for what can't be decoded, or fails for good. Default `vumi.dead`.
    pub dead_letters: String,
    /// The connectors: a table for each, `[amqp.connectors.NAME]`.
    pub connectors: BTreeMap<Name, ConnectorSettings>,
}

/// A connector: a transport or a campaign that lives on the other side of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorSettings {
    /// What lives on the other side.
    pub side: ConnectorSide,
    /// The connector's name on the broker: its queues are `<connector>.inbound`, `.outbound` and `.event`. Default:
    /// the table's name, which is also the campaign's name in the routes.
    #[serde(default)]
    #[schemars(example = &"ussd_transport")]
    pub connector: Option<Name>,
    /// Side `transport`: the transports whose messages come by this connector, and whose replies leave by it.
    /// Default: one, with the connector's name.
    #[serde(default)]
    pub transports: Vec<Name>,
    /// Side `campaign`: the account that owns SMS which the campaign sends without being asked. Without it those are
    /// refused.
    #[serde(default)]
    #[schemars(example = &"clinic")]
    pub account: Option<String>,
    /// Side `campaign`: the transport that sends messages whose `transport_name` is the connector's own name, as those
    /// of Junebug. Default: the transport that brought the message which is answered; else the only one of the settings.
    #[serde(default)]
    #[schemars(example = &"clickatell")]
    pub transport: Option<Name>,
}

/// What lives on the other side of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorSide {
    /// A transport: inbound messages and events are consumed, outbound ones published.
    Transport,
    /// A campaign: inbound messages and events are published, outbound ones consumed.
    Campaign,
}

impl Default for AmqpSettings {
    fn default() -> Self {
        Self {
            url: None,
            host: "127.0.0.1".to_owned(),
            port: None,
            tls: false,
            user: "guest".to_owned(),
            password: "guest".into(),
            vhost: "/".to_owned(),
            heartbeat: Duration::from_secs(10),
            connect_within: Duration::from_secs(10),
            reconnect: Backoff::new(Duration::from_millis(200), LONGEST_WAIT),
            prefetch: 200,
            unconfirmed: 1_000,
            confirm_within: Duration::from_millis(1_500),
            offer_for: Duration::from_secs(5),
            hold_for: Duration::from_secs(20),
            max_returns: 10,
            events_waiting: 10_000,
            remember: 50_000,
            dead_letters: "vumi.dead".to_owned(),
            connectors: BTreeMap::new(),
        }
    }
}

impl AmqpSettings {
    /// What is wrong with settings that parse. Touches nothing outside.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let counts = [
            ("prefetch", usize::from(self.prefetch)),
            ("unconfirmed", self.unconfirmed),
            ("events_waiting", self.events_waiting),
            ("remember", self.remember),
        ];
        let times = [
            ("heartbeat", self.heartbeat),
            ("connect_within", self.connect_within),
            ("confirm_within", self.confirm_within),
            ("offer_for", self.offer_for),
            ("hold_for", self.hold_for),
        ];
        let no_count = counts.into_iter().filter(|(_, n)| *n == 0).map(|(key, _)| (key, "must be at least 1"));
        let no_time = times.into_iter().filter(|(_, t)| t.is_zero()).map(|(key, _)| (key, "must be longer than 0s"));
        let too_long = (self.reconnect.most > LONGEST_WAIT).then_some(("reconnect.most", "must be 30s at the most"));
        let bad_queue = (self.dead_letters.is_empty() || self.dead_letters.len() > 255)
            .then_some(("dead_letters", "must be a queue's name: 1 to 255 bytes"));
        let mut problems: Vec<Problem> = no_count
            .chain(no_time)
            .chain(too_long)
            .chain(bad_queue)
            .map(|(key, what)| Problem::new(key, what))
            .collect();
        problems.extend(self.uri().err());
        problems.extend(self.connectors.iter().flat_map(|(name, connector)| self.check_connector(name, connector)));
        problems
    }

    fn check_connector(&self, name: &Name, connector: &ConnectorSettings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |key: &str, what: String| problems.push(Problem::new(format!("connectors.{name}.{key}"), what));
        match connector.side {
            ConnectorSide::Transport if connector.account.is_some() => {
                add("account", "is for connectors with `side = \"campaign\"` only".to_owned());
            }
            ConnectorSide::Transport if connector.transport.is_some() => {
                add("transport", "is for connectors with `side = \"campaign\"` only".to_owned());
            }
            ConnectorSide::Campaign if !connector.transports.is_empty() => {
                add("transports", "is for connectors with `side = \"transport\"` only".to_owned());
            }
            _ => {}
        }
        let same = |(other, of): &(&Name, &ConnectorSettings)| {
            *other < name && of.side == connector.side && of.name_on_broker(other) == connector.name_on_broker(name)
        };
        if let Some((other, _)) = self.connectors.iter().find(same) {
            add("connector", format!("`{other}` is that side of the same connector: remove one of the two"));
        }
        problems
    }

    /// The broker's address, without the password.
    #[must_use]
    pub fn shown(&self) -> String {
        self.uri().map_or_else(
            |problem| problem.what,
            |uri| {
                let slash = if uri.vhost.starts_with('/') { "" } else { "/" };
                format!("{}:{}{slash}{}", uri.authority.host, uri.authority.port, uri.vhost)
            },
        )
    }

    /// The broker's address.
    pub(super) fn uri(&self) -> Result<AMQPUri, Problem> {
        let mut uri = match &self.url {
            // The error does not quote the address: it holds the password.
            Some(url) => url.expose_secret().parse().map_err(|_| {
                Problem::new("url", "expected amqp://user:password@host:5672/vhost, with `/` in the vhost as %2F")
            })?,
            None => self.uri_of_parts(),
        };
        if uri.query.heartbeat.is_none() {
            uri.query.heartbeat = Some(u16::try_from(self.heartbeat.as_secs().max(1)).unwrap_or(u16::MAX));
        }
        Ok(uri)
    }

    fn uri_of_parts(&self) -> AMQPUri {
        let (scheme, port) = if self.tls { (AMQPScheme::AMQPS, 5671) } else { (AMQPScheme::AMQP, 5672) };
        let userinfo = AMQPUserInfo { username: self.user.clone(), password: self.password.expose_secret().to_owned() };
        AMQPUri {
            scheme,
            authority: AMQPAuthority { userinfo, host: self.host.clone(), port: self.port.unwrap_or(port) },
            vhost: self.vhost.clone(),
            query: AMQPQueryString::default(),
        }
    }
}

impl ConnectorSettings {
    /// Its name on the broker.
    pub(super) fn name_on_broker<'a>(&'a self, name: &'a Name) -> &'a Name {
        self.connector.as_ref().unwrap_or(name)
    }

    /// The transports behind it.
    pub(super) fn transports_behind<'a>(&'a self, name: &'a Name) -> &'a [Name] {
        if self.transports.is_empty() { std::slice::from_ref(self.name_on_broker(name)) } else { &self.transports }
    }
}

#[cfg(test)]
mod tests {
    use super::AmqpSettings;

    fn read(toml: serde_json::Value) -> AmqpSettings {
        serde_json::from_value(toml).unwrap()
    }

    #[test]
    fn an_empty_table_gives_the_defaults_and_they_are_good() {
        let settings = read(serde_json::json!({}));
        assert_eq!(settings.check(), vec![]);
        let uri = settings.uri().unwrap();
        assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), ("127.0.0.1", 5672, "/"));
        assert_eq!(uri.query.heartbeat, Some(10));
    }

    #[test]
    fn the_address_stands_in_one_key_or_in_several() {
        let whole = read(serde_json::json!({"url": "amqp://vumi:s%2Fcret@broker:5673/%2Fvumi"})).uri().unwrap();
        let parts = serde_json::json!({"user": "vumi", "password": "s/cret", "host": "broker", "port": 5673,
            "vhost": "/vumi"});
        assert_eq!(whole, read(parts).uri().unwrap());
        let wrong = read(serde_json::json!({"url": "http://user:hunter2@broker"})).check();
        assert_eq!(wrong[0].key, "url");
        assert!(!wrong[0].what.contains("hunter2"));
    }

    #[test]
    fn a_connector_says_what_lives_on_the_other_side() {
        let settings = read(serde_json::json!({"connectors": {
            "quiz": {"side": "campaign"},
            "ussd": {"side": "transport"},
            "dispatch": {"side": "transport", "connector": "upstream", "transports": ["truteq", "opera"]},
        }}));
        assert_eq!(settings.check(), vec![]);
    }

    #[test]
    fn what_can_not_work_is_named() {
        let wrong = read(serde_json::json!({"prefetch": 0, "reconnect": {"most": "1m"}, "connectors": {
            "a": {"side": "campaign", "transports": ["x"]},
            "b": {"side": "campaign", "connector": "a"},
            "c": {"side": "transport", "account": "me"},
            "d": {"side": "transport", "transport": "x"},
        }}));
        let keys: Vec<String> = wrong.check().into_iter().map(|problem| problem.key).collect();
        let expected = [
            "prefetch",
            "reconnect.most",
            "connectors.a.transports",
            "connectors.b.connector",
            "connectors.c.account",
            "connectors.d.transport",
        ];
        assert_eq!(keys, expected);
    }
}
