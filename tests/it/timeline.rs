//! What happened to one SMS, in order, as its account sees it.

use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually},
    listener::CallbackListener,
};

fn events(harness: &Harness, transport: &str, id: i64) -> Vec<Value> {
    let answer = harness.get(&format!("/api/v1/sms/{transport}/status/{id}/events.json")).send().unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().unwrap()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_timeline_tells_attempts_receipts_and_callbacks_in_order() {
    let harness = Harness::new();
    harness.add_to("callbacks", "poll = \"20ms\"\nretry = { first = \"20ms\", most = \"100ms\" }");
    harness.add_to("transports.clickatell", "outbox = { retry = { first = \"20ms\", most = \"100ms\" } }");
    let _router = harness.run();
    let client = CallbackListener::answering(&[500, 200]);
    let callback = [("name", "sms_receipt"), ("url", &client.url("/"))];
    assert_eq!(harness.post("/api/v1/account/callbacks.json", &callback).send().unwrap().status(), 200);
    // Once refused in passing, then taken.
    harness.misbehave("clickatell", &json!({ "refuse_every": 1, "refuse_with": "901, Internal error" }));
    let id = harness.send("clickatell", "27123456789", "hello");
    eventually("an attempt is recorded", || (events(&harness, "clickatell", id).len() >= 2).then_some(()));
    harness.misbehave("clickatell", &json!({ "receipt_delay": "1ms" }));
    harness.wait_for_status("clickatell", id, 4);
    let events = eventually("the callback was tried twice", || {
        let events = events(&harness, "clickatell", id);
        (kinds(&events).iter().filter(|kind| **kind == "callback").count() == 2).then_some(events)
    });
    let kinds = kinds(&events);
    let attempts = kinds.iter().filter(|kind| **kind == "attempt").count();
    assert!(attempts >= 2, "{events:?}");
    assert_eq!(kinds[..2], ["accepted", "attempt"], "{events:?}");
    assert_eq!(kinds.len(), 1 + attempts + 1 + 2, "{events:?}");
    let detail = |kind: &str| -> Vec<&str> {
        let of_kind = events.iter().filter(|event| event["event"] == kind);
        of_kind.map(|event| event["detail"].as_str().unwrap()).collect()
    };
    assert!(detail("attempt")[0].contains("901"), "{events:?}");
    assert!(detail("attempt")[attempts - 1].contains("ID: "), "{events:?}");
    assert_eq!(detail("receipt"), ["4 Received by recipient"]);
    assert!(detail("callback")[0].contains("500") && detail("callback")[1].contains("200"), "{events:?}");
    let times: Vec<&str> = events.iter().map(|event| event["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.iter().all(|at| at.len() == "2010-05-13 11:34:34".len()), "{times:?}");
}

#[test]
fn a_timeline_shows_no_secret_that_a_provider_repeats() {
    // A provider that throws back what it was sent, password and all.
    let provider = CallbackListener::new(|heard| (200, format!("ERR: 105, refused: {}", heard.body)));
    let harness = Harness::new();
    harness.edit(|text| {
        text.replace(&format!("127.0.0.1:{}/clickatell", harness.providers), &format!("127.0.0.1:{}", provider.port))
            .replacen("password = \"vumi\"", "password = \"hunter2hunter2\"", 1)
    });
    let router = harness.run();
    let id = harness.send("clickatell", "27123456789", "hello");
    let reply = eventually("the attempt is told", || {
        let events = events(&harness, "clickatell", id);
        (events.len() == 2).then_some(events)
    });
    assert!(provider.heard()[0].body.contains("hunter2hunter2"), "the provider was given it");
    let output = reply[1]["detail"].as_str().unwrap();
    assert!(output.contains("105"), "{output}");
    let status = harness.status("clickatell", id).to_string();
    for shown in [output, status.as_str(), router.log().as_str()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
