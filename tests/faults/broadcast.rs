//! A broadcast whose router is killed five times: each line is one SMS of the ledger.

use std::{
    collections::HashSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    black_box::{DEADLINE, Process, words},
    fixture::{FaultFixture, TRANSPORT, WINDOW},
};

const KILLS: u64 = 5;

/// How many lines: 3,000, or `VUMI_FAULTS_LINES`.
fn lines() -> u64 {
    let given = std::env::var("VUMI_FAULTS_LINES").ok();
    given.map_or(3_000, |text| text.parse().unwrap_or_else(|_| panic!("VUMI_FAULTS_LINES is no number: {text}")))
}

#[test]
fn each_line_of_a_broadcast_is_one_sms_on_sqlite() {
    killed(&FaultFixture::sqlite());
}

#[test]
fn each_line_of_a_broadcast_is_one_sms_on_postgresql() {
    let Some((fixture, _database)) = FaultFixture::postgres() else { return };
    killed(&fixture);
}

fn killed(fixture: &FaultFixture) {
    let (harness, lines) = (&fixture.harness, lines());
    let mut csv = "to_msisdn,n\n".to_owned();
    for line in 1..=lines {
        writeln!(csv, "2783{line:07},{line}").unwrap();
    }
    std::fs::write(harness.folder.path().join("people.csv"), csv).unwrap();
    let mut router = Some(fixture.run());
    // Some ten seconds for all of them.
    let pace = (lines / 10).clamp(1, 10_000).to_string();
    let send = ["broadcast", "send", "people.csv", "--name", "days", "--from", "38080", "--template", "line {{n}}"];
    let sent = harness.vumi(&[&send[..], &["--transport", TRANSPORT, "--pace", &pace, "--no-follow"]].concat());
    assert!(sent.status.success(), "{}", words(&sent));
    let broadcast = || -> Option<Value> { harness.get("/api/v1/broadcasts/days.json").send().ok()?.json().ok() };
    for kill in 1..=KILLS {
        wait_for(&broadcast, kill * lines / (KILLS + 1));
        std::thread::park_timeout(Duration::from_millis(kill * 37));
        if let Some(router) = router.take() {
            Process::kill(router);
        }
        router = Some(fixture.run());
    }
    wait_for(&broadcast, lines);
    let end = broadcast().unwrap();
    assert_eq!((&end["state"], &end["accepted"], &end["refused"]), (&json!("done"), &json!(lines), &json!(0)));

    // Exactly one for each line: as many as there are lines, and no two alike.
    let exported = harness.vumi(&["ledger", "export", "--format", "jsonl"]);
    let rows: Vec<Value> = words(&exported).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let texts: HashSet<&str> = rows.iter().filter_map(|row| row["message"].as_str()).collect();
    assert_eq!((rows.len() as u64, texts.len() as u64), (lines, lines), "{:?}", rows.first());

    // The provider can't be asked: what was begun at a kill may have come twice, and nothing else.
    let seen = patiently("the provider has them all", lines, || {
        let seen = harness.seen(TRANSPORT);
        (seen["distinct"] == lines).then_some(seen)
    });
    assert!(seen["duplicates"].as_u64().unwrap() <= KILLS * WINDOW as u64, "{seen}");
    drop(router);
}

/// Waits until so many lines are taken.
fn wait_for(broadcast: &impl Fn() -> Option<Value>, taken: u64) {
    patiently(&format!("{taken} lines are taken"), taken, || (broadcast()?["taken"].as_u64()? >= taken).then_some(()));
}

/// Waits for as long as so many lines may take.
fn patiently<T>(what: &str, lines: u64, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE + Duration::from_millis(20 * lines);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
