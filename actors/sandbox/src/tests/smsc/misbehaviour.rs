//! The centre misbehaves on request.

use bytes::Bytes;
use serde_json::json;
use vumi_smpp_codec::{BindMode, CommandId, Message, Pdu, parts::Method, status, tag};

use super::{ScriptedEsme, parts, sms, start, taken, words};
use crate::tests::harness::{DEADLINE, SandboxHarness};

async fn transceiver(rules: serde_json::Value) -> (SandboxHarness, ScriptedEsme) {
    let harness = start().await;
    harness.misbehave("smsc", rules).await;
    let esme = ScriptedEsme::bound(&harness, BindMode::Transceiver).await;
    (harness, esme)
}

fn unreceipted(text: &str) -> Message {
    Message { registered_delivery: 0, ..sms(text) }
}

fn submission(message: Message) -> Pdu {
    Pdu::SubmitSm(Box::new(message))
}

#[tokio::test]
async fn the_next_submissions_are_throttled_and_then_taken() {
    let (harness, mut esme) = transceiver(json!({"smpp": {"refuse_next": 2}})).await;
    let mut statuses = Vec::new();
    for text in ["a", "b", "c"] {
        statuses.push(esme.submit(unreceipted(text)).await.0);
    }
    assert_eq!(statuses, [status::ESME_RTHROTTLED, status::ESME_RTHROTTLED, status::ESME_ROK]);
    harness.misbehave("smsc", json!({"refuse_with": "RMSGQFUL", "smpp": {"refuse_next": 1}})).await;
    assert_eq!(esme.submit(unreceipted("d")).await, (status::ESME_RMSGQFUL, String::new()));
    harness.misbehave("smsc", json!({"refuse_every": 2, "refuse_with": "0x55F"})).await;
    assert_eq!(esme.submit(unreceipted("e")).await.0, status::ESME_ROK);
    assert_eq!(esme.submit(unreceipted("f")).await.0, 0x55F);
    assert_eq!(harness.count("smsc", "refused").await, 4);
    let url = harness.url("misbehave/smsc");
    let wrong = harness.client.put(url).body(r#"{"refuse_with": "RBUSY"}"#).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("RTHROTTLED"));
}

#[tokio::test]
async fn one_part_of_an_sms_is_refused_or_never_answered() {
    let rules = json!({"refuse_with": "RINVMSGLEN", "smpp": {"refuse_part": 2, "silent_part": 3}});
    let (harness, mut esme) = transceiver(rules).await;
    let parts = parts(&"a".repeat(400), Method::Udh8);
    for (number, mut part) in (1..).zip(parts) {
        part.registered_delivery = 0;
        let sequence = esme.send(submission(part)).await;
        let answer = if number == 3 { None } else { Some(esme.receive().await) };
        let answered = answer.map(|answer| (answer.sequence, answer.status));
        let expected = [(sequence, status::ESME_ROK), (sequence, status::ESME_RINVMSGLEN)];
        assert_eq!(answered, expected.get(number - 1).copied());
    }
    assert_eq!(esme.ask(Pdu::EnquireLink).await.command, CommandId::ENQUIRE_LINK_RESP);
    assert_eq!(harness.seen("smsc").await["smsc"]["smpp"]["silent"], 1);
    assert_eq!((harness.count("smsc", "submissions").await, harness.count("smsc", "refused").await), (2, 1));
}

#[tokio::test]
async fn answers_come_out_of_order_or_not_at_all() {
    let (harness, mut esme) = transceiver(json!({"smpp": {"out_of_order": 3}})).await;
    let mut sent = Vec::new();
    for text in ["a", "b", "c"] {
        sent.push(esme.send(submission(unreceipted(text))).await);
    }
    let mut answered = Vec::new();
    for _ in 0..3 {
        answered.push(esme.receive().await.sequence);
    }
    sent.reverse();
    assert_eq!(answered, sent);
    harness.misbehave("smsc", json!({"smpp": {"silent_every": 1}})).await;
    esme.send(submission(unreceipted("d"))).await;
    assert_eq!(esme.ask(Pdu::EnquireLink).await.command, CommandId::ENQUIRE_LINK_RESP);
    harness.misbehave("smsc", json!({"delay": "1h"})).await;
    esme.send(submission(unreceipted("e"))).await;
    assert_eq!(esme.ask(Pdu::EnquireLink).await.command, CommandId::ENQUIRE_LINK_RESP);
    assert_eq!(harness.count("smsc", "submissions").await, 5);
}

#[tokio::test]
async fn a_receipt_comes_before_the_answer() {
    let (_harness, mut esme) = transceiver(json!({"receipt_delay": "1h", "smpp": {"receipt_first": true}})).await;
    let sequence = esme.send(submission(sms("a"))).await;
    let receipt = words(&esme.delivered().await.short_message);
    let answer = esme.receive().await;
    assert_eq!(answer.sequence, sequence);
    assert!(receipt.starts_with(&format!("id:{} ", taken(&answer).1)), "{receipt}");
}

#[tokio::test]
async fn a_half_open_connection_answers_nothing_and_stays() {
    let (harness, mut esme) = transceiver(json!({})).await;
    harness.misbehave("smsc", json!({"smpp": {"half_open": true}})).await;
    esme.send(Pdu::EnquireLink).await;
    esme.send(submission(sms("a"))).await;
    let thrown_away = async { while harness.seen("smsc").await["smsc"]["smpp"]["ignored"] != 2 {} };
    tokio::time::timeout(DEADLINE, thrown_away).await.expect("both are read");
    harness.misbehave("smsc", json!({})).await;
    assert_eq!(esme.ask(Pdu::EnquireLink).await.command, CommandId::ENQUIRE_LINK_RESP, "the first two had no answer");
    assert_eq!(harness.count("smsc", "submissions").await, 0);
}

#[tokio::test]
async fn a_bind_is_refused_with_the_status_asked_for() {
    let harness = start().await;
    harness.misbehave("smsc", json!({"smpp": {"refuse_bind": "RALYBND"}})).await;
    let mut esme = ScriptedEsme::connect(&harness).await;
    assert_eq!(esme.bind(BindMode::Transceiver, "vumi", "vumi").await, status::ESME_RALYBND);
}

#[tokio::test]
async fn the_centre_unbinds_or_closes() {
    let (harness, mut esme) = transceiver(json!({"delay": "1h", "smpp": {"unbind_after": 2}})).await;
    esme.send(submission(sms("a"))).await;
    esme.send(submission(sms("b"))).await;
    let unbind = esme.receive().await;
    assert_eq!(unbind.body, Ok(Pdu::Unbind), "both are unanswered");
    esme.answer(unbind.sequence, status::ESME_ROK, Pdu::UnbindResp).await;
    assert_eq!(esme.next().await, None);

    harness.misbehave("smsc", json!({"drop_every": 1, "drop_when": "before"})).await;
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transceiver).await;
    esme.send(submission(sms("c"))).await;
    assert_eq!(esme.next().await, None);
    assert_eq!(harness.count("smsc", "submissions").await, 2, "the third was not taken");

    harness.misbehave("smsc", json!({"drop_after": 2})).await;
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transceiver).await;
    esme.send(Pdu::EnquireLink).await;
    assert_eq!(esme.receive().await.body, Ok(Pdu::EnquireLinkResp));
    assert_eq!(esme.next().await, None, "the bind was the first");

    harness.misbehave("smsc", json!({})).await;
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transceiver).await;
    harness.misbehave("smsc", json!({"drop_now": true})).await;
    assert_eq!(esme.next().await, None);
}

#[tokio::test]
async fn receipts_have_odd_tlvs_odd_ids_and_odd_company() {
    let odd = json!({
        "odd_tlvs": true, "odd_pdus": true, "answer_ids": "upper_hex", "receipt_ids": "padded", "receipt_form": "tlvs",
    });
    let (harness, mut esme) =
        transceiver(json!({"receipt_delay": "0s", "receipt_status": "UNDELIV", "smpp": odd})).await;
    let (_, id) = esme.submit(sms("a")).await;
    let number = u64::from_str_radix(&id, 16).unwrap();
    let unknown = esme.receive().await;
    assert!(matches!(unknown.body, Ok(Pdu::Unknown { .. })), "{unknown:?}");
    esme.answer(unknown.sequence, status::ESME_RINVCMDID, Pdu::GenericNack).await;
    assert!(matches!(esme.receive().await.body, Ok(Pdu::SubmitSmResp(_))));
    assert!(matches!(esme.receive().await.body, Ok(Pdu::AlertNotification(_))));
    let receipt = esme.delivered().await;
    assert_eq!(receipt.tlvs.get(tag::RECEIPTED_MESSAGE_ID), Some(&Bytes::from(format!("{number:020}"))), "without NUL");
    assert_eq!(receipt.tlvs.get(tag::MESSAGE_STATE), Some(&Bytes::from_static(&[0, 5])));
    assert_eq!((&receipt.short_message, receipt.tlvs.get(tag::VENDOR_FIRST)), (&Bytes::new(), Some(&"vendor".into())));

    let form = json!({"receipts_as_data_sm": true, "receipt_form": "text", "answer_ids": "empty"});
    harness.misbehave("smsc", json!({"receipt_delay": "0s", "smpp": form})).await;
    assert_eq!(esme.submit(sms("b")).await, (status::ESME_ROK, String::new()));
    let frame = esme.receive().await;
    let Ok(Pdu::DataSm(data)) = frame.body else { panic!("no data_sm: {frame:?}") };
    let text = words(data.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap());
    assert!(text.contains(" stat:DELIVRD ") && data.tlvs.get(tag::MESSAGE_STATE).is_none(), "{text}");
}

#[tokio::test]
async fn a_part_of_an_inbound_sms_is_lost_and_the_others_come_the_last_first() {
    let (harness, mut esme) = transceiver(json!({"smpp": {"lose_part": 2, "out_of_order": 1}})).await;
    let order = json!({"from": "27831234567", "to": "38080", "text": "a".repeat(400)});
    let ((status, shown), numbers) = tokio::join!(harness.json("inbound/smsc", order), async {
        let parts = [esme.delivered().await, esme.delivered().await];
        parts.map(|part| part.short_message[5])
    });
    assert_eq!((status, numbers, shown["parts"].as_array().unwrap().len()), (200, [3, 1], 2));
}
