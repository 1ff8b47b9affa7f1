//! USSD over SMPP, through the sandbox's SMSC: people dial, and the network begins dialogues over SMPP and SSMI.

use std::{io::Write, process::Stdio};

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, words};

const PERSON: &str = "27831234567";
const CODE: &str = "*120*663*79#";

/// The default settings, with USSD in the dialect of a gateway on both sides.
fn with_ussd(profile: &str) -> Harness {
    let harness = Harness::new();
    harness.add_to("transports.smsc", &format!("ussd = {{ profile = \"{profile}\" }}"));
    harness.add_to("sandbox.smsc", &format!("ussd = \"{profile}\""));
    harness
}

fn press(harness: &Harness, key: &str, body: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().insert("provider".to_owned(), json!("smsc"));
    let answer = harness.handset(key, &body);
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    answer.json().unwrap()
}

fn dial(harness: &Harness) -> Value {
    press(harness, "dial", &json!({ "msisdn": PERSON, "code": CODE }))
}

fn answer(harness: &Harness, text: &str) -> Value {
    press(harness, "answer", &json!({ "msisdn": PERSON, "text": text }))
}

fn push(harness: &Harness, transport: &str, body: &Value) -> (u16, Value) {
    let url = harness.url(&format!("/api/v1/ussd/{transport}/push.json"));
    let call = harness.client().post(url).basic_auth("username", Some("password")).json(body);
    let answer = call.send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

#[test]
fn a_quiz_is_played_over_smpp_in_the_dialect_of_each_gateway() {
    for profile in ["spec", "tata", "6d", "mica", "none"] {
        let harness = with_ussd(profile);
        let _router = harness.run();
        harness.wait_for_part("smsc");
        let mut shown = dial(&harness);
        for _ in 0..3 {
            assert_eq!(shown["session"], "open", "{profile}: {shown}");
            shown = answer(&harness, "1");
        }
        assert_eq!(shown["session"], "closed", "{profile}: three questions, then thanks: {shown}");
        assert_eq!(harness.seen("smsc")["submissions"], 0, "{profile}: no SMS went out");
    }
}

#[test]
fn a_person_who_hangs_up_and_dials_again_begins_anew() {
    let harness = with_ussd("spec");
    let _router = harness.run();
    harness.wait_for_part("smsc");
    let first = dial(&harness);
    press(&harness, "hang_up", &json!({ "msisdn": PERSON }));
    let again = dial(&harness);
    assert_eq!((&again["session"], &again["screen"]), (&json!("open"), &first["screen"]));
}

#[test]
fn a_dialogue_over_smpp_survives_kill_9_and_a_restart() {
    let harness = with_ussd("spec");
    let _providers = harness.start(&["sandbox"]);
    let alone = harness.folder.path().join("router.toml");
    let text = std::fs::read_to_string(harness.settings_file()).unwrap();
    std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
    let run = ["--settings", alone.to_str().unwrap(), "run"];
    harness.add_account(&alone);
    let router = harness.start(&run);
    harness.wait_for_part("smsc");
    dial(&harness);
    let second = answer(&harness, "1");
    router.kill();
    let _router = harness.start(&run);
    harness.wait_for_part("smsc");
    let again = answer(&harness, "nonsense");
    assert_eq!(again["session"], "open");
    let question = second["screen"].as_str().unwrap().lines().last().unwrap().to_owned();
    assert!(again["screen"].as_str().unwrap().contains(&question), "asked again what was open: {again} after {second}");
}

#[test]
fn the_network_begins_a_campaigns_dialogue_and_the_person_answers_it() {
    let harness = with_ussd("spec");
    let _router = harness.run();
    harness.wait_for_part("smsc");
    // The code is the echo's by its route; the answers go to the quiz.
    let body = json!({ "to": PERSON, "code": "*999#", "campaign": "quiz" });
    let (status, taken) = push(&harness, "smsc", &body);
    assert_eq!(status, 202, "{taken}");
    eventually("the first screen is there", || (harness.seen("smsc")["smsc"]["ussd"]["pushed"] == 1).then_some(()));
    assert_eq!(push(&harness, "smsc", &body).0, 409, "one dialogue at a time");
    let mut shown = answer(&harness, "1");
    for _ in 0..2 {
        assert_eq!(shown["session"], "open", "{shown}");
        shown = answer(&harness, "1");
    }
    assert_eq!(shown["session"], "closed", "{shown}");

    let text = json!({ "to": PERSON, "code": CODE, "text": "You won." });
    assert_eq!(push(&harness, "smsc", &text).0, 202);
    eventually("the text was shown", || (harness.seen("smsc")["smsc"]["ussd"]["notified"] == 1).then_some(()));
    assert_eq!(push(&harness, "clickatell", &text).0, 400);
}

#[test]
fn a_push_over_ssmi_and_from_the_command_line() {
    let harness = with_ussd("spec");
    let _router = harness.run();
    harness.wait_for_network();
    let pushed = harness.vumi(&["push", "--to", PERSON, "--code", CODE, "--campaign", "quiz"]);
    assert!(pushed.status.success(), "{}", words(&pushed));
    let shown = eventually("the person can answer", || {
        let answer = harness.handset("answer", &json!({ "msisdn": PERSON, "text": "1" }));
        if answer.status().is_success() { answer.json::<Value>().ok() } else { None }
    });
    assert_eq!(shown["session"], "open", "{shown}");
    let refused = harness.vumi(&["push", "--to", PERSON, "--code", CODE, "hello"]);
    assert!(!refused.status.success() && words(&refused).contains("409"), "{}", words(&refused));
}

#[test]
fn the_phone_in_the_terminal_dials_over_the_smsc() {
    let harness = with_ussd("spec");
    let _router = harness.run();
    harness.wait_for_part("smsc");
    let mut phone = harness
        .command(&["dial", CODE, "--transport", "smsc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    phone.stdin.take().unwrap().write_all(b"1\n1\n1\n").unwrap();
    let output = phone.wait_with_output().unwrap();
    assert!(output.status.success() && words(&output).contains("closed"), "{}", words(&output));
}
