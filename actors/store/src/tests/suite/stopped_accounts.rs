//! Accounts are stopped: from then on nothing of theirs begins to go out, wherever it was at that moment.

use diesel::connection::SimpleConnection;
use vumi_kit::{
    account::{AccountChange, ChangeAccount},
    audit::AuditActor,
    ledger::{AcceptSms, Accepted, AcceptedWithinQuota, AnswerNotSent, KeepReceived, SettleReceived, SmsOwner, Then},
    levers::ACCOUNT_STOPPED,
    life::SmsState,
    sms::{InboundSms, NewSms},
};

use super::{ALICE, BOB, StoreHarness, msisdn, opera, quotas, sms};

/// Stops or starts the first account.
pub(in super::super) async fn change(harness: &StoreHarness, change: AccountChange) {
    let change = ChangeAccount { username: "alice".to_owned(), change, by: AuditActor::router() };
    assert!(harness.accounts(change).await.unwrap().is_some());
}

impl StoreHarness {
    async fn state_of(&self, id: i64) -> (SmsState, Option<String>) {
        let sms = self.find(id).await;
        (sms.state, sms.provider_response)
    }
}

fn cancelled() -> (SmsState, Option<String>) {
    (SmsState::Cancelled, Some(ACCOUNT_STOPPED.to_owned()))
}

#[actix_rt::test]
async fn what_is_claimed_waits_or_comes_back_does_not_begin_once_its_account_is_stopped() {
    let Some(mut harness) = quotas::harness(vec![quotas::budget(20)]).await else { return };
    harness.open_window(3, 1).await;
    let charged = harness.ledger(quotas::batch(5, None, quotas::segments(5))).await;
    assert!(matches!(charged, AcceptedWithinQuota::Accepted(Accepted::Now(_))));
    let handed = harness.handed_submissions().unwrap();
    let ids: Vec<i64> = handed.iter().map(|submission| submission.id).collect();
    assert_eq!(handed.iter().map(|submission| submission.begun).collect::<Vec<_>>(), [true, false, false]);

    change(&harness, AccountChange::Stop).await;
    let answer = harness.begin(&ids[1..]).await;
    assert_eq!((answer.begun, answer.gone), (Vec::new(), ids[1..].to_vec()));
    assert_eq!(harness.state_of(ids[1]).await, cancelled());
    assert_eq!(harness.state_of(ids[0]).await.0, SmsState::Claimed, "what has begun goes out");
    // It is to be tried again, and is not.
    harness.outcome(ids[0], "503", Then::Again { at: harness.now(), unknown_outcome: false }).await;
    assert_eq!(harness.claimed_ids(10).await, Vec::<i64>::new());
    assert_eq!(harness.sms_rows("status = 6 AND next_attempt_at IS NULL AND begun = 0"), 5);
    assert_eq!(harness.rows(&format!("sms_events WHERE detail = '{ACCOUNT_STOPPED}'")), 5);
    assert_eq!(quotas::state(&harness).await, (0, 18, 2), "four gave back what they took");

    let again = harness.ledger(AcceptSms { batch: vec![sms("no")], idempotency: None }).await;
    assert_eq!(again, Accepted::AccountStopped);
    let others = NewSms { account: BOB, ..sms("yes") };
    let others = harness.ledger(AcceptSms { batch: vec![others], idempotency: None }).await;
    assert!(matches!(others, Accepted::Now(_)));
    change(&harness, AccountChange::Start).await;
    harness.accept(1).await;
}

#[actix_rt::test]
async fn what_has_begun_goes_out_though_its_lease_ends_meanwhile() {
    let Some(harness) = quotas::harness(Vec::new()).await else { return };
    harness.open_outbox(1).await;
    let id = harness.accept(1).await[0].id;
    // It has time enough.
    harness.fixture.connect().batch_execute("UPDATE sms SET give_up_at = give_up_at + 600000000").unwrap();
    change(&harness, AccountChange::Stop).await;
    harness.advance(130);
    // Its outbox lives, and is submitting it.
    let renewed = harness.claim(1).await;
    assert!(renewed.len() == 1 && renewed[0].begun && renewed[0].renewed, "{renewed:?}");
    harness.done(id, "p").await;
    assert_eq!(harness.find(id).await.state, SmsState::Submitted);
}

#[actix_rt::test]
async fn an_sms_from_a_person_is_settled_and_not_answered_for_a_stopped_account() {
    let Some(harness) = quotas::harness(Vec::new()).await else { return };
    let inbound = vec![InboundSms {
        from: msisdn("27831234567").into(),
        to: msisdn("38080").into(),
        message: "quiz".to_owned(),
        charset: None,
        provider_id: None,
        at: None,
        part: None,
    }];
    let owner = SmsOwner::Account(ALICE);
    let kept = harness.ledger(KeepReceived { owner, transport: opera(), inbound }).await.remove(0);
    change(&harness, AccountChange::Stop).await;
    let settle = SettleReceived::by_campaign(kept.message_id, Some("question 1".to_owned()), None);
    let settled = harness.ledger(settle).await.unwrap();
    assert_eq!((settled.reply, settled.not_sent), (None, Some(AnswerNotSent::AccountStopped)));
    assert_eq!((harness.rows("sms"), harness.rows("received_sms WHERE route_at IS NULL")), (0, 1));
}

#[actix_rt::test]
async fn so_many_sms_of_a_stopped_account_end_with_one_claim_and_those_of_others_are_claimed() {
    let Some(harness) = quotas::harness(Vec::new()).await else { return };
    harness.open_outbox(0).await;
    harness.accept(120).await;
    let others = NewSms { account: BOB, ..sms("of another") };
    harness.ledger(AcceptSms { batch: vec![others], idempotency: None }).await;
    change(&harness, AccountChange::Stop).await;
    for (claimed, ended) in [(1, 50), (0, 100), (0, 120)] {
        assert_eq!(harness.claimed_ids(10).await.len(), claimed);
        assert_eq!(harness.sms_rows("status = 6"), ended);
    }
}
