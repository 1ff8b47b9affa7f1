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
    let output = words(&status);
    for part in [
        "store",
        "router",
        "http",
        "callbacks",
        "clickatell",
        "opera",
        "e-scape",
        "techsys",
        "truteq",
        "smsc",
        "echo",
        "quiz",
    ] {
        assert!(output.contains(part), "{part} in {output}");
    }
    assert!(output.trim_end().ends_with("ready"), "{output}");
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

/// The roles of the components that a process logged a message for, in the order of the log.
fn roles(log: &str, message: &str) -> Vec<String> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line["message"] == message && line["component"].is_string());
    let mut roles: Vec<String> = lines.map(|line| line["role"].as_str().unwrap().to_owned()).collect();
    roles.dedup();
    roles
}

#[test]
fn campaigns_are_the_first_to_open_and_the_last_to_close() {
    let harness = Harness::new();
    let mut router = harness.run();
    harness.wait_for_network();
    router.signal("TERM");
    assert_eq!(router.exit_code(), 0, "{}", router.log());
    let log = router.log();
    assert_eq!(roles(&log, "started"), ["campaign", "transport", "callbacks", "broadcasts", "front-end"], "{log}");
    assert_eq!(roles(&log, "stopped"), ["front-end", "broadcasts", "callbacks", "transport", "campaign"], "{log}");
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
