//! Accounts come from the command line and are seen by the running router.

use std::{io::Write, process::Stdio};

use crate::black_box::{Harness, words};

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

#[test]
fn the_sandbox_account_is_not_opened_to_others() {
    let mut harness = Harness::new();
    harness.set("VUMI__HTTP__BIND", "0.0.0.0:0");
    let refused = harness.vumi(&["run"]);
    assert!(!refused.status.success());
    assert!(words(&refused).contains("127.0.0.1"), "{}", words(&refused));
}
