//! Callbacks and their deliveries.

use std::sync::Arc;

use vumi_kit::{
    callback::{
        Callback, CallbackName, ChangeCallback, ClaimDeliveries, CreateCallback, DeleteCallback, Delivery,
        DeliveryAttempt, DeliveryThen, FindCallback, ListCallbacks, ListParked, RecordDeliveryAttempts, ReplayParked,
    },
    ledger::{KeepReceived, SmsOwner},
    sms::InboundSms,
};

use super::{ALICE, BOB, StoreHarness, msisdn, opera};

async fn create(harness: &StoreHarness, account: i64, url: &str) -> Callback {
    let (name, secret) = (CallbackName::SmsReceived, "whsec_x".to_owned());
    harness.callbacks(CreateCallback { account, name, url: url.to_owned(), secret }).await
}

/// An event that the account's callbacks are told of.
async fn event(harness: &StoreHarness, account: i64) {
    let sms = InboundSms {
        from: msisdn("27831234567"),
        to: msisdn("38080"),
        message: "x".to_owned(),
        charset: None,
        provider_id: None,
        at: None,
        part: None,
    };
    harness.ledger(KeepReceived { owner: SmsOwner::Account(account), transport: opera(), inbound: vec![sms] }).await;
}

async fn claim(harness: &StoreHarness, limit: usize, most_per_callback: usize) -> Vec<Delivery> {
    // All of them answer promptly.
    let prompt = Arc::new((0..100).collect());
    harness.callbacks(ClaimDeliveries { limit, most_per_callback, prompt, most_of_others: 0, lease_s: 60 }).await
}

async fn record(harness: &StoreHarness, delivery: &Delivery, http_status: Option<u16>, then: DeliveryThen) {
    let error = http_status.is_none().then(|| "connection refused".to_owned());
    let (delivery, held_until) = (delivery.id, delivery.lease_until);
    let attempts = vec![DeliveryAttempt { delivery, held_until, at: harness.now(), http_status, error, then }];
    harness.callbacks(RecordDeliveryAttempts { attempts }).await;
}

#[actix_rt::test]
async fn callbacks_are_created_listed_found_changed_and_deleted() {
    let Some(harness) = StoreHarness::new() else { return };
    let (first, second) = (create(&harness, ALICE, "http://a/").await, create(&harness, ALICE, "http://b/").await);
    assert_eq!(harness.callbacks(ListCallbacks { account: ALICE }).await, [first.clone(), second.clone()]);
    assert_eq!(harness.callbacks(FindCallback { account: ALICE, id: first.id }).await, Some(first.clone()));
    harness.advance(1);
    let change = |id, account| ChangeCallback { account, id, name: None, url: Some("http://c/".to_owned()) };
    let changed = harness.callbacks(change(first.id, ALICE)).await.unwrap();
    assert_eq!(changed, Callback { url: "http://c/".to_owned(), updated_at: harness.now(), ..first.clone() });
    assert!(harness.callbacks(DeleteCallback { account: ALICE, id: second.id }).await);
    assert!(!harness.callbacks(DeleteCallback { account: ALICE, id: second.id }).await);
    assert_eq!(harness.callbacks(ListCallbacks { account: ALICE }).await, [changed]);
}

#[actix_rt::test]
async fn another_accounts_callback_is_not_there() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://a/").await.id;
    assert_eq!(harness.callbacks(FindCallback { account: BOB, id }).await, None);
    assert_eq!(harness.callbacks(ChangeCallback { account: BOB, id, name: None, url: None }).await, None);
    assert!(!harness.callbacks(DeleteCallback { account: BOB, id }).await);
    assert_eq!(harness.callbacks(ListCallbacks { account: BOB }).await, []);
}

#[actix_rt::test]
async fn one_callbacks_long_queue_leaves_room_for_the_others() {
    let Some(harness) = StoreHarness::new() else { return };
    let dead = create(&harness, ALICE, "http://dead/").await.id;
    for _ in 0..10 {
        event(&harness, ALICE).await;
    }
    let alive = create(&harness, BOB, "http://alive/").await.id;
    event(&harness, BOB).await;
    let of = |claimed: Vec<Delivery>| claimed.into_iter().map(|delivery| delivery.callback).collect::<Vec<_>>();
    assert_eq!(of(claim(&harness, 10, 3).await), [dead, dead, dead, alive]);
    event(&harness, BOB).await;
    assert_eq!(of(claim(&harness, 10, 3).await), [alive], "the dead one's three are still out");
    harness.advance(60);
    assert_eq!(of(claim(&harness, 2, 3).await), [dead, dead], "oldest first, as many as asked for");
}

#[actix_rt::test]
async fn callbacks_that_hang_leave_room_for_those_that_answer() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut hanging = Vec::new();
    for n in 0..5 {
        hanging.push(create(&harness, ALICE, &format!("http://hangs/{n}")).await.id);
    }
    event(&harness, ALICE).await;
    event(&harness, ALICE).await;
    let prompt = create(&harness, BOB, "http://answers/").await.id;
    for _ in 0..4 {
        event(&harness, BOB).await;
    }
    let claim = async || {
        let prompt = Arc::new([prompt].into());
        let ask = ClaimDeliveries { limit: 6, most_per_callback: 4, prompt, most_of_others: 2, lease_s: 60 };
        harness.callbacks(ask).await
    };
    let of = |claimed: &[Delivery]| claimed.iter().map(|delivery| delivery.callback).collect::<Vec<_>>();
    let first = claim().await;
    // One of each, two in all, and four for the one that answers.
    assert_eq!(of(&first), [hanging[0], hanging[1], prompt, prompt, prompt, prompt]);
    assert!(claim().await.is_empty());
    record(&harness, &first[0], None, DeliveryThen::Parked).await;
    assert_eq!(of(&claim().await), [hanging[2]], "the place goes to whose turn it is");
}

#[actix_rt::test]
async fn what_was_claimed_again_since_is_neither_parked_nor_put_off_by_its_first_holder() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    event(&harness, ALICE).await;
    let first = claim(&harness, 10, 10).await.remove(0);
    harness.advance(60);
    let second = claim(&harness, 10, 10).await.remove(0);
    record(&harness, &first, None, DeliveryThen::Parked).await;
    assert!(harness.callbacks(ListParked { limit: 10 }).await.is_empty(), "it is with its second holder");
    assert!(claim(&harness, 10, 10).await.is_empty());
    record(&harness, &second, None, DeliveryThen::Again(harness.now())).await;
    let third = claim(&harness, 10, 10).await.remove(0);
    assert_eq!(third.attempts, 2, "both attempts count");
    record(&harness, &second, Some(200), DeliveryThen::Done).await;
    assert!(claim(&harness, 10, 10).await.is_empty(), "it arrived, whoever brought it");
}

#[actix_rt::test]
async fn a_failed_post_is_due_again_then_and_a_success_never() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    event(&harness, ALICE).await;
    let first = claim(&harness, 10, 10).await.remove(0);
    let at = harness.now().plus(std::time::Duration::from_secs(5));
    record(&harness, &first, Some(500), DeliveryThen::Again(at)).await;
    assert!(claim(&harness, 10, 10).await.is_empty());
    harness.advance(5);
    let second = claim(&harness, 10, 10).await.remove(0);
    assert_eq!((second.id, second.attempts, second.created_at), (first.id, 1, first.created_at));
    record(&harness, &second, Some(200), DeliveryThen::Done).await;
    harness.advance(1000);
    assert!(claim(&harness, 10, 10).await.is_empty());
}

#[actix_rt::test]
async fn a_changed_url_holds_for_what_is_still_to_be_posted() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://old/").await.id;
    event(&harness, ALICE).await;
    let url = Some("http://new/".to_owned());
    harness.callbacks(ChangeCallback { account: ALICE, id, name: None, url }).await;
    assert_eq!(claim(&harness, 10, 10).await[0].url, "http://new/");
}

#[actix_rt::test]
async fn a_deleted_callback_takes_along_what_was_to_be_posted() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://a/").await.id;
    event(&harness, ALICE).await;
    event(&harness, ALICE).await;
    let out = claim(&harness, 1, 10).await.remove(0);
    harness.callbacks(DeleteCallback { account: ALICE, id }).await;
    assert!(claim(&harness, 10, 10).await.is_empty());
    // An attempt that was under way meanwhile does no harm.
    record(&harness, &out, Some(200), DeliveryThen::Done).await;
}

#[actix_rt::test]
async fn what_was_given_up_is_parked_seen_and_replayed() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        event(&harness, ALICE).await;
        let claimed = claim(&harness, 1, 10).await.remove(0);
        let id = claimed.id;
        record(&harness, &claimed, None, DeliveryThen::Parked).await;
        harness.advance(1);
        ids.push(id);
    }
    assert!(claim(&harness, 10, 10).await.is_empty());
    let parked = harness.callbacks(ListParked { limit: 2 }).await;
    assert_eq!(parked.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[2], ids[1]], "newest first");
    assert_eq!((parked[0].error.as_str(), parked[0].attempts), ("connection refused", 1));
    assert_eq!(parked[0].url, "http://a/");

    harness.advance(24 * 3600);
    assert_eq!(harness.callbacks(ReplayParked { ids: Some(vec![ids[1], 999]) }).await, 1);
    let replayed = claim(&harness, 10, 10).await.remove(0);
    assert_eq!((replayed.id, replayed.created_at), (ids[1], harness.now()), "its day begins anew");
    assert_eq!(harness.callbacks(ReplayParked { ids: None }).await, 2);
    assert_eq!(claim(&harness, 10, 10).await.len(), 2);
    assert_eq!(harness.callbacks(ListParked { limit: 10 }).await, []);
}

#[actix_rt::test]
async fn what_a_dead_process_was_posting_is_due_when_its_successor_starts() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    event(&harness, ALICE).await;
    let id = claim(&harness, 10, 10).await[0].id;
    let harness = harness.restarted().await;
    assert_eq!(claim(&harness, 10, 10).await[0].id, id);
}
