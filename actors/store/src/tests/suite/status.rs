//! How SMS are, and what happened to them.

use std::time::Duration;

use vumi_kit::{
    callback::{CallbackName, ClaimDeliveries, CreateCallback, DeliveryAttempt, DeliveryThen, RecordDeliveryAttempts},
    ledger::{ListSms, RecordReceipts, SmsTimeline, Then, Which},
    sms::{Receipt, SmsId, TransportStatus},
};

use super::{ALICE, BOB, START, Stage, opera};

async fn list(stage: &Stage, account: i64, which: Which, start: usize, limit: usize) -> Vec<SmsId> {
    let listed = stage.ledger(ListSms { account, transport: opera(), which, start, limit }).await;
    listed.into_iter().map(|sms| sms.id).collect()
}

#[actix_rt::test]
async fn sms_changed_since_a_moment_are_listed_newest_first_page_by_page() {
    let Some(stage) = Stage::new() else { return };
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(stage.accept(1).await[0].id);
        stage.advance(1);
    }
    stage.done(ids[0], "changed last").await;
    let since = |seconds| Which::Since(START.plus(Duration::from_secs(seconds)));
    assert_eq!(list(&stage, ALICE, since(0), 0, 100).await, [ids[0], ids[3], ids[2], ids[1]]);
    assert_eq!(list(&stage, ALICE, since(2), 0, 100).await, [ids[0], ids[3], ids[2]]);
    assert_eq!(list(&stage, ALICE, since(0), 1, 2).await, [ids[3], ids[2]]);
    assert!(list(&stage, ALICE, since(5), 0, 100).await.is_empty());
    assert!(list(&stage, BOB, since(0), 0, 100).await.is_empty());
}

#[actix_rt::test]
async fn sms_of_one_moment_are_listed_by_number() {
    let Some(stage) = Stage::new() else { return };
    let kept = stage.accept(3).await;
    let expected: Vec<_> = kept.iter().rev().map(|sms| sms.id).collect();
    assert_eq!(list(&stage, ALICE, Which::Since(START), 0, 100).await, expected);
}

#[actix_rt::test]
async fn sms_are_listed_by_their_numbers_and_others_are_left_out() {
    let Some(stage) = Stage::new() else { return };
    let kept = stage.accept(3).await;
    let asked = Which::Ids(vec![kept[0].id, kept[2].id, 999, kept[0].id]);
    assert_eq!(list(&stage, ALICE, asked.clone(), 0, 100).await, [kept[2].id, kept[0].id]);
    assert_eq!(list(&stage, ALICE, asked.clone(), 1, 100).await, [kept[0].id]);
    assert!(list(&stage, BOB, asked, 0, 100).await.is_empty());
}

#[actix_rt::test]
async fn the_timeline_tells_all_in_order_of_time() {
    let Some(stage) = Stage::new() else { return };
    let (name, url, secret) = (CallbackName::SmsReceipt, "http://a/".to_owned(), "s".to_owned());
    stage.callbacks(CreateCallback { account: ALICE, name, url, secret }).await;
    let id = stage.accept(1).await[0].id;
    stage.claim(1).await;
    stage.advance(1);
    stage.outcome(id, "503", Then::Again { at: stage.now(), unsure: false }).await;
    stage.claim(1).await;
    stage.advance(1);
    stage.done(id, "abc").await;
    stage.advance(1);
    let fields = vec![("status".to_owned(), "004".to_owned())];
    let status = TransportStatus::DELIVERED;
    let receipt = Receipt { provider_id: Some("abc".to_owned()), sms: None, to: None, status, at: None, fields };
    stage.ledger(RecordReceipts { account: ALICE, transport: opera(), receipts: vec![receipt] }).await;
    let claim = ClaimDeliveries { limit: 1, most_per_callback: 1, lease_s: 60 };
    let delivery = stage.callbacks(claim).await[0].id;
    stage.advance(1);
    let attempt = |http_status, error: Option<&str>, then| DeliveryAttempt {
        delivery,
        at: stage.now(),
        http_status,
        error: error.map(str::to_owned),
        then,
    };
    let again = attempt(Some(500), Some("not a 2xx"), DeliveryThen::Again(stage.now()));
    let attempts = vec![again, attempt(Some(200), None, DeliveryThen::Done)];
    stage.callbacks(RecordDeliveryAttempts { attempts }).await;

    let events = stage.ledger(SmsTimeline { account: ALICE, transport: opera(), id }).await.unwrap();
    let told: Vec<_> =
        events.iter().map(|event| (event.at.since(START).as_secs(), event.what, event.detail.as_str())).collect();
    assert_eq!(
        told,
        [
            (0, "accepted", "for opera"),
            (1, "attempt", "503"),
            (2, "attempt", "ID: x"),
            (3, "receipt", "4 Received by recipient"),
            (4, "callback", "HTTP 500: not a 2xx"),
            (4, "callback", "HTTP 200"),
        ]
    );
    assert_eq!(stage.ledger(SmsTimeline { account: BOB, transport: opera(), id }).await, None);
}
