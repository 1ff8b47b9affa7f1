//! Accounts share a transport fairly, and priorities go first.

use std::{sync::Arc, time::Duration};

use diesel::connection::SimpleConnection;
use vumi_kit::{
    ledger::{AcceptSms, Accepted},
    levers::{Lever, PullLever},
    life::SmsState,
    sms::{NewSms, SmsId, Submission},
    sms_options::{Priority, SmsOptions},
};

use super::{ALICE, BOB, StoreHarness, sms};

async fn accept(harness: &StoreHarness, account: i64, priority: Priority, count: usize, message: &str) -> Vec<SmsId> {
    let options = Arc::new(SmsOptions { priority, ..SmsOptions::default() });
    let new = NewSms { account, options, ..sms(message) };
    let batch = vec![new; count];
    let Accepted::Now(kept) = harness.ledger(AcceptSms { batch, idempotency: None }).await else { panic!("not now") };
    kept.iter().map(|sms| sms.id).collect()
}

fn of(claimed: &[Submission], ids: &[SmsId]) -> usize {
    claimed.iter().filter(|submission| ids.contains(&submission.id)).count()
}

#[actix_rt::test]
async fn one_sms_behind_anothers_batch_is_among_the_next_that_are_claimed() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    accept(&harness, ALICE, Priority::Normal, 2000, "bulk").await;
    harness.claim(10).await;
    let one = accept(&harness, BOB, Priority::Normal, 1, "one").await;
    let claimed = harness.claim(10).await;
    assert_eq!((claimed.len(), of(&claimed, &one)), (10, 1));
}

#[actix_rt::test]
async fn accounts_get_the_same_number_of_segments_and_not_of_sms() {
    let Some(harness) = StoreHarness::new() else { return };
    let long = accept(&harness, ALICE, Priority::Normal, 300, &"x".repeat(4 * 153)).await;
    let short = accept(&harness, BOB, Priority::Normal, 300, "x").await;
    let mut claimed = Vec::new();
    for _ in 0..20 {
        claimed.extend(harness.claim(10).await);
    }
    let (of_long, of_short) = (of(&claimed, &long), of(&claimed, &short));
    assert_eq!(of_long + of_short, 200, "no place is left empty");
    assert!((36..=44).contains(&of_long), "{of_long} of four segments, {of_short} of one");
}

#[actix_rt::test]
async fn a_higher_priority_goes_first_and_a_lower_one_always_gets_on() {
    let Some(harness) = StoreHarness::new() else { return };
    let low = accept(&harness, ALICE, Priority::Low, 300, "newsletter").await;
    let normal = accept(&harness, ALICE, Priority::Normal, 300, "hello").await;
    let high = accept(&harness, BOB, Priority::High, 300, "one-time password").await;
    let claimed = harness.claim(10).await;
    assert_eq!(of(&claimed, &high), 10, "nothing is owed to the others yet");
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(harness.claim(10).await);
    }
    assert_eq!(all.len(), 200);
    assert!((150..=170).contains(&of(&all, &high)), "{}", of(&all, &high));
    assert!((14..=22).contains(&of(&all, &normal)) && (14..=22).contains(&of(&all, &low)));
    // With nothing above it, a lane has all.
    while !harness.claim(100).await.is_empty() {}
    assert_eq!(harness.sms_rows("claimed_by IS NULL"), 0);
}

#[actix_rt::test]
async fn who_waits_is_found_again_after_a_restart_and_where_another_process_accepted_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let ids = accept(&harness, BOB, Priority::Low, 2, "x").await;
    let harness = harness.restarted().await;
    harness.open_outbox(10).await;
    assert_eq!(harness.claimed_ids(1).await, ids[..1]);
    // Another account's, that nobody here was told of.
    let theirs = format!(
        "UPDATE sms SET account = 77, claimed_by = NULL, begun = 0, next_attempt_at = created_at WHERE id = {}",
        ids[0]
    );
    harness.fixture.connect().batch_execute(&theirs).unwrap();
    harness.advance(2);
    let mut claimed = harness.claimed_ids(10).await;
    claimed.sort_unstable();
    assert_eq!(claimed, ids);
}

#[actix_rt::test]
async fn what_is_held_expires_all_the_same() {
    let Some(harness) = StoreHarness::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    let ids = accept(&harness, ALICE, Priority::Normal, 2, "x").await;
    let hold = PullLever { lever: Lever::Hold, ids: ids.clone(), reason: "a test".into() };
    harness.ledger(hold).await;
    harness.advance(59);
    harness.sweep().await;
    assert_eq!(harness.find(ids[0]).await.state, SmsState::Held);
    harness.advance(1);
    harness.sweep().await;
    assert_eq!(harness.find(ids[0]).await.state, SmsState::Expired);
    assert_eq!(harness.sms_rows("held_at IS NOT NULL"), 0, "it is held no longer");
}

#[actix_rt::test]
async fn a_claim_looks_past_a_bounded_number_of_expired_sms() {
    let Some(harness) = StoreHarness::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    accept(&harness, ALICE, Priority::Normal, 200, "old").await;
    harness.advance(60);
    let fresh = accept(&harness, BOB, Priority::Normal, 1, "fresh").await;
    let claimed = harness.claimed_ids(10).await;
    assert_eq!(claimed, fresh, "another's expired SMS stand in nobody's way");
    let left = harness.sms_rows("next_attempt_at IS NOT NULL AND claimed_by IS NULL");
    assert!((100..200).contains(&left), "{left}");
}
