//! SMS whose transport submits them part by part, and ids that come back in another spelling.

use vumi_kit::{
    ledger::{Outcome, ReceiptMatch, RecordOutcomes, RecordReceipts, Then},
    sent_parts::{IdSpellings, SentPart, TakenPart},
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
        ([false; 2], vec![("b2", Delivered), ("b1", DeliveryError)], DeliveryError),
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
