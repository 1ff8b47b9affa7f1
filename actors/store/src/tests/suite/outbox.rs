//! The ledger as the outbox: handed over, claimed, recorded, released.

use std::time::Duration;

use vumi_kit::{
    ledger::{Backlog, CloseOutbox, CountBacklog, HandOver, OutboxState, Outcome, RecordOutcomes, ReleaseSms, Then},
    name::Name,
    sms::TransportStatus,
};

use super::{StoreHarness, opera};

const AGAIN: Duration = Duration::from_secs(10);

fn done() -> Then {
    Then::Done { status: TransportStatus::Queued, provider_id: None }
}

#[actix_rt::test]
async fn without_an_open_outbox_sms_wait_in_the_ledger() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    assert!(harness.handed().is_none());
    assert_eq!(harness.claimed_ids(10).await, [id]);
}

#[actix_rt::test]
async fn sms_are_handed_over_as_far_as_there_is_room() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(2).await;
    let kept = harness.accept(3).await;
    let Some(HandOver::Submissions { transport, batch }) = harness.handed() else { panic!("nothing") };
    assert_eq!((transport, batch.len()), (opera(), 2));
    assert_eq!(batch[0].message, "message 0");
    assert_eq!(batch[0].lease_until, harness.now().plus(Duration::from_secs(120)));
    assert_eq!(batch[0].give_up_at, harness.now().plus(Duration::from_secs(24 * 3600)));
    assert_eq!(batch[0].unknown_outcomes, 0);
    assert_eq!(harness.claimed_ids(10).await, [kept[2].id], "the others are claimed already");
}

#[actix_rt::test]
async fn an_outcome_frees_room_and_says_whether_more_wait() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let first = harness.accept(1).await[0].id;
    assert_eq!(harness.handed_ids(), [first]);
    assert_eq!(harness.outcome(first, "", done()).await, OutboxState::Empty);
    let second = harness.accept(2).await[0].id;
    assert_eq!(harness.handed_ids(), [second], "there was room again");
    assert_eq!(harness.outcome(second, "", done()).await, OutboxState::Waiting);
}

#[actix_rt::test]
async fn new_sms_queue_up_behind_those_that_wait() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let kept = harness.accept(2).await;
    harness.outcome(kept[0].id, "", done()).await;
    harness.handed_ids();
    let third = harness.accept(1).await[0].id;
    assert!(harness.handed().is_none(), "it would overtake the second");
    assert_eq!(harness.claimed_ids(10).await, [kept[1].id, third]);
    harness.outcome(kept[1].id, "", done()).await;
    harness.outcome(third, "", done()).await;
    let fourth = harness.accept(1).await[0].id;
    assert_eq!(harness.handed_ids(), [fourth], "nothing waits any more");
}

#[actix_rt::test]
async fn a_claim_yields_each_sms_once_before_its_lease_ends() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = harness.accept(3).await;
    assert_eq!(harness.claimed_ids(2).await, [kept[0].id, kept[1].id]);
    assert_eq!(harness.claimed_ids(2).await, [kept[2].id]);
    harness.advance(119);
    assert!(harness.claim(10).await.is_empty());
    harness.advance(1);
    let again = harness.claim(10).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|sms| sms.renewed && sms.unknown_outcomes == 0), "their outbox lives, and knows of them");
}

#[actix_rt::test]
async fn as_many_are_begun_as_the_window_allows_and_the_others_are_held() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_window(5, 2).await;
    let ids: Vec<_> = harness.accept(4).await.iter().map(|sms| sms.id).collect();
    let Some(HandOver::Submissions { batch, .. }) = harness.handed() else { panic!("nothing") };
    assert_eq!(batch.iter().map(|sms| sms.begun).collect::<Vec<_>>(), [true, true, false, false]);
    let recorded = harness.begin(&ids[2..]).await;
    assert_eq!((recorded.begun, recorded.gone), (vec![], vec![]), "the window is full");
    let outcome =
        Outcome { id: ids[0], at: harness.now(), attempts: 0, detail: String::new(), then: done(), parts: Vec::new() };
    let begin = ids[2..].to_vec();
    let recorded = harness.ledger(RecordOutcomes { transport: opera(), outcomes: vec![outcome], begin }).await;
    assert_eq!((recorded.begun, recorded.gone), (vec![ids[2]], vec![]), "in the place of the first");
    assert_eq!(harness.sms_rows("begun = 1"), 2);
}

#[actix_rt::test]
async fn what_is_claimed_is_begun_as_far_as_the_window_allows() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(4).await;
    harness.open_window(10, 3).await;
    let claimed = harness.claim(2).await;
    assert!(claimed.iter().all(|sms| sms.begun));
    let claimed = harness.claim(2).await;
    assert_eq!(claimed.iter().map(|sms| sms.begun).collect::<Vec<_>>(), [true, false]);
}

#[actix_rt::test]
async fn after_a_crash_only_what_was_begun_may_have_been_sent() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_window(10, 2).await;
    harness.accept(5).await;
    let harness = harness.restarted().await;
    harness.open_window(10, 2).await;
    let again = harness.claim(10).await;
    assert_eq!(again.iter().map(|sms| sms.unknown_outcomes).collect::<Vec<_>>(), [1, 1, 0, 0, 0]);
    assert_eq!(again.iter().map(|sms| sms.begun).collect::<Vec<_>>(), [true, true, false, false, false]);
}

#[actix_rt::test]
async fn no_sms_is_unsure_by_any_number_of_crashes_that_never_went_out() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_window(10, 1).await;
    let ids: Vec<_> = harness.accept(2).await.iter().map(|sms| sms.id).collect();
    for crash in 1..=5 {
        harness = harness.restarted().await;
        harness.open_window(10, 1).await;
        let again = harness.claim(10).await;
        let expected = [(ids[0], crash), (ids[1], 0)];
        assert_eq!(again.iter().map(|s| (s.id, s.unknown_outcomes)).collect::<Vec<_>>(), expected);
    }
}

#[actix_rt::test]
async fn what_is_begun_twice_is_counted_once() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(2).await;
    harness.open_window(10, 1).await;
    let ids = harness.claimed_ids(10).await;
    harness.outcome(ids[0], "", done()).await;
    for _ in 0..2 {
        assert_eq!(harness.begin(&ids[1..]).await.begun, ids[1..]);
    }
    harness.outcome(ids[1], "", done()).await;
    assert_eq!(harness.sms_rows("begun = 1 OR claimed_by IS NOT NULL"), 0);
}

#[actix_rt::test]
async fn what_may_not_go_out_any_more_ends_where_it_was_to_begin() {
    let Some(harness) = StoreHarness::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    harness.accept(2).await;
    harness.open_window(10, 1).await;
    let ids = harness.claimed_ids(10).await;
    harness.outcome(ids[0], "", done()).await;
    harness.advance(60);
    let recorded = harness.begin(&[ids[1], 999]).await;
    assert_eq!((recorded.begun, recorded.gone), (vec![], vec![ids[1], 999]), "one has expired, one never was");
    assert_eq!(harness.find(ids[1]).await.status, TransportStatus::Expired);
}

#[actix_rt::test]
async fn what_another_opening_holds_is_not_begun() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(2).await;
    harness.open_window(10, 1).await;
    let ids = harness.claimed_ids(10).await;
    harness.open_window(10, 1).await;
    assert_eq!(harness.begin(&ids[1..]).await.gone, ids[1..], "it is due again");
}

#[actix_rt::test]
async fn the_longest_due_is_claimed_first() {
    let Some(harness) = StoreHarness::new() else { return };
    let early = harness.accept(1).await[0].id;
    harness.claim(1).await;
    harness.advance(1);
    let late = harness.accept(1).await[0].id;
    let at = harness.now().plus(AGAIN);
    harness.outcome(early, "busy", Then::Again { at, unknown_outcome: false }).await;
    harness.advance(10);
    assert_eq!(harness.claimed_ids(10).await, [late, early]);
}

#[actix_rt::test]
async fn an_outbox_that_opens_again_gets_what_it_had_begun_before_as_unsure() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let held = harness.accept(2).await;
    harness.handed_ids();
    harness.advance(1);
    harness.open_outbox(10).await;
    let again = harness.claim(10).await;
    assert_eq!(again.iter().map(|submission| submission.id).collect::<Vec<_>>(), [held[0].id, held[1].id]);
    assert!(again.iter().all(|submission| submission.unknown_outcomes == 1));
}

#[actix_rt::test]
async fn what_a_dead_process_held_is_due_when_its_successor_opens_the_outbox() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let held = harness.accept(1).await[0].id;
    harness.advance(1);
    let mut harness = harness.restarted().await;
    harness.open_outbox(10).await;
    let new = harness.accept(1).await[0].id;
    assert!(harness.handed().is_none(), "the older one comes first");
    let again = harness.claim(10).await;
    assert_eq!(again.iter().map(|s| (s.id, s.unknown_outcomes)).collect::<Vec<_>>(), [(held, 1), (new, 0)]);
}

#[actix_rt::test]
async fn another_nodes_claims_stay_its_own() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    harness.accept(1).await;
    harness.advance(1);
    let StoreHarness { fixture, clock, store, .. } = harness;
    store.close().await;
    let harness = StoreHarness::at(fixture, clock, |settings| settings.node = Name::parse("local2").ok());
    harness.open_outbox(10).await;
    assert!(harness.claim(10).await.is_empty());
}

#[actix_rt::test]
async fn room_is_counted_by_what_is_held_under_the_present_opening() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let held = harness.accept(1).await[0].id;
    harness.handed_ids();
    harness.advance(1);
    harness.open_outbox(1).await;
    // The outcome of the earlier opening frees nothing of the present one, nor does it count below zero.
    harness.outcome(held, "", done()).await;
    assert!(harness.claim(10).await.is_empty());
    let kept = harness.accept(2).await;
    assert_eq!(harness.handed_ids(), [kept[0].id]);
}

#[actix_rt::test]
async fn what_is_claimed_takes_room_too() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.accept(1).await;
    harness.open_outbox(1).await;
    assert_eq!(harness.claim(10).await.len(), 1);
    harness.accept(1).await;
    assert!(harness.handed().is_none());
}

#[actix_rt::test]
async fn a_claim_that_ran_out_takes_its_room_once() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(2).await;
    harness.accept(1).await;
    harness.handed_ids();
    harness.advance(120);
    assert_eq!(harness.claim(10).await.len(), 1);
    let id = harness.accept(1).await[0].id;
    assert_eq!(harness.handed_ids(), [id]);
}

#[actix_rt::test]
async fn a_closed_outbox_is_handed_nothing() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    harness.ledger(CloseOutbox { transport: opera() }).await;
    let id = harness.accept(1).await[0].id;
    assert!(harness.handed().is_none());
    harness.open_outbox(10).await;
    assert_eq!(harness.claimed_ids(10).await, [id]);
}

#[actix_rt::test]
async fn a_released_sms_is_due_at_once_and_no_attempt_is_counted() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let id = harness.accept(1).await[0].id;
    harness.handed_ids();
    harness.ledger(ReleaseSms { transport: opera(), ids: vec![id, 999] }).await;
    let again = harness.claim(10).await;
    assert_eq!((again[0].id, again[0].attempts, again[0].unknown_outcomes), (id, 0, 0));
}

#[actix_rt::test]
async fn what_the_router_has_no_room_for_is_released_by_the_store() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(100).await;
    let mut ids = Vec::new();
    // The channel holds four batches.
    for _ in 0..6 {
        ids.push(harness.accept(1).await[0].id);
    }
    // The fifth found no room and waits, so the sixth waits behind it.
    assert_eq!(harness.claimed_ids(100).await, ids[4..]);
}

#[actix_rt::test]
async fn an_attempt_that_is_to_be_repeated_is_due_then() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let at = harness.now().plus(AGAIN);
    harness.outcome(id, "503", Then::Again { at, unknown_outcome: true }).await;
    let sms = harness.find(id).await;
    assert_eq!(
        (sms.status, sms.attempts, sms.provider_response.as_deref()),
        (TransportStatus::Pending, 1, Some("503"))
    );
    harness.advance(9);
    assert!(harness.claim(1).await.is_empty());
    harness.advance(1);
    let again = harness.claim(1).await;
    assert_eq!((again[0].attempts, again[0].unknown_outcomes), (1, 1));
}

#[actix_rt::test]
async fn what_was_not_tried_counts_no_attempt() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    let held_until = harness.claim(1).await[0].lease_until;
    harness.outcome(id, "out of credit", Then::Untried { at: harness.now().plus(AGAIN), held_until }).await;
    harness.advance(10);
    let again = harness.claim(1).await;
    assert_eq!((again[0].attempts, again[0].unknown_outcomes), (0, 0));
    assert_eq!(harness.find(id).await.provider_response.as_deref(), Some("out of credit"));
}

#[actix_rt::test]
async fn what_was_claimed_again_since_is_not_given_back_by_its_first_holder() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let id = harness.accept(1).await[0].id;
    harness.handed_ids();
    let held_until = harness.now().plus(Duration::from_secs(120));
    harness.advance(120);
    harness.claim(1).await;
    harness.outcome(id, "", Then::Untried { at: harness.now(), held_until }).await;
    assert!(harness.claim(1).await.is_empty(), "its second holder has it");
    harness.accept(1).await;
    assert!(harness.handed().is_none(), "and it takes the room there is");
}

/// An outcome whose commit nobody confirmed: it was kept, and is recorded again.
async fn record_again(harness: &StoreHarness, outcome: &Outcome) {
    let outcomes = vec![outcome.clone()];
    harness.ledger(RecordOutcomes { transport: opera(), outcomes, begin: Vec::new() }).await;
}

#[actix_rt::test]
async fn an_attempt_that_is_recorded_twice_does_not_give_away_what_is_in_flight_again() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let id = harness.accept(1).await[0].id;
    let again = Then::Again { at: harness.now(), unknown_outcome: true };
    let outcome =
        Outcome { id, at: harness.now(), attempts: 0, detail: "503".to_owned(), then: again, parts: Vec::new() };
    record_again(&harness, &outcome).await;
    record_again(&harness, &outcome).await;
    let in_flight = harness.claim(1).await;
    assert_eq!((in_flight[0].attempts, in_flight[0].unknown_outcomes), (1, 1), "counted once");
    record_again(&harness, &outcome).await;
    assert!(harness.claim(1).await.is_empty(), "it is in flight");
    assert_eq!(harness.sms_rows("begun = 1 AND claimed_by IS NOT NULL"), 1);
}

#[actix_rt::test]
async fn what_was_not_tried_and_is_recorded_twice_does_not_give_away_what_is_in_flight_again() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let id = harness.accept(1).await[0].id;
    let held_until = harness.now().plus(Duration::from_secs(120));
    harness.advance(1);
    let untried = Then::Untried { at: harness.now(), held_until };
    let outcome =
        Outcome { id, at: harness.now(), attempts: 0, detail: "slow".to_owned(), then: untried, parts: Vec::new() };
    record_again(&harness, &outcome).await;
    assert_eq!(harness.claimed_ids(1).await, [id]);
    record_again(&harness, &outcome).await;
    assert!(harness.claim(1).await.is_empty(), "it is in flight");
}

#[actix_rt::test]
async fn an_end_that_is_recorded_twice_is_one_attempt_and_one_of_another_holder_is_a_second() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(1).await;
    let id = harness.accept(1).await[0].id;
    let done = Outcome { id, at: harness.now(), attempts: 0, detail: "ok".to_owned(), then: done(), parts: Vec::new() };
    record_again(&harness, &done).await;
    record_again(&harness, &done).await;
    assert_eq!(harness.find(id).await.attempts, 1);
    harness.advance(1);
    record_again(&harness, &Outcome { at: harness.now(), ..done }).await;
    assert_eq!(harness.find(id).await.attempts, 2, "both are in its timeline");
}

#[actix_rt::test]
async fn what_is_handed_over_and_claimed_names_the_opening_whose_it_is() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let first = harness.open_window(1, 1).await;
    harness.accept(1).await;
    let Some(HandOver::Submissions { batch, .. }) = harness.handed() else { panic!("nothing") };
    assert_eq!(batch[0].claim_token, first.claim_token);
    let second = harness.open_window(1, 1).await;
    assert_ne!(first.claim_token, second.claim_token);
    assert_eq!(harness.claim(1).await[0].claim_token, second.claim_token);
}

#[actix_rt::test]
async fn each_lost_answer_and_each_lost_holder_is_counted_and_a_sure_answer_is_not() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.open_outbox(1).await;
    harness.claim(1).await;
    for unknown_outcome in [true, false, true] {
        harness.outcome(id, "", Then::Again { at: harness.now(), unknown_outcome }).await;
        harness.claim(1).await;
    }
    harness.advance(120);
    assert_eq!(harness.claim(1).await[0].unknown_outcomes, 2, "its holder lives");
    harness.open_outbox(1).await;
    assert_eq!(harness.claim(1).await[0].unknown_outcomes, 3);
}

#[actix_rt::test]
async fn a_failure_for_good_ends_it_with_the_providers_reason() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let then = Then::Done { status: TransportStatus::RoutingError, provider_id: None };
    harness.outcome(id, "ERR: 114, cannot route message", then).await;
    let sms = harness.find(id).await;
    assert_eq!(sms.status, TransportStatus::RoutingError);
    assert_eq!(sms.provider_response.as_deref(), Some("ERR: 114, cannot route message"));
    harness.advance(1000);
    assert!(harness.claim(1).await.is_empty());
}

#[actix_rt::test]
async fn past_its_deadline_an_sms_expires_with_the_last_reason() {
    let Some(harness) = StoreHarness::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    let ids: Vec<_> = harness.accept(2).await.iter().map(|sms| sms.id).collect();
    harness.claim(1).await;
    // Later than the deadline: it ends at the deadline, not then.
    let at = harness.now().plus(Duration::from_secs(3600));
    harness.outcome(ids[0], "503 Service Unavailable", Then::Again { at, unknown_outcome: false }).await;
    harness.advance(60);
    assert!(harness.claim(10).await.is_empty());
    let tried = harness.find(ids[0]).await;
    assert_eq!(tried.status, TransportStatus::Expired);
    assert_eq!(tried.provider_response.as_deref(), Some("503 Service Unavailable"));
    assert_eq!(tried.updated_at, harness.now());
    let untried = harness.find(ids[1]).await;
    assert_eq!(untried.status, TransportStatus::Expired);
    assert!(untried.provider_response.is_some_and(|said| said.contains("not sent in time")));
}

#[actix_rt::test]
async fn expired_sms_do_not_hide_those_behind_them() {
    let Some(harness) = StoreHarness::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    harness.accept(3).await;
    harness.advance(60);
    let fresh = harness.accept(1).await[0].id;
    assert_eq!(harness.claimed_ids(2).await, [fresh]);
}

#[actix_rt::test]
async fn an_outcome_for_another_transport_or_for_nothing_changes_nothing() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    let outcome =
        |id| Outcome { id, at: super::START, attempts: 0, detail: String::new(), then: done(), parts: Vec::new() };
    let other = Name::parse("techsys").unwrap();
    let outcomes = vec![outcome(id), outcome(999)];
    harness.ledger(RecordOutcomes { transport: other, outcomes, begin: Vec::new() }).await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Pending);
}

#[actix_rt::test]
async fn the_backlog_of_a_transport_is_what_is_due_and_nobody_holds() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(harness.ledger(CountBacklog).await, []);
    let kept = harness.accept(4).await;
    harness.outcome(kept[0].id, "", done()).await;
    let later = harness.now().plus(Duration::from_secs(600));
    harness.outcome(kept[1].id, "", Then::Again { at: later, unknown_outcome: false }).await;
    harness.advance(60);
    let mut other = super::sms("x");
    other.transport = Name::parse("techsys").unwrap();
    let techsys = other.transport.clone();
    harness.ledger(vumi_kit::ledger::AcceptSms { batch: vec![other], idempotency: None }).await;
    harness.advance(5);
    let backlog = |due, oldest_s| Backlog { due, oldest_s };
    assert_eq!(harness.ledger(CountBacklog).await, [(opera(), backlog(2, 65)), (techsys.clone(), backlog(1, 5))]);
    harness.claim(1).await;
    assert_eq!(harness.ledger(CountBacklog).await, [(opera(), backlog(1, 65)), (techsys, backlog(1, 5))]);
}

#[actix_rt::test]
async fn a_large_backlog_is_counted_up_to_a_bound() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(10_005).await;
    let most = Backlog::MOST_COUNTED + 1;
    assert_eq!(harness.ledger(CountBacklog).await, [(opera(), Backlog { due: most, oldest_s: 0 })]);
}
