//! SMS whose client names no transport: the settings' routes choose, and the timeline says why.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, words};

const ROUTES: &str = r#"
[[outbound]]
name = "codes"
tags = ["otp"]
transports = [{ name = "e-scape" }]

[[outbound]]
name = "south-africa"
prefixes = ["27"]
transports = [{ name = "clickatell" }, { name = "opera" }]

[router.failover]
return_after = "1h"
"#;

fn with_routes() -> Harness {
    let harness = Harness::new();
    harness.edit(|text| format!("{text}\n{ROUTES}"));
    harness
}

/// Sends by the routes, and answers the SMS's number.
fn send(harness: &Harness, message: &str) -> i64 {
    let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", message)];
    let answer = harness.post("/api/v1/sms/send.json", &form).send().unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    answer.json::<Value>().unwrap()[0]["id"].as_i64().unwrap()
}

fn status(harness: &Harness, id: i64) -> Value {
    harness.get(&format!("/api/v1/sms/status/{id}.json")).send().unwrap().json().unwrap()
}

fn wait_for_status(harness: &Harness, id: i64, wanted: i64) {
    eventually(&format!("SMS {id} has status {wanted}"), || {
        (status(harness, id)["transport_status"] == wanted).then_some(())
    });
}

/// What is routed of the events of an SMS.
fn routed(harness: &Harness, id: i64) -> String {
    let events: Value = harness.get(&format!("/api/v1/sms/status/{id}/events.json")).send().unwrap().json().unwrap();
    let events = events.as_array().unwrap().clone();
    let routed = events.iter().find(|event| event["event"] == "routed").unwrap();
    routed["detail"].as_str().unwrap().to_owned()
}

#[test]
fn an_sms_without_a_transport_goes_by_its_route_and_its_timeline_says_why() {
    let harness = with_routes();
    let _router = harness.run();
    let id = send(&harness, "hello");
    wait_for_status(&harness, id, 4);
    assert_eq!(harness.seen("clickatell")["submissions"], 1);
    assert_eq!(routed(&harness, id), "to clickatell: route south-africa, line 2: clickatell");
    let body = json!({"to_msisdn": "27123456789", "from_msisdn": "38080", "message": "your code: 1", "tag": "otp"});
    let sent: Value = harness
        .post_body("/api/v1/sms/send.json", "application/json", body.to_string())
        .send()
        .unwrap()
        .json()
        .unwrap();
    let code = sent[0]["id"].as_i64().unwrap();
    wait_for_status(&harness, code, 3);
    assert_eq!(harness.seen("e-scape")["submissions"], 1);
    let named = harness.send("opera", "27123456789", "by its transport");
    let list: Value = harness.get("/api/v1/sms/status.json?since=2009-01-01").send().unwrap().json().unwrap();
    let mut listed: Vec<i64> = list.as_array().unwrap().iter().map(|sms| sms["id"].as_i64().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, [id, code], "and not {named}");
    let nowhere = [("to_msisdn", "447700900123"), ("from_msisdn", "38080"), ("message", "hello")];
    let refused = harness.post("/api/v1/sms/send.json", &nowhere).send().unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().unwrap().contains("[[outbound]]"));
}

#[test]
fn new_sms_leave_a_provider_that_answers_nothing_and_one_whose_url_names_it_stays() {
    let harness = with_routes();
    let _router = harness.run();
    harness.misbehave("clickatell", &json!({ "drop_every": 1, "drop_when": "before" }));
    let moved = eventually("SMS go by the other transport", || {
        let id = send(&harness, "hello");
        routed(&harness, id).starts_with("to opera").then_some(id)
    });
    wait_for_status(&harness, moved, 4);
    assert!(routed(&harness, moved).contains("passed over: clickatell (its provider is unavailable)"));
    let stays = harness.send("clickatell", "27123456789", "by its transport");
    // It waits in the ledger, or its transport has it.
    assert!([0, 2].contains(&harness.status("clickatell", stays)["transport_status"].as_i64().unwrap()));
    assert_eq!(routed(&harness, moved).matches("to opera").count(), 1);
}

/// Sends so many a second for so long, each by the routes; answers each number with when its call ended.
fn send_steadily(harness: &Harness, a_second: u64, seconds: u64) -> Vec<(Instant, i64)> {
    let (begin, pause) = (Instant::now(), Duration::from_secs(1) / u32::try_from(a_second).unwrap());
    let mut sent = Vec::new();
    for number in 0..a_second * seconds {
        let due = begin + pause * u32::try_from(number).unwrap();
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        let id = send(harness, &format!("number {number}"));
        sent.push((Instant::now(), id));
    }
    sent
}

#[test]
fn a_provider_that_dies_loses_nothing_and_its_traffic_moves_within_five_seconds() {
    let harness = with_routes();
    harness.add_to("transports.clickatell", "outbox = { retry = { first = \"50ms\", most = \"1s\" } }");
    let _router = harness.run();
    // CI is slow: by hand, VUMI_TEST_RATE=1000.
    let rate = std::env::var("VUMI_TEST_RATE").ok().and_then(|rate| rate.parse().ok()).unwrap_or(50);
    let before = send_steadily(&harness, rate, 2);
    harness.misbehave("clickatell", &json!({ "drop_every": 1, "drop_when": "before" }));
    let died = Instant::now();
    let after = send_steadily(&harness, rate, 6);
    // One at a time still goes there, to try it.
    let went_there = |said: &str| said.starts_with("to clickatell") && !said.ends_with("to try whether it works again");
    let last_there = after.iter().rev().find(|(_, id)| went_there(&routed(&harness, *id)));
    let moved_in = last_there.map_or(Duration::ZERO, |(at, _)| at.duration_since(died));
    assert!(moved_in < Duration::from_secs(5), "{moved_in:?}");
    harness.misbehave("clickatell", &json!({}));
    for (_, id) in before.iter().chain(&after) {
        wait_for_status(&harness, *id, 4);
    }
    let seen = |provider: &str| harness.seen(provider);
    let arrived = seen("clickatell")["submissions"].as_u64().unwrap() + seen("opera")["submissions"].as_u64().unwrap();
    let all = u64::try_from(before.len() + after.len()).unwrap();
    assert_eq!(arrived, all, "each once: the provider took nothing of what it dropped");
    println!("{rate} SMS/s: moved in {moved_in:?}, {all} accepted, {arrived} arrived");
}

#[test]
fn routes_are_explained_and_wrong_ones_refused_before_anything_starts() {
    let harness = with_routes();
    let explain = ["route", "explain", "--to", "27123456789", "--from", "38080", "--account", "clinic"];
    let explained = harness.vumi(&explain);
    assert!(explained.status.success(), "{}", words(&explained));
    for line in
        ["codes: line 1: passed over: the tag is none of otp", "south-africa: line 2: takes it", "goes by clickatell:"]
    {
        assert!(words(&explained).contains(line), "{}", words(&explained));
    }
    let without = harness.vumi(&[&explain[..], &["--failing", "clickatell"]].concat());
    assert!(words(&without).contains("goes by opera:"), "{}", words(&without));

    harness.edit(|text| {
        let loops = "[[outbound]]\nname = \"a\"\ntags = [\"a\"]\notherwise = \"b\"\ntransports = [{ name = \"oper\" }]\n\
                     [[outbound]]\nname = \"b\"\ntags = [\"b\"]\notherwise = \"a\"\ntransports = [{ name = \"opera\" }]\n";
        text.replace("[transports.techsys]", "[transports.status]").replace("[router.failover]", &format!("{loops}[router.failover]"))
    });
    let refused = harness.vumi(&["check"]);
    assert!(!refused.status.success());
    for words_of in [
        "transports.status: no transport may have",
        "outbound[2].transports[0].name: leads nowhere",
        "outbound[2].otherwise: goes in a circle: a, then b, then a",
        "outbound[3].otherwise",
    ] {
        assert!(words(&refused).contains(words_of), "{words_of}: {}", words(&refused));
    }
}
