//! What several processes on one database do to each other.

use std::time::Duration;

use diesel::{RunQueryDsl, connection::SimpleConnection, sql_types::BigInt};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use vumi_kit::{
    account::AccountChange,
    ledger::{
        AcceptSms, Accepted, AcceptedWithinQuota, ClaimReceived, IdempotencyKey, KeepReceived, Outcome, RecordOutcomes,
        RecordReceipts, ReleaseReceived, SmsOwner, Then,
    },
    name::Name,
    session::{After, SaveSession, SessionRecord},
    sms::{InboundSms, Receipt, TransportStatus},
    store::Ask,
};

use super::{
    HOLD,
    suite::{ALICE, StoreHarness, opera, quotas, sms, stopped_accounts::change},
};
use crate::{OpenError, open};

/// Another process on the same database.
fn beside(harness: &StoreHarness) -> StoreHarness {
    StoreHarness::at(harness.fixture.clone(), harness.clock.clone(), |settings| {
        settings.node = Name::parse("other").ok()
    })
}

#[actix_rt::test]
async fn a_received_sms_that_another_process_routes_is_not_released() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    let inbound = vec![InboundSms::whole(sms("").to, sms("").from, "")];
    let kept = first.ledger(KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound }).await;
    first.clock.advance(Duration::from_secs(30));
    assert_eq!(second.ledger(ClaimReceived { limit: 10 }).await.len(), 1);
    first.ledger(ReleaseReceived { ids: vec![kept[0].id] }).await;
    assert_eq!(first.ledger(ClaimReceived { limit: 10 }).await, []);
}

#[actix_rt::test]
async fn two_processes_share_the_work_and_never_the_same_sms() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    first.open_outbox(0).await;
    second.open_outbox(0).await;
    first.accept(40).await;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    while one.len() + two.len() < 40 {
        let (a, b) = tokio::join!(first.claimed_ids(3), second.claimed_ids(3));
        assert!(!a.is_empty() || !b.is_empty(), "some are left");
        one.extend(a);
        two.extend(b);
    }
    let mut all: Vec<_> = one.iter().chain(&two).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40, "{one:?} {two:?}");
    assert!(!one.is_empty() && !two.is_empty(), "both had work");
}

#[actix_rt::test]
async fn two_processes_of_one_name_are_refused() {
    let Some(first) = StoreHarness::new() else { return };
    let again = open(first.fixture.settings(), first.clock.clone(), mpsc::channel(1).0);
    let refused = again.unwrap_err();
    assert!(matches!(&refused, OpenError::NodeTaken(node) if node == "local"), "{refused}");
}

#[actix_rt::test]
async fn a_receipt_and_the_answer_it_belongs_to_meet_whichever_process_has_which() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    first.open_outbox(0).await;
    let kept = first.accept(30).await;
    first.claimed_ids(30).await;
    for sms in &kept {
        let id = format!("p{}", sms.id);
        let then = Then::Done { status: TransportStatus::Queued, provider_id: Some(id.clone()) };
        let outcomes =
            vec![Outcome { id: sms.id, at: first.now(), attempts: 0, detail: String::new(), then, parts: Vec::new() }];
        let receipt = Receipt { provider_id: Some(id), ..Receipt::new(TransportStatus::Delivered, Vec::new()) };
        let told = RecordReceipts { transport: opera(), receipts: vec![receipt] };
        tokio::join!(
            first.ledger(RecordOutcomes { transport: opera(), outcomes, begin: Vec::new() }),
            second.ledger(told)
        );
        assert_eq!(first.find(sms.id).await.status, TransportStatus::Delivered);
    }
}

#[actix_rt::test]
async fn of_two_processes_that_take_a_session_further_at_once_one_does() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    let save = |after: &After, id: String| SaveSession {
        session: SessionRecord {
            owner: Name::parse("quiz").unwrap(),
            person: "p".to_owned(),
            address: String::new(),
            last_message_id: id,
            state: String::new(),
            expires_at: first.now().plus(Duration::from_secs(60)),
        },
        after: after.clone(),
        answers: Vec::new(),
        sms: Vec::new(),
    };
    let mut after = After::Nothing;
    for turn in 0..20 {
        let (one, two) = (format!("one {turn}"), format!("two {turn}"));
        let applied =
            tokio::join!(first.sessions(save(&after, one.clone())), second.sessions(save(&after, two.clone())));
        assert!(applied.0 != applied.1, "turn {turn}: {applied:?}");
        after = After::Message(if applied.0 { one } else { two });
    }
}

#[actix_rt::test]
async fn what_another_process_has_taken_over_is_not_given_away_by_the_one_that_was_late() {
    let Some(late) = StoreHarness::new() else { return };
    let other = beside(&late);
    late.open_outbox(5).await;
    other.open_outbox(0).await;
    let id = late.accept(1).await[0].id;
    late.clock.advance(Duration::from_secs(121));
    assert_eq!(other.claimed_ids(10).await, [id]);
    let then = Then::Again { at: late.now(), unknown_outcome: true };
    let outcomes = vec![Outcome { id, at: late.now(), attempts: 0, detail: "503".to_owned(), then, parts: Vec::new() }];
    late.ledger(RecordOutcomes { transport: opera(), outcomes, begin: Vec::new() }).await;
    assert!(late.claimed_ids(10).await.is_empty(), "the other one has it in hand");
}

#[actix_rt::test]
async fn a_key_that_two_processes_are_given_at_once_is_kept_once() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    let ask = |n: usize| {
        let key = IdempotencyKey { key: n.to_string(), request_digest: vec![1], keep_s: 60 };
        AcceptSms { batch: vec![sms(&n.to_string())], idempotency: Some(key) }
    };
    for round in 0..20 {
        let there = join_all((0..30).map(|n| first.store.store.ledger.ask_waiting(ask(round * 30 + n))));
        let back = join_all((0..30).rev().map(|n| second.store.store.ledger.ask_waiting(ask(round * 30 + n))));
        let (there, back) = tokio::join!(there, back);
        there.into_iter().chain(back).for_each(|answer| drop(answer.unwrap()));
    }
    assert_eq!(first.sms_rows("true"), 600, "each key once");
}

#[actix_rt::test]
async fn two_processes_never_take_more_of_a_budget_than_there_is() {
    let Some(first) = quotas::harness(vec![quotas::budget(20)]).await else { return };
    let second = beside(&first);
    first.open_outbox(0).await;
    let calls = |harness: &StoreHarness| {
        let ledger = harness.store.store.ledger.clone();
        join_all((0..20).map(move |_| {
            let ledger = ledger.clone();
            async move { ledger.ask_waiting(quotas::batch(1, None, quotas::segments(1))).await.unwrap() }
        }))
    };
    let (ours, theirs) = tokio::join!(calls(&first), calls(&second));
    let kept = ours.iter().chain(&theirs).filter(|answer| matches!(answer, AcceptedWithinQuota::Accepted(_))).count();
    assert_eq!((kept, first.sms_rows("true")), (10, 10));
    assert_eq!(quotas::state(&first).await, (10, 0, 20));
}

#[actix_rt::test]
async fn who_stops_an_account_waits_for_what_others_are_about_to_begin_and_nothing_begins_afterwards() {
    let Some(first) = quotas::harness(Vec::new()).await else { return };
    let second = beside(&first);
    second.open_outbox(10).await;
    let mut held = first.fixture.connect();
    held.batch_execute(HOLD).unwrap();
    let accept = || AcceptSms { batch: vec![sms("x")], idempotency: None };
    let ledger = second.store.store.ledger.clone();
    let accepting = actix_rt::spawn(async move { ledger.ask_waiting(accept()).await.unwrap() });
    // It has found that the account may send, and waits for the table.
    let waits = "(SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sms'::regclass)";
    let mut watch = first.fixture.connect();
    while diesel::select(diesel::dsl::sql::<BigInt>(waits)).get_result::<i64>(&mut watch).unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let mut stopping = Box::pin(change(&first, AccountChange::Stop));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut stopping).await.is_err(), "it does not wait");
    held.batch_execute("COMMIT").unwrap();
    let Accepted::Now(kept) = accepting.await.unwrap() else { panic!("not now") };
    stopping.await;
    assert_eq!((kept.len(), second.sms_rows("begun = 1")), (1, 1), "it had begun before");
    assert_eq!(second.ledger(accept()).await, Accepted::AccountStopped);
    assert_eq!(second.sms_rows("begun = 1"), 1);
}

#[actix_rt::test]
async fn a_stop_waits_for_what_began_in_another_process_before_it_is_confirmed() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    second.open_outbox(10).await;
    let mut held = first.fixture.connect();
    held.batch_execute(HOLD).unwrap();
    let accept = || AcceptSms { batch: vec![sms("x")], idempotency: None };
    let ledger = second.store.store.ledger.clone();
    let accepting = actix_rt::spawn(async move { ledger.ask_waiting(accept()).await.unwrap() });
    // It has found that nobody is out, and waits for the table.
    let waits = "(SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sms'::regclass)";
    let mut watch = first.fixture.connect();
    while diesel::select(diesel::dsl::sql::<BigInt>(waits)).get_result::<i64>(&mut watch).unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let inbound = vec![InboundSms::whole(sms("").to, sms("").from, "STOP")];
    let keep = KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound };
    let mut stopping = Box::pin(first.ledger(keep));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut stopping).await.is_err(), "it does not wait");
    held.batch_execute("COMMIT").unwrap();
    let Accepted::Now(kept) = accepting.await.unwrap() else { panic!("not now") };
    stopping.await;
    assert_eq!((kept.len(), second.sms_rows("begun = 1")), (1, 1), "it had begun before");
    second.ledger(accept()).await;
    assert_eq!((second.sms_rows("begun = 1"), second.sms_rows("status = 7")), (1, 1), "nothing begins afterwards");
}
