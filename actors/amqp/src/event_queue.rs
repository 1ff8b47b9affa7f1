//! Events that wait to be published: a bounded queue for each connector. One whose queue on the broker takes nothing
//! delays no other.

use std::{cell::RefCell, collections::VecDeque};

use lapin::Acker;
use tokio::sync::{Notify, futures::Notified};
use vumi_kit::message::Event;

use super::{counter::Counter, in_flight::DeliveryKey};

/// Events of one connector that are published at once.
const PARALLEL: usize = 128;

/// An event for the other side of a connector.
pub(super) struct OutgoingEvent {
    /// The number of the connector.
    pub(super) connector: usize,
    pub(super) queue: String,
    pub(super) event: Event,
    /// The delivery that is settled when the broker has the event.
    pub(super) settles: Option<DeliveryKey>,
    /// Deliveries that are held by nobody and acknowledged then, too.
    pub(super) acknowledges: Vec<Acker>,
}

/// The events of a connector.
#[derive(Default)]
struct ConnectorEvents {
    waiting: VecDeque<OutgoingEvent>,
    publishing: usize,
}

/// The events that wait, and the number of those that are being published.
pub(super) struct EventQueue {
    /// For each connector.
    capacity: usize,
    /// By the connector's number.
    connectors: RefCell<Vec<ConnectorEvents>>,
    /// The connector that is looked at first: each has its turn.
    turn: RefCell<usize>,
    arrived: Notify,
    /// Events that found the queue full, or whose SMS is not followed any more.
    lost: Counter,
}

impl EventQueue {
    pub(super) fn new(capacity: usize, connectors: usize) -> Self {
        Self {
            capacity,
            connectors: RefCell::new((0..connectors).map(|_| ConnectorEvents::default()).collect()),
            turn: RefCell::new(0),
            arrived: Notify::new(),
            lost: Counter::default(),
        }
    }

    /// Adds an event. When its connector's queue is full the event is lost, which is counted and logged; it is returned
    /// for what it would have settled.
    pub(super) fn push(&self, event: OutgoingEvent) -> Result<(), Box<OutgoingEvent>> {
        if !self.has_room_for(event.connector, 1) {
            self.lost.increment();
            vumi_kit::warn_limited!(
                &event.queue,
                queue = event.queue,
                message = event.event.user_message_id,
                "an event is lost: as many wait for the broker as `amqp.events_waiting` allows"
            );
            return Err(Box::new(event));
        }
        if let Some(connector) = self.connectors.borrow_mut().get_mut(event.connector) {
            connector.waiting.push_back(event);
        }
        self.wake();
        Ok(())
    }

    pub(super) fn has_room_for(&self, connector: usize, events: usize) -> bool {
        let connectors = self.connectors.borrow();
        connectors.get(connector).is_some_and(|connector| connector.waiting.len() + events <= self.capacity)
    }

    /// The next event, of each connector in turn; it counts as being published until [`EventQueue::published`].
    pub(super) fn next(&self) -> Option<OutgoingEvent> {
        let (mut connectors, mut turn) = (self.connectors.borrow_mut(), self.turn.borrow_mut());
        for _ in 0..connectors.len() {
            *turn = (*turn + 1) % connectors.len();
            let Some(connector) = connectors.get_mut(*turn).filter(|connector| connector.publishing < PARALLEL) else {
                continue;
            };
            if let Some(next) = connector.waiting.pop_front() {
                connector.publishing += 1;
                return Some(next);
            }
        }
        None
    }

    /// An event of this connector that [`EventQueue::next`] gave is with the broker.
    pub(super) fn published(&self, connector: usize) {
        if let Some(connector) = self.connectors.borrow_mut().get_mut(connector) {
            connector.publishing = connector.publishing.saturating_sub(1);
        }
        self.wake();
    }

    /// An event will never be published.
    pub(super) fn count_lost(&self) {
        self.lost.increment();
    }

    /// Has the publisher look at the queue.
    pub(super) fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Resolves when there may be something to publish.
    pub(super) fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    /// Events that are not with the broker yet.
    pub(super) fn pending(&self) -> u64 {
        let connectors = self.connectors.borrow();
        connectors.iter().map(|connector| (connector.waiting.len() + connector.publishing) as u64).sum()
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.get()
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        message::{Event, TransportType, UserMessage},
        name::Name,
        testing::moment,
    };

    use super::{EventQueue, OutgoingEvent, PARALLEL};

    fn event(connector: usize) -> OutgoingEvent {
        let (transport, at) = (Name::parse("ussd").unwrap(), moment());
        let message = UserMessage::from_person(&transport, TransportType::Ussd, "27831234567", "*120#", at);
        let (queue, event) = (format!("{connector}.event"), Event::ack(&message, at));
        OutgoingEvent { connector, queue, event, settles: None, acknowledges: vec![] }
    }

    #[test]
    fn a_connector_whose_events_are_stuck_takes_no_place_of_another() {
        let events = EventQueue::new(2 * PARALLEL, 2);
        for _ in 0..2 * PARALLEL {
            assert!(events.push(event(0)).is_ok());
        }
        assert!(events.push(event(0)).is_err(), "its queue is full");
        assert!(events.push(event(1)).is_ok());
        let taken: Vec<usize> = std::iter::from_fn(|| events.next()).map(|event| event.connector).collect();
        assert_eq!(taken.iter().filter(|connector| **connector == 0).count(), PARALLEL, "the others wait");
        assert!(taken[..2].contains(&1), "each has its turn");
        assert!(events.push(event(1)).is_ok());
        assert_eq!(events.next().map(|event| event.connector), Some(1), "none of the stuck ones is finished");
        assert_eq!(events.lost(), 1);
        events.published(0);
        assert_eq!(events.next().map(|event| event.connector), Some(0));
    }
}
