//! Senders with names, short codes of two digits, numbers without a country code: what clients send, and what carriers
//! bring.

use serde_json::Value;

use crate::{
    black_box::{Harness, eventually},
    http_api::assert_problem,
    listener::CallbackListener,
};

fn send(harness: &Harness, transport: &str, to: &str, from: &str) -> reqwest::blocking::Response {
    let form = [("to_msisdn", to), ("from_msisdn", from), ("message", "hello")];
    harness.post(&format!("/api/v1/sms/{transport}/send.json"), &form).send().unwrap()
}

#[test]
fn a_sender_is_a_number_a_short_code_or_a_name_unless_the_transport_takes_none() {
    let harness = Harness::new();
    harness.edit(|text| text.replace("[transports.techsys]", "[transports.techsys]\nsender_names = false"));
    let _router = harness.run();
    for sender in ["MYCLINIC", "INFO SMS", "42", "27123456789"] {
        let answer = send(&harness, "clickatell", "27831234567", sender);
        assert_eq!(answer.status(), 200, "{sender}");
        let sent: Value = answer.json().unwrap();
        assert_eq!(sent[0]["from_msisdn"], sender);
        harness.wait_for_status("clickatell", sent[0]["id"].as_i64().unwrap(), 4);
    }
    let refused = send(&harness, "techsys", "27831234567", "MYCLINIC");
    assert_problem(&refused, 400);
    assert!(refused.text().unwrap().contains("takes no names as senders"));
    assert_eq!(send(&harness, "techsys", "27831234567", "42").status(), 200);
}

#[test]
fn a_number_without_its_country_code_is_refused_or_mended() {
    let harness = Harness::new();
    harness.edit(|text| text.replace("[transports.techsys]", "[transports.techsys]\ncountry_code = \"27\""));
    let _router = harness.run();
    for number in ["0831234567", "0027831234567"] {
        let refused = send(&harness, "clickatell", number, "38080");
        assert_problem(&refused, 400);
        let problem: Value = refused.json().unwrap();
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("country code") && detail.contains("`country_code`"), "{problem}");
        let sent: Value = send(&harness, "techsys", number, "38080").json().unwrap();
        assert_eq!(sent[0]["to_msisdn"], "27831234567", "{number}");
    }
}

#[test]
fn an_sms_from_a_name_is_kept_posted_and_answered() {
    let client = CallbackListener::answering(&[200]);
    let harness = Harness::new();
    let _router = harness.run();
    let callback = [("name", "sms_received"), ("url", &*client.url("/"))];
    let set = harness.post("/api/v1/account/callbacks.json", &callback);
    assert_eq!(set.send().unwrap().status(), 200);
    for (transport, query, name) in [
        ("e-scape", "s=VODACOM&r=38080&text=hi", "VODACOM"),
        ("clickatell", "api_id=1&moMsgId=1&from=MTN&to=38080&timestamp=2010-06-04+15%3A51%3A25&text=hi", "MTN"),
    ] {
        let path = format!("/api/v1/sms/{transport}/receive.json?{query}");
        assert_eq!(harness.get(&path).send().unwrap().status(), 200, "{name}");
        let from = ("from_msisdn".to_owned(), name.to_owned());
        let posted = || client.heard().iter().any(|post| post.form().contains(&from));
        eventually("the callback", || posted().then_some(()));
    }
}
