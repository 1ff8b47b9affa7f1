//! A person dials, the campaign answers.

use std::{io::Write, process::Stdio};

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, words};

fn dial(harness: &Harness, msisdn: &str, code: &str) -> Value {
    let answer = harness.handset("dial", &json!({ "msisdn": msisdn, "code": code }));
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    answer.json().unwrap()
}

fn answer(harness: &Harness, msisdn: &str, text: &str) -> Value {
    let answer = harness.handset("answer", &json!({ "msisdn": msisdn, "text": text }));
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    answer.json().unwrap()
}

#[test]
fn a_quiz_is_played_to_its_end_and_a_returning_person_hears_the_statistics() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    let first = dial(&harness, "27831234567", "*120*663*79#");
    assert_eq!(first["session"], "open");
    let wrong = answer(&harness, "27831234567", "99");
    assert_eq!(wrong["session"], "open", "a wrong choice asks again");
    let mut last = wrong;
    for _ in 0..3 {
        assert_eq!(last["session"], "open");
        last = answer(&harness, "27831234567", "1");
    }
    assert_eq!(last["session"], "closed", "three questions, then thanks: {last}");

    let again = dial(&harness, "27831234567", "*120*663*79#");
    assert_ne!(again["screen"], first["screen"], "a returning person is told the statistics");
}

#[test]
fn an_open_session_survives_kill_9_and_a_restart() {
    let harness = Harness::new();
    let providers = harness.start(&["sandbox"]);
    let alone = harness.folder.path().join("router.toml");
    let text = std::fs::read_to_string(harness.settings_file()).unwrap();
    std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
    let run = ["--settings", alone.to_str().unwrap(), "run"];
    harness.add_account(&alone);
    let router = harness.start(&run);
    harness.wait_for_network();
    let first = dial(&harness, "27831234567", "*120*663*79#");
    let second = answer(&harness, "27831234567", "1");
    assert_ne!(first["screen"], second["screen"]);
    router.kill();
    let _router = harness.start(&run);
    harness.wait_for_network();
    let again = answer(&harness, "27831234567", "nonsense");
    assert_eq!(again["session"], "open");
    let question = second["screen"].as_str().unwrap().lines().last().unwrap().to_owned();
    assert!(again["screen"].as_str().unwrap().contains(&question), "asked again what was open: {again} after {second}");
    drop(providers);
}

#[test]
fn who_answers_while_the_router_stops_keeps_the_session() {
    let harness = Harness::new();
    harness.add_to("transports.truteq", "outbox = { call_limit = \"2s\" }");
    let _providers = harness.start(&["sandbox"]);
    let alone = harness.folder.path().join("router.toml");
    let text = std::fs::read_to_string(harness.settings_file()).unwrap();
    std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
    let run = ["--settings", alone.to_str().unwrap(), "run"];
    harness.add_account(&alone);
    let mut router = harness.start(&run);
    harness.wait_for_network();
    dial(&harness, "27831234567", "*120*1#");
    // An SMS that gets no answer keeps the stop waiting for a while.
    harness.misbehave("truteq", &json!({ "delay": "1h" }));
    harness.send("truteq", "27830000001", "hello");
    eventually("the SMS is under way", || (harness.seen("truteq")["submissions"] == 1).then_some(()));

    router.signal("TERM");
    let mut screens = Vec::new();
    std::thread::scope(|threads| {
        let stopped = threads.spawn(|| router.exit_code());
        while !stopped.is_finished() {
            let shown = harness.handset("answer", &json!({ "msisdn": "27831234567", "text": "hello" }));
            if shown.status() == 200 {
                screens.push(shown.json::<Value>().unwrap());
            }
        }
    });
    assert!(!screens.is_empty(), "it was over before anybody could answer");
    assert!(screens.iter().all(|shown| shown["session"] == "open"), "{screens:?}");
    // The campaign closes after the transport, so that nobody is asked to wait for it.
    assert!(screens.iter().all(|shown| shown["screen"].as_str().unwrap().contains("hello")), "{screens:?}");

    // The SMS is sent again after the restart: left without an answer, the transport would not be up.
    harness.misbehave("truteq", &json!({}));
    let _router = harness.start(&run);
    harness.wait_for_network();
    let shown = answer(&harness, "27831234567", "still here");
    assert!(shown["screen"].as_str().unwrap().contains("still here"), "{shown}");
}

#[test]
fn an_unserved_code_is_echoed_by_the_default_campaign() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    let shown = dial(&harness, "27830000001", "*999#");
    assert_eq!(shown["session"], "open");
    let shown = answer(&harness, "27830000001", "parrot");
    assert!(shown["screen"].as_str().unwrap().contains("parrot"), "{shown}");
}

#[test]
fn the_phone_in_the_terminal_holds_a_session() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    let mut phone = harness
        .command(&["dial", "*120*663*79#", "--msisdn", "27831234567"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    phone.stdin.take().unwrap().write_all(b"1\n1\n1\n").unwrap();
    let output = phone.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let screens = words(&output);
    assert_eq!(screens.matches("/182").count(), 4, "{screens}");
    assert!(screens.contains("closed"), "{screens}");
}

#[test]
fn frames_that_nobody_can_read_are_counted_and_the_session_goes_on() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    harness.misbehave("truteq", &json!({ "malformed": true }));
    dial(&harness, "27831234567", "*120*1#");
    let shown = answer(&harness, "27831234567", "still here");
    assert!(shown["screen"].as_str().unwrap().contains("still here"), "{shown}");
    // The answer may be a second old.
    eventually("the frames are counted", || {
        let truteq = harness.part("truteq")?;
        let counted = truteq["detail"].as_str()?.contains("malformed frames skipped: 2");
        (counted && truteq["state"] == "up").then_some(())
    });
}

#[test]
fn a_lost_connection_comes_back_and_the_session_goes_on() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    dial(&harness, "27831234567", "*120*1#");
    harness.misbehave("truteq", &json!({ "drop_now": true }));
    harness.wait_for_network();
    let shown = eventually("the answer comes after the reconnection", || {
        let answer = harness.handset("answer", &json!({ "msisdn": "27831234567", "text": "still here" }));
        if answer.status().is_success() { answer.json::<Value>().ok() } else { None }
    });
    assert!(shown["screen"].as_str().unwrap().contains("still here"), "{shown}");
}
