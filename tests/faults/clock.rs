//! The wall clock jumps under load, as when a machine without its time is corrected. Needs libfaketime.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use crate::{
    comparison::compare,
    fixture::{FaultFixture, TRANSPORT, left_out, started},
    load::ClientsBook,
};

/// Where Debian keeps it.
const LIBRARIES: &str = "/usr/lib";
/// It looks for a new time this often.
const NOTICED: Duration = Duration::from_millis(1200);
const BACK: Duration = Duration::from_secs(20);

/// libfaketime for programs with threads, if it is installed.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir(LIBRARIES).into_iter().flatten().flatten();
    let found =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
    if found.is_none() {
        left_out("the clock's jumps (apt-get install libfaketime)");
    }
    found
}

#[test]
fn nothing_is_lost_by_a_clock_that_jumps_on_sqlite() {
    let Some(library) = library() else { return };
    jumps(&FaultFixture::sqlite(), &library, "SQLite");
}

/// The router's machine has another clock than the database's, whose time counts.
#[test]
fn nothing_is_lost_by_a_clock_that_jumps_on_postgresql() {
    let Some(library) = library() else { return };
    let Some((fixture, _database)) = FaultFixture::postgres() else { return };
    jumps(&fixture, &library, "PostgreSQL");
}

fn jumps(fixture: &FaultFixture, library: &Path, database: &str) {
    let time = fixture.harness.folder.path().join("time");
    std::fs::write(&time, "+0").unwrap();
    let mut command = fixture.command();
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &time)
        .env("FAKETIME_CACHE_DURATION", "1")
        // The machine's own count of time does not jump.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    // More is accepted than is sent, so that much waits at each jump.
    fixture.harness.misbehave(TRANSPORT, &json!({ "receipts": "none", "delay": "100ms" }));
    let clients = ClientsBook::default();
    let router = started(command);
    std::thread::scope(|threads| {
        let _until_the_end = clients.stopper();
        clients.send(threads, &fixture.harness, 4);
        for jump in ["+2m", "+25h", "-1h", "+0"] {
            clients.wait_for_more(100, BACK);
            std::fs::write(&time, jump).unwrap();
            std::thread::park_timeout(NOTICED);
            clients.wait_for_more(100, BACK);
        }
    });
    fixture.harness.misbehave(TRANSPORT, &json!({ "receipts": "none" }));
    let books = compare(&fixture.harness, &clients);
    books.show(&format!("a clock that jumps +2m, +25h, -1h and back on {database}"));
    books.assert_kept();
    assert_eq!(books.sent_twice, 0, "nothing was killed");
    drop(router);
}
