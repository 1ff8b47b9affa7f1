//! The engine against a ledger that writes down what it is asked, under a paused clock.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Context, Handler};
use tokio::sync::{Notify, mpsc, oneshot};
use vumi_kit::{
    address::Msisdn,
    backoff::Backoff,
    clock::{Clock, Timestamp},
    component::Drain,
    health::{AskHealth, State},
    ledger::{
        AcceptSms, ClaimReceived, ClaimSms, CloseOutbox, CountWaiting, FindSms, KeepReceived, Ledger, ListSms,
        ListUnmatchedReceipts, OpenOutbox, OutboxState, Outcome, RecordOutcomes, RecordReceipts, ReleaseReceived,
        ReleaseSms, SettleReceived, SmsTimeline, Then,
    },
    name::Name,
    router::Submit,
    sms::{Decision, Submission, TransportStatus},
    store::{Request, StoreError},
};

use super::{Engine, Told};
use crate::outbox::{LookUp, Outbox, OutboxSettings, Provider, shown::Shown};

const LEASE: Duration = Duration::from_secs(120);
const START: Timestamp = Timestamp::from_seconds(1_000_000);

/// What the ledger was asked, and what it holds.
#[derive(Default)]
struct Book {
    opened: Option<usize>,
    closed: bool,
    waiting: VecDeque<Submission>,
    recorded: Vec<Outcome>,
    claims: Vec<usize>,
    refuse_records: usize,
}

struct FakeLedger(Arc<Mutex<Book>>);

impl Actor for FakeLedger {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($($Request:ty => |$book:ident, $ask:ident| $answer:expr;)+) => {$(
        impl Handler<Request<$Request>> for FakeLedger {
            type Result = ();
            fn handle(&mut self, question: Request<$Request>, _: &mut Self::Context) {
                let $ask = question.operation;
                let mut $book = self.0.lock().unwrap();
                question.reply.send($answer).ok();
            }
        }
    )+};
}
macro_rules! never_asked {
    ($($Request:ty),+) => {$(
        impl Handler<Request<$Request>> for FakeLedger {
            type Result = ();
            fn handle(&mut self, _: Request<$Request>, _: &mut Self::Context) {
                panic!("a transport does not ask this");
            }
        }
    )+};
}
answers! {
    OpenOutbox => |book, ask| { book.opened = Some(ask.room); Ok(LEASE) };
    CloseOutbox => |book, _ask| { book.closed = true; Ok(()) };
    ClaimSms => |book, ask| {
        book.claims.push(ask.limit);
        let count = ask.limit.min(book.waiting.len());
        Ok(book.waiting.drain(..count).collect())
    };
    RecordOutcomes => |book, ask| {
        if book.refuse_records > 0 {
            book.refuse_records -= 1;
            Err(StoreError::Unavailable("disk full".into()))
        } else {
            book.recorded.extend(ask.outcomes);
            Ok(if book.waiting.is_empty() { OutboxState::Empty } else { OutboxState::Waiting })
        }
    };
}
never_asked!(
    AcceptSms,
    FindSms,
    ListSms,
    SmsTimeline,
    ReleaseSms,
    RecordReceipts,
    KeepReceived,
    ClaimReceived,
    ReleaseReceived,
    SettleReceived,
    CountWaiting,
    ListUnmatchedReceipts
);

/// A carrier that does as the text of the SMS says, and remembers what came and how much at once.
#[derive(Default)]
struct Obedient {
    heard: RefCell<Vec<i64>>,
    asked: RefCell<Vec<i64>>,
    down: RefCell<bool>,
    now: RefCell<usize>,
    most_at_once: RefCell<usize>,
    released: Notify,
}

struct Fake(Rc<Obedient>);

fn accepted() -> Decision {
    Decision::Accepted { provider_id: Some("p".to_owned()), status: TransportStatus::QUEUED, said: "ok".to_owned() }
}

impl Provider for Fake {
    async fn submit(&self, submission: &Submission) -> Decision {
        self.0.heard.borrow_mut().push(submission.id);
        if *self.0.down.borrow() {
            return Decision::Retry { said: "connection refused".to_owned(), unsure: false };
        }
        *self.0.now.borrow_mut() += 1;
        let now = *self.0.now.borrow();
        let most = now.max(*self.0.most_at_once.borrow());
        *self.0.most_at_once.borrow_mut() = most;
        tokio::task::yield_now().await;
        *self.0.now.borrow_mut() -= 1;
        match submission.message.as_str() {
            "panic" => panic!("as told"),
            "reject" => Decision::Rejected { status: TransportStatus::ROUTING_ERROR, said: "no route".to_owned() },
            "retry" => Decision::Retry { said: "later".to_owned(), unsure: true },
            "throttle" => Decision::Throttled { retry_after_s: Some(30), said: "slower".to_owned() },
            "account" => Decision::Misconfigured { said: "no credit".to_owned() },
            "silence" => std::future::pending().await,
            "held" => {
                self.0.released.notified().await;
                accepted()
            }
            _ => accepted(),
        }
    }

    async fn look_up(&self, submission: &Submission) -> LookUp {
        self.0.asked.borrow_mut().push(submission.id);
        match submission.message.as_str() {
            "arrived" => LookUp::Said(accepted()),
            "deaf" => LookUp::Said(Decision::Retry { said: "no answer to the question".to_owned(), unsure: true }),
            "unheard" => LookUp::NotThere,
            _ => LookUp::CannotSay,
        }
    }
}

struct Stage {
    book: Arc<Mutex<Book>>,
    carrier: Rc<Obedient>,
    clock: Clock,
    told: mpsc::Sender<Told>,
    shown: Rc<RefCell<Shown>>,
}

impl Stage {
    fn set(settings: OutboxSettings) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let ledger = FakeLedger(book.clone()).start();
        let carrier = Rc::new(Obedient::default());
        let clock = Clock::held(START);
        let (told, hears) = mpsc::channel(16);
        let engine = Engine::new(
            Name::parse("fake").unwrap(),
            Rc::new(Ledger::of(&ledger)),
            clock.clone(),
            settings,
            Fake(carrier.clone()),
            hears,
        );
        let shown = engine.shown();
        actix::spawn(engine.run());
        Self { book, carrier, clock, told, shown }
    }

    async fn hand(&self, batch: Vec<Submission>) {
        assert!(self.told.send(Told::Work(batch)).await.is_ok());
    }

    /// Lets time pass on both clocks.
    async fn pass(&self, time: Duration) {
        let step = time.min(Duration::from_millis(100));
        for _ in 0..time.as_micros() / step.as_micros() {
            self.clock.advance(step);
            tokio::time::sleep(step).await;
        }
    }

    fn then(&self, id: i64) -> Then {
        let book = self.book.lock().unwrap();
        book.recorded.iter().rev().find(|outcome| outcome.id == id).expect("an outcome").then.clone()
    }

    fn said(&self, id: i64) -> String {
        let book = self.book.lock().unwrap();
        book.recorded.iter().rev().find(|outcome| outcome.id == id).expect("an outcome").said.clone()
    }

    fn recorded(&self) -> usize {
        self.book.lock().unwrap().recorded.len()
    }
}

fn settings() -> OutboxSettings {
    OutboxSettings {
        window: 4,
        queue: 16,
        retry: Backoff::new(Duration::from_secs(10), Duration::from_secs(60)),
        ..OutboxSettings::default()
    }
}

fn sms(id: i64, message: &str) -> Submission {
    Submission {
        id,
        to: Msisdn::parse("27123456789").unwrap(),
        from: Msisdn::parse("27123456780").unwrap(),
        message: message.to_owned(),
        attempts: 0,
        unsure: 0,
        due_at: START,
        lease_until: START.plus(LEASE),
        give_up_at: START.plus(Duration::from_secs(3600)),
    }
}

fn many(count: i64, message: &str) -> Vec<Submission> {
    (1..=count).map(|id| sms(id, message)).collect()
}

/// Runs a story on a paused clock with actix's system in place.
macro_rules! story {
    ($name:ident, |$stage:ident| $settings:expr, $story:expr) => {
        #[test]
        fn $name() {
            actix::System::with_tokio_rt(|| {
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
            })
            .block_on(async {
                let $stage = Stage::set($settings);
                $stage.pass(Duration::from_millis(1)).await;
                $story
            });
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);

story!(each_decision_becomes_its_outcome, |stage| settings(), {
    stage.hand(vec![sms(1, "hello"), sms(2, "reject"), sms(3, "retry")]).await;
    stage.pass(SECOND).await;
    assert_eq!(stage.then(1), Then::Done { status: TransportStatus::QUEUED, provider_id: Some("p".to_owned()) });
    assert_eq!(stage.then(2), Then::Done { status: TransportStatus::ROUTING_ERROR, provider_id: None });
    let Then::Again { at, unsure: true } = stage.then(3) else { panic!("{:?}", stage.then(3)) };
    assert!(at >= START.plus(5 * SECOND) && at <= START.plus(12 * SECOND), "{at:?}");
});

story!(no_more_than_the_window_is_in_flight_and_all_of_it_is_used, |stage| settings(), {
    stage.hand(many(20, "hello")).await;
    stage.pass(SECOND).await;
    assert_eq!(stage.recorded(), 20);
    assert_eq!(*stage.carrier.most_at_once.borrow(), 4);
});

story!(what_waits_in_the_ledger_is_claimed_and_no_more_than_there_is_room_for, |stage| settings(), {
    stage.book.lock().unwrap().waiting = many(500, "hello").into();
    stage.pass(10 * SECOND).await;
    assert_eq!(stage.recorded(), 500);
    let book = stage.book.lock().unwrap();
    assert_eq!(book.opened, Some(20));
    assert!(book.claims.iter().all(|limit| *limit <= 20), "{:?}", book.claims);
});

story!(what_finds_no_room_goes_back_untried, |stage| settings(), {
    stage.hand(many(30, "hello")).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(30), Then::Untried { at: START, .. }));
    assert_eq!(stage.carrier.heard.borrow().len(), 20);
});

story!(a_panic_in_one_submission_loses_neither_it_nor_the_others, |stage| settings(), {
    stage.hand(vec![sms(1, "panic"), sms(2, "hello")]).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(1), Then::Again { unsure: true, .. }));
    assert!(matches!(stage.then(2), Then::Done { .. }));
});

story!(a_carrier_that_never_answers_is_cut_off, |stage| settings(), {
    stage.hand(vec![sms(1, "silence")]).await;
    stage.pass(12 * SECOND).await;
    assert!(matches!(stage.then(1), Then::Again { unsure: true, .. }));
});

story!(an_unsure_one_is_looked_up_first, |stage| settings(), {
    let unsure = |id, text| Submission { unsure: 1, ..sms(id, text) };
    stage.hand(vec![unsure(1, "arrived"), unsure(2, "hello"), sms(3, "arrived")]).await;
    stage.pass(SECOND).await;
    assert_eq!(*stage.carrier.asked.borrow(), [1, 2]);
    let mut heard = stage.carrier.heard.borrow().clone();
    heard.sort_unstable();
    assert_eq!(heard, [2, 3]);
    assert_eq!(stage.recorded(), 3);
});

story!(a_try_that_did_not_get_through_and_a_question_without_answer_are_no_lost_submissions, |stage| settings(), {
    *stage.carrier.down.borrow_mut() = true;
    let unsure = |id, text| Submission { unsure: 1, ..sms(id, text) };
    stage.hand(vec![unsure(1, "hello"), unsure(2, "deaf")]).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(1), Then::Again { unsure: false, .. }));
    assert!(matches!(stage.then(2), Then::Again { unsure: false, .. }));
    assert_eq!(*stage.carrier.heard.borrow(), [1]);
});

story!(where_nobody_can_say_what_arrived_it_is_sent_so_often_and_no_oftener, |stage| settings(), {
    let unsure = |id, unsure, text| Submission { unsure, ..sms(id, text) };
    stage.hand(vec![unsure(1, 2, "hello"), unsure(2, 3, "hello"), unsure(3, 3, "unheard")]).await;
    stage.pass(SECOND).await;
    let mut heard = stage.carrier.heard.borrow().clone();
    heard.sort_unstable();
    assert_eq!(heard, [1, 3], "the second was sent three times, the third is known not to have arrived");
    assert_eq!(stage.then(2), Then::Done { status: TransportStatus::DELIVERY_ERROR, provider_id: None });
    let said = stage.said(2);
    assert!(said.contains("outcome unknown: answers lost: 3") && said.contains("may have arrived"), "{said}");
});

story!(
    with_no_unsure_attempts_nothing_is_ever_sent_twice,
    |stage| OutboxSettings { max_resubmissions: 0, ..settings() },
    {
        stage.hand(vec![Submission { unsure: 1, ..sms(1, "hello") }, sms(2, "hello")]).await;
        stage.pass(SECOND).await;
        assert_eq!(*stage.carrier.heard.borrow(), [2]);
    }
);

story!(a_throttle_pauses_the_whole_transport_and_costs_no_attempt, |stage| settings(), {
    stage.hand(vec![sms(1, "throttle")]).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(1), Then::Untried { at, .. } if at >= START.plus(29 * SECOND)));
    stage.hand(vec![sms(2, "hello")]).await;
    stage.pass(20 * SECOND).await;
    assert_eq!(*stage.carrier.heard.borrow(), [1]);
    stage.pass(20 * SECOND).await;
    assert_eq!(*stage.carrier.heard.borrow(), [1, 2]);
    assert_eq!(stage.shown.borrow().health().state, State::Up);
});

story!(a_refused_account_degrades_the_transport_and_costs_no_attempt, |stage| settings(), {
    stage.hand(vec![sms(1, "account"), sms(2, "account")]).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(1), Then::Untried { .. }));
    assert!(matches!(stage.then(2), Then::Untried { .. }));
    let health = stage.shown.borrow().health();
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("no credit"), "{}", health.detail);
});

story!(an_outage_costs_a_few_attempts_and_ends_by_itself, |stage| settings(), {
    *stage.carrier.down.borrow_mut() = true;
    stage.book.lock().unwrap().waiting =
        many(200, "hello").into_iter().map(|sms| Submission { lease_until: sms.give_up_at, ..sms }).collect();
    stage.pass(300 * SECOND).await;
    let attempts = stage.carrier.heard.borrow().len();
    assert!(attempts < 30, "{attempts}");
    let health = stage.shown.borrow().health();
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("since 1970-01-12 13:46:4"), "{}", health.detail);
    assert!(health.detail.contains("connection refused"), "{}", health.detail);
    *stage.carrier.down.borrow_mut() = false;
    stage.pass(120 * SECOND).await;
    assert_eq!(stage.shown.borrow().health().state, State::Up);
    assert_eq!(stage.carrier.heard.borrow().iter().collect::<std::collections::HashSet<_>>().len(), 200);
});

story!(a_pause_longer_than_a_lease_gives_the_queue_back, |stage| settings(), {
    let short = |id| Submission { lease_until: START.plus(30 * SECOND), ..sms(id, "hello") };
    stage.hand(vec![sms(1, "throttle"), short(2), short(3), short(4), short(5), short(6)]).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(6), Then::Untried { at, .. } if at >= START.plus(29 * SECOND)));
});

story!(one_whose_lease_is_nearly_over_goes_back_to_its_place_in_the_line_and_is_counted, |stage| settings(), {
    let held_until = START.plus(5 * SECOND);
    let due_at = Timestamp::from_seconds(999_000);
    stage.hand(vec![Submission { lease_until: held_until, due_at, ..sms(1, "hello") }, sms(2, "hello")]).await;
    stage.pass(SECOND).await;
    assert_eq!(*stage.carrier.heard.borrow(), [2]);
    assert_eq!(stage.then(1), Then::Untried { at: due_at, held_until });
    let health = stage.shown.borrow().health();
    assert!(health.detail.contains("1 given back since their lease was nearly over"), "{}", health.detail);
});

story!(one_whose_time_is_up_expires_and_is_not_sent, |stage| settings(), {
    stage.hand(vec![Submission { give_up_at: START, ..sms(1, "hello") }]).await;
    stage.pass(SECOND).await;
    assert_eq!(stage.then(1), Then::Done { status: TransportStatus::EXPIRED, provider_id: None });
    assert!(stage.carrier.heard.borrow().is_empty());
});

story!(a_retry_that_would_come_too_late_ends_with_the_last_reason, |stage| settings(), {
    stage.hand(vec![Submission { give_up_at: START.plus(3 * SECOND), ..sms(1, "retry") }]).await;
    stage.pass(SECOND).await;
    assert_eq!(stage.then(1), Then::Done { status: TransportStatus::EXPIRED, provider_id: None });
    assert!(stage.book.lock().unwrap().recorded[0].said.contains("later"));
});

story!(outcomes_survive_a_database_that_fails, |stage| settings(), {
    stage.book.lock().unwrap().refuse_records = 3;
    stage.hand(many(10, "hello")).await;
    stage.pass(SECOND).await;
    assert_eq!(stage.recorded(), 0);
    let health = stage.shown.borrow().health();
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("disk full"), "{}", health.detail);
    stage.pass(200 * SECOND).await;
    assert_eq!(stage.recorded(), 10);
    assert_eq!(stage.shown.borrow().health().state, State::Up);
});

story!(
    a_slow_carriers_transport_holds_no_more_than_it_sends_in_a_third_of_a_lease,
    |stage| OutboxSettings { queue: 100, ..settings() },
    {
        assert_eq!(stage.book.lock().unwrap().opened, Some(104));
        let due_at = Timestamp::from_seconds(999_000);
        let silence = |sms| Submission { due_at, ..sms };
        stage.hand(many(104, "silence").into_iter().map(silence).collect()).await;
        stage.pass(12 * SECOND).await;
        // Four at once, 11 s each: 15 in 40 s. Three were still in flight when the first told how slow they are.
        let given_back = Then::Untried { at: due_at, held_until: START.plus(LEASE) };
        assert_eq!(stage.then(104), given_back);
        assert_eq!(stage.then(20), given_back);
        assert_eq!(stage.recorded(), 4 + 104 - 16);
        stage.book.lock().unwrap().waiting = many(50, "silence").into();
        stage.pass(60 * SECOND).await;
        let book = stage.book.lock().unwrap();
        assert!(book.claims.iter().skip(1).all(|limit| *limit <= 15), "{:?}", book.claims);
    }
);

story!(
    what_ends_without_a_call_says_nothing_of_how_fast_a_carrier_is,
    |stage| OutboxSettings { queue: 100, ..settings() },
    {
        stage.hand(vec![sms(1, "silence")]).await;
        stage.pass(12 * SECOND).await;
        let ended = many(60, "hello").into_iter().map(|sms| Submission { unsure: 3, ..sms });
        stage.book.lock().unwrap().waiting = ended.collect();
        stage.pass(10 * SECOND).await;
        assert_eq!(stage.recorded(), 61);
        let book = stage.book.lock().unwrap();
        assert!(book.claims.iter().rev().take(5).all(|limit| *limit == 15), "{:?}", book.claims);
    }
);

story!(a_rate_is_kept, |stage| OutboxSettings { rate: Some(5.0), ..settings() }, {
    stage.hand(many(20, "hello")).await;
    stage.pass(2 * SECOND).await;
    let begun = stage.carrier.heard.borrow().len();
    assert!((9..=12).contains(&begun), "{begun}");
});

story!(a_drain_finishes_what_is_in_flight_and_returns_the_rest, |stage| settings(), {
    stage.hand(many(10, "held")).await;
    stage.pass(SECOND).await;
    let (done, drained) = oneshot::channel();
    assert!(stage.told.send(Told::Drain(done)).await.is_ok());
    stage.pass(SECOND).await;
    assert!(stage.book.lock().unwrap().closed);
    stage.carrier.released.notify_waiters();
    drained.await.unwrap();
    assert_eq!(stage.recorded(), 10);
    assert_eq!(stage.carrier.heard.borrow().len(), 4);
    assert!(matches!(stage.then(1), Then::Done { .. }));
    assert!(matches!(stage.then(10), Then::Untried { .. }));
    stage.hand(vec![sms(11, "hello")]).await;
    stage.pass(SECOND).await;
    assert!(matches!(stage.then(11), Then::Untried { .. }), "work that comes too late goes back");
});

#[test]
fn the_room_takes_work_says_how_it_is_and_drains() {
    actix::System::new().block_on(async {
        let book = Arc::new(Mutex::new(Book::default()));
        let ledger = Ledger::of(&FakeLedger(book.clone()).start());
        let carrier = Rc::new(Obedient::default());
        let name = Name::parse("fake").unwrap();
        let room = Outbox::begin(name, ledger, Clock::held(START), &settings(), Fake(carrier.clone()));
        let submit = room.endpoints.submit.unwrap();
        submit.send(Submit(vec![sms(1, "hello"), sms(2, "reject")])).await.unwrap();
        room.drain.send(Drain).await.unwrap();
        assert_eq!(book.lock().unwrap().recorded.len(), 2);
        assert_eq!(room.health.send(AskHealth).await.unwrap().state, State::Stopping);
    });
}

#[test]
fn the_room_ends_when_the_store_has_stopped() {
    actix::System::new().block_on(async {
        struct Gone;
        impl Actor for Gone {
            type Context = Context<Self>;
        }
        macro_rules! drops {
            ($($Request:ty),+ $(,)?) => {$(
                impl Handler<Request<$Request>> for Gone {
                    type Result = ();
                    fn handle(&mut self, _dropped: Request<$Request>, _: &mut Self::Context) {}
                }
            )+};
        }
        drops!(
            OpenOutbox,
            CloseOutbox,
            ClaimSms,
            RecordOutcomes,
            AcceptSms,
            FindSms,
            ListSms,
            SmsTimeline,
            ReleaseSms,
            RecordReceipts,
            KeepReceived,
            ClaimReceived,
            ReleaseReceived,
            SettleReceived,
            CountWaiting,
            ListUnmatchedReceipts,
        );
        let ledger = Ledger::of(&Gone.start());
        let name = Name::parse("fake").unwrap();
        let room = Outbox::begin(name, ledger, Clock::held(START), &settings(), Fake(Rc::new(Obedient::default())));
        room.ended.wait().await;
    });
}
