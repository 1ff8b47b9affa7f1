//! A person opts out, and gets nothing more, whoever sends it and whatever waits.

use serde_json::Value;

use crate::black_box::{Harness, eventually, words};

const PERSON: &str = "27831234567";

/// The person writes an SMS to 38080.
fn write(harness: &Harness, number: usize, text: &str) {
    let query = [
        ("api_id", "1234"),
        ("moMsgId", &format!("consent{number}")),
        ("from", &format!("+{PERSON}")),
        ("to", "38080"),
        ("timestamp", "2010-07-22 21:27:24"),
        ("text", text),
    ];
    let answer = harness.get("/api/v1/sms/clickatell/receive.json").query(&query).send().unwrap();
    assert_eq!(answer.status(), 200);
}

/// The texts that were sent to the person, oldest first, with their statuses.
fn texts(harness: &Harness) -> Vec<(String, i64)> {
    let list = harness.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap();
    let mut list: Vec<Value> = list.json().unwrap();
    list.retain(|sms| sms["to_msisdn"] == PERSON);
    list.sort_by_key(|sms| sms["id"].as_i64());
    let text = |sms: &Value| (sms["message"].as_str().unwrap().to_owned(), sms["transport_status"].as_i64().unwrap());
    list.iter().map(text).collect()
}

fn consent(harness: &Harness) -> Value {
    harness.get(&format!("/api/v1/consent/{PERSON}.json")).send().unwrap().json().unwrap()
}

fn opted_out(harness: &Harness, id: i64) {
    let sms = harness.wait_for_status("clickatell", id, 7);
    assert_eq!(sms["provider_status"], "opted out", "{sms}");
}

#[test]
fn a_stop_is_confirmed_once_help_is_answered_and_a_start_brings_sms_again() {
    let harness = Harness::new();
    let _router = harness.run();
    let before = harness.send("clickatell", PERSON, "before");
    harness.wait_for_status("clickatell", before, 4);
    for (number, text) in ["“Stop”.", "STOP", "help"].into_iter().enumerate() {
        write(&harness, number, text);
    }
    let sent = eventually("the confirmation and the help arrive", || {
        let sent = texts(&harness);
        (sent.len() == 3 && sent.iter().all(|(_, status)| *status == 4)).then_some(sent)
    });
    assert!(sent[1].0.starts_with("You will get no more SMS"), "{sent:?}");
    assert!(sent[2].0.starts_with("Reply STOP"), "{sent:?}");
    let answered = harness.post(
        "/api/v1/sms/clickatell/send.json",
        &[("to_msisdn", PERSON), ("to_msisdn", "27831234568"), ("from_msisdn", "27123456789"), ("message", "news")],
    );
    let batch: Vec<Value> = answered.send().unwrap().json().unwrap();
    opted_out(&harness, batch[0]["id"].as_i64().unwrap());
    harness.wait_for_status("clickatell", batch[1]["id"].as_i64().unwrap(), 4);
    let known = consent(&harness);
    assert_eq!((&known["current"][0]["consent"], &known["current"][0]["by"]), (&"out".into(), &"person".into()));
    assert_eq!(known["history"].as_array().unwrap().len(), 2);

    write(&harness, 9, "start");
    eventually("the person is in again", || (consent(&harness)["current"][0]["consent"] == "in").then_some(()));
    let again = harness.send("clickatell", PERSON, "again");
    harness.wait_for_status("clickatell", again, 4);
    // What people write is posted and listed as always.
    let received = harness.get("/api/v1/sms/clickatell/received.json?since=2009-01-01").send().unwrap();
    assert_eq!(received.json::<Vec<Value>>().unwrap().len(), 4);
}

#[test]
fn nothing_begins_after_the_confirmation_of_a_stop_that_comes_while_many_sms_go_out() {
    let harness = Harness::new();
    harness.add_to("transports.clickatell", "outbox = { window = 2, rate = 20 }");
    let _router = harness.run();
    let ids: Vec<i64> = (0..60).map(|n| harness.send("clickatell", PERSON, &format!("number {n}"))).collect();
    harness.wait_for_status("clickatell", ids[0], 4);
    write(&harness, 1, "STOP");
    let sent = eventually("all have ended", || {
        let sent = texts(&harness);
        (sent.len() == 61 && sent.iter().all(|(_, status)| [4, 7].contains(status))).then_some(sent)
    });
    let went = |text: &str| sent.iter().any(|(sent, status)| sent == text && *status == 4);
    assert!(sent.iter().any(|(text, status)| text.starts_with("You will get no more") && *status == 4), "{sent:?}");
    let gone = (0..60).filter(|n| went(&format!("number {n}"))).count();
    assert!((1..60).contains(&gone), "{gone} of 60 went out");
    // At the provider nothing follows the confirmation but what had begun: a window at the most.
    let seen = harness.seen("clickatell")["submissions"].as_u64().unwrap();
    assert_eq!(seen, u64::try_from(gone).unwrap() + 1);
}

#[test]
fn consent_is_set_shown_exported_and_imported_beside_the_running_router() {
    let harness = Harness::new();
    let _router = harness.run();
    let run = |arguments: &[&str]| {
        let done = harness.vumi(arguments);
        assert!(done.status.success(), "{}", words(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let set = run(&["consent", "set", "+27 83 123 4567", "out", "--why", "by post"]);
    assert!(set.starts_with("1 written, 0 left"), "{set}");
    opted_out(&harness, harness.send("clickatell", PERSON, "news"));
    let shown = run(&["consent", "show", PERSON]);
    assert!(shown.contains("out of all senders") && shown.contains("by post"), "{shown}");
    let put = |form: &[(&str, &str)]| {
        let url = harness.url(&format!("/api/v1/consent/{PERSON}.json"));
        harness.client().put(url).basic_auth("username", Some("password")).form(form).send().unwrap()
    };
    let refused = put(&[("consent", "maybe"), ("from_msisdn", "!"), ("words", &"x".repeat(161))]);
    assert_eq!(refused.status(), 400);
    let named = refused.text().unwrap();
    assert!(["consent", "from_msisdn", "160 characters"].iter().all(|wrong| named.contains(wrong)), "{named}");
    let changed: Value = put(&[("consent", "in"), ("from_msisdn", "38080")]).json().unwrap();
    let current = changed["current"].as_array().unwrap();
    assert_eq!(current.len(), 2, "{changed}");
    assert!(current.iter().any(|entry| entry["by"] == "account username" && entry["from_msisdn"] == "38080"));
    run(&["consent", "export", "--current", "--out", "consent.csv"]);
    let file = harness.folder.path().join("consent.csv");
    let csv = std::fs::read_to_string(&file).unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    std::fs::write(&file, format!("{csv}27830000000,,out,,,\r\n")).unwrap();
    let imported = run(&["consent", "import", "consent.csv"]);
    assert!(imported.starts_with("1 written, 2 left"), "{imported}");
    let trail = run(&["audit", "list"]);
    assert!(trail.contains("consent changed") && !trail.contains(PERSON), "{trail}");
}
