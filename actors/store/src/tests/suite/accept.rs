//! Accepting SMS.

use vumi_kit::{
    ledger::{AcceptSms, Accepted, FindAccepted, FindSms, IdempotencyKey},
    sms::TransportStatus,
    store::Ask,
};

use super::{ALICE, StoreHarness, msisdn, opera, sms};

fn with_key(batch: &[&str], key: &str, digest: u8) -> AcceptSms {
    let key = IdempotencyKey { key: key.to_owned(), request_digest: vec![digest; 32], keep_s: 60 };
    AcceptSms { batch: batch.iter().map(|text| sms(text)).collect(), idempotency: Some(key) }
}

#[actix_rt::test]
async fn an_accepted_sms_is_pending_and_found() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = harness.accept(1).await;
    assert_eq!(kept[0].status, TransportStatus::Pending);
    assert_eq!(kept[0].created_at, harness.now());
    assert_eq!(harness.find(kept[0].id).await, kept[0]);
}

#[actix_rt::test]
async fn a_batch_of_ten_thousand_is_kept_in_order() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = harness.accept(10_000).await;
    assert_eq!(kept.len(), 10_000);
    assert!(kept.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert!(kept.iter().enumerate().all(|(n, sms)| sms.message == format!("message {n}")));
    assert_eq!(harness.find(kept[9_999].id).await.message, "message 9999");
}

#[actix_rt::test]
async fn an_empty_batch_keeps_nothing() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(harness.accept(0).await, []);
}

#[actix_rt::test]
async fn what_is_accepted_is_there_after_a_restart() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = harness.accept(3).await;
    let harness = harness.restarted().await;
    assert_eq!(harness.find(kept[2].id).await, kept[2]);
}

#[actix_rt::test]
async fn texts_are_kept_to_the_letter() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut odd = sms("'; DROP TABLE sms; -- äé漢字😀\n");
    odd.to = msisdn("+27831234567");
    let Accepted::Now(kept) = harness.ledger(AcceptSms { batch: vec![odd.clone()], idempotency: None }).await else {
        panic!("not now")
    };
    let found = harness.find(kept[0].id).await;
    assert_eq!((found.message, found.to), (odd.message, odd.to));
}

#[actix_rt::test]
async fn a_repeated_request_gives_the_first_answer_and_keeps_nothing() {
    let Some(harness) = StoreHarness::new() else { return };
    let Accepted::Now(first) = harness.ledger(with_key(&["a", "b"], "k", 1)).await else { panic!("not now") };
    assert_eq!(harness.ledger(with_key(&["a", "b"], "k", 1)).await, Accepted::Before(first.clone()));
    assert_eq!(harness.claim(10).await.len(), 2);
}

#[actix_rt::test]
async fn a_reader_answers_a_repeated_batch_as_it_is_now_and_in_its_order() {
    let Some(harness) = StoreHarness::new() else { return };
    let find = |key: &str, digest: u8| {
        let key = with_key(&[], key, digest).idempotency.unwrap();
        harness.ledger(FindAccepted { account: ALICE, key })
    };
    assert_eq!(find("k", 1).await, None);
    let texts: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let Accepted::Now(kept) = harness.ledger(with_key(&texts, "k", 1)).await else { panic!("not now") };
    assert_eq!(find("k", 1).await, Some(Accepted::Before(kept.clone())));
    assert_eq!(find("k", 2).await, Some(Accepted::KeyReused));
    assert_eq!(find("another", 1).await, None);
    harness.open_outbox(1).await;
    harness.claim(1).await;
    harness.done(kept[0].id, "p").await;
    let Some(Accepted::Before(now)) = find("k", 1).await else { panic!("not found") };
    assert_eq!((now[0].status, now[1].status), (TransportStatus::Queued, TransportStatus::Pending));
    harness.advance(60);
    assert_eq!(find("k", 1).await, None, "it has expired");
}

#[actix_rt::test]
async fn a_key_used_for_another_request_keeps_nothing() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.ledger(with_key(&["a"], "k", 1)).await;
    assert_eq!(harness.ledger(with_key(&["b"], "k", 2)).await, Accepted::KeyReused);
    assert_eq!(harness.claim(10).await.len(), 1);
}

#[actix_rt::test]
async fn another_accounts_key_is_another_key() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.ledger(with_key(&["a"], "k", 1)).await;
    let mut bobs = with_key(&["a"], "k", 1);
    bobs.batch[0].account = super::BOB;
    assert!(matches!(harness.ledger(bobs).await, Accepted::Now(_)));
}

#[actix_rt::test]
async fn a_key_is_forgotten_when_its_time_is_over() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.ledger(with_key(&["a"], "k", 1)).await;
    harness.advance(60);
    assert!(matches!(harness.ledger(with_key(&["b"], "k", 2)).await, Accepted::Now(_)));
    assert!(matches!(harness.ledger(with_key(&["b"], "k", 2)).await, Accepted::Before(_)));
}

#[actix_rt::test]
async fn another_account_or_transport_finds_nothing() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = harness.accept(1).await[0].id;
    let other = vumi_kit::name::Name::parse("techsys").unwrap();
    assert_eq!(harness.ledger(FindSms { account: super::BOB, transport: Some(opera()), id }).await, None);
    assert_eq!(harness.ledger(FindSms { account: ALICE, transport: Some(other), id }).await, None);
    assert!(
        harness
            .store
            .store
            .ledger
            .ask(FindSms { account: ALICE, transport: Some(opera()), id })
            .await
            .unwrap()
            .is_some()
    );
}
