//! Providers' reports as they really come: several in one post, all of their members nested, part by part; and SMS from
//! people in parts.

use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually},
    listener::CallbackListener,
};

/// Transports of three providers by settings alone.
const TRANSPORTS: &str = r#"
[transports.nested]
kind = "http"
url = "STUB"
answer = { id = { json = "/data/id" } }
[transports.nested.body.json]
to = "{{to}}"
[transports.nested.receipt]
format = "json"
id = "/data/payload/id"
status = "/data/payload/to/0/status"
at = "/data/occurred_at"
statuses = { sent = 3, delivered = 4 }

[transports.batch]
kind = "http"
url = "STUB"
answer = { id = { json = "/data/id" } }
[transports.batch.body.json]
to = "{{to}}"
[transports.batch.receipt]
format = "json"
id = "/results/0/messageId"
status = "/results/0/status/groupName"
at = "/results/0/doneAt"
statuses = { SENT = 3, DELIVERED = 4, UNDELIVERABLE = 7 }

[transports.vonage]
kind = "http"
url = "STUB"
answer = { id = { json = "/data/id" } }
[transports.vonage.body.form]
to = "{{to}}"
[transports.vonage.receipt]
format = "form"
id = "messageId"
sms = "client-ref"
status = "status"
at = "scts"
statuses = { accepted = 3, delivered = 4, failed = 7 }
[transports.vonage.inbound]
format = "form"
from = "msisdn"
to = "to"
text = "text"
id = "messageId"
"#;

/// A router with these, behind a stub that gives the ids P1, P2, ...
fn harness() -> (Harness, CallbackListener) {
    let mut given = 0;
    let provider = CallbackListener::new(move |_| {
        given += 1;
        (200, json!({ "data": { "id": format!("P{given}") } }).to_string())
    });
    let harness = Harness::new();
    harness.add_to("callbacks", "poll = \"20ms\"");
    let transports = TRANSPORTS.replace("STUB", &provider.url("/"));
    harness.edit(|text| format!("{text}\n{transports}"));
    (harness, provider)
}

fn hear(harness: &Harness, name: &str) -> CallbackListener {
    let client = CallbackListener::answering(&[200]);
    let callback = [("name", name), ("url", &client.url("/"))];
    assert_eq!(harness.post("/api/v1/account/callbacks.json", &callback).send().unwrap().status(), 200);
    client
}

/// Sends an SMS and waits for the id that its provider gives it.
fn sent(harness: &Harness, transport: &str, message: &str) -> (i64, String) {
    let id = harness.send(transport, "27831234567", message);
    let sms = eventually("the provider's answer is recorded", || {
        Some(harness.status(transport, id)).filter(|sms| sms["provider_id"].is_string())
    });
    (id, sms["provider_id"].as_str().unwrap().to_owned())
}

fn post(harness: &Harness, transport: &str, body: &Value) -> (u16, String) {
    let url = format!("/api/v1/sms/{transport}/receipt.json");
    let answer = harness.post_body(&url, "application/json", body.to_string()).send().unwrap();
    (answer.status().as_u16(), answer.text().unwrap())
}

fn field(call: &[(String, String)], name: &str) -> Vec<String> {
    call.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
}

#[test]
fn receipts_of_one_sms_whose_members_are_all_nested_are_both_heard() {
    let (harness, _provider) = harness();
    let _router = harness.run();
    let client = hear(&harness, "sms_receipt");
    let (id, provider_id) = sent(&harness, "nested", "hello");
    for (status, at) in [("sent", "2026-11-27T10:00:00Z"), ("delivered", "2026-11-27T10:00:01Z")] {
        let payload = json!({ "id": provider_id, "to": [{ "status": status }] });
        let body = json!({ "data": { "occurred_at": at, "payload": payload } });
        assert_eq!(post(&harness, "nested", &body).0, 200);
    }
    let sms = harness.status("nested", id);
    assert_eq!((&sms["transport_status"], &sms["delivered_at"]), (&json!(4), &json!("2026-11-27 10:00:01")));
    assert_eq!(sms["provider_status"], "delivered");
    eventually("both are posted", || (client.heard().len() == 2).then_some(()));
    let events = harness.get(&format!("/api/v1/sms/nested/status/{id}/events.json")).send().unwrap();
    let events: Value = events.json().unwrap();
    let receipts: Vec<&Value> = events.as_array().unwrap().iter().filter(|e| e["event"] == "receipt").collect();
    assert!(receipts.len() == 2 && receipts.iter().all(|e| e["provider_id"] == provider_id.as_str()), "{events}");
}

#[test]
fn every_report_of_a_post_is_heard_and_one_that_can_not_be_read_is_refused() {
    let (harness, _provider) = harness();
    let _router = harness.run();
    let sms: Vec<(i64, String)> = (0..3).map(|n| sent(&harness, "batch", &format!("hello {n}"))).collect();
    let report = |n: usize, status: &str| {
        let (status, at) = (json!({ "groupName": status }), "2026-11-27T10:00:00Z");
        json!({ "messageId": sms[n].1, "status": status, "doneAt": at, "error": { "id": 27, "name": "ABSENT" } })
    };
    let all = json!({ "results": [report(0, "DELIVERED"), report(1, "UNDELIVERABLE"), report(2, "SENT")] });
    let (status, answer) = post(&harness, "batch", &all);
    assert_eq!(status, 200, "{answer}");
    let statuses =
        || sms.iter().map(|(id, _)| harness.status("batch", *id)["transport_status"].clone()).collect::<Vec<_>>();
    assert_eq!(statuses(), [4, 7, 3]);
    assert_eq!(harness.status("batch", sms[1].0)["provider_status"], "UNDELIVERABLE (27)");

    let odd = json!({ "results": [report(0, "SENT"), report(1, "GREEN"), report(2, "DELIVERED")] });
    let (status, answer) = post(&harness, "batch", &odd);
    assert_eq!(status, 400);
    assert!(answer.contains("groupName") && answer.contains("report 2"), "{answer}");
    assert_eq!(statuses(), [4, 7, 4], "the others are kept");
    for unreadable in [json!({ "results": [] }), json!({}), json!([])] {
        assert_eq!(post(&harness, "batch", &unreadable).0, 400, "{unreadable}");
    }
}

#[test]
fn a_long_sms_has_not_arrived_while_one_of_its_parts_has_failed() {
    let (harness, _provider) = harness();
    let _router = harness.run();
    let receipt = |id: i64, provider_id: &str, status: &str, more: &str| {
        let fields = format!("messageId={provider_id}&client-ref={id}&status={status}&scts=2026-11-27+10:00:00{more}");
        let url = "/api/v1/sms/vonage/receipt.json";
        let answer = harness.post_body(url, "application/x-www-form-urlencoded", fields).send().unwrap();
        assert_eq!(answer.status(), 200);
    };
    for failed_first in [true, false] {
        let (id, first) = sent(&harness, "vonage", &"a long text ".repeat(20));
        let second = format!("{first}-2");
        let mut told = [(&first, "failed", "&err-code=6"), (&second, "delivered", "&err-code=0")];
        if !failed_first {
            told.reverse();
        }
        for (provider_id, status, more) in told {
            receipt(id, provider_id, status, more);
        }
        let sms = harness.status("vonage", id);
        assert_eq!((&sms["transport_status"], &sms["delivered_at"]), (&json!(7), &Value::Null), "{failed_first}");
        assert_eq!(sms["provider_status"], "failed (6)");
    }
}

#[test]
fn a_name_stands_once_in_a_receipts_post_and_ours_is_the_documented_one() {
    let (harness, _provider) = harness();
    let _router = harness.run();
    let client = hear(&harness, "sms_receipt");
    let (id, provider_id) = sent(&harness, "vonage", "hello");
    let fields = format!("messageId={provider_id}&status=delivered&id=ATX&transport_status=x");
    let url = "/api/v1/sms/vonage/receipt.json";
    assert_eq!(harness.post_body(url, "application/x-www-form-urlencoded", fields).send().unwrap().status(), 200);
    let call = eventually("it is posted", || client.heard().first().cloned()).form();
    assert_eq!((field(&call, "id"), field(&call, "transport_status")), (vec![id.to_string()], vec!["4".to_owned()]));
    assert_eq!(field(&call, "provider_id"), ["ATX"]);
    let mut names: Vec<&String> = call.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
}

#[test]
fn an_sms_in_parts_is_received_once_and_goes_by_its_keyword() {
    let (harness, _provider) = harness();
    let _router = harness.run();
    let client = hear(&harness, "sms_received");
    let vonage = |number: u8, text: &str| {
        let fields = format!(
            "msisdn=27831234567&to=38080&text={text}&messageId=m{number}&concat=true&concat-ref=7&concat-total=2&concat-part={number}"
        );
        ("vonage", fields)
    };
    let clickatell = |number: u8, text: &str| {
        let fields =
            format!("api_id=1&moMsgId=c{number}&from=27831234568&to=38080&text={text}&udh=050003CC020{number}");
        ("clickatell", fields)
    };
    let calls = [vonage(2, "iz,+please"), vonage(1, "qu"), clickatell(1, "QUI"), clickatell(2, "Z")];
    for (transport, fields) in calls {
        let url = format!("/api/v1/sms/{transport}/receive.json");
        let answer = harness.post_body(&url, "application/x-www-form-urlencoded", fields).send().unwrap();
        assert_eq!(answer.status(), 200);
    }
    let posts = eventually("both are posted", || Some(client.heard()).filter(|heard| heard.len() == 2));
    let mut messages: Vec<String> = posts.iter().flat_map(|post| field(&post.form(), "message")).collect();
    messages.sort_unstable();
    assert_eq!(messages, ["QUIZ", "quiz, please"]);
    // The quiz answers; an echo would say the same again.
    let all = "/api/v1/sms/clickatell/status.json?since=2009-01-01";
    let answers = eventually("the campaign answers", || {
        let list: Value = harness.get(all).send().ok()?.json().ok()?;
        list.as_array().filter(|list| !list.is_empty()).cloned()
    });
    assert!(answers.len() == 1 && !answers[0]["message"].as_str().unwrap().contains("QUI"), "{answers:?}");
}
