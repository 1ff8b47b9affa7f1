//! Levers: what waits is held, released and cancelled, what ended is sent again; and how SMS are found for it.

use std::{sync::Arc, time::Duration};

use vumi_kit::{
    callback::{CallbackFormat, CallbackName, ClaimDeliveries, CreateCallback},
    ledger::{AcceptSms, Accepted, SmsTimeline, Then},
    levers::{CancelResult, CancelSms, Lever, PullLever, PulledLever, SearchSms, SmsFilter},
    life::SmsState,
    sms::{NewSms, SmsId, TransportStatus},
    sms_options::SmsOptions,
};

use super::{ALICE, BOB, START, StoreHarness, msisdn, opera, sms};

const HOUR: Duration = Duration::from_secs(3600);

async fn pull(harness: &StoreHarness, lever: Lever, ids: &[SmsId]) -> PulledLever {
    harness.ledger(PullLever { lever, ids: ids.to_vec(), reason: "a test".into() }).await
}

fn done(count: usize) -> PulledLever {
    PulledLever { done: count, ..PulledLever::default() }
}

async fn state(harness: &StoreHarness, id: SmsId) -> SmsState {
    harness.find(id).await.state
}

async fn cancel(harness: &StoreHarness, account: i64, id: SmsId) -> Option<CancelResult> {
    harness.ledger(CancelSms { account, transport: Some(opera()), id }).await
}

async fn search(harness: &StoreHarness, filter: SmsFilter) -> Vec<SmsId> {
    let (mut found, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let page = harness.ledger(SearchSms { filter: filter.clone(), after: from, limit: 2 }).await;
        assert!(page.found.len() <= 2);
        found.extend(page.found.iter().map(|sms| sms.id));
        after = page.next;
    }
    found
}

async fn accept_one(harness: &StoreHarness, new: NewSms) -> SmsId {
    match harness.ledger(AcceptSms { batch: vec![new], idempotency: None }).await {
        Accepted::Now(kept) => kept[0].id,
        other => panic!("{other:?}"),
    }
}

fn scheduled(seconds: u64) -> NewSms {
    let send_at = Some(START.plus(Duration::from_secs(seconds)));
    NewSms { options: Arc::new(SmsOptions { send_at, ..SmsOptions::default() }), ..sms("later") }
}

/// What the timeline tells of an SMS.
async fn events(harness: &StoreHarness, id: SmsId) -> Vec<String> {
    let timeline = harness.ledger(SmsTimeline { account: ALICE, transport: Some(opera()), id }).await.unwrap();
    timeline.into_iter().map(|event| event.what.into_owned()).collect()
}

#[actix_rt::test]
async fn what_is_held_is_not_claimed_until_it_is_released() {
    let Some(harness) = StoreHarness::new() else { return };
    let ids: Vec<_> = harness.accept(3).await.iter().map(|sms| sms.id).collect();
    assert_eq!(pull(&harness, Lever::Hold, &ids[..2]).await, done(2));
    assert_eq!(state(&harness, ids[0]).await, SmsState::Held);
    assert_eq!(harness.claimed_ids(10).await, ids[2..]);
    harness.advance(1);
    let PulledLever { done: released, not_allowed, .. } = pull(&harness, Lever::Release, &ids).await;
    assert_eq!((released, not_allowed), (2, 1), "the third is not held");
    assert_eq!(state(&harness, ids[0]).await, SmsState::Accepted);
    assert_eq!(harness.claimed_ids(10).await, ids[..2]);
    assert_eq!(events(&harness, ids[0]).await, ["accepted", "held", "released"]);
}

#[actix_rt::test]
async fn what_is_held_from_the_beginning_waits_for_its_release() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let held = NewSms { options: SmsOptions::held("middleware links: a link".to_owned()), ..sms("see http://x") };
    let id = accept_one(&harness, held).await;
    assert_eq!((harness.handed_ids(), harness.claimed_ids(10).await), (vec![], vec![]));
    assert_eq!(
        (state(&harness, id).await, events(&harness, id).await),
        (SmsState::Held, vec!["accepted".into(), "held".into()])
    );
    assert_eq!(pull(&harness, Lever::Release, &[id]).await, done(1));
    assert_eq!(harness.claimed_ids(10).await, [id]);
}

#[actix_rt::test]
async fn what_is_claimed_and_not_begun_is_taken_back_and_what_is_begun_stays() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_window(10, 1).await;
    let ids: Vec<_> = harness.accept(3).await.iter().map(|sms| sms.id).collect();
    assert_eq!(harness.handed_ids(), ids);
    assert_eq!(pull(&harness, Lever::Cancel, &ids[..2]).await, PulledLever { done: 1, begun: 1, not_allowed: 0 });
    assert_eq!(pull(&harness, Lever::Hold, &ids[2..]).await, done(1));
    assert_eq!(state(&harness, ids[0]).await, SmsState::Claimed);
    assert_eq!(state(&harness, ids[1]).await, SmsState::Cancelled);
    harness.done(ids[0], "p").await;
    let recorded = harness.begin(&ids[1..]).await;
    assert_eq!((recorded.begun, recorded.gone), (vec![], ids[1..].to_vec()), "neither goes out");
    assert_eq!(state(&harness, ids[0]).await, SmsState::Submitted);
    assert_eq!(cancel(&harness, ALICE, ids[0]).await, Some(CancelResult::TooLate(SmsState::Submitted)));
    let fresh: Vec<_> = harness.accept(10).await.iter().map(|sms| sms.id).collect();
    assert_eq!(harness.handed_ids(), fresh, "the places of those that were taken back are free");
}

#[actix_rt::test]
async fn an_account_cancels_its_own_sms_once_and_its_callbacks_are_told() {
    let Some(harness) = StoreHarness::new() else { return };
    let (name, format, secret) = (CallbackName::SmsReceipt, CallbackFormat::Form, "whsec_x".to_owned());
    harness.callbacks(CreateCallback { account: ALICE, name, url: "http://a".to_owned(), format, secret }).await;
    let id = harness.accept(1).await[0].id;
    assert_eq!(cancel(&harness, BOB, id).await, None);
    harness.advance(5);
    for _ in 0..2 {
        let Some(CancelResult::Cancelled(sms)) = cancel(&harness, ALICE, id).await else { panic!("not cancelled") };
        assert_eq!((sms.state, sms.status), (SmsState::Cancelled, TransportStatus::Cancelled));
        assert_eq!(sms.provider_response.as_deref(), Some("cancelled by its client"));
        assert_eq!(sms.updated_at, harness.now());
    }
    assert!(harness.claim(10).await.is_empty());
    let prompt = Arc::new((0..100).collect());
    let claim = ClaimDeliveries { after: 0, limit: 9, most_per_callback: 9, prompt, most_of_others: 0, lease_s: 60 };
    let told = harness.callbacks(claim).await.deliveries;
    assert_eq!(told.len(), 1, "once");
    assert!(told[0].body.contains("transport_status=6"), "{}", told[0].body);
    assert_eq!(events(&harness, id).await, ["accepted", "cancelled"]);
}

#[actix_rt::test]
async fn what_has_begun_is_not_cancelled() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let id = harness.accept(1).await[0].id;
    assert_eq!(cancel(&harness, ALICE, id).await, Some(CancelResult::Begun));
    let then = Then::Again { at: harness.now().plus(HOUR), unknown_outcome: true };
    harness.outcome(id, "no answer", then).await;
    assert!(matches!(cancel(&harness, ALICE, id).await, Some(CancelResult::Cancelled(_))), "it waits again");
}

#[actix_rt::test]
async fn what_ended_is_sent_again_with_a_fresh_deadline_and_its_attempts_go_on_counting() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(2).await;
    let ids = harness.claimed_ids(10).await;
    harness.outcome(ids[0], "ERR", Then::Done { status: TransportStatus::RoutingError, provider_id: None }).await;
    harness.done(ids[1], "p").await;
    harness.advance(30 * 3600);
    let PulledLever { done, not_allowed, .. } = pull(&harness, Lever::Resend, &ids).await;
    assert_eq!((done, not_allowed), (1, 1), "the provider has the second");
    let again = harness.claim(10).await;
    assert_eq!((again.len(), again[0].id, again[0].attempts), (1, ids[0], 1));
    assert_eq!(again[0].give_up_at, harness.now().plus(24 * HOUR));
    harness.advance(1);
    harness.done(ids[0], "q").await;
    let sms = harness.find(ids[0]).await;
    assert_eq!((sms.state, sms.attempts), (SmsState::Submitted, 2));
    assert_eq!(events(&harness, ids[0]).await, ["accepted", "attempt", "resent", "attempt"]);
}

#[actix_rt::test]
async fn what_is_scheduled_waits_for_its_time_and_is_held_and_cancelled_meanwhile() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let ids = [
        accept_one(&harness, scheduled(100)).await,
        accept_one(&harness, scheduled(100)).await,
        accept_one(&harness, scheduled(100)).await,
    ];
    assert!(harness.handed_ids().is_empty() && harness.claim(10).await.is_empty());
    assert_eq!(state(&harness, ids[0]).await, SmsState::Scheduled);
    assert_eq!(harness.find(ids[0]).await.expires_at, START.plus(Duration::from_secs(100) + 24 * HOUR));
    pull(&harness, Lever::Hold, &ids[1..2]).await;
    pull(&harness, Lever::Cancel, &ids[2..]).await;
    pull(&harness, Lever::Release, &ids[1..2]).await;
    assert_eq!(state(&harness, ids[1]).await, SmsState::Scheduled, "released before its time");
    harness.advance(100);
    assert_eq!(state(&harness, ids[0]).await, SmsState::Accepted);
    assert_eq!(harness.claimed_ids(10).await, ids[..2]);
}

#[actix_rt::test]
async fn sms_are_found_by_all_that_a_filter_says() {
    let Some(harness) = StoreHarness::new() else { return };
    let batch: Vec<_> = harness.accept(3).await.iter().map(|sms| sms.id).collect();
    harness.advance(3600);
    let other = accept_one(&harness, NewSms { account: BOB, to: msisdn("27820000000"), ..sms("x") }).await;
    pull(&harness, Lever::Hold, &batch[1..2]).await;
    let all = [batch.clone(), vec![other]].concat();
    let any = SmsFilter::default;
    let half = START.plus(HOUR / 2);
    for (filter, expected) in [
        (any(), all.clone()),
        (SmsFilter { ids: vec![other, batch[0], 999], ..any() }, vec![batch[0], other]),
        (SmsFilter { account: Some(BOB), ..any() }, vec![other]),
        (SmsFilter { batch: Some(batch[0]), ..any() }, batch.clone()),
        (SmsFilter { batch: Some(batch[1]), ..any() }, vec![batch[1]]),
        (SmsFilter { transport: Some(opera()), ..any() }, all.clone()),
        (SmsFilter { states: vec![SmsState::Held, SmsState::Failed], ..any() }, vec![batch[1]]),
        (SmsFilter { to: Some(msisdn("27820000000")), ..any() }, vec![other]),
        (SmsFilter { newer: Some(half), ..any() }, vec![other]),
        (SmsFilter { older: Some(half), ..any() }, batch.clone()),
        (SmsFilter { newer: Some(START), older: Some(START), ..any() }, vec![]),
        (SmsFilter { account: Some(ALICE), states: vec![SmsState::Accepted], ..any() }, vec![batch[0], batch[2]]),
    ] {
        assert_eq!(search(&harness, filter.clone()).await, expected, "{filter:?}");
    }
}

#[actix_rt::test]
async fn a_search_looks_at_a_bounded_number_of_rows_and_finds_all_the_same() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(5_001).await;
    let last = accept_one(&harness, NewSms { account: BOB, ..sms("x") }).await;
    let filter = SmsFilter { account: Some(BOB), ..SmsFilter::default() };
    let first = harness.ledger(SearchSms { filter: filter.clone(), after: 0, limit: 10 }).await;
    assert!(first.found.is_empty() && first.next.is_some(), "{first:?}");
    assert_eq!(search(&harness, filter).await, [last]);
}
