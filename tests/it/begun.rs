//! An SMS that never left is never "may have been sent": after `kill -9`, and after a time in which the process was stopped.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::black_box::{Harness, Process, eventually, waits};

const WINDOW: u64 = 4;
const SMS: usize = 40;

/// The sandbox's providers, in a process that outlives the router, and the arguments that run the router.
pub(crate) struct Apart {
    _providers: Process,
    settings: String,
}

impl Apart {
    pub(crate) fn new(harness: &Harness) -> Self {
        let providers = harness.start(&["sandbox"]);
        let alone = harness.folder.path().join("router.toml");
        let text = std::fs::read_to_string(harness.settings_file()).unwrap();
        std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
        harness.add_account(&alone);
        Self { _providers: providers, settings: alone.to_str().unwrap().to_owned() }
    }

    pub(crate) fn run(&self, harness: &Harness) -> Process {
        harness.start(&["--settings", &self.settings, "run"])
    }
}

fn wait_for_submissions(harness: &Harness, count: u64) {
    eventually("a window is in flight", || (harness.seen("e-scape")["submissions"].as_u64()? >= count).then_some(()));
}

/// How often the provider got each SMS.
fn times_seen(harness: &Harness) -> Vec<u64> {
    harness.seen("e-scape")["ids"].as_object().unwrap().values().filter_map(Value::as_u64).collect()
}

#[test]
fn after_kill_9_only_what_was_in_flight_is_unknown_and_the_rest_is_sent() {
    let harness = Harness::new();
    let outbox = format!("outbox = {{ window = {WINDOW}, queue = 100, max_resubmissions = 0 }}");
    harness.add_to("transports.e-scape", &outbox);
    let apart = Apart::new(&harness);
    let router = apart.run(&harness);
    harness.misbehave("e-scape", &json!({ "delay": "1h" }));
    let ids: Vec<i64> = (0..SMS).map(|n| harness.send("e-scape", "27123456789", &format!("number {n}"))).collect();
    wait_for_submissions(&harness, WINDOW);
    router.kill();
    harness.misbehave("e-scape", &json!({}));
    let _router = apart.run(&harness);
    let mut unknown = 0;
    for id in ids {
        let sms = eventually("every SMS ends or is sent", || {
            let sms = harness.status("e-scape", id);
            (!waits(&sms)).then_some(sms)
        });
        unknown += u64::from(sms["transport_status"] == 7);
    }
    assert_eq!(unknown, WINDOW, "those in flight");
    let times = times_seen(&harness);
    assert_eq!((times.len(), times.iter().max()), (SMS, Some(&1)), "each of them once");
}

#[test]
fn what_the_provider_answered_while_the_process_was_stopped_is_not_sent_again() {
    const LEASE: Duration = Duration::from_secs(6);
    let harness = Harness::new();
    harness.add_to("store", &format!("lease = \"{}s\"", LEASE.as_secs()));
    let outbox = format!("outbox = {{ window = {WINDOW}, call_limit = \"1s\" }}");
    for transport in ["clickatell", "opera", "e-scape", "techsys", "truteq", "smsc"] {
        harness.add_to(&format!("transports.{transport}"), &outbox);
    }
    let apart = Apart::new(&harness);
    let router = apart.run(&harness);
    harness.misbehave("e-scape", &json!({ "delay": "500ms" }));
    let ids: Vec<i64> = (0..WINDOW).map(|n| harness.send("e-scape", "27123456789", &format!("number {n}"))).collect();
    wait_for_submissions(&harness, WINDOW);
    router.signal("STOP");
    // Longer than a call may take, and than a claim holds.
    let stopped = Instant::now();
    while stopped.elapsed() < LEASE + Duration::from_secs(1) {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    harness.misbehave("e-scape", &json!({}));
    router.signal("CONT");
    for id in ids {
        eventually("every SMS is sent", || (!waits(&harness.status("e-scape", id))).then_some(()));
    }
    let times = times_seen(&harness);
    assert_eq!((times.len(), times.iter().max()), (4, Some(&1)), "{times:?}");
}
