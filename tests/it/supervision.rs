//! The router tells how its parts are, and stops as asked.

use serde_json::Value;

use crate::black_box::{Harness, words};

#[test]
fn status_shows_every_part_and_whether_all_are_ready() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    let status = harness.vumi(&["status"]);
    assert!(status.status.success(), "{}", words(&status));
    let said = words(&status);
    for part in
        ["store", "router", "http", "callbacks", "clickatell", "opera", "e-scape", "techsys", "truteq", "echo", "quiz"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(said.trim_end().ends_with("ready"), "{said}");
    assert_eq!(harness.get_open("/health/").unwrap().text().unwrap().trim(), "OK");
}

#[test]
fn without_a_router_status_says_what_to_do() {
    let harness = Harness::new();
    let status = harness.vumi(&["status"]);
    assert!(!status.status.success());
    assert!(words(&status).contains("start one with `vumi`"), "{}", words(&status));
}

#[test]
fn both_signals_stop_the_router_cleanly() {
    for signal in ["TERM", "INT"] {
        let harness = Harness::new();
        let mut router = harness.run();
        router.signal(signal);
        assert_eq!(router.exit_code(), 0, "{}", router.log());
        assert!(router.log().contains("stopped"));
    }
}

#[test]
fn the_log_is_json_where_nobody_watches() {
    let harness = Harness::new();
    let router = harness.run();
    let log = router.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
    }
}
