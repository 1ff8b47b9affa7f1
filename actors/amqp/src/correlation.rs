//! Which messages belong together: by which connector a message came, and for which service one was published.

use std::{cell::RefCell, rc::Rc};

use vumi_kit::name::Name;

use super::{
    in_flight::DeliveryKey,
    recent::RecentMap,
    topology::{AmqpTopology, Connector, ConnectorRole},
};

/// The connectors, and what is remembered of the latest messages.
pub(super) struct Correlation {
    connectors: Vec<Rc<Connector>>,
    /// By message id: the connector that a delivery came by.
    arrived_by: RefCell<RecentMap<String, Rc<Connector>>>,
    /// By message id: the service whose message to a person was published.
    services: RefCell<RecentMap<String, String>>,
    /// The ids of received SMS that were published for a campaign.
    published_sms: RefCell<RecentMap<String, ()>>,
}

impl Correlation {
    /// Remembers at most `remember` messages of each sort.
    pub(super) fn new(topology: &AmqpTopology, remember: usize) -> Self {
        Self {
            connectors: topology.connectors().iter().cloned().map(Rc::new).collect(),
            arrived_by: RefCell::new(RecentMap::new(remember)),
            services: RefCell::new(RecentMap::new(remember)),
            published_sms: RefCell::new(RecentMap::new(remember)),
        }
    }

    pub(super) fn connectors(&self) -> &[Rc<Connector>] {
        &self.connectors
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

    /// Whether a message answers one that came out of another ledger.
    pub(super) fn answers_another_ledger(&self, transport: &Name, in_reply_to: Option<&str>) -> bool {
        in_reply_to.is_some()
            && self
                .connector_towards(transport, in_reply_to)
                .is_some_and(|connector| connector.role == ConnectorRole::FamilyTransport)
    }

    /// A message to a person is about to be published for a service.
    pub(super) fn record_service(&self, message_id: &str, service: &str) {
        self.services.borrow_mut().insert(message_id.to_owned(), service.to_owned());
    }

    /// The service that a message to a person came from.
    pub(super) fn service_of(&self, message_id: &str) -> Option<String> {
        self.services.borrow().get(message_id).cloned()
    }

    pub(super) fn record_published_sms(&self, message_id: String) {
        self.published_sms.borrow_mut().insert(message_id, ());
    }

    pub(super) fn sms_was_published(&self, message_id: &str) -> bool {
        self.published_sms.borrow().get(message_id).is_some()
    }
}
