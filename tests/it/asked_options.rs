//! What a client asks of an SMS beside its text: how long it may wait, when it is sent, what goes first, flash, octets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, words},
    http_api::assert_problem,
    listener::{CallbackListener, HeardCall},
};

/// A router whose Clickatell is the test's own.
fn with_provider(provider: &CallbackListener) -> Harness {
    let harness = Harness::new();
    harness.edit(|text| {
        text.replace(&format!("127.0.0.1:{}/clickatell", harness.providers), &format!("127.0.0.1:{}", provider.port))
    });
    harness
}

fn taking() -> CallbackListener {
    CallbackListener::new(|_| (200, "ID: api1".to_owned()))
}

fn send(harness: &Harness, transport: &str, more: &[(&str, &str)]) -> reqwest::blocking::Response {
    let form = [&[("to_msisdn", "27123456789"), ("from_msisdn", "38080")], more].concat();
    harness.post(&format!("/api/v1/sms/{transport}/send.json"), &form).send().unwrap()
}

#[track_caller]
fn sent(harness: &Harness, more: &[(&str, &str)]) -> i64 {
    let answer = send(harness, "clickatell", more);
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    let sent: Value = answer.json().unwrap();
    assert_eq!(sent[0]["transport_status"], 0);
    sent[0]["id"].as_i64().unwrap()
}

/// What the provider is told of an SMS.
fn told(provider: &CallbackListener, id: i64) -> BTreeMap<String, String> {
    let id = ("climsgid".to_owned(), id.to_string());
    let call =
        eventually("the provider has it", || provider.heard().into_iter().find(|call| call.form().contains(&id)));
    HeardCall::form(&call).into_iter().collect()
}

#[test]
fn a_provider_is_told_what_an_sms_asks_for() {
    let provider = taking();
    let harness = with_provider(&provider);
    let _router = harness.run();
    let text = ("message", "your code is 1234");

    let plain = told(&provider, sent(&harness, &[text]));
    assert_eq!((plain["msg_type"].as_str(), plain["req_feat"].as_str()), ("SMS_TEXT", "8224"));
    assert!(!plain.contains_key("validity") && !plain.contains_key("queue"), "{plain:?}");

    let urgent = told(&provider, sent(&harness, &[text, ("validity", "10m"), ("priority", "high"), ("flash", "true")]));
    assert_eq!((urgent["msg_type"].as_str(), urgent["req_feat"].as_str()), ("SMS_FLASH", "8736"));
    // What remains of ten minutes, in whole ones.
    assert_eq!((urgent["validity"].as_str(), urgent["queue"].as_str()), ("9", "1"));

    sent(&harness, &[text, ("reference", "order 8")]);
    let mine = sent(&harness, &[text, ("reference", "order 7")]);
    let found = harness.get("/api/v1/sms/clickatell/status.json?reference=order+7").send().unwrap();
    let found: Value = found.json().unwrap();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (1, &json!(mine)));

    let octets = told(&provider, sent(&harness, &[("data", "48656C6C6F"), ("udh", "06050415811581")]));
    assert_eq!((octets["data"].as_str(), octets["udh"].as_str()), ("48656c6c6f", "06050415811581"));
    assert_eq!(octets["req_feat"], "8230");
    assert!(!octets.contains_key("text"), "{octets:?}");

    let json =
        json!({"to_msisdn": "27123456789", "from_msisdn": "38080", "message": "hi", "validity": 90, "flash": true});
    let answer = harness.post_body("/api/v1/sms/clickatell/send.json", "application/json", json.to_string());
    let answer: Value = answer.send().unwrap().json().unwrap();
    let of_json = told(&provider, answer[0]["id"].as_i64().unwrap());
    assert_eq!((of_json["validity"].as_str(), of_json["msg_type"].as_str()), ("1", "SMS_FLASH"));
}

#[test]
fn an_sms_waits_for_its_time_and_fails_when_its_validity_is_over() {
    let provider = CallbackListener::new(|heard| match heard.body.contains("never") {
        true => (503, String::new()),
        false => (200, "ID: api1".to_owned()),
    });
    let harness = with_provider(&provider);
    harness.add_to("transports.clickatell", "outbox = { retry = { first = \"50ms\", most = \"100ms\" } }");
    let _router = harness.run();
    let now: Value = send(&harness, "clickatell", &[("message", "now")]).json().unwrap();
    let at = now[0]["created_at"].as_str().unwrap().to_owned();
    // Three seconds from now, by the router's own clock.
    let seconds = |time: &str| time[17..].parse::<u32>().unwrap() + 60 * time[14..16].parse::<u32>().unwrap();
    let soon = format!("{}{:02}:{:02}", &at[..14], (seconds(&at) + 3) / 60 % 60, (seconds(&at) + 3) % 60);
    let soon = if seconds(&at) + 3 < 3600 { soon } else { at.clone() };
    let later = sent(&harness, &[("message", "later"), ("send_at", &soon)]);
    let stale = sent(&harness, &[("message", "never"), ("validity", "1")]);
    harness.wait_for_status("clickatell", stale, 10);
    told(&provider, later);
    let status = eventually("it is sent", || {
        let status = harness.status("clickatell", later);
        (status["transport_status"] == 3).then_some(status)
    });
    assert!(status["updated_at"].as_str().unwrap() >= soon.as_str(), "{status}, not before {soon}");
}

#[test]
fn what_a_transport_can_not_carry_and_all_that_is_wrong_is_refused_by_name() {
    let harness = Harness::new();
    let _router = harness.run();
    for (transport, more, field) in [
        ("opera", [("message", "hi"), ("flash", "true")], "flash"),
        ("e-scape", [("data", "00"), ("flash", "false")], "data"),
        ("truteq", [("data", "00"), ("udh", "06050415811581")], "udh"),
    ] {
        let refused = send(&harness, transport, &more);
        assert_problem(&refused, 400);
        let problem: Value = refused.json().unwrap();
        let error = &problem["errors"][0];
        assert_eq!(
            (problem["errors"].as_array().unwrap().len(), error["field"].as_str()),
            (1, Some(field)),
            "{problem}"
        );
        assert!(error["detail"].as_str().unwrap().contains(&format!("`{transport}`")), "{problem}");
    }
    let wrong = [
        ("message", "hi"),
        ("validity", "2d"),
        ("send_at", "2036-01-01 00:00:00"),
        ("priority", "urgent"),
        ("callback_url", "ftp://client.example"),
        ("reference", ""),
        ("flash", "perhaps"),
        ("data", "xy"),
        ("udh", "05"),
        ("priority", "low"),
    ];
    let problem: Value = send(&harness, "clickatell", &wrong).json().unwrap();
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    for field in ["validity", "send_at", "priority", "callback_url", "reference", "flash", "data", "udh"] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    let listed: Value =
        harness.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap().json().unwrap();
    assert_eq!(listed, json!([]), "nothing was kept");
}

#[test]
fn the_command_asks_for_the_same() {
    let provider = taking();
    let harness = with_provider(&provider);
    let _router = harness.run();
    let to = ["send", "--to", "27123456789", "--from", "38080"];
    let done = harness.vumi(&[&to[..], &["--validity", "5m", "--priority", "high", "--flash", "hello"]].concat());
    assert!(done.status.success(), "{}", words(&done));
    let call = eventually("the provider has it", || provider.heard().into_iter().next());
    let told: BTreeMap<_, _> = call.form().into_iter().collect();
    assert_eq!((told["validity"].as_str(), told["msg_type"].as_str()), ("4", "SMS_FLASH"));
    let refused = harness.vumi(&[&to[..], &["--validity", "soon", "hello"]].concat());
    assert!(!refused.status.success() && words(&refused).contains("validity"), "{}", words(&refused));
    let neither = harness.vumi(&to);
    assert!(!neither.status.success() && words(&neither).contains("<MESSAGE>"), "{}", words(&neither));
}
