//! Delivery receipts: early, late, repeated, strange.

use std::time::Duration;

use vumi_kit::{
    callback::{CallbackName, ClaimDeliveries, CreateCallback},
    clock::Timestamp,
    ledger::{ListUnmatchedReceipts, ReceiptMatch, RecordReceipts, Then},
    sms::{Receipt, Sms, TransportStatus},
};

use super::{ALICE, BOB, StoreHarness, msisdn, opera};

fn receipt(provider_id: &str, status: TransportStatus) -> Receipt {
    let fields = vec![
        ("apiMsgId".to_owned(), provider_id.to_owned()),
        ("status".to_owned(), format!("{:03}", i16::from(status))),
        ("to".to_owned(), "+27 83".to_owned()),
    ];
    Receipt { provider_id: Some(provider_id.to_owned()), sms: None, to: None, status, at: None, fields }
}

async fn record_for(harness: &StoreHarness, account: i64, receipt: Receipt) -> ReceiptMatch {
    harness.ledger(RecordReceipts { account, transport: opera(), receipts: vec![receipt] }).await.remove(0)
}

async fn record(harness: &StoreHarness, receipt: Receipt) -> ReceiptMatch {
    record_for(harness, ALICE, receipt).await
}

/// An SMS that the provider has, under `id`.
async fn sent(harness: &StoreHarness, provider_id: &str) -> Sms {
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    harness.done(id, provider_id).await;
    harness.find(id).await
}

async fn hears_of_receipts(harness: &StoreHarness) {
    let (name, url) = (CallbackName::SmsReceipt, "http://client/".to_owned());
    harness.callbacks(CreateCallback { account: ALICE, name, url, secret: "whsec_x".to_owned() }).await;
}

async fn bodies(harness: &StoreHarness) -> Vec<String> {
    let claim = ClaimDeliveries {
        limit: 100,
        most_per_callback: 100,
        prompt: std::sync::Arc::new((0..100).collect()),
        most_of_others: 10,
        lease_s: 60,
    };
    harness.callbacks(claim).await.into_iter().map(|delivery| delivery.body).collect()
}

#[actix_rt::test]
async fn a_receipt_for_the_phone_delivers_it_when_the_provider_says() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = sent(&harness, "abc").await;
    harness.advance(60);
    let at = sms.created_at.plus(Duration::from_secs(5));
    let told = Receipt { at: Some(at), ..receipt("abc", TransportStatus::Delivered) };
    let ReceiptMatch::Matched(changed) = record(&harness, told).await else { panic!("no match") };
    assert_eq!((changed.status, changed.delivered_at), (TransportStatus::Delivered, Some(at)));
    assert_eq!((changed.updated_at, changed.provider_response.as_deref()), (harness.now(), Some("004")));
    assert_eq!(harness.find(sms.id).await, *changed);
}

#[actix_rt::test]
async fn without_a_time_in_the_receipt_it_was_delivered_now() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = sent(&harness, "abc").await;
    harness.advance(60);
    record(&harness, receipt("abc", TransportStatus::Delivered)).await;
    assert_eq!(harness.find(sms.id).await.delivered_at, Some(harness.now()));
}

#[actix_rt::test]
async fn both_ids_given_must_both_match() {
    let Some(harness) = StoreHarness::new() else { return };
    let (one, other) = (sent(&harness, "one").await, sent(&harness, "other").await);
    let crossed = Receipt { sms: Some(one.id), ..receipt("other", TransportStatus::Delivered) };
    assert_eq!(record(&harness, crossed).await, ReceiptMatch::Unmatched);
    assert_eq!(harness.find(one.id).await, one);
    assert_eq!(harness.find(other.id).await, other);
    let both = Receipt { sms: Some(one.id), ..receipt("one", TransportStatus::Delivered) };
    assert!(matches!(record(&harness, both).await, ReceiptMatch::Matched(sms) if sms.id == one.id));
}

#[actix_rt::test]
async fn a_receipt_with_our_number_may_overtake_the_answer_and_brings_the_id() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let fast = Receipt { sms: Some(id), ..receipt("abc", TransportStatus::Delivered) };
    assert!(matches!(record(&harness, fast).await, ReceiptMatch::Matched(_)));
    assert_eq!(harness.find(id).await.provider_id.as_deref(), Some("abc"));
    harness.advance(1000);
    assert!(harness.claim(1).await.is_empty(), "who sends a receipt has it");
}

#[actix_rt::test]
async fn an_outcome_after_the_receipt_undoes_nothing_but_brings_the_id() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let mut fast = receipt("abc", TransportStatus::Delivered);
    (fast.sms, fast.provider_id) = (Some(id), None);
    record(&harness, fast).await;
    harness.done(id, "abc").await;
    let sms = harness.find(id).await;
    assert_eq!((sms.status, sms.provider_id.as_deref()), (TransportStatus::Delivered, Some("abc")));
    assert_eq!((sms.attempts, sms.provider_response.as_deref()), (1, Some("004")));
}

#[actix_rt::test]
async fn a_retry_decided_after_the_receipt_is_not_made() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    record(&harness, Receipt { sms: Some(id), ..receipt("abc", TransportStatus::AtGateway) }).await;
    harness.outcome(id, "timed out", Then::Again { at: harness.now(), unknown_outcome: true }).await;
    harness.advance(1000);
    assert!(harness.claim(1).await.is_empty());
}

#[actix_rt::test]
async fn message_unknown_does_not_stop_the_retries() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    record(&harness, Receipt { sms: Some(id), ..receipt("abc", TransportStatus::UnknownMessage) }).await;
    assert_eq!(harness.claimed_ids(1).await, [id]);
}

#[actix_rt::test]
async fn a_receipt_before_the_answer_is_kept_and_matched_when_the_id_is_known() {
    let Some(harness) = StoreHarness::new() else { return };
    hears_of_receipts(&harness).await;
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let at = Timestamp::from_seconds(1_800_000_007);
    let early = Receipt { at: Some(at), ..receipt("abc", TransportStatus::Delivered) };
    assert_eq!(record(&harness, early.clone()).await, ReceiptMatch::Unmatched);
    assert_eq!(record(&harness, early.clone()).await, ReceiptMatch::Unmatched, "a repeated one");
    assert_eq!(bodies(&harness).await, Vec::<String>::new());
    let listed = harness.ledger(ListUnmatchedReceipts { limit: 10 }).await;
    assert_eq!(listed, [(harness.now(), opera(), early)]);

    harness.done(id, "abc").await;
    let sms = harness.find(id).await;
    assert_eq!((sms.status, sms.delivered_at), (TransportStatus::Delivered, Some(at)));
    assert_eq!(harness.ledger(ListUnmatchedReceipts { limit: 10 }).await, []);
    assert_eq!(bodies(&harness).await.len(), 1);
}

#[actix_rt::test]
async fn a_receipt_from_before_an_sms_was_accepted_is_not_about_it() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(record(&harness, receipt("abc", TransportStatus::Delivered)).await, ReceiptMatch::Unmatched);
    harness.advance(60);
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    harness.done(id, "abc").await;
    assert_ne!(harness.find(id).await.status, TransportStatus::Delivered);
    assert_eq!(harness.ledger(ListUnmatchedReceipts { limit: 10 }).await.len(), 1);
}

#[actix_rt::test]
async fn an_early_receipt_for_another_recipient_or_account_stays_unmatched() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let elsewhere = Receipt { to: Some(msisdn("27830000000")), ..receipt("abc", TransportStatus::Delivered) };
    record(&harness, elsewhere).await;
    record_for(&harness, BOB, receipt("abc", TransportStatus::Delivered)).await;
    harness.done(id, "abc").await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Queued);
    assert_eq!(harness.ledger(ListUnmatchedReceipts { limit: 10 }).await.len(), 2);
}

#[actix_rt::test]
async fn a_repeated_receipt_changes_nothing_and_tells_nobody() {
    let Some(harness) = StoreHarness::new() else { return };
    hears_of_receipts(&harness).await;
    let sms = sent(&harness, "abc").await;
    let delivered = receipt("abc", TransportStatus::Delivered);
    record(&harness, delivered.clone()).await;
    let before = harness.find(sms.id).await;
    harness.advance(60);
    assert_eq!(record(&harness, delivered).await, ReceiptMatch::Repeated(Box::new(before.clone())));
    assert_eq!(harness.find(sms.id).await, before);
    assert_eq!(bodies(&harness).await.len(), 1);
}

#[actix_rt::test]
async fn late_news_never_undoes_a_final_status() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = sent(&harness, "abc").await;
    record(&harness, receipt("abc", TransportStatus::Delivered)).await;
    let before = harness.find(sms.id).await;
    harness.advance(1);
    assert!(matches!(record(&harness, receipt("abc", TransportStatus::AtGateway)).await, ReceiptMatch::Matched(_)));
    assert_eq!(harness.find(sms.id).await, before);
}

#[actix_rt::test]
async fn one_provider_id_for_several_recipients_is_told_apart_by_the_recipient() {
    let Some(harness) = StoreHarness::new() else { return };
    let (one, mut other) = (sent(&harness, "abc").await, super::sms("x"));
    other.to = msisdn("27830000000");
    harness.ledger(vumi_kit::ledger::AcceptSms { batch: vec![other], idempotency: None }).await;
    let other = harness.claimed_ids(1).await[0];
    harness.done(other, "abc").await;
    let to = |to: &str| Receipt { to: Some(msisdn(to)), ..receipt("abc", TransportStatus::Delivered) };
    assert!(matches!(record(&harness, to("27831234567")).await, ReceiptMatch::Matched(sms) if sms.id == one.id));
    assert!(matches!(record(&harness, to("27830000000")).await, ReceiptMatch::Matched(sms) if sms.id == other));
    assert_eq!(record(&harness, to("27839999999")).await, ReceiptMatch::Unmatched);
}

#[actix_rt::test]
async fn another_accounts_sms_is_never_matched() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = sent(&harness, "abc").await;
    for named in [None, Some(sms.id)] {
        let bobs = Receipt { sms: named, ..receipt("abc", TransportStatus::Delivered) };
        assert_eq!(record_for(&harness, BOB, bobs).await, ReceiptMatch::Unmatched);
    }
    assert_eq!(harness.find(sms.id).await, sms);
}

#[actix_rt::test]
async fn a_receipt_without_any_id_is_kept_for_the_operator() {
    let Some(harness) = StoreHarness::new() else { return };
    let nameless = Receipt { provider_id: None, ..receipt("abc", TransportStatus::Delivered) };
    assert_eq!(record(&harness, nameless.clone()).await, ReceiptMatch::Unmatched);
    assert_eq!(record(&harness, nameless.clone()).await, ReceiptMatch::Unmatched);
    assert_eq!(harness.ledger(ListUnmatchedReceipts { limit: 10 }).await, [(harness.now(), opera(), nameless)]);
}

#[actix_rt::test]
async fn the_callback_carries_the_providers_fields_and_then_the_sms() {
    let Some(harness) = StoreHarness::new() else { return };
    hears_of_receipts(&harness).await;
    let sms = sent(&harness, "abc").await;
    record(&harness, receipt("abc", TransportStatus::Delivered)).await;
    let expected = format!(
        "apiMsgId=abc&status=004&to=%2B27+83&id={}&transport_name=opera&transport_status=4\
         &transport_status_display=Received+by+recipient",
        sms.id
    );
    assert_eq!(bodies(&harness).await, [expected]);
}

#[actix_rt::test]
async fn a_nul_in_what_a_provider_says_is_kept_as_a_sign_of_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let then = Then::Done { status: TransportStatus::Queued, provider_id: Some("a\0c".to_owned()) };
    harness.outcome(id, "ID: a\0c", then).await;
    let sms = harness.find(id).await;
    assert_eq!(sms.provider_response.as_deref(), Some("ID: a\u{fffd}c"));
    assert_eq!(sms.provider_id.as_deref(), Some("a\u{fffd}c"));
    let told = record(&harness, receipt("a\0c", TransportStatus::Delivered)).await;
    assert!(matches!(told, ReceiptMatch::Matched(_)), "{told:?}");
    assert_eq!(harness.find(id).await.status, TransportStatus::Delivered);
}
