use proptest::prelude::*;
use serde_json::{Value, json};
use vumi_kit::{
    clock::{Clock, Timestamp},
    component::StartError,
    kind::Kind,
    sms::{InboundPart, TransportStatus},
    webhook::WebhookNews,
};

use super::{
    HttpProvider, Settings,
    reading::AnswerReader,
    template::{self, SmsTemplate},
};
use crate::{
    provider::{Provider, ProviderKind},
    tests::{
        exam::{Exam, Expect, submission},
        fake_provider::{FakeAnswer, FakeProvider, answers},
        webhooks::{answer, get, inbound, json, names_missing_fields, post, post_form, receipts, webhook},
    },
};

const AFRICAS_TALKING: &str = include_str!("africas_talking.toml");
const TWILIO: &str = include_str!("twilio.toml");
const GUIDE: &str = include_str!("../../../../docs/providers/http.md");

fn settings(text: &str, changes: Value) -> Settings {
    let mut table: Value = toml::from_str(text).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        table[key] = value.clone();
    }
    let settings = serde_json::from_value(table).unwrap();
    assert_eq!(ProviderKind::<HttpProvider>::check(&settings), []);
    settings
}

fn problems(changes: Value) -> Vec<String> {
    let mut table: Value = toml::from_str(TWILIO).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        table[key] = value.clone();
    }
    ProviderKind::<HttpProvider>::check(&serde_json::from_value(table).unwrap())
        .into_iter()
        .map(|problem| problem.key)
        .collect()
}

fn provider(settings: Settings) -> Result<HttpProvider, StartError> {
    HttpProvider::new(settings, Clock::held(Timestamp::from_seconds(0)))
}

#[tokio::test]
async fn africas_talking_passes_the_exam_by_settings_alone() {
    let answer = |code: u16, status: &str| {
        let recipient = json!({
            "statusCode": code, "number": "+27123456789", "status": status, "cost": "ZAR 0.2", "messageId": "ATPid_1",
        });
        json!({ "SMSMessageData": { "Message": "Sent to 1/1", "Recipients": [recipient] } }).to_string()
    };
    Exam {
        settings: AFRICAS_TALKING,
        answers: vec![
            (answers(201, &answer(101, "Sent")), Expect::Accepted(Some("ATPid_1"))),
            (answers(201, &answer(403, "InvalidPhoneNumber")), Expect::Rejected(TransportStatus::MessageError)),
            (answers(201, &answer(405, "InsufficientBalance")), Expect::Misconfigured),
            (answers(201, &answer(500, "InternalServerError")), Expect::Retry),
            (
                answers(201, r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#),
                Expect::Rejected(TransportStatus::MessageError),
            ),
            (answers(201, r#"{"SMSMessageData":{"Message":"Sent to 0/1"}}"#), Expect::UnknownOutcome),
        ],
        texts: vec![
            (
                "hello & more",
                vec!["apikey: key\r\n", "from=27123456780&message=hello+%26+more&to=%2B27123456789&username=vumi"],
            ),
            ("é😀", vec!["message=%C3%A9%F0%9F%98%80"]),
        ],
    }
    .sit::<HttpProvider>()
    .await;
}

#[tokio::test]
async fn twilio_passes_the_exam_by_settings_alone() {
    Exam {
        settings: TWILIO,
        answers: vec![
            (answers(201, r#"{"sid":"SM1","status":"queued","error_code":null}"#), Expect::Accepted(Some("SM1"))),
            (answers(201, r#"{"sid":"SM1","status":"failed"}"#), Expect::Rejected(TransportStatus::MessageError)),
            (answers(400, r#"{"code":21211,"message":"no number"}"#), Expect::Rejected(TransportStatus::MessageError)),
        ],
        texts: vec![(
            "hello",
            vec![
                "authorization: Basic QUMxMjM6dG9rZW4=\r\n",
                "Body=hello&From=%2B27123456780&StatusCallback=https",
                "&To=%2B27123456789",
            ],
        )],
    }
    .sit::<HttpProvider>()
    .await;
}

#[tokio::test]
async fn settings_may_say_what_a_status_means() {
    let statuses = json!({ "404": "refuse", "500": "retry", "422": "pause", "418": "pause" });
    let wait = FakeAnswer::Status(418, "retry-after: 9\r\n", String::new());
    for (answer, expect) in [
        (answers(404, "no such number"), Expect::Rejected(TransportStatus::MessageError)),
        (answers(500, "not taken"), Expect::Retry),
        (answers(422, "no credit"), Expect::Misconfigured),
        (wait, Expect::Throttled(Some(9))),
        (answers(401, "who?"), Expect::Misconfigured),
        (answers(502, ""), Expect::UnknownOutcome),
    ] {
        let server = FakeProvider::start(answer).await;
        let mut table = json!({ "url": server.url, "answer": { "id": { "regex": "OK" } } });
        table["answer"]["statuses"] = statuses.clone();
        let decision = provider(serde_json::from_value(table).unwrap()).unwrap().submit(&submission("a")).await;
        assert!(expect.is_met_by(&decision), "{decision:?}, not {expect:?}");
    }
}

#[tokio::test]
async fn a_request_may_be_a_query_or_json_or_any_text() {
    let call = async |changes: Value| {
        let mut server = FakeProvider::start(answers(200, "OK 77")).await;
        let mut all = json!({
            "url": format!("{}/send?a=1", server.url),
            "answer": { "id": { "regex": "OK (\\d+)" } },
        });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let table = serde_json::from_value(all).unwrap();
        assert_eq!(ProviderKind::<HttpProvider>::check(&table), []);
        let decision = provider(table).unwrap().submit(&submission("a \"b\" <c> &")).await;
        assert!(matches!(&decision, vumi_kit::sms::Decision::Accepted { provider_id: Some(id), .. } if id == "77"));
        server.call().await
    };
    let query = call(json!({ "method": "GET", "query": { "to": "{{to}}", "m": "{{text}}" } })).await;
    assert!(query.starts_with("GET /send?a=1&m=a+%22b%22+%3Cc%3E+%26&to=27123456789 "), "{query}");
    let tree = call(json!({ "body": { "json": { "to": ["{{to}}"], "text": "{{text}}", "n": 1 } } })).await;
    assert!(tree.ends_with(r#"{"n":1,"text":"a \"b\" <c> &","to":["27123456789"]}"#), "{tree}");
    let template = json!({ "content_type": "text/xml", "template": "<sms>{{text}}</sms>", "escape": "xml" });
    let xml = call(json!({ "method": "PUT", "body": { "text": template } })).await;
    assert!(xml.starts_with("PUT ") && xml.ends_with("<sms>a &quot;b&quot; &lt;c&gt; &amp;</sms>"), "{xml}");
}

#[test]
fn receipts_are_read_by_the_settings() {
    let form = webhook(&HttpProvider::webhooks(&settings(AFRICAS_TALKING, json!({}))), "receipt.json");
    let body = "id=ATPid_1&status=Success&phoneNumber=%2B27123456789&networkCode=65501";
    let [receipt] = &receipts(&*form, &post_form(body))[..] else { panic!("one receipt") };
    assert_eq!(receipt.provider_id.as_deref(), Some("ATPid_1"));
    assert_eq!(receipt.to.as_ref().unwrap().as_str(), "27123456789");
    assert_eq!(receipt.status, TransportStatus::Delivered);
    assert_eq!(receipt.fields.len(), 4);
    assert_eq!(answer(&*form, &post_form(body), false).status, 200);
    names_missing_fields(&*form, body, &["id", "status", "phoneNumber"]);
    assert_eq!(form.read(&get(&body.replace("Success", "Strange"))).unwrap_err().field, "status");
}

#[test]
fn receipts_in_json_are_found_by_pointers() {
    let receipt = json!({
        "format": "json", "id": "/data/id", "sms": "ref", "status": "/data/state", "statuses": { "ok": 4 },
        "other_status": 7, "at": "when",
    });
    let form = webhook(&HttpProvider::webhooks(&settings(TWILIO, json!({ "receipt": receipt }))), "receipt.json");
    let body = |state: &str| {
        let receipt = json!({ "data": { "id": 5, "state": state }, "ref": "42", "when": "2010-06-04T17:51:25+02:00" });
        post("application/json", receipt.to_string())
    };
    let [read] = &receipts(&*form, &body("ok"))[..] else { panic!("one receipt") };
    assert_eq!((read.provider_id.as_deref(), read.sms), (Some("5"), Some(42)));
    assert_eq!(read.at.unwrap().to_seconds_text(), "2010-06-04 15:51:25");
    assert_eq!(receipts(&*form, &body("strange"))[0].status, TransportStatus::DeliveryError);
}

/// A transport whose receipts are read by these settings.
fn receipts_by(receipt: Value) -> std::sync::Arc<dyn vumi_kit::webhook::WebhookForm> {
    webhook(&HttpProvider::webhooks(&settings(TWILIO, json!({ "receipt": receipt }))), "receipt.json")
}

#[test]
fn each_report_of_a_call_is_read_and_one_that_can_not_be_is_refused_without_the_others() {
    let statuses = json!({ "SENT": 3, "DELIVERED": 4 });
    let pointers = json!({ "format": "json", "id": "/results/0/messageId", "status": "/results/0/status/groupName",
        "at": "/results/0/doneAt", "statuses": statuses });
    let each = json!({ "format": "json", "each": "/results", "id": "messageId", "status": "/status/groupName",
        "at": "doneAt", "statuses": statuses });
    let one =
        |id: &str, status: &str| json!({ "messageId": id, "status": { "groupName": status }, "doneAt": "2010-06-04" });
    for form in [receipts_by(pointers), receipts_by(each)] {
        let body = |results: &[Value]| post("application/json", json!({ "results": results }).to_string());
        let read = receipts(&*form, &body(&[one("a", "SENT"), one("b", "DELIVERED"), one("a", "DELIVERED")]));
        let told: Vec<_> = read.iter().map(|r| (r.provider_id.as_deref().unwrap(), i16::from(r.status))).collect();
        assert_eq!(told, [("a", 3), ("b", 4), ("a", 4)]);
        assert!(read.iter().all(|receipt| receipt.at.is_some()));

        let call = body(&[one("a", "SENT"), one("b", "STRANGE"), one("c", "DELIVERED")]);
        let refused = form.read(&call).unwrap_err();
        assert!(refused.field.ends_with("groupName") && refused.what.contains("report 2"), "{refused}");
        let Some(WebhookNews::Receipts(kept)) = refused.readable.map(|news| *news) else { panic!("nothing kept") };
        assert_eq!(kept.iter().map(|r| r.provider_id.as_deref()).collect::<Vec<_>>(), [Some("a"), Some("c")]);
        assert!(form.read(&body(&[])).is_err(), "a call that says nothing");
    }
}

#[test]
fn several_receipts_in_one_form_are_read_by_their_order() {
    let form = receipts_by(json!({ "format": "form", "id": "id", "status": "s", "statuses": { "ok": 4, "no": 7 } }));
    let read = receipts(&*form, &post_form("id=a&s=ok&id=b&s=no"));
    let told: Vec<_> = read.iter().map(|r| (r.provider_id.as_deref().unwrap(), i16::from(r.status))).collect();
    assert_eq!(told, [("a", 4), ("b", 7)]);
    assert_eq!(form.read(&post_form("id=a&s=ok&id=b&s=no&id=c")).unwrap_err().field, "s");
}

#[test]
fn receipts_whose_members_are_all_nested_differ_in_what_they_say() {
    let form = receipts_by(json!({ "format": "json", "id": "/data/payload/id", "status": "/data/payload/to/0/status",
        "at": "/data/occurred_at", "statuses": { "sent": 3, "delivered": 4 } }));
    let read = |status: &str| {
        let to = json!([{ "phone_number": "+27123456789", "status": status }]);
        let body = json!({ "data": { "occurred_at": "2010-06-04T15:51:25Z", "payload": { "id": "P1", "to": to } } });
        receipts(&*form, &post("application/json", body.to_string())).remove(0)
    };
    let (sent, delivered) = (read("sent"), read("delivered"));
    assert_ne!(sent.digest(), delivered.digest());
    assert!(delivered.fields.contains(&("/data/payload/to/0/status".to_owned(), "delivered".to_owned())));
    assert_eq!(delivered.provider_status.as_deref(), Some("delivered"));
}

#[test]
fn the_providers_words_come_with_their_code() {
    for (code, body, words) in [
        (None, "id=1&MessageStatus=failed&ErrorCode=30003", "failed (30003)"),
        (None, "id=1&MessageStatus=failed", "failed"),
        (Some("reason"), "id=1&MessageStatus=failed&ErrorCode=30003&reason=spam", "failed (spam)"),
    ] {
        let form = receipts_by(json!({ "format": "form", "id": "id", "status": "MessageStatus", "code": code,
            "statuses": { "failed": 7 } }));
        assert_eq!(receipts(&*form, &post_form(body))[0].provider_status.as_deref(), Some(words), "{body}");
    }
}

#[test]
fn a_receipt_names_our_sms_its_part_or_somebody_elses_reference() {
    let form = receipts_by(json!({ "format": "form", "id": "messageId", "sms": "client-ref", "part": "part",
        "status": "status", "statuses": { "delivered": 4 } }));
    for (body, expected) in [
        ("messageId=a&client-ref=7&status=delivered&part=2", (Some("a"), Some(7), Some(2))),
        ("messageId=a&client-ref=&status=delivered&part=0", (Some("a"), None, None)),
        ("messageId=a&client-ref=order-7&status=delivered", (Some("a"), None, None)),
        ("client-ref=7&status=delivered", (None, Some(7), None)),
    ] {
        let receipt = receipts(&*form, &post_form(body)).remove(0);
        assert_eq!((receipt.provider_id.as_deref(), receipt.sms, receipt.part), expected, "{body}");
    }
    for (body, field) in [("client-ref=order-7&status=delivered", "client-ref"), ("status=delivered", "messageId")] {
        assert_eq!(form.read(&post_form(body)).unwrap_err().field, field);
    }
}

#[test]
fn a_part_of_a_longer_sms_is_known_by_its_fields_or_its_header() {
    let inbound_settings = json!({ "format": "form", "from": "msisdn", "to": "to", "text": "text", "id": "messageId" });
    let form =
        webhook(&HttpProvider::webhooks(&settings(TWILIO, json!({ "inbound": inbound_settings }))), "receive.json");
    let plain = "msisdn=27123456789&to=38080&text=hi&messageId=m1";
    for (more, expected) in [
        ("&concat=true&concat-ref=7&concat-total=2&concat-part=1", InboundPart::new("7", 2, 1)),
        ("&udh=050003CC0202", InboundPart::new("cc", 2, 2)),
        ("&concat=false", None),
        ("&udh=", None),
    ] {
        let sms = inbound(&*form, &post_form(&format!("{plain}{more}")));
        assert_eq!(sms.part, expected, "{more}");
    }
    let named = json!({ "format": "form", "from": "f", "to": "to", "text": "text",
        "part": { "reference": "ref", "total": "of", "number": "n" } });
    let form = webhook(&HttpProvider::webhooks(&settings(TWILIO, json!({ "inbound": named }))), "receive.json");
    let sms = inbound(&*form, &post_form("f=27123456789&to=38080&text=hi&ref=a&of=3&n=3"));
    assert_eq!(sms.part, InboundPart::new("a", 3, 3));
}

#[test]
fn an_sms_from_a_person_is_read_and_answered_by_the_settings() {
    let form = webhook(&HttpProvider::webhooks(&settings(TWILIO, json!({}))), "receive.json");
    let body = "MessageSid=SM2&From=%2B27123456789&To=%2B27123456780&Body=hi+there";
    let sms = inbound(&*form, &post_form(body));
    assert_eq!((sms.from.as_str(), sms.message.as_str()), ("27123456789", "hi there"));
    assert_eq!(sms.provider_id.as_deref(), Some("SM2"));
    let answered = answer(&*form, &post_form(body), true);
    assert_eq!((answered.status, answered.content_type), (200, Some("text/xml; charset=utf-8")));
    assert_eq!(answered.body, "<Response/>");
    names_missing_fields(&*form, body, &["From", "To", "Body"]);
    let plain = webhook(&HttpProvider::webhooks(&settings(AFRICAS_TALKING, json!({}))), "receive.json");
    let dated = "from=%2B27123456789&to=38080&text=hi&id=1&date=2010-06-04+15%3A51%3A25";
    assert_eq!(json(&answer(&*plain, &get(dated), true))["received_at"], "2010-06-04 15:51:25");
}

#[test]
fn every_block_of_the_guide_is_a_transport_that_would_start() {
    let blocks: Vec<_> = GUIDE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        let file: Value = toml::from_str(block).unwrap();
        for (name, table) in file["transports"].as_object().unwrap() {
            let mut table = table.clone();
            assert_eq!(table.as_object_mut().unwrap().remove("kind"), Some(json!("http")), "{name}");
            let kinds = crate::kinds();
            assert_eq!((kinds.get("http").unwrap().check)(&table), [], "{name}");
            assert!(provider(serde_json::from_value(table).unwrap()).is_ok(), "{name}");
        }
    }
}

#[test]
fn wrong_settings_are_named() {
    assert_eq!(problems(json!({ "url": "nowhere" })), ["url"]);
    assert_eq!(problems(json!({ "body": { "form": { "a": "{{nobody}}" } } })), ["body.form.a"]);
    assert_eq!(problems(json!({ "headers": { "a b": "x" } })), ["headers.a b"]);
    assert_eq!(problems(json!({ "answer": {} })), ["answer.result"]);
    assert_eq!(problems(json!({ "answer": { "id": { "regex": "(" } } })), ["answer.id"]);
    assert_eq!(problems(json!({ "answer": { "id": { "json": "a/b" } } })), ["answer.id"]);
    for status in ["200", "600", "x"] {
        let answer = json!({ "id": { "regex": "a" }, "statuses": { status: "refuse" } });
        assert_eq!(problems(json!({ "answer": answer })), ["answer.statuses"]);
    }
    let receipt = json!({ "format": "form", "id": "a", "status": "b", "statuses": { "x": 99 } });
    assert_eq!(problems(json!({ "receipt": receipt })), ["receipt.statuses.x"]);
    for (format, each) in [("form", "/results"), ("json", "results")] {
        let receipt = json!({ "format": format, "each": each, "id": "a", "status": "b", "statuses": {} });
        assert_eq!(problems(json!({ "receipt": receipt })), ["receipt.each"]);
    }
}

proptest! {
    #[test]
    fn no_answer_and_no_place_in_it_make_the_reader_panic(
        place in "(/[a-z0-9~]{0,3}){0,3}|\\PC{0,12}",
        answer in prop_oneof![any::<String>(), "[\\[\\]{}:,\"a0/1n. ]{0,40}"],
    ) {
        for find in ["json", "regex"] {
            let settings = serde_json::from_value(json!({ "id": { find: place } })).unwrap();
            if let Ok(reader) = AnswerReader::new(&settings) {
                let _decision = reader.read(&answer);
            }
        }
        for example in [AFRICAS_TALKING, TWILIO] {
            let _decision = AnswerReader::new(&settings(example, json!({})).answer).unwrap().read(&answer);
        }
    }

    #[test]
    fn a_text_never_breaks_out_of_its_place_in_a_template(text in any::<String>(), any_template in any::<String>()) {
        let none = std::collections::BTreeMap::new();
        let _parsed_or_refused = SmsTemplate::parse(&any_template, &none);
        let ours = SmsTemplate::parse("{{text}}", &none).unwrap();
        let filled = |escape| ours.render(&submission(&text), Timestamp::from_seconds(0), &none, escape);
        prop_assert_eq!(&filled(template::as_it_is), &text);
        prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{}\"", filled(template::json))).unwrap(), text.clone());
        prop_assert!(!filled(template::xml).contains(['<', '>', '"']));
    }
}
