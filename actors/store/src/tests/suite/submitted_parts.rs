//! SMS whose transport submits them part by part, and ids that come back in another spelling.

use vumi_kit::{
    clock::Timestamp,
    ledger::{FindNearMisses, NearMissReason, Outcome, ReceiptMatch, RecordOutcomes, RecordReceipts, Then},
    sent_parts::{IdSpellings, ListSentParts, SentPart, TakenPart},
    sms::{Receipt, SmsId, TransportStatus},
};

use super::{StoreHarness, msisdn, opera};

fn spellings(folded: &str, others: &[&str]) -> Option<IdSpellings> {
    let others = others.iter().map(|&other| other.to_owned()).collect();
    Some(IdSpellings { folded: folded.to_owned(), others })
}

fn taken(number: u8, id: &str, must_report: bool) -> TakenPart {
    let part = SentPart { number, provider_id: Some(id.to_owned()) };
    TakenPart { part, spellings: spellings(id, &[]), must_report }
}

fn receipt(id: &str, status: TransportStatus) -> Receipt {
    let fields = vec![("id".to_owned(), id.to_owned())];
    Receipt { provider_id: Some(id.to_owned()), spellings: spellings(id, &[]), ..Receipt::new(status, fields) }
}

async fn record(harness: &StoreHarness, receipt: Receipt) -> Option<SmsId> {
    let matched = harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt] }).await.remove(0);
    match matched {
        ReceiptMatch::Matched(sms) | ReceiptMatch::Repeated(sms) => Some(sms.id),
        ReceiptMatch::Unmatched => None,
    }
}

async fn outcome(harness: &StoreHarness, (id, attempts): (SmsId, i32), parts: Vec<TakenPart>, then: Then) {
    let outcome = Outcome { id, at: harness.now(), attempts, detail: "answers".to_owned(), then, parts };
    harness.ledger(RecordOutcomes { transport: opera(), outcomes: vec![outcome], begin: Vec::new() }).await;
}

fn done(id: &str) -> Then {
    Then::Done { status: TransportStatus::AtGateway, provider_id: Some(id.to_owned()) }
}

async fn claimed(harness: &StoreHarness) -> SmsId {
    let id = harness.accept(1).await[0].id;
    harness.claim(1).await;
    id
}

#[actix_rt::test]
async fn a_retry_knows_the_parts_that_were_taken() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = claimed(&harness).await;
    let again = Then::Again { at: harness.now(), unknown_outcome: false };
    outcome(&harness, (id, 0), vec![taken(1, "a1", true), taken(3, "a3", true)], again).await;
    let retried = harness.claim(1).await.remove(0);
    let numbers: Vec<_> = retried.parts.iter().map(|part| (part.number, part.provider_id.as_deref())).collect();
    assert_eq!(numbers, [(1, Some("a1")), (3, Some("a3"))]);
    outcome(&harness, (id, 1), vec![taken(2, "a2", true)], done("a1")).await;
    assert_eq!(harness.rows("sms_parts"), 3);
}

#[actix_rt::test]
async fn each_part_is_listed_with_its_state_and_both_spellings_of_its_id() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = claimed(&harness).await;
    assert_eq!(harness.ledger(ListSentParts { sms: id }).await, []);
    let padded = TakenPart { spellings: spellings("a2", &[]), ..taken(2, "00A2", true) };
    outcome(&harness, (id, 0), vec![taken(1, "a1", true), padded], done("a1")).await;
    let late = Receipt { spellings: spellings("a2", &[]), ..receipt("0A2", TransportStatus::Delivered) };
    assert_eq!(record(&harness, late).await, Some(id));
    let parts = harness.ledger(ListSentParts { sms: id }).await;
    let shown: Vec<_> = parts
        .iter()
        .map(|part| (part.number, part.provider_id.as_deref().unwrap(), part.folded_id.as_deref(), part.status))
        .collect();
    let (gateway, delivered) = (TransportStatus::AtGateway, TransportStatus::Delivered);
    assert_eq!(shown, [(1, "a1", None, gateway), (2, "00A2", Some("a2"), delivered)]);
}

#[actix_rt::test]
async fn a_receipt_without_an_sms_has_near_misses_by_id_and_by_recipient() {
    let Some(harness) = StoreHarness::new() else { return };
    let sms = harness.accept(1).await.remove(0);
    harness.claim(1).await;
    outcome(
        &harness,
        (sms.id, 0),
        vec![TakenPart { spellings: spellings("a1", &[]), ..taken(1, "00A1", true) }],
        done("00A1"),
    )
    .await;
    harness.advance(60);
    let to = |number: &str| Some(msisdn(number));
    for (ids, recipient, found) in [
        (&["a1"][..], None, Some(NearMissReason::AlikeId)),
        (&["x", "00A1"], to("27830000000"), Some(NearMissReason::AlikeId)),
        (&["x"], Some(sms.to.clone()), Some(NearMissReason::SameRecipient)),
        (&["a1"], Some(sms.to.clone()), Some(NearMissReason::AlikeId)),
        (&["x"], to("27830000000"), None),
    ] {
        let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        let ask = FindNearMisses { transport: opera(), ids, to: recipient, came_at: harness.now() };
        let misses = harness.ledger(ask.clone()).await;
        let seen: Vec<_> = misses.iter().map(|miss| (miss.sms, miss.why)).collect();
        assert_eq!(seen, found.map(|why| (sms.id, why)).into_iter().collect::<Vec<_>>(), "{ask:?}");
    }
    let before = harness.now().minus(std::time::Duration::from_secs(120));
    let early = FindNearMisses { transport: opera(), ids: Vec::new(), to: Some(sms.to), came_at: before };
    assert_eq!(harness.ledger(early).await, [], "it was accepted after the receipt came");
}

#[actix_rt::test]
async fn a_receipt_that_counts_minutes_does_not_say_delivered_before_submitted() {
    for (said_before, expected_before) in [(600, 600), (59, 0), (1, 0), (0, 0), (-5, -5)] {
        let Some(harness) = StoreHarness::new() else { return };
        let id = claimed(&harness).await;
        harness.advance(10);
        let submitted = harness.now();
        outcome(&harness, (id, 0), vec![taken(1, "a1", true)], done("a1")).await;
        harness.advance(30);
        let at = |before: i64| Timestamp::from_micros(submitted.micros() - before * 1_000_000);
        let said = Receipt { at: Some(at(said_before)), ..receipt("a1", TransportStatus::Delivered) };
        record(&harness, said).await;
        assert_eq!(harness.find(id).await.delivered_at, Some(at(expected_before)), "{said_before} s before");
    }
}

#[actix_rt::test]
async fn it_is_delivered_when_all_parts_are_that_must_be_and_failed_by_one_that_failed() {
    use TransportStatus::{AtGateway, Delivered, DeliveryError};
    for (must_report, reports, expected) in [
        ([true; 2], vec![("b1", Delivered)], AtGateway),
        ([true; 2], vec![("b1", Delivered), ("b2", AtGateway)], AtGateway),
        ([true; 2], vec![("b2", Delivered), ("b1", Delivered)], Delivered),
        ([true; 2], vec![("b1", Delivered), ("b2", DeliveryError)], DeliveryError),
        ([true; 2], vec![("b1", DeliveryError)], DeliveryError),
        ([true; 2], vec![("b2", DeliveryError), ("b2", Delivered), ("b1", Delivered)], Delivered),
        ([false; 2], vec![("b2", Delivered)], Delivered),
        // One report speaks for all where none was asked for: what has arrived stays so.
        ([false; 2], vec![("b2", Delivered), ("b1", DeliveryError)], Delivered),
        ([false, true], vec![("b1", Delivered)], AtGateway),
        ([false, true], vec![("b2", Delivered)], Delivered),
    ] {
        let Some(harness) = StoreHarness::new() else { return };
        let id = claimed(&harness).await;
        let parts = vec![taken(1, "b1", must_report[0]), taken(2, "b2", must_report[1])];
        outcome(&harness, (id, 0), parts, done("b1")).await;
        for (part, status) in &reports {
            assert_eq!(record(&harness, receipt(part, *status)).await, Some(id));
        }
        assert_eq!(harness.find(id).await.status, expected, "{must_report:?} {reports:?}");
    }
}

#[actix_rt::test]
async fn receipts_of_parts_may_come_before_the_answers() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = claimed(&harness).await;
    for part in ["c1", "c2"] {
        assert_eq!(record(&harness, receipt(part, TransportStatus::Delivered)).await, None);
    }
    let again = Then::Again { at: harness.now(), unknown_outcome: false };
    outcome(&harness, (id, 0), vec![taken(1, "c1", true)], again).await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Pending, "a part is to be submitted yet");
    assert_eq!(harness.claim(1).await.len(), 1);
    outcome(&harness, (id, 1), vec![taken(2, "c2", true)], done("c1")).await;
    assert_eq!(harness.find(id).await.status, TransportStatus::Delivered);
    let late = claimed(&harness).await;
    for part in ["d1", "d2"] {
        assert_eq!(record(&harness, receipt(part, TransportStatus::Delivered)).await, None);
    }
    outcome(&harness, (late, 0), vec![taken(1, "d1", true), taken(2, "d2", true)], done("d1")).await;
    assert_eq!(harness.find(late).await.status, TransportStatus::Delivered);
}

/// Answer, its key, what the receipt says, its key and the other bases of it; and those of the answer.
type Spelled<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [&'a str], &'a [&'a str]);

const SPELLED: [Spelled<'_>; 5] = [
    ("10C8F40D", "10c8f40d", "10c8f40d", "10c8f40d", &[], &["281605133"]),
    ("10C8F40D", "10c8f40d", "281605133", "281605133", &["10c8f40d"], &["281605133"]),
    ("39f99dd5", "39f99dd5", "0972660181", "972660181", &["39f99dd5"], &["972660181"]),
    ("000123", "123", "123", "123", &["7b", "291"], &["7b", "291"]),
    ("123", "123", "000123", "123", &["7b", "291"], &["7b", "291"]),
];

#[actix_rt::test]
async fn an_id_is_found_in_another_spelling_where_the_recipient_agrees_before_and_after_the_answer() {
    for (answer, key, given, given_key, bases, of_answer) in SPELLED {
        for early in [true, false] {
            let Some(harness) = StoreHarness::new() else { return };
            let id = claimed(&harness).await;
            let to = harness.find(id).await.to;
            let written = |to: &str| Receipt {
                to: Some(msisdn(to)),
                spellings: spellings(given_key, bases),
                ..receipt(given, TransportStatus::Delivered)
            };
            let national = format!("0{}", &to.as_str()[2..]);
            let answered = TakenPart { spellings: spellings(key, of_answer), ..taken(1, answer, false) };
            if early {
                assert_eq!(record(&harness, written(&national)).await, None);
                outcome(&harness, (id, 0), vec![answered], done(answer)).await;
            } else {
                outcome(&harness, (id, 0), vec![answered], done(answer)).await;
                assert_eq!(record(&harness, written("27990000000")).await, None, "another person's");
                assert_eq!(harness.find(id).await.status, TransportStatus::AtGateway);
                assert_eq!(record(&harness, written(&national)).await, Some(id), "{answer} {given}");
            }
            let sms = harness.find(id).await;
            assert_eq!(sms.status, TransportStatus::Delivered, "{answer} {given} early: {early}");
            assert_eq!(sms.provider_id.as_deref(), Some(answer));
        }
    }
}

#[actix_rt::test]
async fn the_same_id_goes_before_one_that_is_only_like_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let (same, like) = (claimed(&harness).await, claimed(&harness).await);
    for (id, answer, key) in [(same, "0123", "123"), (like, "123", "123")] {
        let answered = TakenPart { spellings: spellings(key, &[]), ..taken(1, answer, false) };
        outcome(&harness, (id, 0), vec![answered], done(answer)).await;
    }
    let exact = Receipt { spellings: spellings("123", &[]), ..receipt("0123", TransportStatus::Delivered) };
    assert_eq!(record(&harness, exact).await, Some(same));
}
