//! Watches how the transports are: tells the other processes of the same database and hears from them, notices receipts that stay
//! away, and moves what waits for a transport that fails.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use vumi_kit::{
    name::Name,
    rerouting::{BeatTransports, RerouteSms, TransportBeat},
    store::{Ask, Store},
    transport_board::{Sendability, TransportBoard},
};

use super::{OutboundRouter, receipt_window::ReceiptWindow};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// So long does a transport fail before what waits for it is moved: a hiccup moves nothing.
const MOVES_AFTER: Duration = Duration::from_secs(2);

/// Steps that are made one after the other: what is left is moved when it looks again.
const MOST_STEPS: usize = 20;

/// A transport of the settings.
#[derive(Clone, Debug)]
pub struct WatchedTransport {
    /// The `NAME` of `[transports.NAME]`.
    pub name: Name,
    /// Within what time receipts come; none: nobody expects them.
    pub receipts_within: Option<Duration>,
}

/// Watches the transports of the settings.
#[derive(Debug, Default)]
pub struct TransportWatch {
    board: TransportBoard,
    transports: Vec<WatchedTransport>,
    routes: Option<Arc<OutboundRouter>>,
    /// Other processes may use the same database.
    shared: bool,
    receipts: HashMap<Name, ReceiptWindow>,
    /// What each other process counted, as it told last.
    counted: HashMap<(String, Name), (u64, u64)>,
    /// What the other processes counted since this one started.
    elsewhere: HashMap<Name, (u64, u64)>,
    /// How long the others have been heard: those that run at all have told by then.
    heard_since: Option<Instant>,
}

impl TransportWatch {
    /// Watches these transports, which tell this board how they are. `shared`: other processes may use the same database.
    #[must_use]
    pub fn new(
        board: TransportBoard,
        transports: Vec<WatchedTransport>,
        routes: Option<Arc<OutboundRouter>>,
        shared: bool,
    ) -> Self {
        let windows =
            transports.iter().filter_map(|one| Some((one.name.clone(), ReceiptWindow::new(one.receipts_within?))));
        let receipts = windows.collect();
        Self { board, transports, routes, shared, receipts, ..Self::default() }
    }

    /// Watches until it is dropped.
    pub(crate) async fn run(mut self, store: Store) {
        let nothing_to_do = !self.shared && self.routes.is_none() && self.receipts.is_empty();
        if nothing_to_do {
            return;
        }
        loop {
            sleep(EVERY).await;
            self.look(&store, Instant::now()).await;
        }
    }

    pub(super) async fn look(&mut self, store: &Store, now: Instant) {
        if self.shared {
            self.exchange(store, now).await;
        }
        self.look_for_receipts(now);
        if let Some(routes) = &self.routes {
            move_what_waits(routes, store, now).await;
        }
    }

    async fn exchange(&mut self, store: &Store, now: Instant) {
        let beat = |transport: &WatchedTransport| {
            let gauge = self.board.of(&transport.name);
            let ((submitted, receipts), told) = (gauge.counts(), gauge.told_here());
            let (sendability, wants_probe) = (told.map(|(told, _)| told), told.is_some_and(|(_, wants)| wants));
            TransportBeat { transport: transport.name.clone(), sendability, wants_probe, submitted, receipts }
        };
        let beats = self.transports.iter().map(beat).collect();
        match store.ledger.ask(BeatTransports { beats }).await {
            Ok(others) => self.hear(others, now),
            // The store tells that it is away itself. What was heard last holds.
            Err(error) => tracing::debug!(%error, "other processes can't be told how the transports are"),
        }
    }

    fn hear(&mut self, others: Vec<(String, TransportBeat)>, now: Instant) {
        let heard_all = now.duration_since(*self.heard_since.get_or_insert(now)) >= BeatTransports::LIVE_FOR;
        for transport in &self.transports {
            let gauge = self.board.of(&transport.name);
            let running = || others.iter().map(|(_, beat)| beat).filter(|beat| beat.transport == transport.name);
            let told: Vec<Sendability> = running().filter_map(|beat| beat.sendability).collect();
            let runs_here = gauge.told_here().is_some_and(|(told, _)| told != Sendability::Away);
            let nowhere = (heard_all && !runs_here).then_some(Sendability::Away);
            gauge.tell_elsewhere(told.iter().min().copied().or(nowhere), running().any(|beat| beat.wants_probe));
            let elsewhere = told.iter().filter(|told| **told != Sendability::Away).count();
            gauge.set_processes(u32::try_from(elsewhere + usize::from(runs_here)).unwrap_or(u32::MAX));
        }
        self.count(others);
    }

    fn count(&mut self, others: Vec<(String, TransportBeat)>) {
        let before = std::mem::take(&mut self.counted);
        for (node, TransportBeat { transport, submitted, receipts, .. }) in others {
            let key = (node, transport);
            // One that was not there before, or that started anew, has counted before this process heard of it.
            let (submitted_before, receipts_before) =
                before.get(&key).copied().filter(|(old, _)| *old <= submitted).unwrap_or((submitted, receipts));
            let counted = self.elsewhere.entry(key.1.clone()).or_default();
            counted.0 += submitted - submitted_before;
            counted.1 += receipts.saturating_sub(receipts_before);
            self.counted.insert(key, (submitted, receipts));
        }
    }

    fn look_for_receipts(&mut self, now: Instant) {
        for (name, window) in &mut self.receipts {
            let gauge = self.board.of(name);
            let ((submitted, receipts), elsewhere) =
                (gauge.counts(), self.elsewhere.get(name).copied().unwrap_or_default());
            let missing = window.look(submitted + elsewhere.0, receipts + elsewhere.1, now);
            match (gauge.missing_receipts(), missing) {
                (None, Some(missing)) => tracing::warn!(transport = %name, %missing, "alarm"),
                (Some(_), None) => tracing::info!(transport = %name, "receipts come again, or nothing is sent"),
                _ => {}
            }
            gauge.set_missing_receipts(missing);
        }
    }
}

/// Moves what waits for transports that fail, step by step: others' writes go in between.
async fn move_what_waits(routes: &OutboundRouter, store: &Store, now: Instant) {
    for (from, condition, ways) in routes.stuck(MOVES_AFTER, now) {
        let mut count = 0;
        for _ in 0..MOST_STEPS {
            let step = RerouteSms { from: from.clone(), ways: ways.clone(), because: condition.to_owned() };
            match store.ledger.ask(step).await {
                Ok(moved) => {
                    count += moved;
                    if moved < RerouteSms::STEP {
                        break;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, %from, "SMS that wait for a transport that fails can't be moved now");
                    break;
                }
            }
        }
        if count > 0 {
            vumi_kit::warn_limited!(from.as_str(), %from, count, condition, "SMS that waited for a transport that fails go by others");
        }
    }
}
