//! SMS over SMPP: submitted to the server, each answered after its commit; and from the API through the ledger to an SMSC and
//! its receipts back into the ledger.

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};
use vumi_smpp_codec::{Bind, BindPassword, IncomingPdu, Message, OutgoingPdu, Pdu, PduAddress, SmppCodec, status};

use crate::{
    accept,
    deliver::{CONNECTIONS, send_all},
    harness::{BenchHarness, BenchProcess, free_port},
    http::{Figures, figures},
};

const TIME: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const BINDS: usize = 4;
const WINDOW: usize = 64;
const SMS: usize = 40_000;

pub(crate) fn run() {
    server();
    transport();
}

fn server() {
    println!(
        "\nSMS/s submitted over SMPP, committed before the answer: {BINDS} binds, window {WINDOW}, {ROUNDS} rounds of {TIME:?}, median"
    );
    let bare = std::env::var("VUMI_BENCH_PERF_SMSC").ok();
    let mut vumi = Vec::new();
    let mut reference = Vec::new();
    for _ in 0..ROUNDS {
        vumi.push(measure_vumi());
        reference.extend(bare.as_deref().map(measure_bare));
    }
    let vumi = accept::median(vumi);
    println!("vumi: {:.0}/s (p50 {:.2} ms, p99 {:.2} ms)", vumi.per_second, vumi.p50_ms, vumi.p99_ms);
    if reference.is_empty() {
        println!(
            "no bare loop beside it: VUMI_BENCH_PERF_SMSC names smpp34's example perf_smsc, which commits nothing"
        );
        return;
    }
    let reference = accept::median(reference);
    let ratio = vumi.per_second / reference.per_second;
    println!(
        "bare loop, which commits nothing: {:.0}/s (p50 {:.2} ms, p99 {:.2} ms); ratio {ratio:.2}",
        reference.per_second, reference.p50_ms, reference.p99_ms
    );
}

fn measure_vumi() -> Figures {
    let (http, smpp) = (free_port(), free_port());
    let settings = accept::settings(http);
    let harness =
        BenchHarness::new(&format!("{settings}\n[smpp]\nbind = \"127.0.0.1:{smpp}\"\ntransport = \"clickatell\"\n"));
    harness.add_account();
    let password = harness.smpp_password();
    let _router = harness.start(&["run"]);
    hammer(smpp, "username", &password)
}

fn measure_bare(perf_smsc: &str) -> Figures {
    let port = free_port();
    let child = Process::new(perf_smsc)
        .env("SMSC_BIND", format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _smsc = BenchProcess::of(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "perf_smsc does not listen");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    hammer(port, "perf", "perf")
}

/// Keeps the windows of all binds full for the time (and a warm-up of a fifth of it).
fn hammer(port: u16, system_id: &str, password: &str) -> Figures {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let micros = LocalSet::new().block_on(&runtime, async {
        let mut esmes = Vec::new();
        for _ in 0..BINDS {
            esmes.push(BenchEsme::bound(address, system_id, password).await);
        }
        let started = Instant::now() + TIME / 5;
        let tasks: Vec<_> =
            esmes.into_iter().map(|esme| tokio::task::spawn_local(esme.submit(started, started + TIME))).collect();
        let mut all = Histogram::<u64>::new(3).unwrap();
        for task in tasks {
            all.add(task.await.unwrap()).unwrap();
        }
        all
    });
    figures(&micros, TIME)
}

/// A program that submits.
struct BenchEsme {
    stream: TcpStream,
    codec: SmppCodec,
    buffer: BytesMut,
    sequence: u32,
}

impl BenchEsme {
    async fn bound(address: SocketAddr, system_id: &str, password: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut esme = Self { stream, codec: SmppCodec::default(), buffer: BytesMut::new(), sequence: 1 };
        let bind = Bind {
            system_id: Bytes::copy_from_slice(system_id.as_bytes()),
            password: BindPassword(Bytes::copy_from_slice(password.as_bytes())),
            interface_version: 0x34,
            ..Bind::default()
        };
        let mut out = BytesMut::new();
        let command = OutgoingPdu { status: status::ESME_ROK, sequence: 1, pdu: Pdu::Bind(Box::new(bind)) };
        command.encode_into(&mut out).unwrap();
        esme.stream.write_all(&out).await.unwrap();
        let answer = esme.next().await;
        assert_eq!(answer.status, status::ESME_ROK, "the bind is refused: {}", status::name(answer.status));
        esme
    }

    async fn next(&mut self) -> IncomingPdu {
        loop {
            if let Some(frame) = self.codec.next(&mut self.buffer) {
                return frame.unwrap();
            }
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed the connection");
        }
    }

    /// The latencies of the answers that came in the time, in microseconds.
    async fn submit(mut self, started: Instant, until: Instant) -> Histogram<u64> {
        let mut micros = Histogram::new(3).unwrap();
        let mut waiting = HashMap::with_capacity(WINDOW);
        let mut out = BytesMut::new();
        loop {
            while waiting.len() < WINDOW {
                self.sequence += 1;
                let pdu = Pdu::SubmitSm(Box::new(sms()));
                OutgoingPdu { status: status::ESME_ROK, sequence: self.sequence, pdu }.encode_into(&mut out).unwrap();
                waiting.insert(self.sequence, Instant::now());
            }
            self.stream.write_all_buf(&mut out).await.unwrap();
            let mut frame = self.next().await;
            loop {
                let now = Instant::now();
                if let Some(begun) = waiting.remove(&frame.sequence) {
                    assert_eq!(frame.status, status::ESME_ROK, "{}", status::name(frame.status));
                    if begun >= started && now < until {
                        micros.record(u64::try_from((now - begun).as_micros()).unwrap()).unwrap();
                    }
                }
                if now >= until {
                    return micros;
                }
                // All that came together is worked on before the windows are filled again.
                match self.codec.next(&mut self.buffer) {
                    Some(next) => frame = next.unwrap(),
                    None => break,
                }
            }
        }
    }
}

fn sms() -> Message {
    Message {
        source: PduAddress::new(3, 0, "38080"),
        destination: PduAddress::new(1, 1, "27123456789"),
        short_message: Bytes::from_static(b"hello world, this is a text of a usual length"),
        ..Message::default()
    }
}

fn transport() {
    let (http, providers, smsc) = (free_port(), free_port(), free_port());
    let router_harness = BenchHarness::new(&format!(
        "[http]\nbind = \"127.0.0.1:{http}\"\n[http.rates]\nsending = 0\nreading = 0\n[transports.smsc]\nkind = \"smpp\"\n\
         host = \"127.0.0.1\"\nport = {smsc}\nsystem_id = \"vumi\"\npassword = \"vumi\"\nsessions = {BINDS}\nwindow = {WINDOW}\n\
         outbox = {{ window = {}, queue = 4000 }}\n",
        BINDS * WINDOW
    ));
    let provider_harness = BenchHarness::new(&format!(
        "[sandbox]\nhttp_bind = \"127.0.0.1:{providers}\"\ntruteq_bind = \"127.0.0.1:0\"\nsmsc_bind = \"127.0.0.1:{smsc}\"\n\
         [sandbox.smsc.misbehave]\nreceipt_delay = \"0s\"\n"
    ));
    router_harness.add_account();
    let provider = provider_harness.start(&["sandbox"]);
    let router = router_harness.start(&["run"]);
    let begun = Instant::now();
    send_all(http, "smsc", SMS);
    let accepted = begun.elapsed();
    wait_for_receipts(providers);
    let elapsed = begun.elapsed();
    println!("\nSMS/s from the API through the ledger to an SMSC, and its receipts back into the ledger");
    println!(
        "{SMS} SMS over {CONNECTIONS} connections, {BINDS} binds, window {WINDOW}: {:.0}/s (all accepted after {accepted:.1?}, all \
         receipts acknowledged after {elapsed:.1?}; router {:.1} CPU s, SMSC {:.1} CPU s, router {:.0} MB resident)",
        f64::from(u32::try_from(SMS).unwrap()) / elapsed.as_secs_f64(),
        router.cpu_seconds(),
        provider.cpu_seconds(),
        router.resident_mb(),
    );
}

/// A receipt is acknowledged once the ledger has it.
fn wait_for_receipts(providers: u16) {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let all = u64::try_from(SMS / CONNECTIONS * CONNECTIONS).unwrap();
    loop {
        let url = format!("http://127.0.0.1:{providers}/seen/smsc");
        let seen: Value = client.get(url).send().unwrap().json().unwrap();
        if seen["receipts_posted"].as_u64().unwrap() >= all {
            return;
        }
        assert!(Instant::now() < deadline, "not all receipts arrived: {seen}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
