//! What an account's ESMEs are told: it waits for them, in order, until they have it.

use std::{sync::Arc, time::Duration};

use vumi_kit::{
    account::{Account, AccountChange, AccountRoles, ChangeAccount, CreateAccount},
    audit::AuditActor,
    callback::{DeliveryAttempt, DeliveryThen, ListCallbacks, ListParked, RecordDeliveryAttempts},
    esme::{ClaimEsmeEvents, EsmeDelivery, EsmeEvent, FindEsmeWork, GiveUpEsmeEvents, NumberPlan, ReceiptRequest},
    ledger::{AcceptSms, Accepted, KeepReceived, RecordReceipts, SmsOwner, Then},
    levers::CancelSms,
    sms::{InboundSms, NewSms, Receipt, Sms, SmsId, TransportStatus as S},
    sms_options::{Content, SmsOptions},
};

use super::{StoreHarness, msisdn, opera, sms};

const PLAN: NumberPlan = NumberPlan { ton: 1, npi: 1 };

/// An account whose ESMEs may bind.
async fn account(harness: &StoreHarness) -> Account {
    let (username, password_hash, roles) = ("alice".to_owned(), "$argon2id$1".to_owned(), AccountRoles::CLIENT);
    let create = CreateAccount { username, password_hash, sandbox: false, roles, by: AuditActor::router() };
    harness.accounts(create).await.unwrap();
    change(harness, AccountChange::SmppPassword("$argon2id$2".to_owned())).await
}

async fn change(harness: &StoreHarness, change: AccountChange) -> Account {
    let change = ChangeAccount { username: "alice".to_owned(), change, by: AuditActor::router() };
    harness.accounts(change).await.unwrap().unwrap()
}

fn submitted(account: &Account, success: bool, failure: bool) -> NewSms {
    let receipts = Some(ReceiptRequest { success, failure, from: PLAN, to: PLAN, bind: 7 });
    NewSms { account: account.id, options: Arc::new(SmsOptions { receipts, ..SmsOptions::default() }), ..sms("x") }
}

async fn accept(harness: &StoreHarness, new: NewSms) -> Sms {
    let accepted = harness.ledger(AcceptSms { batch: vec![new], idempotency: None }).await;
    let Accepted::Now(kept) = accepted else { panic!("{accepted:?}") };
    kept[0].clone()
}

async fn receipt(harness: &StoreHarness, id: SmsId, status: S) {
    let receipt = Receipt { sms: Some(id), ..Receipt::new(status, vec![("n".to_owned(), format!("{status:?}"))]) };
    harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt] }).await;
}

async fn claim(harness: &StoreHarness, account: &Account, most: usize) -> Vec<EsmeDelivery> {
    harness.callbacks(ClaimEsmeEvents { accounts: vec![(account.id, most)], lease_s: 60 }).await
}

async fn record(harness: &StoreHarness, delivery: &EsmeDelivery, then: DeliveryThen) {
    let (delivery, held_until, at) = (delivery.id, delivery.lease_until, harness.now());
    let attempts = vec![DeliveryAttempt { delivery, held_until, at, http_status: None, error: None, then }];
    harness.callbacks(RecordDeliveryAttempts { attempts, disable_after: Duration::MAX }).await;
}

/// The SMS of these receipts, with how they ended.
fn ended(deliveries: &[EsmeDelivery]) -> Vec<(SmsId, S)> {
    let receipt = |delivery: &EsmeDelivery| match &delivery.event {
        Some(EsmeEvent::Receipt(receipt)) => (receipt.id, receipt.status),
        other => panic!("{other:?}"),
    };
    deliveries.iter().map(receipt).collect()
}

#[actix_rt::test]
async fn an_end_is_told_once_however_it_comes_about_and_only_where_it_was_asked_for() {
    let Some(harness) = StoreHarness::new() else { return };
    let account = account(&harness).await;
    let mut told = Vec::new();
    for (success, failure) in [(true, true), (false, true), (true, false)] {
        let delivered = accept(&harness, submitted(&account, success, failure)).await.id;
        receipt(&harness, delivered, S::AtGateway).await;
        receipt(&harness, delivered, S::Delivered).await;
        receipt(&harness, delivered, S::Delivered).await;
        let refused = accept(&harness, submitted(&account, success, failure)).await.id;
        let then = Then::Done { status: S::RoutingError, provider_id: None };
        harness.outcome(refused, "no", then).await;
        let cancelled = accept(&harness, submitted(&account, success, failure)).await.id;
        let cancel = CancelSms { account: account.id, transport: Some(opera()), id: cancelled };
        harness.ledger(cancel).await.unwrap();
        told.extend(success.then_some((delivered, S::Delivered)));
        told.extend(failure.then_some((refused, S::RoutingError)));
        told.extend(failure.then_some((cancelled, S::Cancelled)));
    }
    accept(&harness, NewSms { account: account.id, ..sms("asks for nothing") }).await;
    assert_eq!(harness.callbacks(FindEsmeWork { accounts: vec![account.id, 99] }).await, [account.id]);
    assert_eq!(ended(&claim(&harness, &account, 100).await), told);
    assert_eq!(claim(&harness, &account, 100).await, [], "they are held");
    assert!(harness.callbacks(ListCallbacks { account: account.id }).await.is_empty(), "clients see no callback in it");
}

#[actix_rt::test]
async fn what_expires_is_told() {
    let Some(harness) = StoreHarness::new() else { return };
    let account = account(&harness).await;
    let id = accept(&harness, submitted(&account, true, true)).await.id;
    harness.advance(8 * 24 * 3600);
    while harness.sweep().await {}
    assert_eq!(ended(&claim(&harness, &account, 10).await), [(id, S::Expired)]);
}

#[actix_rt::test]
async fn what_was_not_answered_keeps_its_place_and_comes_again_after_a_restart() {
    let Some(harness) = StoreHarness::new() else { return };
    let account = account(&harness).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = accept(&harness, submitted(&account, true, true)).await.id;
        receipt(&harness, id, S::Delivered).await;
        harness.advance(1);
        ids.push(id);
    }
    let first = claim(&harness, &account, 2).await;
    assert_eq!(ended(&first).iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[..2]);
    record(&harness, &first[1], DeliveryThen::Done).await;
    record(&harness, &first[0], DeliveryThen::Again(first[0].created_at)).await;
    let again = claim(&harness, &account, 2).await;
    assert_eq!(ended(&again).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ids[0], ids[2]]);
    assert_eq!(again[0].attempts, 1);
    let harness = harness.restarted().await;
    let after = claim(&harness, &account, 10).await;
    assert_eq!(after.len(), 3, "all but the one that was answered");
    for delivery in &after {
        record(&harness, delivery, DeliveryThen::Parked).await;
    }
    harness.advance(1000);
    assert_eq!(claim(&harness, &account, 10).await, []);
    assert_eq!(harness.callbacks(ListParked { limit: 10 }).await.total, 3, "given up, and shown");
}

#[actix_rt::test]
async fn what_no_esme_took_in_time_is_given_up_and_what_is_younger_stays() {
    let Some(harness) = StoreHarness::new() else { return };
    let account = account(&harness).await;
    for _ in 0..2 {
        let id = accept(&harness, submitted(&account, true, true)).await.id;
        receipt(&harness, id, S::Delivered).await;
        harness.advance(60);
    }
    let before = harness.now().minus(Duration::from_secs(90));
    assert_eq!(harness.callbacks(GiveUpEsmeEvents { before }).await, 1);
    assert_eq!(harness.callbacks(GiveUpEsmeEvents { before }).await, 0);
    assert_eq!(claim(&harness, &account, 10).await.len(), 1);
    let parked = harness.callbacks(ListParked { limit: 10 }).await;
    assert_eq!((parked.total, parked.listed[0].error.as_str()), (1, "no ESME took it in time"));
}

#[actix_rt::test]
async fn sms_of_people_are_told_to_an_account_with_esmes_and_go_with_its_password() {
    let Some(harness) = StoreHarness::new() else { return };
    let account = account(&harness).await;
    let inbound = |text: &str| InboundSms {
        from: msisdn("27831234567").into(),
        to: msisdn("38080").into(),
        message: text.to_owned(),
        charset: None,
        provider_id: None,
        at: None,
        part: None,
    };
    let keep = |text: &str| KeepReceived {
        owner: SmsOwner::Account(account.id),
        transport: opera(),
        inbound: vec![inbound(text)],
    };
    harness.ledger(keep("one")).await;
    let told = claim(&harness, &account, 10).await;
    let Some(EsmeEvent::Sms(sms)) = &told[0].event else { panic!("{told:?}") };
    assert_eq!((sms.from.as_str(), sms.to.as_str(), sms.message.as_str()), ("27831234567", "38080", "one"));
    record(&harness, &told[0], DeliveryThen::Done).await;
    harness.ledger(keep("two")).await;
    let binds = change(&harness, AccountChange::SmppBinds(Some(3))).await.smpp.unwrap();
    assert_eq!((binds.most_binds, binds.password_hash.as_str()), (Some(3), "$argon2id$2"));
    assert_eq!(change(&harness, AccountChange::NoSmpp).await.smpp, None);
    assert_eq!(claim(&harness, &account, 10).await, []);
    harness.ledger(keep("three")).await;
    change(&harness, AccountChange::SmppPassword("$argon2id$3".to_owned())).await;
    assert_eq!(claim(&harness, &account, 10).await, [], "what happened before is not told");
}

#[actix_rt::test]
async fn what_an_esme_handed_in_as_octets_is_kept_as_it_came() {
    let Some(harness) = StoreHarness::new() else { return };
    let account = account(&harness).await;
    let raw = Content::Raw { data_coding: 0xF5, protocol_id: 0x7F, udh: Some("050003070201".to_owned()) };
    let new = submitted(&account, true, false);
    let options = SmsOptions { content: raw.clone(), ..(*new.options).clone() };
    let kept = accept(&harness, NewSms { message: "0102".to_owned(), options: Arc::new(options), ..new }).await;
    let find = vumi_kit::ledger::FindSms { account: account.id, transport: Some(opera()), id: kept.id };
    let found = harness.ledger(find).await.unwrap();
    assert_eq!((found.content, found.receipts, found.callback_url), (raw, kept.receipts, None));
    assert_eq!((found.message.as_str(), found.segments), ("0102", 1));
}
