//! USSD beside bulk: how long a dial waits for its first screen while clients post batches as fast as they are answered.
//! SQLite, and PostgreSQL where `VUMI_BENCH_POSTGRES` names a server.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    accept::ACCEPTING_ONLY,
    database::BenchDatabase,
    harness::{BenchHarness, free_port},
    http::{Connection, form_request},
    ussd,
};

/// How long clients and people are at it.
const TIME: Duration = Duration::from_secs(15);
/// A person dials so often.
const DIAL_EVERY: Duration = Duration::from_millis(20);
/// How long the last screens are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run() {
    println!("\nfirst screen of a USSD session beside clients that post batches, {TIME:?} each");
    let heads = ["database", "clients x batch", "dials", "p50 ms", "p99 ms", "max ms", "no screen", "SMS/s", "503"];
    let [database, clients, dials, p50, p99, max, none, rate, refused] = heads;
    println!(
        "{database:>10}  {clients:>15}  {dials:>6}  {p50:>7}  {p99:>7}  {max:>7}  {none:>9}  {rate:>7}  {refused:>6}"
    );
    for (clients, batch) in [(0, 0), (16, 2_000), (150, 2_000), (16, 10_000)] {
        measure("SQLite", None, clients, batch);
    }
    if std::env::var("VUMI_BENCH_POSTGRES").is_ok() {
        for (clients, batch) in [(0, 0), (16, 2_000), (150, 2_000), (16, 10_000)] {
            measure("PostgreSQL", Some(BenchDatabase::new()), clients, batch);
        }
    }
}

fn measure(name: &str, database: Option<BenchDatabase>, clients: usize, batch: usize) {
    let http = free_port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = database.as_ref().map(BenchDatabase::settings).unwrap_or_default();
    let (dials, bulk) = runtime.block_on(async {
        let (mut stream, input, _running) = ussd::connected(move |port| {
            let settings = settings(port, http) + &store;
            let harness = BenchHarness::new(&settings);
            harness.add_account();
            let running = harness.start(&["run"]);
            (harness, running)
        })
        .await;
        let bulk = std::thread::spawn(move || post_batches(http, clients, batch));
        let dials = dial(&mut stream, input).await;
        (dials, bulk.join().unwrap())
    });
    let ms = |quantile| dials.micros.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{name:>10}  {:>15}  {:>6}  {:>7.1}  {:>7.1}  {:>7.1}  {:>9}  {:>7.0}  {:>6}",
        format!("{clients} x {batch}"),
        dials.micros.len(),
        ms(0.5),
        ms(0.99),
        ms(1.0),
        dials.unanswered,
        (bulk.accepted * batch) as f64 / TIME.as_secs_f64(),
        bulk.refused
    );
    drop(database);
}

fn settings(ssmi: u16, http: u16) -> String {
    ussd::settings_on(http, ssmi, "truteq", "echo") + ACCEPTING_ONLY
}

#[derive(Default)]
struct Bulk {
    accepted: usize,
    refused: usize,
}

/// As many clients as are wanted, each with one batch under way. Who is refused waits as long as it is told to.
fn post_batches(http: u16, clients: usize, batch: usize) -> Bulk {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let recipients: String = (0..batch).map(|n| format!("to_msisdn=2783{n:07}&")).collect();
    let body = format!("{recipients}from_msisdn=27123456780&message=hello+world%2C+this+is+a+text+of+a+usual+length");
    let request = form_request("/api/v1/sms/clickatell/send.json", &body);
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let until = Instant::now() + TIME;
        let client = |request: Vec<u8>| async move {
            let (mut bulk, address) = (Bulk::default(), SocketAddr::from(([127, 0, 0, 1], http)));
            let mut connection = Connection::open(address).await;
            while Instant::now() < until {
                match connection.call(&request).await {
                    200 => bulk.accepted += 1,
                    503 => {
                        bulk.refused += 1;
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    other => panic!("{other}: {}", String::from_utf8_lossy(&connection.buffer)),
                }
            }
            bulk
        };
        let tasks: Vec<_> = (0..clients).map(|_| tokio::task::spawn_local(client(request.clone()))).collect();
        let mut all = Bulk::default();
        for task in tasks {
            let one = task.await.unwrap();
            all.accepted += one.accepted;
            all.refused += one.refused;
        }
        all
    })
}

struct Dials {
    micros: Histogram<u64>,
    unanswered: usize,
}

/// Somebody new dials every time, whether or not those before have their screens.
async fn dial(stream: &mut TcpStream, mut input: BytesMut) -> Dials {
    let (mut micros, mut asked) = (Histogram::<u64>::new(3).unwrap(), HashMap::new());
    let (started, mut person) = (Instant::now(), 0_u32);
    let mut ticks = tokio::time::interval(DIAL_EVERY);
    // A second first, in which the clients get going.
    let begin = started + Duration::from_secs(1);
    while started.elapsed() < TIME || (!asked.is_empty() && started.elapsed() < TIME + PATIENCE) {
        tokio::select! {
            read = stream.read_buf(&mut input) => assert!(read.unwrap() > 0, "the router hung up"),
            _ = ticks.tick() => {
                let now = Instant::now();
                if now >= begin && started.elapsed() < TIME {
                    person += 1;
                    let msisdn = format!("2782{person:07}");
                    stream.write_all(format!("SSMI,110,{msisdn},1,0,*120*1#\r").as_bytes()).await.unwrap();
                    asked.insert(msisdn, now);
                }
            }
        }
        let mut output = Vec::new();
        while let Some(end) = input.iter().position(|byte| *byte == b'\r') {
            let line = input.split_to(end + 1);
            if let Some(since) = ussd::answered(&line, &mut output).and_then(|msisdn| asked.remove(&msisdn)) {
                micros.record(u64::try_from(since.elapsed().as_micros()).unwrap()).unwrap();
            }
        }
        stream.write_all(&output).await.unwrap();
    }
    Dials { micros, unanswered: asked.len() }
}
