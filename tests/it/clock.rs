//! The machine's clock is set under the running router, and over a restart.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::black_box::{Harness, eventually, waits};

/// A library that adds the seconds in a file to the machine's clock.
const SET_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, at);
    const char *path = getenv("VUMI_TEST_CLOCK");
    FILE *file = clock == CLOCK_REALTIME && path ? fopen(path, "r") : NULL;
    if (file) {
        long seconds = 0;
        if (fscanf(file, "%ld", &seconds) == 1) at->tv_sec += seconds;
        fclose(file);
    }
    return failed;
}
"#;

/// Builds it; none where it can't be built, which is said.
fn library(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("set_clock.c"), folder.join("set_clock.so"));
    fs::write(&source, SET_CLOCK).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").output();
    if cfg!(target_os = "linux") && built.is_ok_and(|built| built.status.success()) {
        return Some(library);
    }
    let _nobody_reads =
        writeln!(std::io::stderr(), "left out: the clock that is set (it needs Linux and a C compiler)");
    None
}

/// A harness whose processes' clock is set by [`set`].
fn harness() -> Option<Harness> {
    let mut harness = Harness::new();
    let (library, file) = (library(harness.folder.path())?, harness.folder.path().join("clock"));
    harness.set("LD_PRELOAD", library.to_str().unwrap());
    harness.set("VUMI_TEST_CLOCK", file.to_str().unwrap());
    Some(harness)
}

fn set(harness: &Harness, seconds: i64) {
    let (new, file) = (harness.folder.path().join("clock.new"), harness.folder.path().join("clock"));
    fs::write(&new, seconds.to_string()).unwrap();
    fs::rename(new, file).unwrap();
}

const DAY_AND_MORE: i64 = 25 * 3600;
const HOUR_BACK: i64 = -3600;

const OUTBOX: &str = "outbox = { max_resubmissions = 1000, retry = { first = \"100ms\", most = \"1s\" } }";

/// The provider takes nothing: what is accepted waits.
fn send_to_a_busy_provider(harness: &Harness) -> Vec<i64> {
    harness.misbehave("e-scape", &json!({ "drop_every": 1, "drop_when": "before" }));
    (0..20).map(|n| harness.send("e-scape", "27123456789", &format!("number {n}"))).collect()
}

fn all_are_sent(harness: &Harness, ids: &[i64]) {
    harness.misbehave("e-scape", &json!({}));
    for id in ids {
        let sms = eventually("every SMS is sent", || {
            let sms = harness.status("e-scape", *id);
            (!waits(&sms)).then_some(sms)
        });
        assert_eq!(sms["state"], "submitted", "{sms}");
    }
}

#[test]
fn a_clock_that_is_set_expires_nothing_stops_nothing_and_is_said() {
    for (seconds, said) in [(DAY_AND_MORE, "forward by 1day 1h"), (HOUR_BACK, "back by 1h")] {
        let Some(harness) = harness() else { return };
        harness.add_to("transports.e-scape", OUTBOX);
        let router = harness.run();
        let ids = send_to_a_busy_provider(&harness);
        set(&harness, seconds);
        router.wait_for_line(said);
        all_are_sent(&harness, &ids);
    }
}

#[test]
fn a_clock_that_was_set_while_the_router_was_down_expires_nothing_and_stops_nothing() {
    for (seconds, said) in [(DAY_AND_MORE, "forward by 1day 1h"), (HOUR_BACK, "back by 1h")] {
        let Some(harness) = harness() else { return };
        harness.add_to("transports.e-scape", OUTBOX);
        let router = harness.run();
        let ids = send_to_a_busy_provider(&harness);
        router.kill();
        set(&harness, seconds);
        let router = harness.run();
        router.wait_for_line(said);
        all_are_sent(&harness, &ids);
    }
}
