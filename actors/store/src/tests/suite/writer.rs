//! The writer: who fails alone, who fails together, who waits, who is told.

use std::{rc::Rc, time::Duration};

use diesel::connection::SimpleConnection;
use tokio::sync::{mpsc, oneshot};
use vumi_kit::{
    account::{AccountRoles, CreateAccount},
    audit::AuditActor,
    health::{AskHealth, State},
    ledger::{AcceptSms, Accepted, HandOver, IdempotencyKey},
    name::Name,
    session::{After, FindSession, OpenSessions, SaveSession, SessionRecord},
    sms::TransportStatus,
    store::{Ask, Request, StoreError},
};

use super::{ALICE, ALLOW, HOLD, REFUSE, StoreHarness, dialect, sms};
use crate::writer::commands::Panic;

fn another_program(harness: &StoreHarness) -> dialect::Conn {
    harness.fixture.connect()
}

#[actix_rt::test]
async fn a_job_that_fails_leaves_nothing_behind_and_harms_no_other() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(2).await;
    another_program(&harness)
        .batch_execute("CREATE UNIQUE INDEX once ON sms (message) WHERE message LIKE 'message%'")
        .unwrap();
    let ask = |texts: &[&str]| AcceptSms { batch: texts.iter().map(|text| sms(text)).collect(), idempotency: None };
    let ledger = harness.store.store.ledger.clone();
    let (first, refused, last) = tokio::join!(
        ledger.ask(ask(&["good"])),
        ledger.ask(ask(&["message 0", "message 0"])),
        ledger.ask(ask(&["good"]))
    );
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    assert!(first.is_ok() && last.is_ok());
    let mut handed = Vec::new();
    while let Some(HandOver::Submissions { batch, .. }) = harness.handed() {
        handed.extend(batch.into_iter().map(|submission| submission.message));
    }
    assert_eq!(handed, ["good", "good"], "the room that the failed one took was given back");
    assert_eq!(harness.sms_rows("next_attempt_at IS NOT NULL"), 2);
}

#[actix_rt::test]
async fn when_the_database_refuses_all_are_told_and_health_says_so_until_it_works_again() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let mut other = another_program(&harness);
    other.batch_execute(REFUSE).unwrap();
    let ask = || AcceptSms { batch: vec![sms("a"), sms("b")], idempotency: None };
    let refused = harness.store.store.ledger.ask(ask()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("on fire")), "{refused}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Away);
    assert!(health.detail.contains("on fire"), "{}", health.detail);

    other.batch_execute(ALLOW).unwrap();
    let kept = harness.accept(1).await;
    assert_eq!(harness.handed_ids(), [kept[0].id], "the room is there still");
    assert_eq!(harness.store.health().send(AskHealth).await.unwrap().state, State::Up);
}

#[actix_rt::test]
async fn a_name_taken_twice_in_one_transaction_is_refused_once() {
    let Some(harness) = StoreHarness::new() else { return };
    let create = || CreateAccount {
        username: "a".to_owned(),
        password_hash: String::new(),
        sandbox: false,
        roles: AccountRoles::CLIENT,
        by: AuditActor::router(),
    };
    let accounts = &harness.store.store.accounts;
    let (first, second) = tokio::join!(accounts.ask(create()), accounts.ask(create()));
    assert!(first.is_ok());
    assert!(matches!(second, Err(StoreError::Exists(_))));
}

#[actix_rt::test]
async fn while_another_program_writes_the_store_waits_and_then_goes_on() {
    let Some(harness) = StoreHarness::new() else { return };
    let first = harness.accept(1).await[0].id;
    let mut other = another_program(&harness);
    other.batch_execute(HOLD).unwrap();
    let ledger = harness.store.store.ledger.clone();
    let accept = AcceptSms { batch: vec![sms("x")], idempotency: None };
    let waiting = actix_rt::spawn(async move { ledger.ask(accept).await });

    // The store itself says when its transaction has waited for seconds.
    let mut state = State::Up;
    while state != State::Away {
        assert!(!waiting.is_finished(), "answered while another program had the database");
        state = harness.store.health().send(AskHealth).await.unwrap().state;
    }
    other.batch_execute(&format!("{COPY_OF_THE_FIRST} {first}; COMMIT")).unwrap();
    let Accepted::Now(kept) = waiting.await.unwrap().unwrap() else { panic!("not kept") };
    assert_eq!(kept[0].id, first + 2, "the other program's SMS came before it");
}

/// Another program keeps an SMS as well.
const COPY_OF_THE_FIRST: &str = "INSERT INTO sms (account, transport, recipient, sender, message, status, attempts, \
     created_at, updated_at, give_up_at, unsure) SELECT account, transport, recipient, sender, message, status, \
     attempts, created_at, updated_at, give_up_at, unsure FROM sms WHERE id =";

#[actix_rt::test]
async fn a_panic_in_the_writer_is_noticed_and_nothing_half_done_is_answered() {
    let Some(harness) = StoreHarness::new() else { return };
    let ended = harness.store.ended();
    let (reply, answer) = oneshot::channel();
    harness.store.enqueue(Request::new(Panic, reply).into()).await;
    assert!(answer.await.is_err(), "nobody answers");
    ended.wait().await;
    harness.store.ended().wait().await;
    let refused = harness.store.store.ledger.ask(AcceptSms { batch: vec![sms("x")], idempotency: None }).await;
    assert!(matches!(refused, Err(StoreError::Stopped)), "{refused:?}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Failed);
    harness.store.close().await;
}

#[actix_rt::test]
async fn what_is_queued_when_the_store_closes_is_committed_and_answered() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut answers = Vec::new();
    for n in 0..200 {
        let (reply, answer) = oneshot::channel();
        let ask = AcceptSms { batch: vec![sms(&format!("message {n}"))], idempotency: None };
        harness.store.enqueue(Request::new(ask, reply).into()).await;
        answers.push(answer);
    }
    let StoreHarness { fixture, clock, store, .. } = harness;
    store.close().await;
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let harness = StoreHarness::at(fixture, clock, |_| {});
    assert_eq!(harness.sms_rows("next_attempt_at IS NOT NULL"), 200);
}

#[actix_rt::test]
async fn a_full_queue_refuses_who_can_say_no_and_holds_who_cannot() {
    let Some(harness) = StoreHarness::with(|settings| (settings.queue, settings.mailbox) = (1, 1)) else { return };
    let mut other = another_program(&harness);
    other.batch_execute(HOLD).unwrap();

    // A clone of an address may always put one message in; so all who can say no share one.
    let (impatient, patient) =
        (Rc::new(harness.store.store.ledger.clone()), Rc::new(harness.store.store.ledger.clone()));
    let ask = |n: usize| AcceptSms { batch: vec![sms(&format!("message {n}"))], idempotency: None };
    let held: Vec<_> = (0..10).map(|n| (patient.clone(), ask(n))).collect();
    let held: Vec<_> = held
        .into_iter()
        .map(|(ledger, ask)| actix_rt::spawn(async move { ledger.as_ref().ask_waiting(ask).await }))
        .collect();
    let asked: Vec<_> = (10..20).map(|n| (impatient.clone(), ask(n))).collect();
    let (told, mut refused) = mpsc::channel(10);
    for (ledger, ask) in asked {
        let told = told.clone();
        actix_rt::spawn(async move {
            if let Err(StoreError::Busy) = ledger.as_ref().ask(ask).await {
                told.send(()).await.unwrap();
            }
        });
    }
    let busy = tokio::time::timeout(Duration::from_secs(20), refused.recv()).await;
    assert_eq!(busy.expect("nobody was refused"), Some(()));
    other.batch_execute("COMMIT").unwrap();
    for waited in held {
        waited.await.unwrap().unwrap();
    }
}

#[actix_rt::test]
async fn what_has_expired_is_swept_piece_by_piece() {
    let Some(harness) = StoreHarness::new() else { return };
    let owner = Name::parse("quiz").unwrap();
    for n in 0..5 {
        let session = SessionRecord {
            owner: owner.clone(),
            person: n.to_string(),
            address: String::new(),
            last_message_id: String::new(),
            state: String::new(),
            expires_at: if n < 3 { harness.now() } else { harness.now().plus(Duration::from_secs(600)) },
        };
        harness.sessions(SaveSession { session, after: After::Anything, answers: Vec::new(), sms: Vec::new() }).await;
    }
    let key = IdempotencyKey { key: "k".to_owned(), request_digest: vec![1], keep_s: 1 };
    harness.ledger(AcceptSms { batch: vec![sms("x")], idempotency: Some(key) }).await;
    harness.advance(2);
    assert!(!harness.sweep().await, "little was left to sweep");
    let rows = |table: &str| {
        let mut conn = another_program(&harness);
        let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("SELECT count(*) FROM {table}"));
        diesel::RunQueryDsl::get_result::<i64>(query, &mut conn).unwrap()
    };
    assert_eq!(rows("sessions"), 2);
    assert_eq!(rows("idempotency_keys"), 0);
    assert_eq!(harness.sessions(OpenSessions { owner: owner.clone() }).await.len(), 2);
    assert!(harness.sessions(FindSession { owner, person: "4".to_owned() }).await.is_some());
}

#[actix_rt::test]
async fn sms_of_a_transport_that_is_gone_expire_all_the_same() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.sweep().await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Pending);
    harness.advance(24 * 3600);
    harness.sweep().await;
    let expired = harness.find(id).await;
    assert_eq!((expired.account, expired.status), (ALICE, TransportStatus::Expired));
}
