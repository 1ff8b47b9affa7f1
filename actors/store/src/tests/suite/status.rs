//! How SMS are, and what happened to them.

use std::{sync::Arc, time::Duration};

use vumi_kit::{
    callback::{
        CallbackFormat, CallbackName, ClaimDeliveries, CreateCallback, DeliveryAttempt, DeliveryThen,
        RecordDeliveryAttempts,
    },
    ledger::{ListSms, Order, RecordReceipts, SmsTimeline, StatusCursor, Then, Which},
    sms::{Receipt, SmsId, TransportStatus},
};

use super::{ALICE, BOB, START, StoreHarness, opera};

async fn list(harness: &StoreHarness, account: i64, which: Which, start: usize, limit: usize) -> Vec<SmsId> {
    let listed = harness.ledger(ListSms { account, transport: Some(opera()), which, start, limit }).await;
    listed.into_iter().map(|sms| sms.id).collect()
}

fn since(seconds: u64, order: Order, after: Option<StatusCursor>) -> Which {
    Which::Since { at: START.plus(Duration::from_secs(seconds)), order, after }
}

/// Two SMS after a place, and the place of the second.
async fn page(harness: &StoreHarness, order: Order, after: Option<StatusCursor>) -> (Vec<SmsId>, Option<StatusCursor>) {
    let which = since(1, order, after);
    let ask = ListSms { account: ALICE, transport: Some(opera()), which, start: 0, limit: 2 };
    let listed = harness.ledger(ask).await;
    (listed.iter().map(|sms| sms.id).collect(), listed.last().map(StatusCursor::of))
}

#[actix_rt::test]
async fn a_place_in_the_list_stays_where_it_is_while_sms_change() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(1).await;
    harness.advance(1);
    let mut ids: Vec<SmsId> = Vec::new();
    // Pairs of one moment: pages begin and end in the middle of them.
    for _ in 0..3 {
        ids.extend(harness.accept(2).await.iter().map(|sms| sms.id));
        harness.advance(1);
    }
    let one = harness.accept(1).await[0].id;
    harness.advance(1);

    // Newest first: what has been listed and changes is not listed twice, and moves no other.
    let (first, place) = page(&harness, Order::NewestFirst, None).await;
    assert_eq!(first, [one, ids[5]]);
    harness.done(one, "changed").await;
    harness.advance(1);
    let (second, place) = page(&harness, Order::NewestFirst, place).await;
    assert_eq!(second, [ids[4], ids[3]]);
    harness.done(ids[4], "changed").await;
    let (third, place) = page(&harness, Order::NewestFirst, place).await;
    assert_eq!(third, [ids[2], ids[1]]);
    let (fourth, place) = page(&harness, Order::NewestFirst, place).await;
    assert_eq!(fourth, [ids[0]]);
    assert!(page(&harness, Order::NewestFirst, place).await.0.is_empty());

    // Oldest first: what changes meanwhile is met again, as it is then; nothing is missed.
    let (first, place) = page(&harness, Order::OldestFirst, None).await;
    assert_eq!(first, [ids[0], ids[1]]);
    harness.advance(1);
    harness.done(ids[2], "changed").await;
    let mut rest = Vec::new();
    let mut place = place;
    loop {
        let (some, last) = page(&harness, Order::OldestFirst, place).await;
        if some.is_empty() {
            break;
        }
        (rest, place) = ([rest, some].concat(), last);
    }
    assert_eq!(rest, [ids[3], ids[5], one, ids[4], ids[2]]);
    let early = Some(StatusCursor { updated_at: START, id: 1_000 });
    assert_eq!(page(&harness, Order::OldestFirst, early).await.0, first, "`since` holds beside the place");
}

#[actix_rt::test]
async fn sms_changed_since_a_moment_are_listed_newest_first_page_by_page() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(harness.accept(1).await[0].id);
        harness.advance(1);
    }
    harness.done(ids[0], "changed last").await;
    let since = |seconds| since(seconds, Order::NewestFirst, None);
    assert_eq!(list(&harness, ALICE, since(0), 0, 100).await, [ids[0], ids[3], ids[2], ids[1]]);
    assert_eq!(list(&harness, ALICE, since(2), 0, 100).await, [ids[0], ids[3], ids[2]]);
    assert_eq!(list(&harness, ALICE, since(0), 1, 2).await, [ids[3], ids[2]]);
    assert!(list(&harness, ALICE, since(5), 0, 100).await.is_empty());
    assert!(list(&harness, BOB, since(0), 0, 100).await.is_empty());
}

#[actix_rt::test]
async fn sms_of_one_moment_are_listed_by_number() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = harness.accept(3).await;
    let expected: Vec<_> = kept.iter().rev().map(|sms| sms.id).collect();
    assert_eq!(list(&harness, ALICE, since(0, Order::NewestFirst, None), 0, 100).await, expected);
}

#[actix_rt::test]
async fn sms_are_listed_by_their_numbers_and_others_are_left_out() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = harness.accept(3).await;
    let asked = Which::Ids(vec![kept[0].id, kept[2].id, 999, kept[0].id]);
    assert_eq!(list(&harness, ALICE, asked.clone(), 0, 100).await, [kept[2].id, kept[0].id]);
    assert_eq!(list(&harness, ALICE, asked.clone(), 1, 100).await, [kept[0].id]);
    assert!(list(&harness, BOB, asked, 0, 100).await.is_empty());
}

#[actix_rt::test]
async fn the_timeline_tells_all_in_order_of_time() {
    let Some(harness) = StoreHarness::new() else { return };
    let (name, url, secret) = (CallbackName::SmsReceipt, "http://a/".to_owned(), "s".to_owned());
    harness.callbacks(CreateCallback { account: ALICE, name, url, format: CallbackFormat::Form, secret }).await;
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    harness.advance(1);
    harness.outcome(id, "503", Then::Again { at: harness.now(), unknown_outcome: false }).await;
    harness.claim(1).await;
    harness.advance(1);
    harness.done(id, "abc").await;
    harness.advance(1);
    let fields = vec![("status".to_owned(), "004".to_owned())];
    let status = TransportStatus::Delivered;
    let receipt = Receipt { provider_id: Some("abc".to_owned()), ..Receipt::new(status, fields) };
    harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt] }).await;
    let prompt = Arc::default();
    let claim = ClaimDeliveries { after: 0, limit: 1, most_per_callback: 1, prompt, most_of_others: 1, lease_s: 60 };
    let claimed = harness.callbacks(claim).await.deliveries.remove(0);
    harness.advance(1);
    let attempt = |http_status, error: Option<&str>, then| DeliveryAttempt {
        delivery: claimed.id,
        held_until: claimed.lease_until,
        at: harness.now(),
        http_status,
        error: error.map(str::to_owned),
        then,
    };
    let again = attempt(Some(500), Some("not a 2xx"), DeliveryThen::Again(harness.now()));
    let attempts = vec![again, attempt(Some(200), None, DeliveryThen::Done)];
    harness.callbacks(RecordDeliveryAttempts { attempts, disable_after: std::time::Duration::MAX }).await;

    let events = harness.ledger(SmsTimeline { account: ALICE, transport: Some(opera()), id }).await.unwrap();
    let told: Vec<_> =
        events.iter().map(|event| (event.at.since(START).as_secs(), &*event.what, event.detail.as_str())).collect();
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
    let ids: Vec<_> = events.iter().map(|event| event.provider_id.as_deref()).collect();
    assert_eq!(ids, [None, None, Some("abc"), Some("abc"), None, None]);
    assert_eq!(harness.ledger(SmsTimeline { account: BOB, transport: Some(opera()), id }).await, None);
}
