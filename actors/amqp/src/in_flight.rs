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

/// A delivery that is acknowledged when what it caused is done.
struct HeldDelivery {
    acker: Acker,
    /// After it the delivery is overdue. `None`: it is held until it is settled.
    until: Option<Instant>,
}

/// What a delivery is to this process.
#[derive(Debug)]
pub(super) enum DeliveryArrival {
    /// Not seen before.
    New,
    /// In flight already: the broker delivered it again on a new connection.
    InFlight,
    /// Settled before: it is to be acknowledged with this.
    Settled(Acker),
}

/// The deliveries in flight.
pub(super) struct InFlight {
    held: HashMap<DeliveryKey, HeldDelivery>,
    settled: RecentMap<DeliveryKey, ()>,
}

impl InFlight {
    /// Remembers the ids of at most `remember` settled deliveries.
    pub(super) fn new(remember: usize) -> Self {
        Self { held: HashMap::new(), settled: RecentMap::new(remember) }
    }

    /// Takes a delivery. It is held until it is settled, taken out, or overdue.
    pub(super) fn arrive(&mut self, key: &DeliveryKey, acker: Acker, until: Instant) -> DeliveryArrival {
        if let Some(held) = self.held.get_mut(key) {
            // The earlier delivery's connection is gone: only this one can be acknowledged.
            held.acker = acker;
            return DeliveryArrival::InFlight;
        }
        if self.settled.get(key).is_some() {
            return DeliveryArrival::Settled(acker);
        }
        self.held.insert(key.clone(), HeldDelivery { acker, until: Some(until) });
        DeliveryArrival::New
    }

    /// What the delivery caused is done: it is to be acknowledged with the answer.
    pub(super) fn settle(&mut self, key: &DeliveryKey) -> Option<Acker> {
        let held = self.held.remove(key)?;
        self.settled.insert(key.clone(), ());
        Some(held.acker)
    }

    /// The delivery is never overdue.
    pub(super) fn hold_until_settled(&mut self, key: &DeliveryKey) {
        if let Some(held) = self.held.get_mut(key) {
            held.until = None;
        }
    }

    /// Takes a delivery out that caused nothing: it is new when it comes again.
    pub(super) fn take(&mut self, key: &DeliveryKey) -> Option<Acker> {
        self.held.remove(key).map(|held| held.acker)
    }

    /// Settles the deliveries that are overdue.
    pub(super) fn settle_overdue(&mut self, now: Instant) -> Vec<Acker> {
        let is_overdue = |held: &HeldDelivery| held.until.is_some_and(|until| until <= now);
        let overdue: Vec<DeliveryKey> =
            self.held.iter().filter(|(_, held)| is_overdue(held)).map(|(key, _)| key.clone()).collect();
        overdue.iter().filter_map(|key| self.settle(key)).collect()
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

    use super::{DeliveryArrival, DeliveryKey, InFlight};

    fn acker() -> lapin::Acker {
        Delivery::mock(1, "vumi".into(), "a.inbound".into(), false, vec![]).acker
    }

    fn key(connector: usize, message_id: &str) -> DeliveryKey {
        DeliveryKey { connector, message_id: message_id.to_owned() }
    }

    #[test]
    fn a_message_is_new_then_in_flight_then_settled() {
        let mut in_flight = InFlight::new(10);
        let (m1, until) = (key(0, "m1"), Instant::now());
        assert!(matches!(in_flight.arrive(&m1, acker(), until), DeliveryArrival::New));
        assert!(matches!(in_flight.arrive(&m1, acker(), until), DeliveryArrival::InFlight));
        assert!(
            matches!(in_flight.arrive(&key(1, "m1"), acker(), until), DeliveryArrival::New),
            "of another connector"
        );
        assert!(in_flight.settle(&m1).is_some());
        assert!(in_flight.settle(&m1).is_none());
        assert!(matches!(in_flight.arrive(&m1, acker(), until), DeliveryArrival::Settled(_)));
    }

    #[test]
    fn a_message_that_was_taken_out_is_new_again() {
        let mut in_flight = InFlight::new(10);
        let (m1, until) = (key(0, "m1"), Instant::now());
        in_flight.arrive(&m1, acker(), until);
        assert!(in_flight.take(&m1).is_some());
        assert!(matches!(in_flight.arrive(&m1, acker(), until), DeliveryArrival::New));
    }

    #[test]
    fn overdue_messages_are_settled() {
        let mut in_flight = InFlight::new(10);
        let until = Instant::now();
        in_flight.arrive(&key(0, "m1"), acker(), until);
        in_flight.arrive(&key(0, "m2"), acker(), until + Duration::from_secs(1));
        in_flight.arrive(&key(0, "m3"), acker(), until);
        in_flight.hold_until_settled(&key(0, "m3"));
        assert_eq!(in_flight.settle_overdue(until).len(), 1);
        assert_eq!(in_flight.len(), 2);
    }
}
