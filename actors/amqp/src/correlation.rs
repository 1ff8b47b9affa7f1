//! Which messages belong together: by which connector a message came, and for which service one was published.

use std::{cell::RefCell, rc::Rc};

use vumi_kit::{message::UserMessage, name::Name};

use super::{
    in_flight::DeliveryKey,
    recent::RecentMap,
    topology::{AmqpTopology, Connector, ConnectorRole},
};

/// A message to a person that was published.
#[derive(Clone)]
pub(super) struct PublishedMessage {
    /// The service that it came from.
    pub(super) service: String,
    /// [`UserMessage::sent_by`].
    pub(super) sent_by: Option<Name>,
}

/// The connectors, and what is remembered of the latest messages.
pub(super) struct Correlation {
    connectors: Vec<Rc<Connector>>,
    /// By message id: the connector that a delivery came by.
    arrived_by: RefCell<RecentMap<String, Rc<Connector>>>,
    /// Messages to people, by their id.
    published: RefCell<RecentMap<String, PublishedMessage>>,
    /// By the id of a message from a person that was published for a campaign: the transport that brought it.
    brought_by: RefCell<RecentMap<String, Name>>,
    /// The ids of received SMS that were published for a campaign.
    published_sms: RefCell<RecentMap<String, ()>>,
}

impl Correlation {
    /// Remembers at most `remember` messages of each sort.
    pub(super) fn new(topology: &AmqpTopology, remember: usize) -> Self {
        Self {
            connectors: topology.connectors().iter().cloned().map(Rc::new).collect(),
            arrived_by: RefCell::new(RecentMap::new(remember)),
            published: RefCell::new(RecentMap::new(remember)),
            brought_by: RefCell::new(RecentMap::new(remember)),
            published_sms: RefCell::new(RecentMap::new(remember)),
        }
    }

    pub(super) fn connectors(&self) -> &[Rc<Connector>] {
        &self.connectors
    }

    /// The queue of this process for replies to the calls of a transport; none where that answers no calls here.
    pub(super) fn reply_queue(&self, transport: &Name) -> Option<&str> {
        let own =
            self.connectors.iter().find(|connector| connector.queues.is_for_replies && connector.name == *transport)?;
        Some(&own.queues.outbound)
    }

    pub(super) fn record_arrival(&self, message_id: &str, connector: &Rc<Connector>) {
        self.arrived_by.borrow_mut().insert(message_id.to_owned(), connector.clone());
    }

    /// The delivery of a message: of the connector that it came by, or of `otherwise`.
    pub(super) fn delivery_key(&self, message_id: String, otherwise: &Connector) -> DeliveryKey {
        let connector = self.arrived_by.borrow().get(&message_id).map_or(otherwise.number, |by| by.number);
        DeliveryKey { connector, message_id }
    }

    /// The connector that leads to a transport: the one by which the answered message came, or the first.
    pub(super) fn connector_towards(&self, transport: &Name, in_reply_to: Option<&str>) -> Option<Rc<Connector>> {
        let leads_there = |connector: &&Rc<Connector>| {
            connector.role.is_transport_elsewhere() && connector.transports.contains(transport)
        };
        let arrived_by = self.arrived_by.borrow();
        let arrived_by = in_reply_to.and_then(|id| arrived_by.get(id)).filter(leads_there);
        arrived_by.or_else(|| self.connectors.iter().find(leads_there)).cloned()
    }

    /// The role of the connector by which a message to a person leaves; none where its transport is not elsewhere.
    pub(super) fn way_of(&self, message: &UserMessage) -> Option<ConnectorRole> {
        self.connector_towards(&message.transport_name, message.in_reply_to.as_deref()).map(|connector| connector.role)
    }

    /// A message to a person is about to be published.
    pub(super) fn record_published(&self, message: &UserMessage) {
        let published = PublishedMessage { service: message.from_addr.clone(), sent_by: message.sent_by.clone() };
        self.published.borrow_mut().insert(message.message_id.clone(), published);
    }

    /// A message to a person that this process published.
    pub(super) fn published(&self, message_id: &str) -> Option<PublishedMessage> {
        self.published.borrow().get(message_id).cloned()
    }

    /// A message from a person was published for a campaign.
    pub(super) fn record_brought_by(&self, message_id: String, transport: Name) {
        self.brought_by.borrow_mut().insert(message_id, transport);
    }

    /// The transport that brought a message from a person.
    pub(super) fn brought_by(&self, message_id: &str) -> Option<Name> {
        self.brought_by.borrow().get(message_id).cloned()
    }

    pub(super) fn record_published_sms(&self, message_id: String) {
        self.published_sms.borrow_mut().insert(message_id, ());
    }

    pub(super) fn sms_was_published(&self, message_id: &str) -> bool {
        self.published_sms.borrow().get(message_id).is_some()
    }
}
