//! Delivery receipts: early, late, repeated, strange.

use std::time::Duration;

use vumi_kit::{
    callback::{CallbackFormat, CallbackName, ClaimDeliveries, CreateCallback, Delivery},
    clock::Timestamp,
    ledger::{AcceptSms, ListUnmatchedReceipts, ReceiptMatch, RecordReceipts, Then},
    levers::{Lever, PullLever},
    sms::{NewSms, Receipt, Sms, SmsId, TransportStatus},
};

use super::{ALICE, BOB, StoreHarness, msisdn, opera};

fn receipt(provider_id: &str, status: TransportStatus) -> Receipt {
    let fields = vec![
        ("apiMsgId".to_owned(), provider_id.to_owned()),
        ("status".to_owned(), format!("{:03}", i16::from(status))),
        ("to".to_owned(), "+27 83".to_owned()),
    ];
    Receipt {
        provider_id: Some(provider_id.to_owned()),
        provider_status: Some(format!("{:03}", i16::from(status))),
        ..Receipt::new(status, fields)
    }
}

async fn record(harness: &StoreHarness, receipt: Receipt) -> ReceiptMatch {
    harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt] }).await.remove(0)
}

/// An SMS that the provider has, under `id`.
async fn sent(harness: &StoreHarness, provider_id: &str) -> Sms {
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    harness.done(id, provider_id).await;
    harness.find(id).await
}

async fn hears_of_receipts(harness: &StoreHarness) {
    let (name, url, format) = (CallbackName::SmsReceipt, "http://client/".to_owned(), CallbackFormat::Form);
    harness.callbacks(CreateCallback { account: ALICE, name, url, format, secret: "whsec_x".to_owned() }).await;
}

async fn bodies(harness: &StoreHarness) -> Vec<String> {
    posts(harness).await.into_iter().map(|delivery| delivery.body).collect()
}

async fn posts(harness: &StoreHarness) -> Vec<Delivery> {
    let claim = ClaimDeliveries {
        after: 0,
        limit: 100,
        most_per_callback: 100,
        prompt: std::sync::Arc::new((0..100).collect()),
        most_of_others: 10,
        lease_s: 60,
    };
    harness.callbacks(claim).await.deliveries
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
async fn an_early_receipt_for_another_recipient_stays_unmatched() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    let elsewhere = Receipt { to: Some(msisdn("27830000000")), ..receipt("abc", TransportStatus::Delivered) };
    record(&harness, elsewhere).await;
    harness.done(id, "abc").await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Queued);
    assert_eq!(harness.ledger(ListUnmatchedReceipts { limit: 10 }).await.len(), 1);
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
async fn a_receipt_is_its_sms_own_whoevers_it_is_and_that_account_is_told() {
    let Some(harness) = StoreHarness::new() else { return };
    hears_of_receipts(&harness).await;
    let url = "http://bob/".to_owned();
    let (name, format) = (CallbackName::SmsReceipt, CallbackFormat::Form);
    let bobs = CreateCallback { account: BOB, name, url, format, secret: "whsec_x".to_owned() };
    harness.callbacks(bobs).await;
    let bobs = vec![NewSms { account: BOB, ..super::sms("x") }];
    harness.ledger(AcceptSms { batch: bobs, idempotency: None }).await;
    let id = harness.claimed_ids(1).await[0];
    harness.done(id, "abc").await;
    for status in [TransportStatus::AtGateway, TransportStatus::Delivered] {
        let named = (status == TransportStatus::Delivered).then_some(id);
        let told = record(&harness, Receipt { sms: named, ..receipt("abc", status) }).await;
        assert!(matches!(told, ReceiptMatch::Matched(sms) if (sms.id, sms.account, sms.status) == (id, BOB, status)));
    }
    let told: Vec<String> = posts(&harness).await.into_iter().map(|delivery| delivery.url).collect();
    assert_eq!(told, ["http://bob/"; 2]);
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

#[actix_rt::test]
async fn receipts_that_differ_in_status_id_or_time_alone_are_all_heard() {
    let Some(harness) = StoreHarness::new() else { return };
    hears_of_receipts(&harness).await;
    let sms = sent(&harness, "abc").await;
    let bare = |status| Receipt { fields: Vec::new(), provider_status: None, ..receipt("abc", status) };
    let at = Some(Timestamp::from_seconds(1_800_000_007));
    for (receipt, status) in [
        (bare(TransportStatus::AtGateway), TransportStatus::AtGateway),
        (bare(TransportStatus::Delivered), TransportStatus::Delivered),
        (Receipt { at, ..bare(TransportStatus::Delivered) }, TransportStatus::Delivered),
    ] {
        assert!(matches!(record(&harness, receipt.clone()).await, ReceiptMatch::Matched(_)), "{receipt:?}");
        assert!(matches!(record(&harness, receipt).await, ReceiptMatch::Repeated(_)));
        assert_eq!(harness.find(sms.id).await.status, status);
    }
    assert_eq!(bodies(&harness).await.len(), 3);
}

/// Receipts of one SMS's id that differ in a field that nobody reads.
fn many(status: TransportStatus, count: usize) -> Vec<Receipt> {
    let differs = |n: usize| Receipt { fields: vec![("n".to_owned(), n.to_string())], ..receipt("abc", status) };
    (0..count).map(differs).collect()
}

#[actix_rt::test]
async fn of_one_sms_a_bounded_number_of_receipts_is_kept_and_news_is_heard_all_the_same() {
    let Some(harness) = StoreHarness::new() else { return };
    hears_of_receipts(&harness).await;
    let sms = sent(&harness, "abc").await;
    for receipts in many(TransportStatus::Queued, 150).chunks(50) {
        harness.ledger(RecordReceipts { transport: opera(), receipts: receipts.to_vec() }).await;
    }
    assert_eq!(harness.rows("receipts"), 100);
    assert!(matches!(record(&harness, receipt("abc", TransportStatus::Delivered)).await, ReceiptMatch::Matched(_)));
    assert_eq!(harness.find(sms.id).await.status, TransportStatus::Delivered);
    assert_eq!((harness.rows("receipts"), bodies(&harness).await.len()), (100, 100), "claimed 100 at the most");
    assert_eq!(harness.rows("callback_deliveries"), 101);
}

#[actix_rt::test]
async fn of_one_unknown_id_a_bounded_number_of_receipts_is_kept() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.ledger(RecordReceipts { transport: opera(), receipts: many(TransportStatus::Queued, 150) }).await;
    harness.ledger(RecordReceipts { transport: opera(), receipts: many(TransportStatus::Queued, 150) }).await;
    assert_eq!(harness.rows("receipts"), 100);
    record(&harness, receipt("other", TransportStatus::Queued)).await;
    assert_eq!(harness.rows("receipts"), 101, "another id's are kept");
}

#[actix_rt::test]
async fn receipts_that_nothing_matched_are_deleted_after_days() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = sent(&harness, "mine").await;
    record(&harness, receipt("mine", TransportStatus::Delivered)).await;
    record(&harness, receipt("abc", TransportStatus::Delivered)).await;
    harness.advance(6 * 24 * 3600);
    record(&harness, receipt("later", TransportStatus::Delivered)).await;
    harness.sweep().await;
    assert_eq!(harness.rows("receipts"), 3);
    harness.advance(24 * 3600 + 1);
    harness.sweep().await;
    let left = harness.ledger(ListUnmatchedReceipts { limit: 10 }).await;
    assert_eq!(left.iter().map(|(_, _, receipt)| receipt.provider_id.as_deref()).collect::<Vec<_>>(), [Some("later")]);
    assert_eq!((harness.rows("receipts"), harness.find(sms.id).await.status), (2, TransportStatus::Delivered));
}

#[actix_rt::test]
async fn an_id_of_any_length_is_kept_by_its_digest_and_matched_by_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let long = format!("{}\0", "x".repeat(9000));
    let sms = sent(&harness, &long).await;
    let id = sms.provider_id.unwrap();
    assert!(id.starts_with("sha256-"), "{id}");
    assert!(matches!(record(&harness, receipt(&long, TransportStatus::Delivered)).await, ReceiptMatch::Matched(_)));
    assert_eq!(record(&harness, receipt(&long.repeat(2), TransportStatus::Delivered)).await, ReceiptMatch::Unmatched);
}

/// An SMS of two parts that the provider has, under its number and an `a`.
async fn sent_in_parts(harness: &StoreHarness) -> SmsId {
    let batch = vec![super::sms(&"long ".repeat(50))];
    harness.ledger(AcceptSms { batch, idempotency: None }).await;
    let id = harness.claimed_ids(1).await[0];
    harness.done(id, &format!("{id}a")).await;
    id
}

#[actix_rt::test]
async fn an_sms_in_parts_has_arrived_once_all_of_them_have_and_what_has_arrived_stays_so() {
    use TransportStatus::{AtGateway, Delivered, DeliveryError, Queued};
    let Some(harness) = StoreHarness::new() else { return };
    let about = |id: SmsId, part: &str, status| Receipt { sms: Some(id), ..receipt(&format!("{id}{part}"), status) };
    for (told, expected) in [
        (vec![("a", DeliveryError), ("b", Delivered)], DeliveryError),
        (vec![("b", Delivered), ("a", DeliveryError)], DeliveryError),
        (vec![("b", DeliveryError), ("a", Delivered)], DeliveryError),
        (vec![("b", Delivered)], Queued),
        (vec![("b", Delivered), ("a", AtGateway)], AtGateway),
        (vec![("b", Delivered), ("a", Delivered)], Delivered),
        (vec![("b", AtGateway), ("a", Delivered)], AtGateway),
        (vec![("b", AtGateway), ("a", Delivered), ("b", Delivered)], Delivered),
        (vec![("b", DeliveryError), ("a", Delivered), ("b", Delivered)], Delivered),
        // The first receipt may speak of the whole SMS, and does where no other ones come: that stands.
        (vec![("a", Delivered), ("b", Delivered)], Delivered),
        (vec![("a", Delivered), ("b", DeliveryError)], Delivered),
        (vec![("a", Delivered), ("b", DeliveryError), ("a", AtGateway)], Delivered),
        (vec![("b", Queued), ("a", Queued)], Queued),
    ] {
        let id = sent_in_parts(&harness).await;
        for (part, status) in &told {
            let matched = record(&harness, about(id, part, *status)).await;
            assert!(matches!(matched, ReceiptMatch::Matched(_) | ReceiptMatch::Repeated(_)), "{told:?}");
        }
        let sms = harness.find(id).await;
        assert_eq!((sms.status, sms.delivered_at.is_some()), (expected, expected == Delivered), "{told:?}");
    }
}

#[actix_rt::test]
async fn a_parts_number_tells_it_where_all_have_one_id() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = sent_in_parts(&harness).await;
    let part = |part, status| Receipt { part: Some(part), ..receipt(&format!("{id}a"), status) };
    record(&harness, part(1, TransportStatus::DeliveryError)).await;
    record(&harness, part(2, TransportStatus::Delivered)).await;
    assert_eq!(harness.find(id).await.status, TransportStatus::DeliveryError);
    record(&harness, part(1, TransportStatus::Delivered)).await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Delivered);
    record(&harness, part(2, TransportStatus::RoutingError)).await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Delivered);
}

#[actix_rt::test]
async fn a_long_sms_that_was_submitted_twice_is_reported_as_a_whole_by_either_of_its_ids() {
    for told in ["first", "second"] {
        let Some(harness) = StoreHarness::new() else { return };
        let id = sent_in_parts(&harness).await;
        let again = PullLever { lever: Lever::Resend, ids: vec![id], reason: "a test".into() };
        record(&harness, receipt(&format!("{id}a"), TransportStatus::DeliveryError)).await;
        assert_eq!(harness.ledger(again).await.done, 1);
        assert_eq!(harness.claimed_ids(1).await, [id]);
        harness.done(id, "second").await;
        let named = if told == "first" { format!("{id}a") } else { "second".to_owned() };
        record(&harness, receipt(&named, TransportStatus::Delivered)).await;
        assert_eq!(harness.find(id).await.status, TransportStatus::Delivered, "{told}");
    }
}

#[actix_rt::test]
async fn a_receipt_with_another_parts_id_and_our_number_is_ours_and_so_is_that_id_from_then_on() {
    let Some(harness) = StoreHarness::new() else { return };
    let (id, other) = (sent_in_parts(&harness).await, sent(&harness, "other").await);
    let second = Receipt { sms: Some(id), ..receipt("b", TransportStatus::AtGateway) };
    assert!(matches!(record(&harness, second).await, ReceiptMatch::Matched(sms) if sms.id == id));
    let by_id = record(&harness, receipt("b", TransportStatus::Delivered)).await;
    assert!(matches!(by_id, ReceiptMatch::Matched(sms) if sms.id == id));
    let strict = Receipt { sms: Some(id), both_ids: true, ..receipt("c", TransportStatus::Delivered) };
    assert_eq!(record(&harness, strict).await, ReceiptMatch::Unmatched, "this provider gives an SMS one id");
    let crossed = Receipt { sms: Some(other.id), ..receipt("b", TransportStatus::Delivered) };
    assert_eq!(record(&harness, crossed).await, ReceiptMatch::Unmatched, "the id is known as another SMS's");
}

#[actix_rt::test]
async fn of_an_sms_that_was_submitted_twice_one_delivery_is_enough() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = sent(&harness, "second").await;
    for (provider_id, status) in [("first", TransportStatus::DeliveryError), ("second", TransportStatus::Delivered)] {
        record(&harness, Receipt { sms: Some(sms.id), ..receipt(provider_id, status) }).await;
    }
    assert_eq!(harness.find(sms.id).await.status, TransportStatus::Delivered);
}

#[actix_rt::test]
async fn an_id_that_came_with_a_receipt_is_known_though_the_answer_names_another() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    record(&harness, Receipt { sms: Some(id), ..receipt("b", TransportStatus::AtGateway) }).await;
    harness.done(id, "a").await;
    assert_eq!(harness.find(id).await.provider_id.as_deref(), Some("a"));
    let both = Receipt { sms: Some(id), both_ids: true, ..receipt("b", TransportStatus::AtGateway) };
    let both = Receipt { fields: vec![("n".to_owned(), "2".to_owned())], ..both };
    assert!(matches!(record(&harness, both).await, ReceiptMatch::Matched(sms) if sms.id == id), "also by both ids");
    let told = record(&harness, receipt("b", TransportStatus::Delivered)).await;
    assert!(matches!(told, ReceiptMatch::Matched(sms) if sms.id == id));
}
