//! Acknowledges deliveries, or returns them to the broker.

use std::{cell::RefCell, rc::Rc, time::Duration};

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicNackOptions},
};
use tokio::time::{Instant, sleep};

use super::{
    counter::Counter,
    in_flight::{Arriving, DeliveryArrival, DeliveryKey, InFlight},
    recent::RecentMap,
    shutdown::Shutdown,
};

/// The wait before a delivery that nobody could take goes back to the broker.
const RETURN_AFTER: Duration = Duration::from_secs(1);

/// All deliveries of this process, until the broker has its answer to them.
pub(super) struct Deliveries {
    in_flight: RefCell<InFlight>,
    /// How often a delivery went back to the broker because nobody could take it.
    returns: RefCell<RecentMap<DeliveryKey, u32>>,
    /// Being acknowledged or returned.
    releasing: Counter,
    /// Acknowledged although what they caused was not finished in time.
    overdue: Counter,
    /// How long a delivery may be in flight.
    hold_for: Duration,
    shutdown: Rc<Shutdown>,
}

impl Deliveries {
    pub(super) fn new(remember: usize, hold_for: Duration, shutdown: Rc<Shutdown>) -> Self {
        Self {
            in_flight: RefCell::new(InFlight::new(remember)),
            returns: RefCell::new(RecentMap::new(remember)),
            releasing: Counter::default(),
            overdue: Counter::default(),
            hold_for,
            shutdown,
        }
    }

    /// Takes a delivery, to be held for `hold_for`.
    pub(super) fn arrive(&self, key: &DeliveryKey, arriving: Arriving) -> DeliveryArrival {
        self.in_flight.borrow_mut().arrive(key, arriving, Instant::now() + self.hold_for)
    }

    /// See [`InFlight::hold_until_settled`].
    pub(super) fn hold_until_settled(&self, key: &DeliveryKey) {
        self.in_flight.borrow_mut().hold_until_settled(key);
    }

    /// See [`InFlight::take`].
    pub(super) fn take(&self, key: &DeliveryKey) -> Vec<Acker> {
        self.in_flight.borrow_mut().take(key)
    }

    /// What a delivery caused is done: acknowledges it.
    pub(super) async fn settle(&self, key: &DeliveryKey) {
        let ackers = self.in_flight.borrow_mut().settle(key);
        self.acknowledge_all(ackers).await;
    }

    /// Acknowledges the deliveries that have been in flight for too long.
    pub(super) async fn settle_overdue(&self) {
        let overdue = self.in_flight.borrow_mut().settle_overdue(Instant::now());
        for ackers in overdue {
            self.overdue.increment();
            self.acknowledge_all(ackers).await;
        }
    }

    pub(super) async fn acknowledge_all(&self, ackers: Vec<Acker>) {
        for acker in ackers {
            self.acknowledge(acker).await;
        }
        self.shutdown.progressed();
    }

    /// Acknowledges a delivery. If that fails, the connection is gone: the delivery comes again and is recognised.
    pub(super) async fn acknowledge(&self, acker: Acker) {
        if self.shutdown.is_replaced() {
            // It comes again to the fresh one when this one's connection ends.
            return;
        }
        self.releasing.increment();
        let _comes_again = acker.ack(BasicAckOptions::default()).await;
        self.releasing.decrement();
        self.shutdown.progressed();
    }

    /// A delivery caused nothing: the broker has it back after a pause.
    pub(super) fn give_back(self: &Rc<Self>, key: &DeliveryKey) {
        self.take(key).into_iter().for_each(|acker| self.return_later(acker));
    }

    /// As [`Deliveries::give_back`], after a pause of its own: another process may be the right one.
    pub(super) fn give_back_after(self: &Rc<Self>, key: &DeliveryKey, pause: Duration) {
        self.take(key).into_iter().for_each(|acker| self.return_after(acker, pause));
    }

    /// How often a delivery has gone back, this time included.
    pub(super) fn count_return(&self, key: &DeliveryKey) -> u32 {
        let mut returns = self.returns.borrow_mut();
        let count = returns.get(key).copied().unwrap_or_default().saturating_add(1);
        returns.insert(key.clone(), count);
        count
    }

    /// A delivery that went back too often is a dead letter; when that is replayed, it is counted anew.
    pub(super) fn forget_returns(&self, key: &DeliveryKey) {
        self.returns.borrow_mut().remove(key);
    }

    /// The broker has a delivery back after a pause; at once while the front-end stops.
    pub(super) fn return_later(self: &Rc<Self>, acker: Acker) {
        self.return_after(acker, RETURN_AFTER);
    }

    fn return_after(self: &Rc<Self>, acker: Acker, pause: Duration) {
        let deliveries = self.clone();
        deliveries.releasing.increment();
        actix_rt::spawn(async move {
            if !deliveries.shutdown.is_begun() {
                sleep(pause).await;
            }
            return_to_broker(&acker).await;
            deliveries.releasing.decrement();
            deliveries.shutdown.progressed();
        });
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.borrow().len()
    }

    pub(super) fn overdue(&self) -> u64 {
        self.overdue.get()
    }

    /// Whether nothing is in flight or being released.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight() == 0 && self.releasing.get() == 0
    }
}

async fn return_to_broker(acker: &Acker) {
    let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    let _comes_again = acker.nack(requeue).await;
}
