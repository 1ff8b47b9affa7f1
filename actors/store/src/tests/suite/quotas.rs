//! Quotas of accounts: what comes in takes from them, and what ends gives back.

use std::time::Duration;

use vumi_kit::{
    account::{
        AccountChange, AccountQuotas, AccountRoles, BudgetUnit, ChangeAccount, CreateAccount, FindAccount, Micros,
        OverQuota, QuotaCharge,
    },
    audit::AuditActor,
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, IdempotencyKey, RecordReceipts, Then},
    levers::{Lever, PullLever},
    sms::{Receipt, Sms, SmsId, TransportStatus},
};

use super::{ALICE, StoreHarness, opera, sms};

/// The first account, with these quotas.
pub(in super::super) async fn harness(changes: Vec<AccountChange>) -> Option<StoreHarness> {
    let harness = StoreHarness::with(|settings| settings.give_up_after = Duration::from_secs(60))?;
    let (username, roles, by) = ("alice".to_owned(), AccountRoles::CLIENT, AuditActor::router());
    let create = CreateAccount { username, password_hash: String::new(), sandbox: false, roles, by };
    assert_eq!(harness.accounts(create).await.unwrap().id, ALICE);
    for change in changes {
        set(&harness, change).await;
    }
    Some(harness)
}

async fn set(harness: &StoreHarness, change: AccountChange) {
    let change = ChangeAccount { username: "alice".to_owned(), change, by: AuditActor::router() };
    assert!(harness.accounts(change).await.unwrap().is_some());
}

async fn quotas(harness: &StoreHarness) -> AccountQuotas {
    harness.accounts(FindAccount { username: "alice".to_owned() }).await.unwrap().unwrap().quotas
}

/// How many wait, what is left, and what was spent, in whole ones.
pub(in super::super) async fn state(harness: &StoreHarness) -> (u32, i64, i64) {
    let AccountQuotas { waiting, budget, .. } = quotas(harness).await;
    let whole = |amount: Micros| amount.get() / 1_000_000;
    budget.map_or((waiting, 0, 0), |budget| (waiting, whole(budget.balance), whole(budget.spent)))
}

pub(in super::super) fn batch(count: usize, key: Option<&str>, charge: QuotaCharge) -> AcceptWithinQuota {
    let key = key.map(|key| IdempotencyKey { key: key.to_owned(), request_digest: vec![1], keep_s: 60 });
    let accept = AcceptSms { batch: vec![sms("x"); count], idempotency: key };
    AcceptWithinQuota { accept, account: ALICE, charge }
}

/// The charge of so many SMS, each of two segments.
pub(in super::super) fn segments(count: usize) -> QuotaCharge {
    QuotaCharge { unit: Some(BudgetUnit::Segments), of_each: vec![Micros::whole(2); count] }
}

async fn accept(harness: &StoreHarness, count: usize, charge: QuotaCharge) -> Result<Vec<Sms>, OverQuota> {
    match harness.ledger(batch(count, None, charge)).await {
        AcceptedWithinQuota::Accepted(Accepted::Now(kept)) => Ok(kept.to_vec()),
        AcceptedWithinQuota::Over(over) => Err(over),
        other => panic!("{other:?}"),
    }
}

pub(in super::super) fn budget(balance: u32) -> AccountChange {
    AccountChange::SetBudget(BudgetUnit::Segments, Micros::whole(balance))
}

#[actix_rt::test]
async fn a_batch_beyond_the_waiting_quota_is_refused_whole_and_what_ends_makes_room() {
    let Some(harness) = harness(vec![AccountChange::MostWaiting(Some(5))]).await else { return };
    let kept = accept(&harness, 3, QuotaCharge::default()).await.unwrap();
    let refused = accept(&harness, 3, QuotaCharge::default()).await.unwrap_err();
    assert_eq!(refused, OverQuota::Waiting { most: 5, waiting: 3, asked: 3 });
    assert_eq!((harness.rows("sms"), state(&harness).await.0), (3, 3), "nothing of it was kept");
    accept(&harness, 2, QuotaCharge::default()).await.unwrap();
    harness.open_outbox(10).await;
    assert_eq!(harness.claimed_ids(10).await.len(), 5);
    harness.done(kept[0].id, "a").await;
    harness.done(kept[1].id, "b").await;
    assert_eq!(state(&harness).await.0, 3);
    accept(&harness, 2, QuotaCharge::default()).await.unwrap();
    assert!(accept(&harness, 1, QuotaCharge::default()).await.is_err());
}

#[actix_rt::test]
async fn a_retry_goes_on_waiting_and_a_failure_does_not() {
    let Some(harness) = harness(vec![AccountChange::MostWaiting(Some(5))]).await else { return };
    harness.open_outbox(10).await;
    let kept = accept(&harness, 2, QuotaCharge::default()).await.unwrap();
    harness.outcome(kept[0].id, "503", Then::Again { at: harness.now(), unknown_outcome: false }).await;
    assert_eq!(state(&harness).await.0, 2);
    let failed = Then::Done { status: TransportStatus::MessageError, provider_id: None };
    harness.outcome(kept[1].id, "no", failed).await;
    assert_eq!(state(&harness).await.0, 1);
}

#[actix_rt::test]
async fn a_receipt_that_comes_before_the_answer_ends_the_waiting_and_levers_count_as_they_should() {
    let Some(harness) = harness(vec![AccountChange::MostWaiting(Some(5))]).await else { return };
    let kept = ids(&accept(&harness, 3, QuotaCharge::default()).await.unwrap());
    harness.open_outbox(10).await;
    harness.claimed_ids(1).await;
    let receipt = Receipt { sms: Some(kept[0]), ..Receipt::new(TransportStatus::Delivered, Vec::new()) };
    harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt] }).await;
    assert_eq!(state(&harness).await.0, 2);
    harness.done(kept[0], "a").await;
    assert_eq!(state(&harness).await.0, 2, "its answer changes nothing");
    for (lever, waiting) in [(Lever::Hold, 2), (Lever::Release, 2), (Lever::Cancel, 1), (Lever::Resend, 2)] {
        harness.ledger(PullLever { lever, ids: vec![kept[1]], reason: "a test".into() }).await;
        assert_eq!(state(&harness).await.0, waiting, "{lever:?}");
    }
}

#[actix_rt::test]
async fn a_budget_is_taken_from_exactly_and_a_batch_that_it_has_not_enough_for_is_refused_whole() {
    let Some(harness) = harness(vec![budget(7)]).await else { return };
    accept(&harness, 2, segments(2)).await.unwrap();
    assert_eq!(state(&harness).await, (2, 3, 4));
    let refused = accept(&harness, 2, segments(2)).await.unwrap_err();
    let (unit, balance, asked) = (BudgetUnit::Segments, Micros::whole(3), Micros::whole(4));
    assert_eq!(refused, OverQuota::Budget { unit, balance, asked });
    assert_eq!(harness.rows("sms"), 2);
    set(&harness, AccountChange::AddToBudget(Micros::whole(1))).await;
    accept(&harness, 2, segments(2)).await.unwrap();
    assert_eq!(state(&harness).await, (4, 0, 8));
}

#[actix_rt::test]
async fn a_repeated_request_takes_nothing_and_is_answered_when_the_budget_is_empty() {
    let Some(harness) = harness(vec![budget(4)]).await else { return };
    let first = harness.ledger(batch(2, Some("k"), segments(2))).await;
    let again = harness.ledger(batch(2, Some("k"), segments(2))).await;
    let (AcceptedWithinQuota::Accepted(Accepted::Now(now)), AcceptedWithinQuota::Accepted(Accepted::Before(before))) =
        (first, again)
    else {
        panic!("not kept once")
    };
    assert_eq!(ids(&now), ids(&before));
    assert_eq!(state(&harness).await, (2, 0, 4));
}

fn ids(sms: &[Sms]) -> Vec<SmsId> {
    sms.iter().map(|sms| sms.id).collect()
}

#[actix_rt::test]
async fn what_expires_untried_gives_back_what_it_took_and_what_was_tried_does_not() {
    let Some(harness) = harness(vec![budget(10)]).await else { return };
    harness.open_window(10, 1).await;
    // The first is begun, so that it may have been sent; the second is held; the third was tried.
    let kept = accept(&harness, 3, segments(3)).await.unwrap();
    harness.outcome(kept[2].id, "503", Then::Again { at: harness.now(), unknown_outcome: false }).await;
    assert_eq!(state(&harness).await, (3, 4, 6));
    harness.advance(200);
    assert_eq!(harness.claimed_ids(10).await, Vec::<SmsId>::new());
    let expired = |sms: &Sms| sms.status == TransportStatus::Expired;
    for sms in &kept {
        assert!(expired(&harness.find(sms.id).await));
    }
    assert_eq!(state(&harness).await, (0, 6, 4));
}

#[actix_rt::test]
async fn what_was_given_back_is_not_given_back_again() {
    let Some(harness) = harness(vec![budget(10)]).await else { return };
    let kept = accept(&harness, 1, segments(1)).await.unwrap();
    let run = |statement: &str| {
        use diesel::connection::SimpleConnection;
        harness.fixture.connect().batch_execute(statement).unwrap();
    };
    let cancelled = format!("UPDATE sms SET status = 6, next_attempt_at = NULL WHERE id = {}", kept[0].id);
    run(&cancelled);
    assert_eq!(state(&harness).await, (0, 10, 0));
    run(&cancelled);
    assert_eq!(state(&harness).await, (0, 10, 0), "it had ended before");
    // Sent again by the operator, it waits again and costs nothing more; cancelled again, it gives nothing back.
    run(&format!("UPDATE sms SET status = 0, next_attempt_at = 1 WHERE id = {}", kept[0].id));
    assert_eq!(state(&harness).await, (1, 10, 0));
    run(&cancelled);
    assert_eq!(state(&harness).await, (0, 10, 0));
    // Held, it waits; cancelled out of that, it does not.
    let held = accept(&harness, 1, segments(1)).await.unwrap();
    run(&format!("UPDATE sms SET held_at = 1, next_attempt_at = NULL WHERE id = {}", held[0].id));
    assert_eq!(state(&harness).await, (1, 8, 2));
    run(&format!("UPDATE sms SET status = 6 WHERE id = {}", held[0].id));
    assert_eq!(state(&harness).await, (0, 10, 0));
}

#[actix_rt::test]
async fn sms_of_an_account_without_quotas_are_not_counted() {
    let Some(harness) = harness(Vec::new()).await else { return };
    let kept = accept(&harness, 1, QuotaCharge::default()).await.unwrap();
    assert_eq!((harness.rows("account_quotas"), harness.sms_rows("charged IS NULL")), (0, 1));
    set(&harness, AccountChange::MostWaiting(Some(5))).await;
    harness.open_outbox(10).await;
    harness.claimed_ids(10).await;
    harness.done(kept[0].id, "a").await;
    assert_eq!(state(&harness).await.0, 0, "what was not counted is not taken off");
}

#[actix_rt::test]
async fn a_charge_for_other_quotas_than_there_are_now_keeps_nothing() {
    let Some(harness) = harness(vec![AccountChange::MostWaiting(Some(5)), budget(10)]).await else { return };
    assert_eq!(accept(&harness, 1, QuotaCharge::default()).await.unwrap_err(), OverQuota::Changed);
    let money = QuotaCharge { unit: Some(BudgetUnit::Money), of_each: vec![Micros::new(12_000)] };
    assert_eq!(accept(&harness, 1, money).await.unwrap_err(), OverQuota::Changed);
    assert_eq!((harness.rows("sms"), state(&harness).await), (0, (0, 10, 0)));
}
