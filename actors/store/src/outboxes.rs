//! What the writer knows of each transport without asking the database: how many more SMS may be handed over to it, and
//! how many of them may go out.
//!
//! Every SMS that is claimed with an outbox's present claim token counts as outstanding, once; the capacity beyond that is
//! the transport's credit. Of those outstanding as many are begun as its window allows, and the others are held. The
//! writer changes this together with the rows, and restores it when they are rolled back.

use std::sync::Arc;

use vumi_kit::{ids::message_id, ledger::OpenOutbox, name::Name};

/// A transport's outbox.
#[derive(Clone, Debug)]
struct Outbox {
    transport: Name,
    /// Written into the rows that this outbox claims: the node and an id of this opening, so that claims from before a
    /// restart are told apart, whatever the clock says.
    claim_token: Arc<str>,
    /// SMS that it can hold; 0 when closed.
    capacity: usize,
    /// How many of them may be begun.
    window: usize,
    outstanding: usize,
    begun: usize,
    /// SMS wait in the ledger that were not handed over: new ones queue up behind them.
    waiting: bool,
}

impl Outbox {
    /// Claims one more. It is begun where the window allows it; none overtakes one that is held.
    fn claim(&mut self) -> bool {
        let begun = self.outstanding == self.begun && self.begun < self.window;
        self.outstanding += 1;
        self.begun += usize::from(begun);
        begun
    }
}

/// All outboxes of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outboxes(Vec<Outbox>);

impl Outboxes {
    /// Opens a transport's outbox, anew if it was open. Answers its claim token.
    pub(crate) fn open(&mut self, opened: &OpenOutbox, node: &str, waiting: bool) -> Arc<str> {
        let claim_token: Arc<str> = format!("{node}/{}", message_id()).into();
        self.0.retain(|outbox| outbox.transport != opened.transport);
        self.0.push(Outbox {
            transport: opened.transport.clone(),
            claim_token: claim_token.clone(),
            capacity: opened.capacity,
            window: opened.window,
            outstanding: 0,
            begun: 0,
            waiting,
        });
        claim_token
    }

    /// Nothing more is handed over to it.
    pub(crate) fn close(&mut self, transport: &Name) {
        self.change(transport, |outbox| outbox.capacity = 0);
    }

    /// The claim token of the transport's outbox, which is opened without capacity if it never was.
    pub(crate) fn claim_token(&mut self, transport: &Name, node: &str) -> Arc<str> {
        self.present(transport).unwrap_or_else(|| {
            self.open(&OpenOutbox { transport: transport.clone(), capacity: 0, window: 0 }, node, true)
        })
    }

    /// The claim token of the transport's outbox, if it was opened.
    pub(crate) fn present(&self, transport: &Name) -> Option<Arc<str>> {
        self.of(transport).map(|outbox| outbox.claim_token.clone())
    }

    /// How many SMS the transport's outbox can hold now; one that is closed takes none.
    pub(crate) fn set_capacity(&mut self, transport: &Name, capacity: usize) {
        self.change(transport, |outbox| {
            if outbox.capacity > 0 {
                outbox.capacity = capacity.max(1);
            }
        });
    }

    /// Claims an SMS that may be handed over as soon as it is committed: the claim token, and whether it is begun; none if it
    /// has to wait.
    pub(crate) fn claim_new(&mut self, transport: &Name) -> Option<(Arc<str>, bool)> {
        let outbox = self.0.iter_mut().find(|outbox| outbox.transport == *transport)?;
        let credit = !outbox.waiting && outbox.outstanding < outbox.capacity;
        credit.then(|| (outbox.claim_token.clone(), outbox.claim()))
    }

    /// Claims one that waited. Answers whether it is begun.
    pub(crate) fn claim_due(&mut self, transport: &Name) -> bool {
        self.0.iter_mut().find(|outbox| outbox.transport == *transport).is_some_and(Outbox::claim)
    }

    /// How many of those held may be begun.
    pub(crate) fn may_begin(&self, transport: &Name) -> usize {
        self.of(transport).map_or(0, |outbox| outbox.window.saturating_sub(outbox.begun))
    }

    /// `count` of those held are begun.
    pub(crate) fn began(&mut self, transport: &Name, count: usize) {
        self.change(transport, |outbox| outbox.begun += count);
    }

    /// One is claimed no longer.
    pub(crate) fn freed(&mut self, transport: &Name, begun: bool) {
        self.change(transport, |outbox| {
            outbox.outstanding = outbox.outstanding.saturating_sub(1);
            outbox.begun = outbox.begun.saturating_sub(usize::from(begun));
        });
    }

    /// The transports with an outbox, and their claim tokens.
    pub(crate) fn claim_tokens(&self) -> Vec<(Name, Arc<str>)> {
        self.0.iter().map(|outbox| (outbox.transport.clone(), outbox.claim_token.clone())).collect()
    }

    /// Sets how many are claimed, and how many of those begun, as counted in the rows.
    pub(crate) fn recounted(&mut self, transport: &Name, outstanding: usize, begun: usize) {
        self.change(transport, |outbox| (outbox.outstanding, outbox.begun) = (outstanding, begun));
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
    use vumi_kit::{ledger::OpenOutbox, name::Name};

    use super::Outboxes;

    fn opened(capacity: usize, window: usize) -> (Outboxes, Name) {
        let (mut outboxes, transport) = (Outboxes::default(), Name::parse("opera").unwrap());
        outboxes.open(&OpenOutbox { transport: transport.clone(), capacity, window }, "local", false);
        (outboxes, transport)
    }

    #[test]
    fn credit_is_the_room_less_what_is_outstanding_while_nothing_waits() {
        let transport = Name::parse("opera").unwrap();
        assert_eq!(Outboxes::default().claim_new(&transport), None, "not open");
        let (mut outboxes, transport) = opened(2, 2);
        assert!(outboxes.claim_new(&transport).is_some_and(|(token, _)| token.starts_with("local/")));
        assert!(outboxes.claim_new(&transport).is_some());
        assert_eq!(outboxes.claim_new(&transport), None, "full");
        outboxes.freed(&transport, true);
        outboxes.set_waiting(&transport, true);
        assert_eq!(outboxes.claim_new(&transport), None, "others wait");
        outboxes.set_waiting(&transport, false);
        assert!(outboxes.claim_new(&transport).is_some());
        outboxes.freed(&transport, true);
        outboxes.close(&transport);
        assert_eq!(outboxes.claim_new(&transport), None, "closed");
    }

    #[test]
    fn a_window_is_begun_the_others_are_held_and_none_overtakes_them() {
        let (mut outboxes, transport) = opened(10, 2);
        let begun: Vec<bool> = (0..3).filter_map(|_| outboxes.claim_new(&transport)).map(|(_, begun)| begun).collect();
        assert_eq!(begun, [true, true, false]);
        outboxes.freed(&transport, true);
        assert!(!outboxes.claim_due(&transport), "the third is held and goes first");
        assert_eq!(outboxes.may_begin(&transport), 1);
        outboxes.began(&transport, 1);
        assert_eq!(outboxes.may_begin(&transport), 0);
    }

    #[test]
    fn each_opening_has_a_claim_token_of_its_own() {
        let (first, transport) = opened(1, 1);
        let (second, _) = opened(1, 1);
        assert_ne!(first.present(&transport), second.present(&transport));
    }
}
