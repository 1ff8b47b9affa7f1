use serde_json::json;
use vumi_kit::{
    clock::Timestamp,
    sms::{Submission, TransportStatus},
    sms_options::Content,
};

use super::ClickatellPlatform;
use crate::{
    provider::Provider,
    tests::{
        exam::{Exam, Expect, example_webhook, provider, submission},
        fake_provider::{FakeProvider, answers},
        webhooks::{answer, inbound, json, post, receipts},
    },
};

#[tokio::test]
async fn octets_their_header_and_what_remains_of_a_validity_are_told() {
    let mut server = FakeProvider::start(answers(200, "")).await;
    // The clock of the exam stands at 15:51:25.
    let give_up_at = Timestamp::parse("2010-06-04 15:54:24").unwrap();
    let content = Content::Binary { udh: Some("06050415811581".to_owned()) };
    let asked = Submission { limited: true, give_up_at, content, ..submission("48ff") };
    provider::<ClickatellPlatform>(ClickatellPlatform::EXAMPLE, &server.url).submit(&asked).await;
    let call = server.call().await;
    let body: serde_json::Value = serde_json::from_str(call.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"content": "48ff", "to": ["27123456789"], "from": "27123456780", "clientMessageId": "42",
            "validityPeriod": 2, "binary": true, "userDataHeader": "06050415811581"})
    );
}

#[tokio::test]
async fn it_passes_the_exam() {
    let message = |accepted: bool, id: Option<&str>, error: Option<&str>| {
        let message = json!({ "apiMessageId": id, "accepted": accepted, "to": "27123456789", "error": error });
        json!({ "messages": [message], "error": null }).to_string()
    };
    Exam {
        settings: ClickatellPlatform::EXAMPLE,
        answers: vec![
            (answers(202, &message(true, Some("abc"), None)), Expect::Accepted(Some("abc"))),
            (
                answers(200, &message(false, None, Some("Invalid destination"))),
                Expect::Rejected(TransportStatus::MessageError),
            ),
            (answers(200, &message(true, None, None)), Expect::UnknownOutcome),
            (answers(200, r#"{"messages":[],"error":"busy"}"#), Expect::Retry),
            (answers(200, r#"{"messages":[],"error":null}"#), Expect::UnknownOutcome),
            (answers(200, &"[".repeat(100_000)), Expect::UnknownOutcome),
        ],
        texts: vec![
            (
                "hello \"world\"",
                vec![
                    "POST /messages ",
                    "authorization: key\r\n",
                    r#""clientMessageId":"42""#,
                    r#""content":"hello \"world\"""#,
                    r#""from":"27123456780""#,
                    r#""to":["27123456789"]"#,
                ],
            ),
            ("привет 😀", vec![r#""content":"привет 😀""#]),
        ],
    }
    .sit::<ClickatellPlatform>()
    .await;
}

#[test]
fn a_receipt_is_read_and_answered() {
    let form = example_webhook::<ClickatellPlatform>("receipt.json");
    let receipt = json!({
        "messageId": "abc", "clientMessageId": "42", "statusCode": 4, "status": "RECEIVED_BY_RECIPIENT",
        "statusDescription": "Message received", "timestamp": 1_275_666_685_000_i64, "more": {"a": 1},
    });
    let request = post("application/json", receipt.to_string());
    let [read] = &receipts(&*form, &request)[..] else { panic!("one receipt") };
    assert_eq!((read.provider_id.as_deref(), read.sms), (Some("abc"), Some(42)));
    assert_eq!(read.status, TransportStatus::Delivered);
    assert_eq!(read.at.unwrap().to_seconds_text(), "2010-06-04 15:51:25");
    let answered = answer(&*form, &request, true);
    assert_eq!((answered.status, &json(&answered)["messageId"]), (201, &json!("abc")));
    assert_eq!(answer(&*form, &request, false).status, 404);
    for field in ["messageId", "statusCode"] {
        let mut without = receipt.clone();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(form.read(&post("application/json", without.to_string())).unwrap_err().field, field);
    }
    assert_eq!(form.read(&post("application/json", "{")).unwrap_err().field, "body");
    assert_eq!(read.provider_status.as_deref(), Some("RECEIVED_BY_RECIPIENT (4)"));
    assert!(read.fields.contains(&("/more/a".to_owned(), "1".to_owned())), "{:?}", read.fields);
}

#[test]
fn each_receipt_of_a_list_is_read_and_one_that_can_not_be_is_refused() {
    let form = example_webhook::<ClickatellPlatform>("receipt.json");
    let one = |id: &str, code: u8| json!({ "messageId": id, "statusCode": code });
    let request = post("application/json", json!([one("a", 3), one("b", 4)]).to_string());
    let ids: Vec<_> = receipts(&*form, &request).into_iter().map(|receipt| receipt.provider_id).collect();
    assert_eq!(ids, [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(json(&answer(&*form, &request, true)).as_array().unwrap().len(), 2);
    let refused = form.read(&post("application/json", json!([one("a", 99), one("b", 4)]).to_string())).unwrap_err();
    assert!(refused.field == "statusCode" && refused.readable.is_some(), "{refused}");
    assert_eq!(form.read(&post("application/json", "[]")).unwrap_err().field, "body");
}

#[test]
fn an_sms_from_a_person_is_read_in_its_character_set() {
    let form = example_webhook::<ClickatellPlatform>("receive.json");
    for (text, charset, message) in [
        ("hi + there", "UTF-8", "hi + there"),
        ("%04%1F%D8%3D%DE%00", "UTF-16BE", "П😀"),
        ("caf%E9+olé", "ISO-8859-1", "café olÃ©"),
    ] {
        let sms = json!({
            "messageId": "m9", "fromNumber": "+27123456789", "toNumber": "38080",
            "timestamp": 1_275_666_685_000_i64, "text": text, "charset": charset,
        });
        let request = post("application/json", sms.to_string());
        let read = inbound(&*form, &request);
        assert_eq!((read.from.as_str(), read.to.as_str()), ("27123456789", "38080"));
        assert_eq!(read.message, message);
        assert_eq!(json(&answer(&*form, &request, true))["message"], message);
        for field in ["messageId", "fromNumber", "toNumber", "text"] {
            let mut without = sms.clone();
            without.as_object_mut().unwrap().remove(field);
            assert_eq!(form.read(&post("application/json", without.to_string())).unwrap_err().field, field);
        }
    }
}
