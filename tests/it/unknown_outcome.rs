//! Providers that can't be asked: an SMS whose answer never comes.

use serde_json::json;

use crate::black_box::{Harness, eventually};

/// Waits until the SMS has ended as one of which nobody knows what became.
fn ends_unknown(harness: &Harness, transport: &str, id: i64) {
    let sms = harness.wait_for_status(transport, id, 7);
    let output = sms["provider_status"].as_str().unwrap();
    assert!(output.contains("outcome unknown") && output.contains("may have arrived"), "{sms}");
}

#[test]
fn an_sms_whose_answer_never_comes_is_sent_so_often_and_then_ends_as_unknown() {
    let harness = Harness::new();
    harness.add_to("transports.e-scape", "outbox = { retry = { first = \"20ms\", most = \"50ms\" } }");
    let _router = harness.run();
    harness.misbehave("e-scape", &json!({ "drop_every": 1 }));
    let id = harness.send("e-scape", "27123456789", "hello");
    ends_unknown(&harness, "e-scape", id);
    assert_eq!(harness.seen("e-scape")["submissions"], 3, "once, and twice more");
}

#[test]
fn where_no_sms_may_arrive_twice_none_is_sent_again() {
    let harness = Harness::new();
    let outbox = "outbox = { max_resubmissions = 0, retry = { first = \"20ms\", most = \"50ms\" } }";
    harness.add_to("transports.opera", outbox);
    let _router = harness.run();
    harness.misbehave("opera", &json!({ "drop_every": 1, "receipts": "none" }));
    let id = harness.send("opera", "27123456789", "hello");
    ends_unknown(&harness, "opera", id);
    assert_eq!(harness.seen("opera")["submissions"], 1);
}

#[test]
fn an_ssmi_server_that_numbers_no_sms_gets_it_so_often_and_the_transport_shows_it() {
    let harness = Harness::new();
    let outbox = "outbox = { call_limit = \"50ms\", retry = { first = \"20ms\", most = \"50ms\" } }";
    harness.add_to("transports.truteq", outbox);
    let _router = harness.run();
    harness.wait_for_network();
    harness.misbehave("truteq", &json!({ "delay": "1h" }));
    let id = harness.send("truteq", "27123456789", "hello");
    eventually("the transport shows that no answer comes", || {
        let truteq = harness.part("truteq")?;
        let shown = truteq["state"] == "degraded" && truteq["detail"].as_str()?.contains("SMS: no answer since");
        shown.then_some(())
    });
    ends_unknown(&harness, "truteq", id);
    assert_eq!(harness.seen("truteq")["submissions"], 3, "once, and twice more");
}

#[test]
fn a_provider_that_never_answers_slows_neither_another_nor_ussd() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    harness.misbehave("opera", &json!({ "delay": "1h" }));
    // More than are in flight at once.
    let stuck: Vec<i64> = (0..100).map(|n| harness.send("opera", "27123456789", &format!("number {n}"))).collect();
    let id = harness.send("clickatell", "27123456789", "hello");
    harness.wait_for_status("clickatell", id, 4);
    let shown = harness.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*1#" }));
    assert_eq!(shown.status(), 200, "{}", shown.text().unwrap());
    for id in stuck {
        assert_eq!(harness.status("opera", id)["state"], "claimed");
    }
    assert_eq!(harness.part("clickatell").unwrap()["state"], "up");
}
