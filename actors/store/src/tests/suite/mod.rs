//! The store as the other components use it, on a database of its own, with a clock that stands still.

mod accept;
mod accounts;
mod broadcasts;
mod callbacks;
mod clock;
mod consent;
mod conversations;
mod dialogue_sms;
mod esmes;
mod export;
mod fairness;
mod histories;
mod levers;
mod long_queues;
mod opening;
mod outbox;
mod overload;
mod plans;
pub(super) mod quotas;
mod receipts;
mod received;
mod rerouting;
mod retention;
mod schema;
mod sessions;
mod status;
pub(super) mod stopped_accounts;
mod submitted_parts;
mod subscriber;
mod writer;

use std::{cell::Cell, rc::Rc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use vumi_kit::{
    address::Msisdn,
    clock::{Clock, Timestamp},
    ledger::{
        AcceptSms, Accepted, ClaimSms, HandOver, OpenOutbox, OpenedOutbox, Outcome, RecordOutcomes, RecordedOutcomes,
        Then,
    },
    name::Name,
    sms::{NewSms, Sms, SmsId, Submission, TransportStatus},
    store::{Accepts, Ask, Operation, Request, StoreError},
};

use super::{ALLOW, BY_ID, COLUMNS, COUNTS, FILL, Fixture, HISTORIES, HOLD, REFUSE, dialect, plan, uses};
use crate::{OpenStore, StoreSettings, open, writer::commands::Sweep};

/// An open store and what belongs to it.
pub(super) struct StoreHarness {
    pub(super) fixture: Rc<Fixture>,
    pub(super) clock: Clock,
    pub(super) store: OpenStore,
    handed: mpsc::Receiver<HandOver>,
    /// That of the open outbox.
    capacity: Cell<usize>,
}

pub(super) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(super) const ALICE: i64 = 1;
const BOB: i64 = 2;

impl StoreHarness {
    /// None: there is no such server to test with.
    pub(super) fn new() -> Option<Self> {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut StoreSettings)) -> Option<Self> {
        Some(Self::at(Rc::new(Fixture::new()?), Clock::held(START), change))
    }

    pub(super) fn at(fixture: Rc<Fixture>, clock: Clock, change: impl FnOnce(&mut StoreSettings)) -> Self {
        let mut settings = StoreSettings { lease: Duration::from_secs(120), ..fixture.settings() };
        change(&mut settings);
        let (handover, handed) = mpsc::channel(4);
        let store = open(settings, clock.clone(), handover).unwrap();
        Self { fixture, clock, store, handed, capacity: Cell::new(0) }
    }

    /// The process ends and starts again on the same database.
    pub(super) async fn restarted(self) -> Self {
        let Self { fixture, clock, store, .. } = self;
        store.close().await;
        Self::at(fixture, clock, |_| {})
    }

    /// Whether the writer is at nothing.
    async fn writer_is_idle(&self) -> bool {
        tokio::task::yield_now().await;
        self.store.writer_is_idle()
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn ledger<M: Operation>(&self, ask: M) -> M::Answer
    where
        vumi_kit::ledger::Ledger: Accepts<M>,
    {
        self.store.store.ledger.ask_waiting(ask).await.unwrap()
    }

    async fn callbacks<M: Operation>(&self, ask: M) -> M::Answer
    where
        vumi_kit::callback::Callbacks: Accepts<M>,
    {
        self.store.store.callbacks.ask_waiting(ask).await.unwrap()
    }

    pub(super) async fn sessions<M: Operation>(&self, ask: M) -> M::Answer
    where
        vumi_kit::session::Sessions: Accepts<M>,
    {
        self.store.store.sessions.ask_waiting(ask).await.unwrap()
    }

    async fn accounts<M: Operation>(&self, ask: M) -> Result<M::Answer, StoreError>
    where
        vumi_kit::account::Accounts: Accepts<M>,
    {
        self.store.store.accounts.ask_waiting(ask).await
    }

    /// Accepts so many SMS, and answers them.
    pub(super) async fn accept(&self, count: usize) -> Vec<Sms> {
        let batch = (0..count).map(|n| sms(&format!("message {n}"))).collect();
        let Accepted::Now(kept) = self.ledger(AcceptSms { batch, idempotency: None }).await else { panic!("not now") };
        kept.to_vec()
    }

    pub(super) async fn open_outbox(&self, capacity: usize) {
        self.open_window(capacity, capacity).await;
    }

    async fn open_window(&self, capacity: usize, window: usize) -> OpenedOutbox {
        self.capacity.set(capacity);
        self.ledger(OpenOutbox { transport: opera(), capacity, window }).await
    }

    async fn begin(&self, ids: &[SmsId]) -> RecordedOutcomes {
        self.ledger(RecordOutcomes { transport: opera(), outcomes: Vec::new(), begin: ids.to_vec() }).await
    }

    async fn claim(&self, limit: usize) -> Vec<Submission> {
        self.ledger(ClaimSms { transport: opera(), limit, capacity: self.capacity.get() }).await
    }

    pub(super) async fn claimed_ids(&self, limit: usize) -> Vec<SmsId> {
        self.claim(limit).await.into_iter().map(|submission| submission.id).collect()
    }

    pub(super) async fn outcome(&self, id: SmsId, said: &str, then: Then) -> vumi_kit::ledger::OutboxState {
        let attempts = format!("SELECT attempts FROM sms WHERE id = {id}");
        let attempts = diesel::dsl::sql::<diesel::sql_types::Integer>(&attempts);
        let attempts = diesel::RunQueryDsl::get_result(attempts, &mut self.fixture.connect()).unwrap();
        let outcome = Outcome { id, at: self.now(), attempts, detail: said.to_owned(), then, parts: Vec::new() };
        self.ledger(RecordOutcomes { transport: opera(), outcomes: vec![outcome], begin: Vec::new() }).await.state
    }

    async fn done(&self, id: SmsId, provider_id: &str) {
        let provider_id = Some(provider_id.to_owned());
        self.outcome(id, "ID: x", Then::Done { status: TransportStatus::Queued, provider_id }).await;
    }

    pub(super) async fn find(&self, id: SmsId) -> Sms {
        self.ledger(vumi_kit::ledger::FindSms { account: ALICE, transport: Some(opera()), id }).await.unwrap()
    }

    /// Rows of the ledger's SMS that fulfil a condition.
    pub(super) fn sms_rows(&self, condition: &str) -> i64 {
        let query = format!("SELECT count(*) FROM sms WHERE {condition}");
        let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&query);
        diesel::RunQueryDsl::get_result(query, &mut self.fixture.connect()).unwrap()
    }

    /// Removes what has expired, a piece of it; answers whether there may be more.
    pub(super) async fn sweep(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.store.enqueue(Request::new(Sweep, reply).into()).await;
        answer.await.unwrap().unwrap()
    }

    /// Rows of a table.
    pub(super) fn rows(&self, table: &str) -> i64 {
        let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("SELECT count(*) FROM {table}"));
        diesel::RunQueryDsl::get_result(query, &mut self.fixture.connect()).unwrap()
    }

    /// What was handed over, if anything: everything handed over by an answered question is there.
    fn handed(&mut self) -> Option<HandOver> {
        self.handed.try_recv().ok()
    }

    /// The SMS of the next hand-over.
    fn handed_submissions(&mut self) -> Option<Vec<Submission>> {
        match self.handed()? {
            HandOver::Submissions { batch, .. } => Some(batch),
            HandOver::Received(_) => None,
        }
    }

    pub(super) fn handed_ids(&mut self) -> Vec<SmsId> {
        let handed = self.handed_submissions().unwrap_or_default();
        handed.into_iter().map(|submission| submission.id).collect()
    }
}

pub(super) fn opera() -> Name {
    Name::parse("opera").unwrap()
}

fn msisdn(text: &str) -> Msisdn {
    Msisdn::parse(text).unwrap()
}

pub(super) fn sms(message: &str) -> NewSms {
    crate::tests::one_sms(message)
}
