//! The ledger as the outbox: handed over, claimed, recorded, released.

use std::time::Duration;

use vumi_kit::{
    ledger::{CloseOutbox, CountWaiting, HandOver, OutboxState, ReleaseSms, Then},
    name::Name,
    sms::TransportStatus,
};

use super::{Stage, opera};

const AGAIN: Duration = Duration::from_secs(10);

fn done() -> Then {
    Then::Done { status: TransportStatus::Queued, provider_id: None }
}

#[actix_rt::test]
async fn without_an_open_outbox_sms_wait_in_the_ledger() {
    let Some(mut stage) = Stage::new() else { return };
    let id = stage.accept(1).await[0].id;
    assert!(stage.handed().is_none());
    assert_eq!(stage.claimed_ids(10).await, [id]);
}

#[actix_rt::test]
async fn sms_are_handed_over_as_far_as_there_is_room() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(2).await;
    let kept = stage.accept(3).await;
    let Some(HandOver::Submissions { transport, batch }) = stage.handed() else { panic!("nothing") };
    assert_eq!((transport, batch.len()), (opera(), 2));
    assert_eq!(batch[0].message, "message 0");
    assert_eq!(batch[0].lease_until, stage.now().plus(Duration::from_secs(120)));
    assert_eq!(batch[0].give_up_at, stage.now().plus(Duration::from_secs(24 * 3600)));
    assert_eq!(batch[0].unsure, 0);
    assert_eq!(stage.claimed_ids(10).await, [kept[2].id], "the others are claimed already");
}

#[actix_rt::test]
async fn an_outcome_frees_room_and_says_whether_more_wait() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(1).await;
    let first = stage.accept(1).await[0].id;
    assert_eq!(stage.handed_ids(), [first]);
    assert_eq!(stage.outcome(first, "", done()).await, OutboxState::Empty);
    let second = stage.accept(2).await[0].id;
    assert_eq!(stage.handed_ids(), [second], "there was room again");
    assert_eq!(stage.outcome(second, "", done()).await, OutboxState::Waiting);
}

#[actix_rt::test]
async fn new_sms_queue_up_behind_those_that_wait() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(1).await;
    let kept = stage.accept(2).await;
    stage.outcome(kept[0].id, "", done()).await;
    stage.handed_ids();
    let third = stage.accept(1).await[0].id;
    assert!(stage.handed().is_none(), "it would overtake the second");
    assert_eq!(stage.claimed_ids(10).await, [kept[1].id, third]);
    stage.outcome(kept[1].id, "", done()).await;
    stage.outcome(third, "", done()).await;
    let fourth = stage.accept(1).await[0].id;
    assert_eq!(stage.handed_ids(), [fourth], "nothing waits any more");
}

#[actix_rt::test]
async fn a_claim_yields_each_sms_once_before_its_lease_ends() {
    let Some(stage) = Stage::new() else { return };
    let kept = stage.accept(3).await;
    assert_eq!(stage.claimed_ids(2).await, [kept[0].id, kept[1].id]);
    assert_eq!(stage.claimed_ids(2).await, [kept[2].id]);
    stage.advance(119);
    assert!(stage.claim(10).await.is_empty());
    stage.advance(1);
    let again = stage.claim(10).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|submission| submission.unsure == 1), "nobody knows what came of the first attempt");
}

#[actix_rt::test]
async fn the_longest_due_is_claimed_first() {
    let Some(stage) = Stage::new() else { return };
    let early = stage.accept(1).await[0].id;
    stage.claim(1).await;
    stage.advance(1);
    let late = stage.accept(1).await[0].id;
    let at = stage.now().plus(AGAIN);
    stage.outcome(early, "busy", Then::Again { at, unsure: false }).await;
    stage.advance(10);
    assert_eq!(stage.claimed_ids(10).await, [late, early]);
}

#[actix_rt::test]
async fn an_outbox_that_opens_again_gets_what_it_held_before_as_unsure() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(10).await;
    let held = stage.accept(2).await;
    stage.handed_ids();
    stage.advance(1);
    stage.open_outbox(10).await;
    let again = stage.claim(10).await;
    assert_eq!(again.iter().map(|submission| submission.id).collect::<Vec<_>>(), [held[0].id, held[1].id]);
    assert!(again.iter().all(|submission| submission.unsure == 1));
}

#[actix_rt::test]
async fn what_a_dead_process_held_is_due_when_its_successor_opens_the_outbox() {
    let Some(stage) = Stage::new() else { return };
    stage.open_outbox(10).await;
    let held = stage.accept(1).await[0].id;
    stage.advance(1);
    let mut stage = stage.restarted().await;
    stage.open_outbox(10).await;
    let new = stage.accept(1).await[0].id;
    assert!(stage.handed().is_none(), "the older one comes first");
    let again = stage.claim(10).await;
    assert_eq!(again.iter().map(|s| (s.id, s.unsure)).collect::<Vec<_>>(), [(held, 1), (new, 0)]);
}

#[actix_rt::test]
async fn another_nodes_claims_stay_its_own() {
    let Some(stage) = Stage::new() else { return };
    stage.open_outbox(10).await;
    stage.accept(1).await;
    stage.advance(1);
    let Stage { ground, clock, store, .. } = stage;
    store.close().await;
    let stage = Stage::at(ground, clock, |settings| settings.node = Name::parse("local2").ok());
    stage.open_outbox(10).await;
    assert!(stage.claim(10).await.is_empty());
}

#[actix_rt::test]
async fn room_is_counted_by_what_is_held_under_the_present_opening() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(1).await;
    let held = stage.accept(1).await[0].id;
    stage.handed_ids();
    stage.advance(1);
    stage.open_outbox(1).await;
    // The outcome of the earlier opening frees nothing of the present one, nor does it count below zero.
    stage.outcome(held, "", done()).await;
    assert!(stage.claim(10).await.is_empty());
    let kept = stage.accept(2).await;
    assert_eq!(stage.handed_ids(), [kept[0].id]);
}

#[actix_rt::test]
async fn what_is_claimed_takes_room_too() {
    let Some(mut stage) = Stage::new() else { return };
    stage.accept(1).await;
    stage.open_outbox(1).await;
    assert_eq!(stage.claim(10).await.len(), 1);
    stage.accept(1).await;
    assert!(stage.handed().is_none());
}

#[actix_rt::test]
async fn a_claim_that_ran_out_takes_its_room_once() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(2).await;
    stage.accept(1).await;
    stage.handed_ids();
    stage.advance(120);
    assert_eq!(stage.claim(10).await.len(), 1);
    let id = stage.accept(1).await[0].id;
    assert_eq!(stage.handed_ids(), [id]);
}

#[actix_rt::test]
async fn a_closed_outbox_is_handed_nothing() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(10).await;
    stage.ledger(CloseOutbox { transport: opera() }).await;
    let id = stage.accept(1).await[0].id;
    assert!(stage.handed().is_none());
    stage.open_outbox(10).await;
    assert_eq!(stage.claimed_ids(10).await, [id]);
}

#[actix_rt::test]
async fn a_released_sms_is_due_at_once_and_no_attempt_is_counted() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(10).await;
    let id = stage.accept(1).await[0].id;
    stage.handed_ids();
    stage.ledger(ReleaseSms { transport: opera(), ids: vec![id, 999] }).await;
    let again = stage.claim(10).await;
    assert_eq!((again[0].id, again[0].attempts, again[0].unsure), (id, 0, 0));
}

#[actix_rt::test]
async fn what_the_router_has_no_room_for_is_released_by_the_store() {
    let Some(stage) = Stage::new() else { return };
    stage.open_outbox(100).await;
    let mut ids = Vec::new();
    // The channel holds four batches.
    for _ in 0..6 {
        ids.push(stage.accept(1).await[0].id);
    }
    // The fifth found no room and waits, so the sixth waits behind it.
    assert_eq!(stage.claimed_ids(100).await, ids[4..]);
}

#[actix_rt::test]
async fn an_attempt_that_is_to_be_repeated_is_due_then() {
    let Some(stage) = Stage::new() else { return };
    let id = stage.accept(1).await[0].id;
    stage.claim(1).await;
    let at = stage.now().plus(AGAIN);
    stage.outcome(id, "503", Then::Again { at, unsure: true }).await;
    let sms = stage.find(id).await;
    assert_eq!((sms.status, sms.attempts, sms.provider_said.as_deref()), (TransportStatus::Pending, 1, Some("503")));
    stage.advance(9);
    assert!(stage.claim(1).await.is_empty());
    stage.advance(1);
    let again = stage.claim(1).await;
    assert_eq!((again[0].attempts, again[0].unsure), (1, 1));
}

#[actix_rt::test]
async fn what_was_not_tried_counts_no_attempt() {
    let Some(stage) = Stage::new() else { return };
    let id = stage.accept(1).await[0].id;
    let held_until = stage.claim(1).await[0].lease_until;
    stage.outcome(id, "out of credit", Then::Untried { at: stage.now().plus(AGAIN), held_until }).await;
    stage.advance(10);
    let again = stage.claim(1).await;
    assert_eq!((again[0].attempts, again[0].unsure), (0, 0));
    assert_eq!(stage.find(id).await.provider_said.as_deref(), Some("out of credit"));
}

#[actix_rt::test]
async fn what_was_claimed_again_since_is_not_given_back_by_its_first_holder() {
    let Some(mut stage) = Stage::new() else { return };
    stage.open_outbox(1).await;
    let id = stage.accept(1).await[0].id;
    stage.handed_ids();
    let held_until = stage.now().plus(Duration::from_secs(120));
    stage.advance(120);
    stage.claim(1).await;
    stage.outcome(id, "", Then::Untried { at: stage.now(), held_until }).await;
    assert!(stage.claim(1).await.is_empty(), "its second holder has it");
    stage.accept(1).await;
    assert!(stage.handed().is_none(), "and it takes the room there is");
}

#[actix_rt::test]
async fn each_lost_answer_and_each_lost_holder_is_counted_and_a_sure_answer_is_not() {
    let Some(stage) = Stage::new() else { return };
    let id = stage.accept(1).await[0].id;
    stage.claim(1).await;
    for unsure in [true, false, true] {
        stage.outcome(id, "", Then::Again { at: stage.now(), unsure }).await;
        stage.claim(1).await;
    }
    stage.advance(120);
    assert_eq!(stage.claim(1).await[0].unsure, 3);
    stage.open_outbox(1).await;
    assert_eq!(stage.claim(1).await[0].unsure, 4);
}

#[actix_rt::test]
async fn a_failure_for_good_ends_it_with_the_providers_reason() {
    let Some(stage) = Stage::new() else { return };
    let id = stage.accept(1).await[0].id;
    stage.claim(1).await;
    let then = Then::Done { status: TransportStatus::RoutingError, provider_id: None };
    stage.outcome(id, "ERR: 114, cannot route message", then).await;
    let sms = stage.find(id).await;
    assert_eq!(sms.status, TransportStatus::RoutingError);
    assert_eq!(sms.provider_said.as_deref(), Some("ERR: 114, cannot route message"));
    stage.advance(1000);
    assert!(stage.claim(1).await.is_empty());
}

#[actix_rt::test]
async fn past_its_deadline_an_sms_expires_with_the_last_reason() {
    let Some(stage) = Stage::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    let ids: Vec<_> = stage.accept(2).await.iter().map(|sms| sms.id).collect();
    stage.claim(1).await;
    // Later than the deadline: it ends at the deadline, not then.
    let at = stage.now().plus(Duration::from_secs(3600));
    stage.outcome(ids[0], "503 Service Unavailable", Then::Again { at, unsure: false }).await;
    stage.advance(60);
    assert!(stage.claim(10).await.is_empty());
    let tried = stage.find(ids[0]).await;
    assert_eq!(tried.status, TransportStatus::Expired);
    assert_eq!(tried.provider_said.as_deref(), Some("503 Service Unavailable"));
    assert_eq!(tried.updated_at, stage.now());
    let untried = stage.find(ids[1]).await;
    assert_eq!(untried.status, TransportStatus::Expired);
    assert!(untried.provider_said.is_some_and(|said| said.contains("not sent in time")));
}

#[actix_rt::test]
async fn expired_sms_do_not_hide_those_behind_them() {
    let Some(stage) = Stage::with(|settings| settings.give_up_after = Duration::from_secs(60)) else { return };
    stage.accept(3).await;
    stage.advance(60);
    let fresh = stage.accept(1).await[0].id;
    assert_eq!(stage.claimed_ids(2).await, [fresh]);
}

#[actix_rt::test]
async fn an_outcome_for_another_transport_or_for_nothing_changes_nothing() {
    let Some(stage) = Stage::new() else { return };
    let id = stage.accept(1).await[0].id;
    let outcome = |id| vumi_kit::ledger::Outcome { id, at: super::START, said: String::new(), then: done() };
    let other = Name::parse("techsys").unwrap();
    let outcomes = vec![outcome(id), outcome(999)];
    stage.ledger(vumi_kit::ledger::RecordOutcomes { transport: other, outcomes }).await;
    assert_eq!(stage.find(id).await.status, TransportStatus::Pending);
}

#[actix_rt::test]
async fn what_waits_is_counted_by_transport() {
    let Some(stage) = Stage::new() else { return };
    let kept = stage.accept(3).await;
    stage.outcome(kept[0].id, "", done()).await;
    let mut other = super::sms("x");
    other.transport = Name::parse("techsys").unwrap();
    let techsys = other.transport.clone();
    stage.ledger(vumi_kit::ledger::AcceptSms { batch: vec![other], idempotency: None }).await;
    assert_eq!(stage.ledger(CountWaiting).await, [(opera(), 2), (techsys, 1)]);
}
