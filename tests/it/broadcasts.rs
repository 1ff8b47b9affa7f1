//! A text for many people: each line of a CSV becomes one SMS.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, words};

const TEMPLATE: &str = "Dear {{name}}, your clinic is open.";

fn write_people(harness: &Harness, count: u64, changed: &[(u64, &str)]) {
    let mut csv = "name,to_msisdn\n".to_owned();
    for line in 1..=count {
        match changed.iter().find(|(at, _)| *at == line) {
            Some((_, row)) => writeln!(csv, "{row}").unwrap(),
            None => writeln!(csv, "\"Person, {line}\",2783{line:07}").unwrap(),
        }
    }
    std::fs::write(harness.folder.path().join("people.csv"), csv).unwrap();
}

fn send(harness: &Harness, more: &[&str]) -> std::process::Output {
    let send = ["broadcast", "send", "people.csv", "--name", "days", "--from", "38080", "--template", TEMPLATE];
    harness.vumi(&[&send[..], &["--transport", "clickatell"], more].concat())
}

fn broadcast(harness: &Harness) -> Value {
    harness.get("/api/v1/broadcasts/days.json").send().unwrap().json().unwrap()
}

#[test]
fn all_wrong_lines_are_named_before_the_first_goes_and_then_each_line_is_one_sms() {
    let harness = Harness::new();
    let _router = harness.run();
    write_people(&harness, 250, &[(2, "Thandi,nobody"), (120, "Sipho"), (249, "\u{7}Lerato,27831234567")]);
    let refused = send(&harness, &[]);
    let said = words(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for wrong in
        ["people.csv:3: to_msisdn `nobody`: ", "people.csv:121: has 1 values for 2 columns", "people.csv:250: "]
    {
        assert!(said.contains(wrong), "{wrong} in {said}");
    }
    assert!(said.contains("3 of 250 lines are wrong: nothing was sent"), "{said}");
    assert_eq!(harness.seen("clickatell")["submissions"], 0);

    write_people(&harness, 250, &[]);
    let sent = send(&harness, &[]);
    assert!(sent.status.success(), "{}", words(&sent));
    assert!(words(&sent).contains("days is done; 250 of 250 lines taken, 250 became SMS"), "{}", words(&sent));
    eventually("the provider has them", || (harness.seen("clickatell")["submissions"] == 250).then_some(()));
    let again = send(&harness, &[]);
    assert!(again.status.success() && words(&again).contains("was started before"), "{}", words(&again));
    let listed = harness.get("/api/v1/sms/clickatell/status.json?reference=broadcast/days").send().unwrap();
    let listed: Vec<Value> = listed.json().unwrap();
    assert!(
        listed.iter().any(|sms| sms["message"] == "Dear Person, 250, your clinic is open."),
        "{:?}",
        listed.first()
    );
    assert_eq!(harness.seen("clickatell")["submissions"], 250, "nobody gets it twice");
}

#[test]
fn a_broadcast_keeps_its_pace_is_paused_resumed_and_cancelled() {
    let harness = Harness::new();
    let router = harness.run();
    write_people(&harness, 1_000, &[]);
    let sent = send(&harness, &["--pace", "40", "--no-follow"]);
    assert!(sent.status.success(), "{}", words(&sent));
    eventually("some have gone", || (broadcast(&harness)["taken"].as_u64()? > 0).then_some(()));
    assert!(harness.vumi(&["broadcast", "pause", "days"]).status.success());
    let paused = broadcast(&harness);
    assert!(paused["state"] == "paused" && paused["taken"].as_u64().unwrap() < 1_000, "{paused}");
    assert_eq!(router.stop(), 0);
    let _router = harness.run();
    assert_eq!(broadcast(&harness)["taken"], paused["taken"], "a restart does not resume it");
    assert!(harness.vumi(&["broadcast", "resume", "days"]).status.success());
    eventually("it goes on", || (broadcast(&harness)["taken"].as_u64() > paused["taken"].as_u64()).then_some(()));
    let cancelled = harness.vumi(&["broadcast", "cancel", "days"]);
    assert!(words(&cancelled).starts_with("days is cancelled; "), "{}", words(&cancelled));
    let end = broadcast(&harness);
    let exported = harness.vumi(&["ledger", "export", "--format", "jsonl"]);
    let kept = words(&exported).lines().filter(|line| line.contains("your clinic is open")).count();
    assert_eq!(end["accepted"], kept, "every line that was taken is one SMS");
    assert_eq!(broadcast(&harness)["taken"], end["taken"]);
    assert_eq!(harness.post("/api/v1/broadcasts/days/resume.json", &[]).send().unwrap().status(), 409);
}

#[test]
fn the_api_names_what_is_wrong() {
    let harness = Harness::new();
    let _router = harness.run();
    let create = |name: &str, from: &str, pace: &str| {
        let form = [
            ("name", name),
            ("template", TEMPLATE),
            ("from_msisdn", from),
            ("transport", "clickatell"),
            ("pace", pace),
        ];
        harness.post("/api/v1/broadcasts.json", &form).send().unwrap()
    };
    for (name, from, pace, field) in [
        ("No Name", "38080", "1", "name"),
        ("days", "a sender too long", "1", "from_msisdn"),
        ("days", "38080", "0", "pace"),
    ] {
        let refused: Value = create(name, from, pace).json().unwrap();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    assert_eq!(create("days", "38080", "1").status(), 201);
    assert_eq!(create("days", "38080", "1").status(), 200);
    assert_eq!(create("days", "38080", "2").status(), 409);
    let lines = |query: &str, csv: &'static str| {
        harness.post_body(&format!("/api/v1/broadcasts/days/lines.csv{query}"), "text/csv", csv).send().unwrap()
    };
    for (csv, what) in [
        ("name\nThandi\n", "no column `to_msisdn`"),
        ("to_msisdn,to_msisdn\n1,2\n", "column `to_msisdn` twice"),
        ("to_msisdn\n27831234567\n", "no column `name`"),
    ] {
        let refused: Value = lines("", csv).json().unwrap();
        assert!(refused.to_string().contains(what), "{what}: {refused}");
    }
    assert_eq!(lines("?first=2", "to_msisdn,name\n27831234567,Thandi\n").status(), 409, "the first one is missing");
    assert_eq!(lines("", "to_msisdn,name\n27831234567,Thandi\n").status(), 200);
    assert_eq!(harness.post("/api/v1/broadcasts/days/start.json", &[("lines", "2")]).send().unwrap().status(), 409);
    assert_eq!(harness.get("/api/v1/broadcasts/none.json").send().unwrap().status(), 404);
    let all: Value = harness.get("/api/v1/broadcasts.json").send().unwrap().json().unwrap();
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_eq!([&all[0]["state"], &all[0]["loaded"]], [&json!("loading"), &json!(1)]);
}
