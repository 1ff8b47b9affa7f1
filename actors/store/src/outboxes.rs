//! What the writer knows of each transport without asking the database: how many more SMS may be handed over to it.
//!
//! Every SMS that is claimed with an outbox's present claim token counts as outstanding, once; the capacity beyond that is
//! the transport's credit. The writer changes this together with the rows, and restores it when they are rolled back.

use std::sync::Arc;

use vumi_kit::{clock::Timestamp, name::Name};

/// A transport's outbox.
#[derive(Clone, Debug)]
struct Outbox {
    transport: Name,
    /// Written into the rows that this outbox claims: the node and the time at which the outbox was opened, so that claims
    /// from before a restart are told apart.
    claim_token: Arc<str>,
    /// SMS that it can hold; 0 when closed.
    capacity: usize,
    outstanding: usize,
    /// SMS wait in the ledger that were not handed over: new ones queue up behind them.
    waiting: bool,
}

/// All outboxes of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outboxes(Vec<Outbox>);

impl Outboxes {
    /// Opens a transport's outbox, anew if it was open.
    pub(crate) fn open(&mut self, transport: &Name, node: &str, now: Timestamp, capacity: usize, waiting: bool) {
        self.0.retain(|outbox| outbox.transport != *transport);
        let claim_token = format!("{node}/{}", now.micros()).into();
        self.0.push(Outbox { transport: transport.clone(), claim_token, capacity, outstanding: 0, waiting });
    }

    /// Nothing more is handed over to it.
    pub(crate) fn close(&mut self, transport: &Name) {
        self.change(transport, |outbox| outbox.capacity = 0);
    }

    /// The claim token of the transport's outbox, which is opened without capacity if it never was.
    pub(crate) fn claim_token(&mut self, transport: &Name, node: &str, now: Timestamp) -> Arc<str> {
        if self.of(transport).is_none() {
            self.open(transport, node, now, 0, true);
        }
        self.present(transport).unwrap_or_default()
    }

    /// The claim token of the transport's outbox, if it was opened.
    pub(crate) fn present(&self, transport: &Name) -> Option<Arc<str>> {
        self.of(transport).map(|outbox| outbox.claim_token.clone())
    }

    /// The claim token for an SMS that may be handed over as soon as it is committed; none if it has to wait.
    pub(crate) fn credit(&self, transport: &Name) -> Option<Arc<str>> {
        self.of(transport)
            .filter(|outbox| !outbox.waiting && outbox.outstanding < outbox.capacity)
            .map(|outbox| outbox.claim_token.clone())
    }

    /// `count` more SMS are claimed.
    pub(crate) fn taken(&mut self, transport: &Name, count: usize) {
        self.change(transport, |outbox| outbox.outstanding = outbox.outstanding.saturating_add(count));
    }

    /// `count` are claimed no longer.
    pub(crate) fn freed(&mut self, transport: &Name, count: usize) {
        self.change(transport, |outbox| outbox.outstanding = outbox.outstanding.saturating_sub(count));
    }

    /// The transports with an outbox, and their claim tokens.
    pub(crate) fn claim_tokens(&self) -> Vec<(Name, Arc<str>)> {
        self.0.iter().map(|outbox| (outbox.transport.clone(), outbox.claim_token.clone())).collect()
    }

    /// Sets how many are claimed, as counted in the rows.
    pub(crate) fn recounted(&mut self, transport: &Name, count: usize) {
        self.change(transport, |outbox| outbox.outstanding = count);
    }

    /// Whether SMS wait in the ledger from now on.
    pub(crate) fn set_waiting(&mut self, transport: &Name, waiting: bool) {
        self.change(transport, |outbox| outbox.waiting = waiting);
    }

    /// Whether SMS wait in the ledger.
    pub(crate) fn waiting(&self, transport: &Name) -> bool {
        self.of(transport).is_some_and(|outbox| outbox.waiting)
    }

    fn of(&self, transport: &Name) -> Option<&Outbox> {
        self.0.iter().find(|outbox| outbox.transport == *transport)
    }

    fn change(&mut self, transport: &Name, change: impl FnOnce(&mut Outbox)) {
        if let Some(outbox) = self.0.iter_mut().find(|outbox| outbox.transport == *transport) {
            change(outbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::{clock::Timestamp, name::Name};

    use super::Outboxes;

    #[test]
    fn credit_is_the_room_less_what_is_outstanding_while_nothing_waits() {
        let (mut outboxes, transport) = (Outboxes::default(), Name::parse("opera").unwrap());
        assert_eq!(outboxes.credit(&transport), None, "not open");
        outboxes.open(&transport, "local", Timestamp::from_micros(7), 2, false);
        assert_eq!(outboxes.credit(&transport).as_deref(), Some("local/7"));
        outboxes.taken(&transport, 2);
        assert_eq!(outboxes.credit(&transport), None, "full");
        outboxes.freed(&transport, 1);
        assert!(outboxes.credit(&transport).is_some());
        outboxes.set_waiting(&transport, true);
        assert_eq!(outboxes.credit(&transport), None, "others wait");
        outboxes.set_waiting(&transport, false);
        outboxes.close(&transport);
        assert_eq!(outboxes.credit(&transport), None, "closed");
    }
}
