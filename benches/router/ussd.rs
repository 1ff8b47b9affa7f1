//! USSD round trips over SSMI: the benchmark is the network; every person answers as soon as the screen comes.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    harness::{BenchHarness, free_port},
    http::{Figures, figures},
};

const TIME: Duration = Duration::from_secs(5);

pub(crate) fn run() {
    println!("\nUSSD round trips/s over SSMI to the echo campaign, session in the store, {TIME:?} each");
    println!("people answer at once, or pause so that so many round trips a second are offered");
    let heads = ["sessions", "offered", "per second", "p50 ms", "p99 ms", "router CPU s"];
    println!("{:>8}  {:>9}  {:>10}  {:>8}  {:>8}  {:>12}", heads[0], heads[1], heads[2], heads[3], heads[4], heads[5]);
    for (sessions, offered) in [(1, None), (100, None), (1000, None), (1000, Some(20_000))] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (figures, cpu) = runtime.block_on(measure(sessions, offered));
        let asked = offered.map_or_else(|| "at once".to_owned(), |offered| format!("{offered}/s"));
        println!(
            "{sessions:>8}  {asked:>9}  {:>10.0}  {:>8.2}  {:>8.2}  {cpu:>12.1}",
            figures.per_second, figures.p50_ms, figures.p99_ms
        );
    }
}

async fn measure(sessions: usize, offered: Option<u32>) -> (Figures, f64) {
    let harness = |port| BenchHarness::new(&settings(port, "truteq", "echo"));
    let (figures, running) = with(sessions, offered, move |port| {
        let harness = harness(port);
        let running = harness.start(&["run"]);
        (harness, running)
    })
    .await;
    (figures, running.1.cpu_seconds())
}

/// A transport to the network on `port`, and the echo campaign.
pub(crate) fn settings(port: u16, transport: &str, campaign: &str) -> String {
    settings_on(free_port(), port, transport, campaign)
}

/// The same with the API on the port `http`.
pub(crate) fn settings_on(http: u16, port: u16, transport: &str, campaign: &str) -> String {
    format!(
        r#"
        [http]
        bind = "127.0.0.1:{http}"
        [transports.{transport}]
        kind = "ssmi"
        host = "127.0.0.1"
        port = {port}
        username = "vumi"
        password = "vumi"
        [campaigns.{campaign}]
        kind = "echo"
        [[routes]]
        default = true
        campaign = "{campaign}"
        "#
    )
}

/// Plays the network for what `start` starts, which connects to the port it is given.
pub(crate) async fn with<R: Send + 'static>(
    sessions: usize,
    offered: Option<u32>,
    start: impl FnOnce(u16) -> R + Send + 'static,
) -> (Figures, R) {
    let (mut stream, input, running) = connected(start).await;
    (hold_sessions(&mut stream, input, sessions, offered).await, running)
}

/// The connection of what `start` starts, logged in.
pub(crate) async fn connected<R: Send + 'static>(
    start: impl FnOnce(u16) -> R + Send + 'static,
) -> (TcpStream, BytesMut, R) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = tokio::task::spawn_blocking(move || start(port));
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut input = BytesMut::with_capacity(1 << 20);
    while !input.contains(&b'\r') {
        assert!(stream.read_buf(&mut input).await.unwrap() > 0);
    }
    assert!(input.starts_with(b"SSMI,1,"), "the login comes first");
    input.clear();
    stream.write_all(b"SSMI,101,1\r").await.unwrap();
    (stream, input, router.await.unwrap())
}

/// Every person answers a screen at once, or, where a rate is offered, when its turn comes.
async fn hold_sessions(stream: &mut TcpStream, mut input: BytesMut, sessions: usize, offered: Option<u32>) -> Figures {
    let person = |n: usize| format!("2783{n:07}");
    let mut asked: HashMap<String, Instant> = HashMap::new();
    let mut ready: VecDeque<String> = VecDeque::new();
    let mut output = Vec::with_capacity(1 << 20);
    let begun = Instant::now();
    for n in 0..sessions {
        output.extend_from_slice(format!("SSMI,110,{},1,0,*120*1#\r", person(n)).as_bytes());
        asked.insert(person(n), begun);
    }
    stream.write_all(&output).await.unwrap();
    let started = begun + TIME / 5;
    let until = started + TIME;
    let mut sent = 0.0;
    let mut micros = Histogram::<u64>::new(3).unwrap();
    while Instant::now() < until {
        // A millisecond at a time, so that those who pause get their turn.
        let pause = if offered.is_some() { Duration::from_millis(1) } else { Duration::from_secs(10) };
        match tokio::time::timeout(pause, stream.read_buf(&mut input)).await {
            Ok(read) => assert!(read.unwrap() > 0, "the router hung up"),
            Err(_) => assert!(offered.is_some(), "the router does not answer"),
        }
        output.clear();
        let now = Instant::now();
        while let Some(end) = input.iter().position(|byte| *byte == b'\r') {
            let line = input.split_to(end + 1);
            let Some(msisdn) = answered(&line, &mut output) else { continue };
            let since = asked[&msisdn];
            if since >= started {
                micros.record(u64::try_from((now - since).as_micros()).unwrap()).unwrap();
            }
            ready.push_back(msisdn);
        }
        let turns = offered.map_or(f64::MAX, |offered| f64::from(offered) * begun.elapsed().as_secs_f64());
        while sent < turns {
            let Some(msisdn) = ready.pop_front() else { break };
            output.extend_from_slice(format!("SSMI,110,{msisdn},2,0,hello again\r").as_bytes());
            asked.insert(msisdn, now);
            sent += 1.0;
        }
        stream.write_all(&output).await.unwrap();
    }
    figures(&micros, TIME)
}

/// The person whom a line from the router answers; a link check is answered here.
pub(crate) fn answered(line: &[u8], output: &mut Vec<u8>) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let mut fields = text.trim_end().splitn(5, ',').skip(1);
    match fields.next() {
        Some("110") => {}
        Some("3") => {
            output.extend_from_slice(b"SSMI,101,2\r");
            return None;
        }
        other => panic!("unexpected command {other:?}"),
    }
    let (msisdn, kind) = (fields.next().unwrap(), fields.next().unwrap());
    assert_eq!(kind, "2", "the session stays open: {text}");
    Some(msisdn.to_owned())
}
