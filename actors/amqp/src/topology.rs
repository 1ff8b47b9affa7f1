//! The connectors of a process: those of the settings' tables, and those that join it with its peers.

use vumi_kit::{ids, name::Name};

use super::{
    queues::{ConnectorQueues, QueueKind},
    settings::{AmqpSettings, ConnectorSettings, ConnectorSide},
};

/// The connectors that a process has on the broker. It is derived from the settings and from what the process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmqpTopology {
    connectors: Vec<Connector>,
}

/// What this process and its peers run. Peers are processes that run a part each of the same settings, over one
/// ledger. They need no table: messages from people go straight to the queue of their campaign, messages to people
/// to that of their transport. SMS to people are in the ledger and need no queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerComponents {
    /// Campaigns that run here.
    pub campaigns_here: Vec<Name>,
    /// Campaigns that run in another process.
    pub campaigns_elsewhere: Vec<Name>,
    /// Transports that run here and hold sessions.
    pub transports_here: Vec<Name>,
    /// Transports that run in another process and hold sessions.
    pub transports_elsewhere: Vec<Name>,
    /// Of all transports those that answer calls, here and in other processes at the same time: a reply goes to the process
    /// that has the call.
    pub callers: Vec<Name>,
}

/// A connector: a name on the broker, with its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connector {
    /// Its position in the topology.
    pub(super) number: usize,
    /// The component's name, or the table's.
    pub(super) name: Name,
    pub(super) role: ConnectorRole,
    pub(super) queues: ConnectorQueues,
    /// The transports behind it.
    pub(super) transports: Vec<Name>,
    /// It answers calls: a reply finds the process that has the call by the queue that its message names.
    pub(super) answers_calls: bool,
    /// Owns the SMS that a campaign elsewhere sends in answer to none.
    pub(super) account: Option<String>,
    /// Sends what a campaign elsewhere sends by the connector's own name.
    pub(super) transport: Option<Name>,
}

impl Connector {
    /// The transport behind it; where there are several, the connector's name stands for them.
    pub(super) fn sole_transport(&self) -> &Name {
        match self.transports.as_slice() {
            [transport] => transport,
            _ => &self.name,
        }
    }

    /// Whether a name is the connector's own, in the settings or on the broker.
    pub(super) fn is_called(&self, name: &Name) -> bool {
        self.name == *name || self.queues == ConnectorQueues::of(name)
    }
}

/// What a connector leads to. Without peers both directions use the same connector and each side has a ledger of
/// its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectorRole {
    /// A transport of another program of the family, or of a Vumi with a ledger of its own.
    FamilyTransport,
    /// A campaign of another program of the family, or of a Vumi with a ledger of its own.
    FamilyCampaign,
    /// A transport that a peer runs.
    PeerTransport,
    /// A campaign that a peer runs.
    PeerCampaign,
    /// A transport that runs here, for peers.
    OwnTransport,
    /// A campaign that runs here, for peers.
    OwnCampaign,
}

impl ConnectorRole {
    /// The queues that this process consumes.
    pub(super) const fn consumes(self) -> &'static [QueueKind] {
        match self {
            Self::FamilyTransport | Self::OwnCampaign => {
                &[QueueKind::Inbound, QueueKind::Event, QueueKind::ParkedEvent]
            }
            Self::FamilyCampaign | Self::OwnTransport => &[QueueKind::Outbound],
            Self::PeerTransport | Self::PeerCampaign => &[],
        }
    }

    /// Whether the other side is a campaign that takes messages from people.
    pub(super) const fn is_campaign_elsewhere(self) -> bool {
        matches!(self, Self::FamilyCampaign | Self::PeerCampaign)
    }

    /// Whether the other side is a transport that takes messages to people.
    pub(super) const fn is_transport_elsewhere(self) -> bool {
        matches!(self, Self::FamilyTransport | Self::PeerTransport)
    }
}

impl AmqpTopology {
    /// The connectors of the tables `[amqp.connectors.NAME]`.
    #[must_use]
    pub fn of_tables(settings: &AmqpSettings) -> Self {
        let mut topology = Self::default();
        for (name, table) in &settings.connectors {
            topology.add_table(name, table);
        }
        topology
    }

    /// Adds the connectors between this process and its peers. A component that a table names keeps the table's.
    #[must_use]
    pub fn with_peers(mut self, peers: PeerComponents) -> Self {
        let by_table: Vec<Name> = self.campaigns_elsewhere().chain(self.transports_elsewhere()).cloned().collect();
        let derived =
            |names: Vec<Name>| names.into_iter().filter(|name| !by_table.contains(name)).collect::<Vec<Name>>();
        let node = ids::message_id();
        let by_role = [
            (ConnectorRole::PeerTransport, derived(peers.transports_elsewhere)),
            (ConnectorRole::PeerCampaign, derived(peers.campaigns_elsewhere)),
            (ConnectorRole::OwnTransport, peers.transports_here),
            (ConnectorRole::OwnCampaign, peers.campaigns_here),
        ];
        for (role, name) in
            by_role.into_iter().flat_map(|(role, names)| names.into_iter().map(move |name| (role, name)))
        {
            let (mut queues, transports) = (ConnectorQueues::of(&name), vec![name.clone()]);
            let answers_calls = peers.callers.contains(&name);
            if answers_calls && role == ConnectorRole::OwnTransport {
                queues = queues.with_replies_to(&node);
            }
            self.connectors.push(Connector {
                number: self.connectors.len(),
                name,
                role,
                queues,
                transports,
                answers_calls,
                account: None,
                transport: None,
            });
        }
        self
    }

    /// The campaigns that live elsewhere, as the routes name them.
    pub fn campaigns_elsewhere(&self) -> impl Iterator<Item = &Name> {
        let elsewhere = self.connectors.iter().filter(|connector| connector.role.is_campaign_elsewhere());
        elsewhere.map(|connector| &connector.name)
    }

    /// The transports that live elsewhere. One that several connectors lead to is named once for each.
    pub fn transports_elsewhere(&self) -> impl Iterator<Item = &Name> {
        let elsewhere = self.connectors.iter().filter(|connector| connector.role.is_transport_elsewhere());
        elsewhere.flat_map(|connector| &connector.transports)
    }

    pub(super) fn connectors(&self) -> &[Connector] {
        &self.connectors
    }

    fn add_table(&mut self, name: &Name, table: &ConnectorSettings) {
        self.connectors.push(Connector {
            number: self.connectors.len(),
            name: name.clone(),
            role: match table.side {
                ConnectorSide::Transport => ConnectorRole::FamilyTransport,
                ConnectorSide::Campaign => ConnectorRole::FamilyCampaign,
            },
            queues: ConnectorQueues::of(table.name_on_broker(name)),
            transports: table.transports_behind(name).to_vec(),
            answers_calls: false,
            account: table.account.clone(),
            transport: table.transport.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{AmqpTopology, Name, PeerComponents};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
        names.map(Name::as_str).collect::<Vec<_>>().join(" ")
    }

    fn of_tables() -> AmqpTopology {
        let settings = serde_json::json!({"connectors": {
            "quiz": {"side": "campaign"},
            "ussd": {"side": "transport"},
            "dispatch": {"side": "transport", "connector": "upstream", "transports": ["truteq", "opera"]},
        }});
        AmqpTopology::of_tables(&serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn a_table_says_which_campaign_or_transports_live_elsewhere() {
        let topology = of_tables();
        assert_eq!(names(topology.campaigns_elsewhere()), "quiz");
        assert_eq!(names(topology.transports_elsewhere()), "truteq opera ussd");
    }

    #[test]
    fn a_component_of_a_peer_that_a_table_names_keeps_the_tables_connector() {
        let peers = PeerComponents {
            campaigns_elsewhere: vec![name("quiz"), name("clinic")],
            transports_elsewhere: vec![name("opera"), name("ssmi")],
            ..PeerComponents::default()
        };
        let topology = of_tables().with_peers(peers);
        assert_eq!(names(topology.campaigns_elsewhere()), "quiz clinic");
        assert_eq!(names(topology.transports_elsewhere()), "truteq opera ussd ssmi");
        let numbers: Vec<usize> = topology.connectors().iter().map(|connector| connector.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
    }
}
