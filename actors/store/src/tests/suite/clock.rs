//! The machine's clock is set while SMS wait: nothing expires, is claimed twice or stands still for that.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use vumi_kit::{
    ledger::{KeepReceived, SmsOwner, Then},
    sms::{InboundPart, InboundSms, SmsId},
};

use super::{ALICE, StoreHarness, msisdn, opera};

const DAY_AND_MORE: i64 = 25 * 3600;
const HOUR_BACK: i64 = -3600;

#[actix_rt::test]
async fn a_clock_that_is_set_takes_no_claim_and_ends_nothing() {
    for set_by in [120, DAY_AND_MORE, HOUR_BACK] {
        let Some(harness) = StoreHarness::new() else { return };
        harness.open_outbox(10).await;
        let claimed = harness.accept(1).await[0].id;
        harness.clock.jump(set_by);
        assert!(harness.claim(10).await.is_empty(), "its lease goes on");
        harness.outcome(claimed, "503", Then::Again { at: harness.now(), unknown_outcome: false }).await;
        assert_eq!(harness.claimed_ids(10).await, [claimed], "it waits no longer than it is to");
    }
}

/// Two SMS that are to be tried again: one at once, and one in a minute.
async fn due_now_and_in_a_minute(harness: &StoreHarness) -> (SmsId, SmsId) {
    harness.open_outbox(0).await;
    let now = harness.accept(1).await[0].id;
    let later = harness.accept(1).await[0].id;
    harness.claimed_ids(10).await;
    harness.outcome(now, "", Then::Again { at: harness.now(), unknown_outcome: false }).await;
    let at = harness.now().plus(Duration::from_secs(60));
    harness.outcome(later, "", Then::Again { at, unknown_outcome: false }).await;
    (now, later)
}

#[actix_rt::test]
async fn what_waits_over_a_restart_keeps_its_time() {
    for set_by in [DAY_AND_MORE, HOUR_BACK] {
        let Some(harness) = StoreHarness::new() else { return };
        let (now, later) = due_now_and_in_a_minute(&harness).await;
        harness.clock.jump(set_by);
        let harness = harness.restarted().await;
        harness.open_outbox(10).await;
        assert_eq!(harness.claimed_ids(10).await, [now], "set by {set_by} s");
        harness.advance(60);
        assert_eq!(harness.claimed_ids(10).await, [later], "set by {set_by} s");
    }
}

/// The machine itself is started again: its own clock tells nothing of the time before.
async fn rebooted(harness: StoreHarness) -> StoreHarness {
    let StoreHarness { fixture, clock, store, .. } = harness;
    store.close().await;
    fixture.connect().batch_execute("UPDATE ledger_clock SET boot = 'another'").unwrap();
    StoreHarness::at(fixture, clock, |_| {})
}

#[actix_rt::test]
async fn a_start_of_the_machine_after_a_run_with_a_slow_clock_ends_nothing() {
    // The clock was slow by so much when the router started, and set right while it ran.
    for (slow_by, off_for, back_by) in [(DAY_AND_MORE, 0, 0), (DAY_AND_MORE, 30, 0), (DAY_AND_MORE, 0, HOUR_BACK)] {
        let Some(harness) = StoreHarness::new() else { return };
        let (now, later) = due_now_and_in_a_minute(&harness).await;
        harness.clock.jump(slow_by);
        harness.sweep().await;
        harness.advance(off_for);
        harness.clock.jump(back_by);
        let harness = rebooted(harness).await;
        harness.open_outbox(10).await;
        assert_eq!(harness.claimed_ids(10).await, [now], "slow by {slow_by} s");
        harness.advance(60);
        assert_eq!(harness.claimed_ids(10).await, [later], "slow by {slow_by} s");
    }
}

#[actix_rt::test]
async fn what_a_provider_repeats_over_a_restart_with_another_clock_is_known() {
    for set_by in [DAY_AND_MORE, HOUR_BACK] {
        let Some(harness) = StoreHarness::new() else { return };
        let inbound = || InboundSms {
            provider_id: Some("id".to_owned()),
            ..InboundSms::whole(msisdn("27831234567"), msisdn("38080"), "x")
        };
        let first = InboundPart { reference: "7".to_owned(), number: 1, total: 2, waits: None };
        let part = || InboundSms { part: Some(first.clone()), provider_id: Some("part".to_owned()), ..inbound() };
        let second = InboundSms { part: Some(InboundPart { number: 2, ..first.clone() }), ..inbound() };
        let keep = async |harness: &StoreHarness, sms: InboundSms| {
            let owner = SmsOwner::Account(ALICE);
            harness.ledger(KeepReceived { owner, transport: opera(), inbound: vec![sms] }).await
        };
        let kept = keep(&harness, inbound()).await;
        keep(&harness, part()).await;
        let joined = keep(&harness, second).await;
        assert!(!kept[0].repeated && !joined[0].repeated);
        harness.clock.jump(set_by);
        let harness = harness.restarted().await;
        let repeated = keep(&harness, inbound()).await;
        assert_eq!((repeated[0].id, repeated[0].repeated), (kept[0].id, true), "set by {set_by} s");
        let repeated = keep(&harness, part()).await;
        assert_eq!((repeated[0].id, repeated[0].repeated), (joined[0].id, true), "set by {set_by} s");
        harness.advance(24 * 3600);
        assert!(!keep(&harness, inbound()).await[0].repeated, "a day later it is another one");
    }
}
