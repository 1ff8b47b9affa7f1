//! What the writer knows of each transport without asking the database: how many more SMS it may be handed.
//!
//! Every SMS that is claimed under an outbox's present opening counts as outstanding, once; what the transport has room
//! for beyond that is its credit. The writer changes this together with the rows, and puts it back when they roll back.

use std::sync::Arc;

use vumi_kit::{clock::Timestamp, name::Name};

/// A transport's outbox.
#[derive(Clone, Debug)]
struct Outbox {
    transport: Name,
    /// What claims are signed with: the node and when this opening was. Claims of an earlier opening are told apart.
    opening: Arc<str>,
    /// How many SMS it can hold; none when closed.
    room: usize,
    outstanding: usize,
    /// SMS wait in the ledger that were not handed over: new ones queue up behind them.
    waiting: bool,
}

/// All outboxes of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outboxes(Vec<Outbox>);

impl Outboxes {
    /// Opens a transport's outbox, anew if it was open.
    pub(crate) fn open(&mut self, transport: &Name, node: &str, now: Timestamp, room: usize, waiting: bool) {
        self.0.retain(|outbox| outbox.transport != *transport);
        let opening = format!("{node}/{}", now.micros()).into();
        self.0.push(Outbox { transport: transport.clone(), opening, room, outstanding: 0, waiting });
    }

    /// Hands nothing more to it.
    pub(crate) fn close(&mut self, transport: &Name) {
        self.change(transport, |outbox| outbox.room = 0);
    }

    /// What claims for the transport are signed with. One that never opened its outbox has room for nothing.
    pub(crate) fn opening(&mut self, transport: &Name, node: &str, now: Timestamp) -> Arc<str> {
        if self.of(transport).is_none() {
            self.open(transport, node, now, 0, true);
        }
        self.present(transport).unwrap_or_default()
    }

    /// What the present claims of the transport are signed with.
    pub(crate) fn present(&self, transport: &Name) -> Option<Arc<str>> {
        self.of(transport).map(|outbox| outbox.opening.clone())
    }

    /// The signature for an SMS that may be handed over as soon as it is committed; none if it has to wait.
    pub(crate) fn credit(&self, transport: &Name) -> Option<Arc<str>> {
        self.of(transport)
            .filter(|outbox| !outbox.waiting && outbox.outstanding < outbox.room)
            .map(|outbox| outbox.opening.clone())
    }

    /// So many more SMS are claimed.
    pub(crate) fn taken(&mut self, transport: &Name, count: usize) {
        self.change(transport, |outbox| outbox.outstanding = outbox.outstanding.saturating_add(count));
    }

    /// So many are claimed no longer.
    pub(crate) fn freed(&mut self, transport: &Name, count: usize) {
        self.change(transport, |outbox| outbox.outstanding = outbox.outstanding.saturating_sub(count));
    }

    /// The outboxes, and what their present claims are signed with.
    pub(crate) fn openings(&self) -> Vec<(Name, Arc<str>)> {
        self.0.iter().map(|outbox| (outbox.transport.clone(), outbox.opening.clone())).collect()
    }

    /// So many are claimed, as the rows say.
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
