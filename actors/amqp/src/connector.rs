//! A connector: a name with three queues on the broker, and what leads to it.

use std::rc::Rc;

use vumi_kit::name::Name;

use super::{
    settings::{AmqpSettings, Side},
    topology::ConnectorQueues,
};

/// A connector, ready to be used.
pub(super) struct Connector {
    /// Its place among all.
    pub(super) number: usize,
    /// The component's name, or the table's.
    pub(super) name: Name,
    /// What lives on which side.
    pub(super) end: ConnectorEnd,
    /// Its queues.
    pub(super) queues: ConnectorQueues,
    /// The transports behind it.
    pub(super) transports: Vec<Name>,
    /// Whose the SMS are that a campaign elsewhere sends of its own accord.
    pub(super) account: Option<String>,
}

/// What a connector leads to. Peers are processes of the same settings over the same ledger; without them, both
/// directions go by the same connector, and each side has a ledger of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectorEnd {
    /// A transport elsewhere.
    Transport,
    /// A campaign elsewhere.
    Campaign,
    /// A transport that a peer runs.
    PeersTransport,
    /// A campaign that a peer runs.
    PeersCampaign,
    /// A transport that runs here, for peers.
    OwnTransport,
    /// A campaign that runs here, for peers.
    OwnCampaign,
}

impl ConnectorEnd {
    /// The queues that are read here.
    pub(super) const fn sources(self) -> &'static [IntakeSource] {
        match self {
            Self::Transport | Self::OwnCampaign => &[IntakeSource::Inbound, IntakeSource::Event],
            Self::Campaign | Self::OwnTransport => &[IntakeSource::Outbound],
            Self::PeersTransport | Self::PeersCampaign => &[],
        }
    }
}

impl Connector {
    /// All connectors: those of the tables, then those between peers.
    pub(super) fn all(settings: &AmqpSettings) -> Vec<Rc<Self>> {
        let tables = settings.connectors.iter().map(|(name, connector)| Self {
            number: 0,
            name: name.clone(),
            end: match connector.side {
                Side::Transport => ConnectorEnd::Transport,
                Side::Campaign => ConnectorEnd::Campaign,
            },
            queues: ConnectorQueues::of(connector.on_the_broker(name)),
            transports: connector.transports_behind(name).to_vec(),
            account: connector.account.clone(),
        });
        let peers = &settings.peers;
        let peers = [
            (ConnectorEnd::PeersTransport, &peers.transports_elsewhere),
            (ConnectorEnd::PeersCampaign, &peers.campaigns_elsewhere),
            (ConnectorEnd::OwnTransport, &peers.transports_here),
            (ConnectorEnd::OwnCampaign, &peers.campaigns_here),
        ];
        let peers = peers.into_iter().flat_map(|(end, names)| {
            names.iter().map(move |name| Self {
                number: 0,
                name: name.clone(),
                end,
                queues: ConnectorQueues::of(name),
                transports: vec![name.clone()],
                account: None,
            })
        });
        tables.chain(peers).enumerate().map(|(number, connector)| Rc::new(Self { number, ..connector })).collect()
    }
}

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntakeSource {
    Inbound,
    Outbound,
    Event,
}

impl IntakeSource {
    /// Its queue.
    pub(super) fn queue(self, connector: &Connector) -> &str {
        match self {
            Self::Inbound => &connector.queues.inbound,
            Self::Outbound => &connector.queues.outbound,
            Self::Event => &connector.queues.event,
        }
    }
}
