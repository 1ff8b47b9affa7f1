//! A cluster is upgraded process by process: the version before works on the tables of this one, before it, beside it and
//! after it. `make upgrade-test` builds the version before and names it.

use std::{io::Write, process::Command};

use crate::black_box::{Harness, Process, database::TestDatabase, words};

/// The binary of the version before.
const PREVIOUS: &str = "VUMI_TEST_PREVIOUS";

fn previous() -> Option<String> {
    let named = std::env::var(PREVIOUS).ok();
    if named.is_none() {
        // Past the test runner, which would keep it to itself.
        let _nobody_reads = writeln!(std::io::stderr(), "left out: the version before; `make upgrade-test` builds it");
    }
    named
}

/// This harness's command, carried out by the version before.
fn by(program: &str, harness: &Harness, arguments: &[&str]) -> Command {
    let own = harness.command(arguments);
    let mut command = Command::new(program);
    command.args(own.get_args()).current_dir(harness.folder.path());
    for (variable, value) in own.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command
}

/// Settings that the version before knows, too: without what has been added since.
fn harness_of_both() -> Harness {
    let harness = Harness::new();
    harness.edit(|text| {
        let mut is_new = false;
        let kept = text.lines().filter(|line| {
            if line.starts_with('[') {
                is_new = matches!(*line, "[transports.smsc]" | "[sandbox.smsc]" | "[transports.africas-talking-ussd]");
            }
            !is_new && !line.starts_with("smsc_bind")
        });
        kept.map(|line| format!("{line}\n")).collect()
    });
    harness
}

fn start(program: &str, harness: &Harness, arguments: &[&str]) -> Process {
    let process = Process::spawn(by(program, harness, arguments));
    process.wait_for_line("ready; stop with");
    process
}

#[test]
fn the_version_before_sends_from_this_ones_tables_and_this_one_goes_on_with_what_it_leaves() {
    let Some(previous) = previous() else { return };
    let harness = harness_of_both();
    let router = harness.run();
    let first = harness.send("clickatell", "27831234567", "by this version");
    harness.wait_for_status("clickatell", first, 4);
    router.stop();
    let router = start(&previous, &harness, &["run"]);
    harness.wait_for_status("clickatell", first, 4);
    let second = harness.send("clickatell", "27831234567", "by the version before");
    harness.wait_for_status("clickatell", second, 4);
    let waiting = harness.send("clickatell", "27831234567", "left by the version before");
    router.kill();
    let _router = harness.run();
    for id in [first, second, waiting] {
        harness.wait_for_status("clickatell", id, 4);
    }
}

#[test]
fn two_neighbouring_versions_share_a_database() {
    let Some(previous) = previous() else { return };
    let Some(database) = TestDatabase::start() else { return };
    let mut harness = harness_of_both();
    harness.set("VUMI__STORE__URL", &database.url());
    let migrated = by(&previous, &harness, &["migrate"]).output().unwrap();
    assert!(migrated.status.success(), "{}", words(&migrated));
    let migrated = harness.vumi(&["migrate"]);
    assert!(migrated.status.success(), "{}", words(&migrated));
    // The new one takes the calls, the old one sends.
    let old = start(&previous, &harness, &["run", "--only", "transport:clickatell,sandbox"]);
    let _new = harness.start(&["run", "--only", "http,campaigns,transport:truteq"]);
    let ids: Vec<i64> = (0..20).map(|n| harness.send("clickatell", "27831234567", &format!("message {n}"))).collect();
    for id in ids {
        harness.wait_for_status("clickatell", id, 4);
    }
    old.stop();
}
