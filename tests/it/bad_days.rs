//! Bad days of the store: its file goes while the router runs, and more is asked than can be written.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use reqwest::blocking::Response;

use crate::black_box::{Harness, eventually};

fn try_to_send(harness: &Harness) -> Response {
    let form = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "hello")];
    harness.post("/api/v1/sms/clickatell/send.json", &form).send().unwrap()
}

#[test]
fn a_deleted_database_is_noticed_and_comes_back_the_way_the_log_says() {
    let harness = Harness::quiet();
    let process = harness.run();
    let id = harness.send("clickatell", "27123456780", "hello");
    let database = harness.settings_file().with_file_name("vumi.db");
    let log = harness.settings_file().with_file_name("vumi.db-wal");
    fs::remove_file(&database).unwrap();
    fs::remove_file(&log).unwrap();
    let gone = Instant::now();
    for _ in 0..50 {
        let refused = try_to_send(&harness);
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
    }
    eventually("the router is not ready", || {
        (harness.get_open("/health/ready").unwrap().status() == 503).then_some(())
    });
    assert!(gone.elapsed() < Duration::from_secs(5), "{:?}", gone.elapsed());
    process.wait_for_line("before you stop vumi, copy the files");
    let refusals = process.log().matches("the store could not answer an HTTP call").count();
    assert_eq!(refusals, 1, "one line for 50 refusals: {}", process.log());

    let mut rescued = 0;
    for open in fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap() {
        let open = open.unwrap().path();
        let Ok(name) = fs::read_link(&open) else { continue };
        let name = name.to_string_lossy().into_owned();
        for (file, path) in [("vumi.db (deleted)", &database), ("vumi.db-wal (deleted)", &log)] {
            if name.ends_with(file) {
                fs::copy(&open, path.with_extension(format!("{file}.rescued"))).unwrap();
                rescued += 1;
            }
        }
    }
    assert!(rescued >= 2, "{rescued}");
    process.kill();
    for (file, path) in [("vumi.db (deleted)", &database), ("vumi.db-wal (deleted)", &log)] {
        fs::rename(path.with_extension(format!("{file}.rescued")), path).unwrap();
    }
    let _process = harness.run();
    assert_eq!(harness.status("clickatell", id)["message"], "hello");
}

#[test]
fn who_would_wait_for_too_long_is_refused_and_told_when_to_come_back() {
    let harness = Harness::quiet();
    harness.add_to("store", "max_wait = \"300ms\"");
    let _process = harness.run();
    harness.send("clickatell", "27123456780", "so that the password is known");
    let database = harness.settings_file().with_file_name("vumi.db");
    let mut other = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    other.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let mut waiting = Vec::new();
        // The writer is at the first, and waits for the other program.
        let (answer, took) = loop {
            let sent = scope.spawn(|| {
                let asked = Instant::now();
                (try_to_send(&harness), asked.elapsed())
            });
            let deadline = Instant::now() + Duration::from_millis(1500);
            while !sent.is_finished() && Instant::now() < deadline {
                thread::yield_now();
            }
            if sent.is_finished() {
                break sent.join().unwrap();
            }
            waiting.push(sent);
            assert!(waiting.len() < 3, "nobody is refused");
        };
        assert_eq!(answer.status(), 503);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(answer.headers()["retry-after"], "1");
        assert!(answer.text().unwrap().contains("nothing was kept"));
        other.batch_execute("COMMIT").unwrap();
        for sent in waiting {
            assert_eq!(sent.join().unwrap().0.status(), 200);
        }
    });
    assert_eq!(try_to_send(&harness).status(), 200);
}
