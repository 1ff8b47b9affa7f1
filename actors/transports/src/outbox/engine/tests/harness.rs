//! The engine between a scripted provider and a ledger that writes down what it is asked, under a paused clock.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{Notify, mpsc};
use vumi_kit::{
    address::{Address, Msisdn},
    backoff::Backoff,
    clock::{Clock, Timestamp},
    health::Health,
    ledger::{
        ClaimSms, CloseOutbox, Ledger, OpenOutbox, OpenedOutbox, OutboxState, Outcome, RecordOutcomes,
        RecordedOutcomes, Then,
    },
    name::Name,
    sms::{Decision, Submission, TransportStatus},
    sms_options::{Content, Priority},
    start_token::StartToken,
    store::{Request, StoreError},
    testing::FakeStore,
};

use crate::{
    outbox::{
        LookUp, OutboxSettings, SubmitSms, Submitted,
        engine::{Engine, EngineCommand},
        status::OutboxStatus,
    },
    tests::exam::CLAIM_TOKEN,
};

pub(super) const LEASE: Duration = Duration::from_secs(120);
pub(super) const START: Timestamp = Timestamp::from_seconds(1_000_000);

/// What the ledger was asked, and what it holds.
#[derive(Default)]
pub(super) struct LedgerState {
    pub(super) opened_with: Option<usize>,
    pub(super) closed: bool,
    pub(super) waiting: VecDeque<Submission>,
    pub(super) recorded: Vec<Outcome>,
    /// Held SMS that were to begin, a list for each request that named some.
    pub(super) begins: Vec<Vec<i64>>,
    /// Of them, those that the ledger does not begin.
    pub(super) gone: Vec<i64>,
    pub(super) claims: Vec<usize>,
    pub(super) refuse_records: usize,
    /// Requests to record are not answered.
    pub(super) silent_records: bool,
    pub(super) unanswered: Vec<Request<RecordOutcomes>>,
}

impl LedgerState {
    fn claim(&mut self, limit: usize) -> Vec<Submission> {
        self.claims.push(limit);
        let count = limit.min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    fn record(&mut self, outcomes: Vec<Outcome>, begin: Vec<i64>) -> Result<RecordedOutcomes, StoreError> {
        if self.refuse_records > 0 {
            self.refuse_records -= 1;
            return Err(StoreError::Unavailable("disk full".into()));
        }
        self.recorded.extend(outcomes);
        let state = if self.waiting.is_empty() { OutboxState::Empty } else { OutboxState::Waiting };
        if !begin.is_empty() {
            self.begins.push(begin.clone());
        }
        let (gone, begun) = begin.into_iter().partition(|id| self.gone.contains(id));
        Ok(RecordedOutcomes { state, begun, gone })
    }
}

pub(super) type SharedLedger = Arc<Mutex<LedgerState>>;

pub(super) fn fake_ledger(state: &SharedLedger) -> Ledger {
    let (opened, closed, claimed, recorded) = (state.clone(), state.clone(), state.clone(), state.clone());
    FakeStore::default()
        .on(move |ask: OpenOutbox| {
            opened.lock().unwrap().opened_with = Some(ask.capacity);
            Ok(OpenedOutbox { lease: LEASE, claim_token: CLAIM_TOKEN.into() })
        })
        .on(move |_: CloseOutbox| {
            closed.lock().unwrap().closed = true;
            Ok(())
        })
        .on(move |ask: ClaimSms| Ok(claimed.lock().unwrap().claim(ask.limit)))
        .on_request(move |request: Request<RecordOutcomes>| {
            let mut ledger = recorded.lock().unwrap();
            if ledger.silent_records {
                return ledger.unanswered.push(request);
            }
            let RecordOutcomes { outcomes, begin, .. } = request.operation;
            let _nobody_waits = request.reply.send(ledger.record(outcomes, begin));
        })
        .start_store()
        .ledger
}

/// What a provider does that obeys the text of an SMS, and what was submitted to it.
#[derive(Default)]
pub(super) struct ScriptedProvider {
    pub(super) submitted: RefCell<Vec<i64>>,
    pub(super) looked_up: RefCell<Vec<i64>>,
    pub(super) down: Cell<bool>,
    in_flight: Cell<usize>,
    pub(super) most_in_flight: Cell<usize>,
    /// Lets go what is "held".
    pub(super) released: Notify,
    /// What was "held" and went on.
    pub(super) went_on: Cell<bool>,
}

pub(super) struct ScriptedSubmitter(pub(super) Rc<ScriptedProvider>);

fn accepted() -> Decision {
    Decision::Accepted {
        provider_id: Some("p".to_owned()),
        status: TransportStatus::Queued,
        provider_response: "ok".to_owned(),
    }
}

impl SubmitSms for ScriptedSubmitter {
    async fn submit(&self, submission: &Submission) -> Submitted {
        self.decide(submission).await.into()
    }

    async fn look_up(&self, submission: &Submission) -> LookUp {
        self.0.looked_up.borrow_mut().push(submission.id);
        match submission.message.as_str() {
            "arrived" => LookUp::Decided(accepted()),
            "no look-up" => LookUp::Decided(Decision::Retry {
                provider_response: "no answer to the look-up".to_owned(),
                unknown_outcome: true,
            }),
            "not found" => LookUp::NotFound,
            _ => LookUp::Unknown,
        }
    }
}

impl ScriptedSubmitter {
    async fn decide(&self, submission: &Submission) -> Decision {
        self.0.submitted.borrow_mut().push(submission.id);
        if self.0.down.get() {
            return Decision::Retry { provider_response: "connection refused".to_owned(), unknown_outcome: false };
        }
        let in_flight = self.0.in_flight.get() + 1;
        self.0.in_flight.set(in_flight);
        self.0.most_in_flight.set(in_flight.max(self.0.most_in_flight.get()));
        tokio::task::yield_now().await;
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        match submission.message.as_str() {
            "panic" => panic!("a panic of the provider"),
            "reject" => {
                Decision::Rejected { status: TransportStatus::RoutingError, provider_response: "no route".to_owned() }
            }
            "retry" => Decision::Retry { provider_response: "later".to_owned(), unknown_outcome: true },
            "throttle" => Decision::Throttled { retry_after_s: Some(30), provider_response: "slower".to_owned() },
            "account" => Decision::Misconfigured { provider_response: "no credit".to_owned() },
            "silence" => std::future::pending().await,
            "held" => {
                self.0.released.notified().await;
                self.0.went_on.set(true);
                accepted()
            }
            _ => accepted(),
        }
    }
}

/// A running engine.
pub(super) struct EngineHarness {
    pub(super) ledger: SharedLedger,
    pub(super) provider: Rc<ScriptedProvider>,
    /// Of this start of the transport.
    pub(super) token: StartToken,
    clock: Clock,
    pub(super) commands: mpsc::Sender<EngineCommand>,
    status: Rc<RefCell<OutboxStatus>>,
}

impl EngineHarness {
    pub(super) fn start(settings: OutboxSettings) -> Self {
        let ledger = SharedLedger::default();
        let provider = Rc::new(ScriptedProvider::default());
        let clock = Clock::held(START);
        let (commands, received) = mpsc::channel(16);
        let token = StartToken::default();
        let engine = Engine::new(
            Name::parse("fake").unwrap(),
            Rc::new(fake_ledger(&ledger).with_token(&token)),
            clock.clone(),
            settings,
            ScriptedSubmitter(provider.clone()),
            received,
        );
        let status = engine.status();
        actix::spawn(engine.run());
        Self { ledger, provider, token, clock, commands, status }
    }

    pub(super) async fn submit(&self, batch: Vec<Submission>) {
        assert!(self.commands.send(EngineCommand::Submit(batch)).await.is_ok());
    }

    /// Lets time pass on both clocks.
    pub(super) async fn pass(&self, time: Duration) {
        let step = time.min(Duration::from_millis(100));
        for _ in 0..time.as_micros() / step.as_micros() {
            self.clock.advance(step);
            tokio::time::sleep(step).await;
        }
    }

    pub(super) fn health(&self) -> Health {
        self.status.borrow().health()
    }

    fn outcome(&self, id: i64) -> Outcome {
        let ledger = self.ledger.lock().unwrap();
        ledger.recorded.iter().rev().find(|outcome| outcome.id == id).expect("an outcome").clone()
    }

    pub(super) fn then(&self, id: i64) -> Then {
        self.outcome(id).then
    }

    pub(super) fn detail(&self, id: i64) -> String {
        self.outcome(id).detail
    }

    pub(super) fn recorded(&self) -> usize {
        self.ledger.lock().unwrap().recorded.len()
    }
}

pub(super) fn settings() -> OutboxSettings {
    OutboxSettings {
        window: 4,
        queue: 16,
        retry: Backoff::new(Duration::from_secs(10), Duration::from_secs(60)),
        ..OutboxSettings::default()
    }
}

pub(super) fn sms(id: i64, message: &str) -> Submission {
    Submission {
        id,
        to: Msisdn::parse("27123456789").unwrap(),
        from: Address::sender("27123456780").unwrap(),
        message: message.to_owned(),
        content: Content::Text,
        segments: 1,
        priority: Priority::Normal,
        reference: None,
        attempts: 0,
        unknown_outcomes: 0,
        parts: Vec::new(),
        due_at: START,
        lease_until: START.plus(LEASE),
        give_up_at: START.plus(Duration::from_secs(3600)),
        limited: false,
        begun: true,
        renewed: false,
        claim_token: CLAIM_TOKEN.into(),
    }
}

pub(super) fn many(count: i64, message: &str) -> Vec<Submission> {
    (1..=count).map(|id| sms(id, message)).collect()
}
