//! The parts that the front-end's tasks share, on one thread.

use std::rc::Rc;

use lapin::Acker;
use vumi_kit::{clock::Clock, message::Event, name::Name, router::RouterAddress, store::Store};

use super::{
    context::AmqpContext,
    correlation::Correlation,
    counter::Counter,
    deliveries::Deliveries,
    event_queue::{EventQueue, OutgoingEvent},
    in_flight::DeliveryKey,
    outbound_sms::OutboundSms,
    publisher::Publisher,
    settings::AmqpSettings,
    shutdown::Shutdown,
    sms_follower::SmsFollower,
    topology::Connector,
};

/// The parts of a running front-end.
pub(super) struct AmqpState {
    pub(super) settings: AmqpSettings,
    pub(super) router: RouterAddress,
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// All transports of the settings, here and elsewhere.
    pub(super) transports: Vec<Name>,
    pub(super) shutdown: Rc<Shutdown>,
    pub(super) correlation: Correlation,
    pub(super) deliveries: Rc<Deliveries>,
    pub(super) publisher: Rc<Publisher>,
    pub(super) events: Rc<EventQueue>,
    pub(super) outbound_sms: OutboundSms,
    pub(super) sms_follower: Rc<SmsFollower>,
    /// Deliveries that were read and are not handled yet.
    pub(super) unhandled: Counter,
    /// Deliveries put into the queue for dead letters.
    pub(super) dead_letters: Counter,
}

impl AmqpState {
    pub(super) fn new(context: AmqpContext, settings: AmqpSettings) -> Self {
        let AmqpContext { router, store, clock, transports, sms_times, chains, quotas, topology } = context;
        let shutdown = Rc::new(Shutdown::new(store.ledger.token().clone()));
        let deliveries = Rc::new(Deliveries::new(settings.remember, settings.hold_for, shutdown.clone()));
        let events = Rc::new(EventQueue::new(settings.events_waiting, topology.connectors().len()));
        let follower = SmsFollower::new(
            &settings,
            store.clone(),
            clock.clone(),
            deliveries.clone(),
            events.clone(),
            shutdown.clone(),
        );
        Self {
            correlation: Correlation::new(&topology, settings.remember),
            publisher: Rc::new(Publisher::new(&settings, clock.now(), shutdown.clone())),
            transports: transports.keys().cloned().collect(),
            outbound_sms: OutboundSms::new(store.clone(), clock.clone(), transports, sms_times, (chains, quotas)),
            sms_follower: Rc::new(follower),
            unhandled: Counter::default(),
            dead_letters: Counter::default(),
            settings,
            router,
            store,
            clock,
            shutdown,
            deliveries,
            events,
        }
    }

    /// Queues an event for the other side of a connector. The delivery `settles` is acknowledged when the broker has
    /// the event.
    pub(super) fn queue_event(&self, connector: &Connector, event: Event, settles: Option<DeliveryKey>) {
        let (number, queue) = (connector.number, connector.queues.event.clone());
        let outgoing = OutgoingEvent { connector: number, queue, event, settles, acknowledges: vec![] };
        // A lost one is counted and logged; the delivery that it would have settled is overdue some time.
        let _lost = self.events.push(outgoing);
    }

    /// Queues the nack of a message that is a dead letter. The deliveries are acknowledged when the broker has it.
    pub(super) async fn queue_nack(&self, connector: &Connector, event: Event, acknowledges: Vec<Acker>) {
        let (number, queue) = (connector.number, connector.queues.event.clone());
        let outgoing = OutgoingEvent { connector: number, queue, event, settles: None, acknowledges };
        if let Err(lost) = self.events.push(outgoing) {
            self.deliveries.acknowledge_all(lost.acknowledges).await;
        }
    }

    /// Whether no work is left.
    pub(super) fn is_idle(&self) -> bool {
        self.deliveries.is_idle() && self.unhandled.get() == 0 && self.events.pending() == 0 && self.publisher.is_idle()
    }
}
