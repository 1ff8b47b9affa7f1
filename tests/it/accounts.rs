//! Accounts come from the command line and are seen by the running router.

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::black_box::{Harness, eventually, words};

fn with_input(harness: &Harness, arguments: &[&str], input: &str) -> std::process::Output {
    let mut child =
        harness.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_account_added_beside_the_running_router_can_send_at_once_and_sees_only_its_own() {
    let harness = Harness::new();
    let _router = harness.run();
    let added = with_input(&harness, &["account", "add", "clinic", "--password-stdin"], "s3cret\n");
    assert!(added.status.success(), "{}", words(&added));
    let id = harness.send("clickatell", "27123456789", "not the clinic's");
    let theirs = |path: &str, password: &str| {
        harness.client().get(harness.url(path)).basic_auth("clinic", Some(password)).send().unwrap().status().as_u16()
    };
    assert_eq!(theirs("/api/v1/sms/clickatell/status.json?since=2009-01-01", "s3cret"), 200);
    assert_eq!(theirs(&format!("/api/v1/sms/clickatell/status/{id}.json"), "s3cret"), 404);
    assert_eq!(theirs(&format!("/api/v1/sms/clickatell/status/{id}.json"), "wrong"), 401);

    let listed = harness.vumi(&["account", "list"]);
    assert!(words(&listed).contains("clinic"), "{}", words(&listed));
    assert!(!words(&listed).contains("argon2"), "{}", words(&listed));
    assert!(harness.vumi(&["account", "remove", "clinic"]).status.success());
    let gone = harness.vumi(&["account", "remove", "clinic"]);
    assert!(!gone.status.success());
    assert!(words(&gone).contains("clinic"), "{}", words(&gone));
}

/// What a command says that succeeds.
fn said(harness: &Harness, arguments: &[&str]) -> String {
    let output = harness.vumi(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}

/// What a command says that fails.
fn refusal(harness: &Harness, arguments: &[&str]) -> String {
    let output = harness.vumi(arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}

fn shown_once(said: &str) -> String {
    said.rsplit_once("shown once: ").unwrap().1.trim().to_owned()
}

#[test]
fn a_token_a_lock_and_an_expiry_reach_the_running_router_within_a_second() {
    let harness = Harness::new();
    // Accounts are remembered for much longer than a second.
    harness.add_to("http", "account_ttl = \"1h\"");
    let _router = harness.run();
    said(&harness, &["account", "add", "clinic"]);
    let token =
        shown_once(&said(&harness, &["account", "token", "add", "clinic", "--label", "till", "--expires", "90d"]));
    let path = "/api/v1/sms/clickatell/status.json?since=2009-01-01";
    let call = || harness.client().get(harness.url(path)).bearer_auth(&token).send().unwrap();
    let becomes = |status: u16, text: &str| {
        let since = Instant::now();
        let problem = eventually(&format!("{status}"), || {
            let response = call();
            (response.status().as_u16() == status).then(|| response.text().unwrap())
        });
        assert!(since.elapsed() < Duration::from_secs(5), "{status} came after {:?}", since.elapsed());
        assert!(problem.contains(text), "{status}: {problem}");
    };
    assert_eq!(call().status(), 200);
    let by_password = harness.client().get(harness.url(path)).basic_auth("clinic", Some(&token)).send().unwrap();
    assert_eq!(by_password.status(), 200);
    let listed = said(&harness, &["account", "token", "list", "clinic"]);
    assert!(listed.starts_with("till  made ") && !listed.contains(&token), "{listed}");

    said(&harness, &["account", "lock", "clinic"]);
    becomes(403, "vumi account unlock clinic");
    said(&harness, &["account", "unlock", "clinic"]);
    becomes(200, "");
    said(&harness, &["account", "allow", "clinic", "--networks", "203.0.113.0/24"]);
    becomes(403, "(127.0.0.1)");
    said(&harness, &["account", "allow", "clinic", "--networks", "any"]);
    becomes(200, "");
    said(&harness, &["account", "token", "remove", "clinic", "till"]);
    becomes(401, "Bearer");
}

#[test]
fn during_a_rotation_both_passwords_are_right() {
    let harness = Harness::new();
    let _router = harness.run();
    let added = with_input(&harness, &["account", "add", "clinic", "--password-stdin"], "before\n");
    assert!(added.status.success(), "{}", words(&added));
    let after = shown_once(&said(&harness, &["account", "rotate", "clinic", "--keep", "7d"]));
    let status = |password: &str| {
        let path = harness.url("/api/v1/account/callbacks.json");
        harness.client().get(path).basic_auth("clinic", Some(password)).send().unwrap().status().as_u16()
    };
    assert_eq!([status("before"), status(&after), status("neither")], [200, 200, 401]);
    assert!(said(&harness, &["account", "show", "clinic"]).contains("former password"));
}

#[test]
fn what_an_account_may_send_is_said_and_wrong_limits_change_nothing() {
    let harness = Harness::new();
    let _router = harness.run();
    let added = with_input(&harness, &["account", "add", "clinic", "--password-stdin"], "s3cret\n");
    assert!(added.status.success(), "{}", words(&added));
    let wrong = ["--senders", "38080", "--countries", "Narnia", "--transports", "opreo"];
    let refused = refusal(&harness, &[&["account", "allow", "clinic"][..], &wrong].concat());
    for named in ["--countries", "`Narnia`", "`opreo`", "clickatell", "nothing was changed"] {
        assert!(refused.contains(named), "{named}: {refused}");
    }
    assert!(refusal(&harness, &["account", "allow", "clinic"]).contains("--networks"), "at least one limit");
    assert!(refusal(&harness, &["account", "expire", "clinic", "2009-01-01"]).contains("has passed already"));
    assert!(refusal(&harness, &["account", "lock", "nobody"]).contains("there is no account `nobody`"));
    assert!(said(&harness, &["account", "show", "clinic"]).contains("senders               any"));

    said(&harness, &["account", "allow", "clinic", "--senders", "38080", "--countries", "27", "--country-code", "27"]);
    let send = |to: &str, from: &str| {
        let form = [("to_msisdn", to), ("from_msisdn", from), ("message", "hi")];
        let path = harness.url("/api/v1/sms/clickatell/send.json");
        harness.client().post(path).basic_auth("clinic", Some("s3cret")).form(&form).send().unwrap()
    };
    let sent: serde_json::Value = send("0831234567", "38080").json().unwrap();
    assert_eq!(sent[0]["to_msisdn"], "27831234567", "{sent}");
    let refused: serde_json::Value = send("447700900123", "MYCLINIC").json().unwrap();
    assert_eq!(
        (&refused["errors"][0]["field"], &refused["errors"][1]["field"]),
        (&"to_msisdn".into(), &"from_msisdn".into())
    );

    said(&harness, &["account", "stop", "clinic", "--yes"]);
    eventually("it is stopped", || (send("0831234567", "38080").status() == 403).then_some(()));
    assert!(said(&harness, &["account", "list"]).contains("clinic  client  (stopped)"));
    said(&harness, &["account", "start", "clinic"]);
    eventually("it is started", || (send("0831234567", "38080").status() == 200).then_some(()));
}

#[test]
fn what_waits_of_a_stopped_account_is_cancelled_and_gives_back_its_segments() {
    let harness = Harness::quiet();
    // A transport that sends nothing for now: what is accepted waits.
    let _router = harness.start(&["run", "--only", "http,campaigns,transport:truteq"]);
    let added = with_input(&harness, &["account", "add", "clinic", "--password-stdin"], "s3cret\n");
    assert!(added.status.success(), "{}", words(&added));
    said(&harness, &["account", "budget", "clinic", "--set", "10"]);
    let call = |path: &str| harness.client().get(harness.url(path)).basic_auth("clinic", Some("s3cret"));
    eventually("the budget counts", || {
        let account: serde_json::Value = call("/api/v1/account.json").send().unwrap().json().unwrap();
        (account["budget"]["balance"] == "10").then_some(())
    });
    let form =
        [("to_msisdn", "27831234567"), ("to_msisdn", "27831234568"), ("from_msisdn", "38080"), ("message", "hi")];
    let url = harness.url("/api/v1/sms/clickatell/send.json");
    let send = || harness.client().post(&url).basic_auth("clinic", Some("s3cret")).form(&form).send().unwrap();
    let sent: serde_json::Value = send().json().unwrap();
    let id = sent[0]["id"].as_i64().unwrap();
    let other = harness.send("clickatell", "27831234567", "another account's");

    let asked = refusal(&harness, &["account", "stop", "clinic"]);
    assert!(asked.contains("2 SMS would be cancelled") && asked.contains("--yes"), "{asked}");
    let stopped = said(&harness, &["account", "stop", "clinic", "--yes"]);
    assert!(stopped.contains("2 SMS cancelled"), "{stopped}");
    let path = format!("/api/v1/sms/clickatell/status/{id}.json");
    let one: serde_json::Value = call(&path).send().unwrap().json().unwrap();
    assert_eq!(one["transport_status"], 6, "{one}");
    let account: serde_json::Value = call("/api/v1/account.json").send().unwrap().json().unwrap();
    assert_eq!(
        (&account["stopped"], &account["budget"]["balance"], &account["waiting"]["now"]),
        (&true.into(), &"10".into(), &0.into())
    );
    assert_eq!(send().status(), 403);
    assert_ne!(harness.status("clickatell", other)["transport_status"], 6);
    let trail = said(&harness, &["audit", "list", "--account", "clinic"]);
    assert!(trail.contains("SMS cancelled `clinic`: 2 SMS: its account is stopped"), "{trail}");
}

#[test]
fn the_audit_trail_tells_who_logged_in_and_who_changed_what() {
    let harness = Harness::new();
    let _router = harness.run();
    let token = {
        said(&harness, &["account", "add", "clinic"]);
        shown_once(&said(&harness, &["account", "token", "add", "clinic", "--label", "till"]))
    };
    let call =
        |token: &str| harness.client().get(harness.url("/api/v1/account/callbacks.json")).bearer_auth(token).send();
    for _ in 0..3 {
        assert_eq!(call(&token).unwrap().status(), 200);
    }
    said(&harness, &["account", "lock", "clinic"]);
    eventually("it is locked", || (call(&token).unwrap().status() == 403).then_some(()));
    let trail = eventually("the refusal is noted", || {
        let trail = said(&harness, &["audit", "list", "--account", "clinic", "--since", "1h"]);
        trail.contains("refused log-in").then_some(trail)
    });
    let events = [
        "account added `clinic`: roles: client",
        "token added `clinic`: token till",
        "log-in `clinic` from 127.0.0.1: by token till",
        "account changed `clinic`: locked",
        "refused log-in `clinic` from 127.0.0.1: the account is locked",
    ];
    let found: Vec<&str> = trail.lines().filter_map(|line| line.splitn(3, "  ").nth(2)).collect();
    assert_eq!(found, events, "{trail}");
    assert!(!trail.contains(&token));
    let json = said(&harness, &["audit", "list", "--account", "clinic", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["event"], "account added", "{json}");
    assert!(refusal(&harness, &["audit", "list", "--since", "soon"]).contains("is no time"));
}

#[test]
fn the_sandbox_account_is_not_opened_to_others() {
    let mut harness = Harness::new();
    harness.set("VUMI__HTTP__BIND", "0.0.0.0:0");
    let refused = harness.vumi(&["run"]);
    assert!(!refused.status.success());
    assert!(words(&refused).contains("127.0.0.1"), "{}", words(&refused));
}
