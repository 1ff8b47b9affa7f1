//! Middleware: SMS are changed, held and refused on their way, in both directions.

use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, words},
    http_api::assert_problem,
    listener::CallbackListener,
};

fn send(harness: &Harness, to: &str, message: &str) -> reqwest::blocking::Response {
    let form = [("to_msisdn", to), ("from_msisdn", "38080"), ("message", message)];
    harness.post("/api/v1/sms/clickatell/send.json", &form).send().unwrap()
}

fn with_middleware(entries: &str) -> Harness {
    let harness = Harness::new();
    harness.edit(|text| format!("{text}\n{entries}"));
    harness
}

#[test]
fn an_sms_of_a_client_is_changed_held_or_refused_before_it_is_accepted() {
    let harness = with_middleware(
        r#"
[[middleware]]
name = "premium"
kind = "block"
direction = "outbound"
prefixes = ["2786"]

[[middleware]]
name = "words"
kind = "replace"
accounts = ["username"]
rules = [{ pattern = "(?i)colour", with = "color" }]

[[middleware]]
name = "links"
kind = "block"
transports = ["clickatell"]
texts = ["https?://"]
action = "hold"

[[middleware]]
name = "others"
kind = "replace"
accounts = ["somebody-else"]
rules = [{ pattern = ".*", with = "never" }]
"#,
    );
    let _router = harness.run();
    let sent: Value = send(&harness, "27831234567", "The colour").json().unwrap();
    assert_eq!(sent[0]["message"], "The color");
    harness.wait_for_status("clickatell", sent[0]["id"].as_i64().unwrap(), 4);

    let refused = send(&harness, "27861234567", "hello");
    assert_problem(&refused, 400);
    let problem: Value = refused.json().unwrap();
    assert_eq!(problem["errors"][0]["field"], "to_msisdn");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().starts_with("middleware premium: "), "{problem}");

    let held: Value = send(&harness, "27831234567", "see http://x").json().unwrap();
    let id = held[0]["id"].as_i64().unwrap();
    // One that was accepted later is through: the held one was not sent.
    let later: Value = send(&harness, "27831234567", "later").json().unwrap();
    harness.wait_for_status("clickatell", later[0]["id"].as_i64().unwrap(), 4);
    assert_eq!(harness.status("clickatell", id)["transport_status"], 0);
    let events = harness.get(&format!("/api/v1/sms/clickatell/status/{id}/events.json")).send().unwrap();
    let events: Value = events.json().unwrap();
    let why = events.as_array().unwrap().iter().find(|event| event["event"] == "held").unwrap();
    assert_eq!(why["detail"], "middleware links: the text is blocked");
}

#[test]
fn a_webhook_decides_and_its_absence_is_said() {
    let program = CallbackListener::new(|heard| match heard.body.contains("stop me") {
        true => (200, json!({"action": "refuse", "reason": "not today"}).to_string()),
        false => (200, json!({"message": "changed", "tags": ["seen"]}).to_string()),
    });
    let harness = with_middleware(&format!(
        "[[middleware]]\nname = \"ask\"\nkind = \"webhook\"\ndirection = \"outbound\"\nurl = \"{}\"\n\n[[middleware]]\nname = \
         \"nobody\"\nkind = \"webhook\"\ntransports = [\"opera\"]\nurl = \"http://127.0.0.1:1/\"\n",
        program.url("/sms")
    ));
    let _router = harness.run();
    let sent: Value = send(&harness, "27831234567", "hello").json().unwrap();
    assert_eq!(sent[0]["message"], "changed");
    let refused: Value = send(&harness, "27831234567", "stop me").json().unwrap();
    assert_eq!(refused["errors"][0]["detail"], "middleware ask: not today");
    let form = [("to_msisdn", "27831234567"), ("from_msisdn", "38080"), ("message", "hello")];
    let not_now = harness.post("/api/v1/sms/opera/send.json", &form).send().unwrap();
    assert_problem(&not_now, 503);
    assert!(not_now.headers().contains_key("retry-after"));
}

#[test]
fn an_sms_from_a_person_passes_its_chain_before_it_is_routed() {
    let harness = with_middleware(
        r#"
[[middleware]]
name = "spelling"
kind = "replace"
direction = "inbound"
rules = [{ pattern = "(?i)^kwiz", with = "quiz" }]

[[middleware]]
name = "nuisance"
kind = "block"
direction = "inbound"
people = ["27830000666"]
"#,
    );
    let client = CallbackListener::answering(&[200]);
    let _router = harness.run();
    let callback = [("name", "sms_received"), ("url", &*client.url("/"))];
    assert_eq!(harness.post("/api/v1/account/callbacks.json", &callback).send().unwrap().status(), 200);
    let bring = |from: &str, id: &str| {
        let form = [
            ("api_id", "1234"),
            ("moMsgId", id),
            ("from", from),
            ("to", "38080"),
            ("timestamp", "2010-07-22 21:27:24"),
            ("text", "KWIZ please"),
        ];
        assert_eq!(harness.post("/api/v1/sms/clickatell/receive.json", &form).send().unwrap().status(), 200);
    };
    bring("27830000666", "m1");
    bring("27831234567", "m2");
    let answers = eventually("the quiz answers", || {
        let list = harness.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().ok()?;
        let list: Value = list.json().ok()?;
        (!list.as_array()?.is_empty()).then_some(list)
    });
    let to: Vec<_> = answers.as_array().unwrap().iter().map(|sms| sms["to_msisdn"].as_str().unwrap()).collect();
    assert_eq!(to, ["27831234567"], "{answers}");
    // The quiz's first question, not the echo that the text would have had by itself.
    assert!(!answers[0]["message"].as_str().unwrap().contains("KWIZ"), "{answers}");
    eventually("both are posted", || (client.heard().len() == 2).then_some(()));
}

#[test]
fn wrong_entries_are_said_by_check() {
    let harness = with_middleware(
        "[[middleware]]\nname = \"a\"\nkind = \"replace\"\ntransports = [\"nowhere\"]\nrules = [{ pattern = \"(\", with = \"\" }]\n",
    );
    let checked = harness.vumi(&["check"]);
    let said = words(&checked);
    assert!(!checked.status.success(), "{said}");
    for part in ["middleware[0].transports", "`nowhere`", "middleware[0].rules.0.pattern"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
