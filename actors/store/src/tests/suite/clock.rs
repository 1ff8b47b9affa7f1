//! The machine's clock is set while SMS wait: nothing expires, is claimed twice or stands still for that.

use std::time::Duration;

use vumi_kit::ledger::Then;

use super::StoreHarness;

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

#[actix_rt::test]
async fn what_waits_over_a_restart_keeps_its_time() {
    for set_by in [DAY_AND_MORE, HOUR_BACK] {
        let Some(harness) = StoreHarness::new() else { return };
        harness.open_outbox(0).await;
        let now = harness.accept(1).await[0].id;
        let later = harness.accept(1).await[0].id;
        harness.claimed_ids(10).await;
        harness.outcome(now, "", Then::Again { at: harness.now(), unknown_outcome: false }).await;
        let at = harness.now().plus(Duration::from_secs(60));
        harness.outcome(later, "", Then::Again { at, unknown_outcome: false }).await;
        harness.clock.jump(set_by);
        let harness = harness.restarted().await;
        harness.open_outbox(10).await;
        assert_eq!(harness.claimed_ids(10).await, [now], "set by {set_by} s");
        harness.advance(60);
        assert_eq!(harness.claimed_ids(10).await, [later], "set by {set_by} s");
    }
}
