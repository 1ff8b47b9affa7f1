//! A ledger of a million SMS: how long a batch of 10,000 takes, and how long it takes to ask what became of one.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::Rng;

use crate::{
    database::BenchDatabase,
    harness::{BenchHarness, free_port},
    http::{Connection, Figures, form_request, get_request, one_by_one},
};

const ROWS: usize = 1_000_000;
const BATCH: usize = 10_000;
const TIME: Duration = Duration::from_secs(3);

pub(crate) fn run() {
    on("SQLite", "");
}

/// The same on PostgreSQL.
pub(crate) fn run_on(database: &BenchDatabase) {
    on("PostgreSQL", &database.settings());
}

fn on(name: &str, store: &str) {
    let http = free_port();
    let harness = BenchHarness::new(&format!("{}{store}", crate::accept::settings(http)));
    harness.add_account();
    let _router = harness.start(&["run"]);
    let address = SocketAddr::from(([127, 0, 0, 1], http));
    println!("\na ledger of {ROWS} SMS ({name}), filled in batches of {BATCH}, one after the other");
    let (first, last) = fill(address);
    println!("batch of {BATCH} in one call: {first:.2?} into an empty ledger, {last:.2?} into a full one");
    let by_id = one_by_one(address, TIME, || {
        let id = rand::rng().random_range(1..=ROWS);
        get_request(&format!("/api/v1/sms/clickatell/status/{id}.json"))
    });
    show("status by id", &by_id);
    let since = one_by_one(address, TIME, || get_request("/api/v1/sms/clickatell/status.json?since=2009-01-01"));
    show("since a date, first page of 100", &since);
    let deep =
        one_by_one(address, TIME, || get_request("/api/v1/sms/clickatell/status.json?since=2009-01-01&start=10000"));
    show("since a date, page 100", &deep);
}

fn show(what: &str, figures: &Figures) {
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms ({:.0}/s over one connection)",
        figures.p50_ms, figures.p99_ms, figures.per_second
    );
}

/// How long the first and the last batch took.
fn fill(address: SocketAddr) -> (Duration, Duration) {
    let mut body = "from_msisdn=27123456780&message=hello+world%2C+this+is+a+text+of+a+usual+length".to_owned();
    for n in 0..BATCH {
        body.push_str(&format!("&to_msisdn=2783{n:07}"));
    }
    let request = form_request("/api/v1/sms/clickatell/send.json", &body);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = Connection::open(address).await;
        let mut times = Vec::new();
        for _ in 0..ROWS / BATCH {
            let begun = Instant::now();
            assert_eq!(connection.call(&request).await, 200);
            times.push(begun.elapsed());
        }
        (times[0], times[times.len() - 1])
    })
}
