//! Events that wait to be published.

use std::{cell::RefCell, collections::VecDeque};

use tokio::sync::{Notify, futures::Notified};
use vumi_kit::message::Event;

use super::{counter::Counter, in_flight::DeliveryKey};

/// An event for the other side of a connector.
pub(super) struct OutgoingEvent {
    pub(super) queue: String,
    pub(super) event: Event,
    /// The delivery that is settled when the broker has the event.
    pub(super) settles: Option<DeliveryKey>,
}

/// The events that wait, and the number of those that are being published.
pub(super) struct EventQueue {
    capacity: usize,
    waiting: RefCell<VecDeque<OutgoingEvent>>,
    arrived: Notify,
    publishing: Counter,
    /// Events that found the queue full, or whose SMS is not followed any more.
    lost: Counter,
}

impl EventQueue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: RefCell::default(),
            arrived: Notify::new(),
            publishing: Counter::default(),
            lost: Counter::default(),
        }
    }

    /// Adds an event. When the queue is full the event is lost, which is counted and logged.
    pub(super) fn push(&self, event: OutgoingEvent) {
        if !self.has_room_for(1) {
            self.lost.increment();
            tracing::warn!(
                queue = event.queue,
                message = event.event.user_message_id,
                "an event is lost: as many wait for the broker as `amqp.events_waiting` allows"
            );
            return;
        }
        self.waiting.borrow_mut().push_back(event);
        self.wake();
    }

    pub(super) fn has_room_for(&self, events: usize) -> bool {
        self.waiting.borrow().len() + events <= self.capacity
    }

    /// The next event; it counts as being published until [`EventQueue::published`].
    pub(super) fn next(&self) -> Option<OutgoingEvent> {
        let next = self.waiting.borrow_mut().pop_front();
        if next.is_some() {
            self.publishing.increment();
        }
        next
    }

    /// An event that [`EventQueue::next`] gave is with the broker.
    pub(super) fn published(&self) {
        self.publishing.decrement();
    }

    /// An event will never be published.
    pub(super) fn count_lost(&self) {
        self.lost.increment();
    }

    /// Has the publisher look at the queue.
    pub(super) fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Resolves when there is something to publish.
    pub(super) fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    /// Events that are not with the broker yet.
    pub(super) fn pending(&self) -> u64 {
        self.waiting.borrow().len() as u64 + self.publishing.get()
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.get()
    }
}
