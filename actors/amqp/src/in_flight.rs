//! Deliveries in flight: those that are not acknowledged yet, and the ids of those that were.

use std::collections::HashMap;

use lapin::Acker;
use tokio::time::Instant;

use super::recent::RecentMap;

/// A message on the broker. The id is the sender's: two connectors can have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DeliveryKey {
    /// The number of its connector.
    pub(super) connector: usize,
    pub(super) message_id: String,
}

/// What a message says, as a number: the same id with another one is another message.
pub(super) type Fingerprint = u64;

/// A delivery as it arrives.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) acker: Acker,
    /// The connection that it came on.
    pub(super) generation: u64,
    pub(super) fingerprint: Fingerprint,
}

/// A delivery that is acknowledged when what it caused is done.
struct HeldDelivery {
    /// Of this delivery and of its repetitions on the same connection.
    ackers: Vec<Acker>,
    generation: u64,
    fingerprint: Fingerprint,
    /// After it the delivery is overdue. `None`: it is held until it is settled.
    until: Option<Instant>,
}

/// What a delivery is to this process.
#[derive(Debug)]
pub(super) enum DeliveryArrival {
    /// Not seen before.
    New,
    /// In flight already: it came twice, or the broker delivered it again on a new connection.
    InFlight,
    /// Settled before: it is to be acknowledged with this.
    Settled(Acker),
    /// Another message had this id before.
    IdReused(Acker),
}

/// The deliveries in flight.
pub(super) struct InFlight {
    held: HashMap<DeliveryKey, HeldDelivery>,
    settled: RecentMap<DeliveryKey, Fingerprint>,
}

impl InFlight {
    /// Remembers the ids of at most `remember` settled deliveries.
    pub(super) fn new(remember: usize) -> Self {
        Self { held: HashMap::new(), settled: RecentMap::new(remember) }
    }

    /// Takes a delivery. It is held until it is settled, taken out, or overdue.
    pub(super) fn arrive(&mut self, key: &DeliveryKey, arriving: Arriving, until: Instant) -> DeliveryArrival {
        let Arriving { acker, generation, fingerprint } = arriving;
        let earlier = self.held.get(key).map(|held| held.fingerprint).or_else(|| self.settled.get(key).copied());
        if earlier.is_some_and(|earlier| earlier != fingerprint) {
            return DeliveryArrival::IdReused(acker);
        }
        if let Some(held) = self.held.get_mut(key) {
            if held.generation != generation {
                // What came on an earlier connection can't be acknowledged any more.
                held.ackers.clear();
                held.generation = generation;
            }
            held.ackers.push(acker);
            return DeliveryArrival::InFlight;
        }
        if earlier.is_some() {
            return DeliveryArrival::Settled(acker);
        }
        let held = HeldDelivery { ackers: vec![acker], generation, fingerprint, until: Some(until) };
        self.held.insert(key.clone(), held);
        DeliveryArrival::New
    }

    /// What the delivery caused is done: it is to be acknowledged with the answers.
    pub(super) fn settle(&mut self, key: &DeliveryKey) -> Vec<Acker> {
        let Some(held) = self.held.remove(key) else { return vec![] };
        self.settled.insert(key.clone(), held.fingerprint);
        held.ackers
    }

    /// The delivery is never overdue.
    pub(super) fn hold_until_settled(&mut self, key: &DeliveryKey) {
        if let Some(held) = self.held.get_mut(key) {
            held.until = None;
        }
    }

    /// Takes a delivery out that caused nothing: it is new when it comes again.
    pub(super) fn take(&mut self, key: &DeliveryKey) -> Vec<Acker> {
        self.held.remove(key).map(|held| held.ackers).unwrap_or_default()
    }

    /// Settles the deliveries that are overdue, and answers each one's ackers.
    pub(super) fn settle_overdue(&mut self, now: Instant) -> Vec<Vec<Acker>> {
        let is_overdue = |held: &HeldDelivery| held.until.is_some_and(|until| until <= now);
        let overdue: Vec<DeliveryKey> =
            self.held.iter().filter(|(_, held)| is_overdue(held)).map(|(key, _)| key.clone()).collect();
        overdue.iter().map(|key| self.settle(key)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::message::Delivery;
    use tokio::time::Instant;

    use super::{Arriving, DeliveryArrival, DeliveryKey, InFlight};

    fn arriving(generation: u64, fingerprint: u64) -> Arriving {
        let acker = Delivery::mock(1, "vumi".into(), "a.inbound".into(), false, vec![]).acker;
        Arriving { acker, generation, fingerprint }
    }

    fn key(connector: usize, message_id: &str) -> DeliveryKey {
        DeliveryKey { connector, message_id: message_id.to_owned() }
    }

    #[test]
    fn a_message_is_new_then_in_flight_then_settled() {
        let mut in_flight = InFlight::new(10);
        let (m1, until) = (key(0, "m1"), Instant::now());
        assert!(matches!(in_flight.arrive(&m1, arriving(1, 7), until), DeliveryArrival::New));
        assert!(matches!(in_flight.arrive(&m1, arriving(1, 7), until), DeliveryArrival::InFlight));
        assert!(
            matches!(in_flight.arrive(&key(1, "m1"), arriving(1, 7), until), DeliveryArrival::New),
            "of another connector"
        );
        assert_eq!(in_flight.settle(&m1).len(), 2, "it came twice");
        assert!(in_flight.settle(&m1).is_empty());
        assert!(matches!(in_flight.arrive(&m1, arriving(1, 7), until), DeliveryArrival::Settled(_)));
    }

    #[test]
    fn another_message_of_the_same_id_is_told_apart_in_flight_and_settled() {
        let mut in_flight = InFlight::new(10);
        let (m1, until) = (key(0, "m1"), Instant::now());
        in_flight.arrive(&m1, arriving(1, 7), until);
        assert!(matches!(in_flight.arrive(&m1, arriving(1, 8), until), DeliveryArrival::IdReused(_)));
        assert_eq!(in_flight.settle(&m1).len(), 1);
        assert!(matches!(in_flight.arrive(&m1, arriving(1, 8), until), DeliveryArrival::IdReused(_)));
    }

    #[test]
    fn a_message_that_comes_on_a_new_connection_is_acknowledged_there_only() {
        let mut in_flight = InFlight::new(10);
        let (m1, until) = (key(0, "m1"), Instant::now());
        in_flight.arrive(&m1, arriving(1, 7), until);
        in_flight.arrive(&m1, arriving(2, 7), until);
        assert_eq!(in_flight.settle(&m1).len(), 1);
    }

    #[test]
    fn a_message_that_was_taken_out_is_new_again() {
        let mut in_flight = InFlight::new(10);
        let (m1, until) = (key(0, "m1"), Instant::now());
        in_flight.arrive(&m1, arriving(1, 7), until);
        assert_eq!(in_flight.take(&m1).len(), 1);
        assert!(matches!(in_flight.arrive(&m1, arriving(1, 7), until), DeliveryArrival::New));
    }

    #[test]
    fn overdue_messages_are_settled() {
        let mut in_flight = InFlight::new(10);
        let until = Instant::now();
        in_flight.arrive(&key(0, "m1"), arriving(1, 7), until);
        in_flight.arrive(&key(0, "m2"), arriving(1, 7), until + Duration::from_secs(1));
        in_flight.arrive(&key(0, "m3"), arriving(1, 7), until);
        in_flight.hold_until_settled(&key(0, "m3"));
        assert_eq!(in_flight.settle_overdue(until).len(), 1);
        assert_eq!(in_flight.len(), 2);
    }
}
