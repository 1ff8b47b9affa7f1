//! Carriers that can't be asked: an SMS whose answer never comes.

use serde_json::json;

use crate::black_box::{Site, eventually};

/// Waits until the SMS has ended as one of which nobody knows what became.
fn ends_unknown(site: &Site, transport: &str, id: i64) {
    let sms = site.wait_for_status(transport, id, 7);
    let said = sms["provider_status"].as_str().unwrap();
    assert!(said.contains("outcome unknown") && said.contains("may have arrived"), "{sms}");
}

#[test]
fn an_sms_whose_answer_never_comes_is_sent_so_often_and_then_ends_as_unknown() {
    let site = Site::new();
    site.add_to("transports.e-scape", "outbox = { retry = { first = \"20ms\", most = \"50ms\" } }");
    let _router = site.run();
    site.misbehave("e-scape", &json!({ "drop_every": 1 }));
    let id = site.send("e-scape", "27123456789", "hello");
    ends_unknown(&site, "e-scape", id);
    assert_eq!(site.seen("e-scape")["submissions"], 3, "once, and twice more");
}

#[test]
fn where_no_sms_may_arrive_twice_none_is_sent_again() {
    let site = Site::new();
    let outbox = "outbox = { max_resubmissions = 0, retry = { first = \"20ms\", most = \"50ms\" } }";
    site.add_to("transports.opera", outbox);
    let _router = site.run();
    site.misbehave("opera", &json!({ "drop_every": 1, "receipts": "none" }));
    let id = site.send("opera", "27123456789", "hello");
    ends_unknown(&site, "opera", id);
    assert_eq!(site.seen("opera")["submissions"], 1);
}

#[test]
fn an_ssmi_server_that_numbers_no_sms_gets_it_so_often_and_the_transport_shows_it() {
    let site = Site::new();
    let outbox = "outbox = { call_limit = \"50ms\", retry = { first = \"20ms\", most = \"50ms\" } }";
    site.add_to("transports.truteq", outbox);
    let _router = site.run();
    site.wait_for_network();
    site.misbehave("truteq", &json!({ "delay": "1h" }));
    let id = site.send("truteq", "27123456789", "hello");
    eventually("the transport shows that no answer comes", || {
        let truteq = site.part("truteq")?;
        let shown = truteq["state"] == "degraded" && truteq["detail"].as_str()?.contains("SMS: no answer since");
        shown.then_some(())
    });
    ends_unknown(&site, "truteq", id);
    assert_eq!(site.seen("truteq")["submissions"], 3, "once, and twice more");
}

#[test]
fn a_carrier_that_never_answers_slows_neither_another_nor_ussd() {
    let site = Site::new();
    let _router = site.run();
    site.wait_for_network();
    site.misbehave("opera", &json!({ "delay": "1h" }));
    // More than are in flight at once.
    let stuck: Vec<i64> = (0..100).map(|n| site.send("opera", "27123456789", &format!("number {n}"))).collect();
    let id = site.send("clickatell", "27123456789", "hello");
    site.wait_for_status("clickatell", id, 4);
    let shown = site.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*1#" }));
    assert_eq!(shown.status(), 200, "{}", shown.text().unwrap());
    for id in stuck {
        assert_eq!(site.status("opera", id)["transport_status"], 0);
    }
    assert_eq!(site.part("clickatell").unwrap()["state"], "up");
}
