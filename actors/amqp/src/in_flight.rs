//! What is under way, and what was: deliveries that are not acknowledged yet, and the ids of those that were.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    rc::Rc,
};

use lapin::Acker;
use tokio::time::Instant;

use super::connector::Connector;

/// A message on the broker: the number of its connector, and its id.
pub(super) type DeliveryKey = (usize, String);

/// A delivery whose consequences are awaited.
struct Held {
    acker: Acker,
    /// None: until somebody settles it.
    until: Option<Instant>,
}

/// What a delivery is to us.
#[derive(Debug)]
pub(super) enum DeliveryArrival {
    /// Not seen before.
    New,
    /// In work already: the broker delivered it again on a new connection.
    Held,
    /// Done before: acknowledge it with this.
    Done(Acker),
}

/// The books.
pub(super) struct InFlight {
    held: HashMap<DeliveryKey, Held>,
    done: Recent<DeliveryKey, ()>,
    /// By message id: the connector that a message from a person came by.
    pub(super) came_by: Recent<String, Rc<Connector>>,
    /// By message id: the service that a message to a person came from.
    pub(super) sent_for: Recent<String, String>,
    /// Received SMS that were published for a campaign.
    pub(super) published: Recent<String, ()>,
}

impl InFlight {
    /// Books that remember so many ids of each sort.
    pub(super) fn new(remember: usize) -> Self {
        Self {
            held: HashMap::new(),
            done: Recent::new(remember),
            came_by: Recent::new(remember),
            sent_for: Recent::new(remember),
            published: Recent::new(remember),
        }
    }

    /// A delivery has come in. It is held until it is settled, given back, or overdue.
    pub(super) fn arrive(&mut self, key: &DeliveryKey, acker: Acker, until: Instant) -> DeliveryArrival {
        if let Some(held) = self.held.get_mut(key) {
            // The earlier delivery's connection is gone: this one is to be acknowledged.
            held.acker = acker;
            return DeliveryArrival::Held;
        }
        if self.done.get(key).is_some() {
            return DeliveryArrival::Done(acker);
        }
        self.held.insert(key.clone(), Held { acker, until: Some(until) });
        DeliveryArrival::New
    }

    /// What it caused is done: acknowledge it with what this answers.
    pub(super) fn settle(&mut self, key: &DeliveryKey) -> Option<Acker> {
        let held = self.held.remove(key)?;
        self.done.insert(key.clone(), ());
        Some(held.acker)
    }

    /// It is not overdue, however long it takes: somebody watches what becomes of it.
    pub(super) fn hold_on(&mut self, key: &DeliveryKey) {
        if let Some(held) = self.held.get_mut(key) {
            held.until = None;
        }
    }

    /// Nothing came of it: it is new when it comes again.
    pub(super) fn give_back(&mut self, key: &DeliveryKey) -> Option<Acker> {
        self.held.remove(key).map(|held| held.acker)
    }

    /// Settles what has been held for too long.
    pub(super) fn settle_overdue(&mut self, now: Instant) -> Vec<Acker> {
        let overdue: Vec<DeliveryKey> = self
            .held
            .iter()
            .filter(|(_, held)| held.until.is_some_and(|until| until <= now))
            .map(|(key, _)| key.clone())
            .collect();
        overdue.iter().filter_map(|key| self.settle(key)).collect()
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }
}

/// The latest so many entries; the oldest makes room.
pub(super) struct Recent<K, V> {
    most: usize,
    next: u64,
    entries: HashMap<K, (u64, V)>,
    order: VecDeque<(u64, K)>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self { most, next: 0, entries: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let number = self.next;
        self.next += 1;
        self.entries.insert(key.clone(), (number, value));
        self.order.push_back((number, key));
        while self.order.len() > self.most {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            // Inserted again since: a younger place in the order is its own.
            if self.entries.get(&oldest).is_some_and(|(current, _)| *current == number) {
                self.entries.remove(&oldest);
            }
        }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use lapin::message::Delivery;
    use tokio::time::Instant;

    use super::{DeliveryArrival, InFlight, Recent};

    fn acker() -> lapin::Acker {
        Delivery::mock(1, "vumi".into(), "a.inbound".into(), false, vec![]).acker
    }

    #[test]
    fn a_message_is_new_then_held_then_done() {
        let mut in_flight = InFlight::new(10);
        let (key, until) = ((0, "m1".to_owned()), Instant::now());
        assert!(matches!(in_flight.arrive(&key, acker(), until), DeliveryArrival::New));
        assert!(matches!(in_flight.arrive(&key, acker(), until), DeliveryArrival::Held));
        assert!(
            matches!(in_flight.arrive(&(1, "m1".to_owned()), acker(), until), DeliveryArrival::New),
            "of another connector"
        );
        assert!(in_flight.settle(&key).is_some());
        assert!(in_flight.settle(&key).is_none());
        assert!(matches!(in_flight.arrive(&key, acker(), until), DeliveryArrival::Done(_)));
    }

    #[test]
    fn what_was_given_back_is_new_again() {
        let mut in_flight = InFlight::new(10);
        let (key, until) = ((0, "m1".to_owned()), Instant::now());
        in_flight.arrive(&key, acker(), until);
        assert!(in_flight.give_back(&key).is_some());
        assert!(matches!(in_flight.arrive(&key, acker(), until), DeliveryArrival::New));
    }

    #[test]
    fn what_is_overdue_is_settled() {
        let mut in_flight = InFlight::new(10);
        let until = Instant::now();
        in_flight.arrive(&(0, "m1".to_owned()), acker(), until);
        in_flight.arrive(&(0, "m2".to_owned()), acker(), until + std::time::Duration::from_secs(1));
        in_flight.arrive(&(0, "m3".to_owned()), acker(), until);
        in_flight.hold_on(&(0, "m3".to_owned()));
        assert_eq!(in_flight.settle_overdue(until).len(), 1);
        assert_eq!(in_flight.held(), 2);
    }

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        assert_eq!((recent.get("a"), recent.get("b")), (Some(&3), Some(&2)));
        recent.insert("c", 4);
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (Some(&3), None, Some(&4)));
    }
}
