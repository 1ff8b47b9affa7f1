//! What all sessions share.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
};

use tokio::sync::Notify;
use vumi_front_kit::recipient_rates::RecipientRates;
use vumi_kit::callback::DeliveryAttempt;

use crate::{binds::Binds, context::SmppContext, listener::AddressCounts, login::BindLogin, settings::SmppSettings};

/// One address may hold such a part of the connections that are not bound yet: nobody shuts out all others.
const UNBOUND_SHARE: usize = 4;

/// What all sessions share; on the server's own thread.
pub(crate) struct SmppServerState {
    pub(crate) context: SmppContext,
    pub(crate) settings: SmppSettings,
    pub(crate) binds: Binds,
    pub(crate) login: BindLogin,
    pub(crate) recipient_rates: RecipientRates,
    pub(crate) connections: ConnectionCounts,
    pub(crate) deliveries: DeliveryDesk,
    /// No new binds and requests: the server stops.
    pub(crate) draining: Cell<bool>,
}

/// How many connections there are.
#[derive(Default)]
pub(crate) struct ConnectionCounts {
    pub(crate) all: Cell<usize>,
    pub(crate) unbound: Cell<usize>,
    pub(crate) by_address: RefCell<AddressCounts>,
    pub(crate) unbound_by_address: RefCell<AddressCounts>,
}

/// What came of deliveries, on its way to the store.
#[derive(Default)]
pub(crate) struct DeliveryDesk {
    /// Not recorded yet; as many as the binds' windows together at the most, and those that are being recorded.
    pub(crate) attempts: RefCell<Vec<DeliveryAttempt>>,
    /// There is something to record.
    pub(crate) recordable: Notify,
    /// There may be something to claim: a bind has room, or is new.
    pub(crate) claimable: Notify,
    /// Claimed and not recorded.
    pub(crate) open: Cell<usize>,
}

impl DeliveryDesk {
    /// Hands in what came of a delivery.
    pub(crate) fn ended(&self, attempt: DeliveryAttempt) {
        self.attempts.borrow_mut().push(attempt);
        self.recordable.notify_one();
        self.claimable.notify_one();
    }
}

/// A connection that is counted until it is dropped.
pub(crate) struct CountedSession {
    state: Rc<SmppServerState>,
    address: IpAddr,
    unbound: bool,
}

impl CountedSession {
    /// Counts a connection from an address; none: there are as many as may be.
    pub(crate) fn new(state: &Rc<SmppServerState>, address: IpAddr) -> Option<Self> {
        let (counts, settings) = (&state.connections, &state.settings);
        if counts.unbound.get() >= settings.max_unbound
            || !counts.by_address.borrow_mut().add(address, settings.connections_per_address)
        {
            return None;
        }
        let most_of_one = settings.max_unbound.div_ceil(UNBOUND_SHARE);
        if !counts.unbound_by_address.borrow_mut().add(address, most_of_one) {
            counts.by_address.borrow_mut().remove(address);
            return None;
        }
        counts.all.set(counts.all.get() + 1);
        counts.unbound.set(counts.unbound.get() + 1);
        Some(Self { state: Rc::clone(state), address, unbound: true })
    }

    /// It is bound.
    pub(crate) fn bound(&mut self) {
        if std::mem::take(&mut self.unbound) {
            let unbound = &self.state.connections.unbound;
            unbound.set(unbound.get().saturating_sub(1));
            self.state.connections.unbound_by_address.borrow_mut().remove(self.address);
        }
    }
}

impl Drop for CountedSession {
    fn drop(&mut self) {
        self.bound();
        let counts = &self.state.connections;
        counts.all.set(counts.all.get().saturating_sub(1));
        counts.by_address.borrow_mut().remove(self.address);
    }
}
