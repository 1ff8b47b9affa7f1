//! SMS accepted over HTTP, each answered after its commit; beside it the reference.

use std::{net::SocketAddr, process::Command, time::Duration};

use crate::{
    harness::{BenchHarness, BenchProcess, free_port, wait_until_ready},
    http::{Figures, form_request, hammer},
};

const TIME: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

pub(crate) fn run() {
    println!("\naccepted SMS/s over HTTP, committed (SQLite, synchronous=full), {ROUNDS} rounds of {TIME:?}, median");
    println!(
        "{:>11}  {:>28}  {:>28}  {:>6}",
        "connections", "vumi /s (p50, p99 ms)", "reference /s (p50, p99 ms)", "ratio"
    );
    for connections in [1, 16, 64] {
        let mut vumi = Vec::new();
        let mut reference = Vec::new();
        for _ in 0..ROUNDS {
            vumi.push(measure_vumi(connections));
            reference.push(measure_reference(connections));
        }
        let (vumi, reference) = (median(vumi), median(reference));
        let show =
            |figures: &Figures| format!("{:.0} ({:.2}, {:.2})", figures.per_second, figures.p50_ms, figures.p99_ms);
        let ratio = vumi.per_second / reference.per_second;
        println!("{connections:>11}  {:>28}  {:>28}  {ratio:>6.2}", show(&vumi), show(&reference));
    }
}

pub(crate) fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

/// No rate holds clients back, and the transport's provider is away, so that what is measured is accepting and not sending.
pub(crate) const ACCEPTING_ONLY: &str = r#"
    [http.rates]
    sending = 0
    reading = 0
    [transports.clickatell]
    kind = "clickatell"
    url = "http://127.0.0.1:9/clickatell"
    user = "vumi"
    password = "vumi"
    api_id = "1234"
    "#;

pub(crate) fn settings(http: u16) -> String {
    format!("[http]\nbind = \"127.0.0.1:{http}\"\n{ACCEPTING_ONLY}")
}

fn measure_vumi(connections: usize) -> Figures {
    let http = free_port();
    let harness = BenchHarness::new(&settings(http));
    harness.add_account();
    let _router: BenchProcess = harness.start(&["run"]);
    let body = "to_msisdn=27123456789&from_msisdn=27123456780&message=hello+world%2C+this+is+a+text+of+a+usual+length";
    hammer(
        SocketAddr::from(([127, 0, 0, 1], http)),
        connections,
        &form_request("/api/v1/sms/clickatell/send.json", body),
        TIME,
    )
}

fn measure_reference(connections: usize) -> Figures {
    let folder = tempfile::TempDir::new().unwrap();
    let http = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(format!("--reference-in={}:{http}", folder.path().display()));
    let _reference: BenchProcess = wait_until_ready(command);
    let body = "to_msisdn=27123456789&from_msisdn=27123456780&message=hello+world%2C+this+is+a+text+of+a+usual+length";
    hammer(SocketAddr::from(([127, 0, 0, 1], http)), connections, &form_request("/", body), TIME)
}
