//! Clients that hold connections: they read no answer, send without end, or do nothing; and what the log says of them.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use serde_json::{Value, json};

use crate::black_box::{DEADLINE, Harness, Process, eventually};

/// `username:password`.
const BASIC: &str = "dXNlcm5hbWU6cGFzc3dvcmQ=";

fn connect(harness: &Harness) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", harness.http)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Reads an answer's head, and its body where the length is announced.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// Whether the other side has ended the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let closed = match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).unwrap();
    closed
}

fn memory_mib(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A call whose answer has some 13 MB: more than the system buffers.
fn large_call() -> String {
    let to: Vec<String> = (0..8_000).map(|n| format!("27{n:09}")).collect();
    let body = json!({ "to_msisdn": to, "from_msisdn": "271", "message": "a".repeat(1_377) }).to_string();
    format!(
        "POST /api/v1/sms/techsys/send.json HTTP/1.1\r\nhost: x\r\nauthorization: Basic {BASIC}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn answers_that_nobody_reads_take_a_bounded_memory_and_a_bounded_time() {
    let harness = Harness::quiet();
    harness.add_to("http", "answer_within = \"8s\"\nunread_per_address = 20000000\nmax_unread = 20000000");
    let router = harness.run();
    let call = large_call();
    // What such a call takes while it is worked on, and what the allocator keeps of it.
    for _ in 0..4 {
        let mut reader = connect(&harness);
        reader.write_all(call.as_bytes()).unwrap();
        assert!(read_answer(&mut reader).starts_with("HTTP/1.1 200"));
    }
    let before = memory_mib(&router);
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&harness);
        stream.write_all(call.as_bytes()).unwrap();
        // Its first byte is there: the answer is made, and goes as far as the system takes it.
        stream.peek(&mut [0]).unwrap();
        silent.push(stream);
    }
    let more = memory_mib(&router).saturating_sub(before);
    assert!(more < 80, "{more} MiB");
    // A client that reads nothing sees its end all the same: the router has taken back what it had sent.
    eventually("all are reset", || {
        silent.retain(|stream| stream.take_error().unwrap().is_none());
        silent.is_empty().then_some(())
    });
    // One who reads gets everything, whatever the others do.
    let mut reader = connect(&harness);
    reader.write_all(call.as_bytes()).unwrap();
    let answer = read_answer(&mut reader);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(serde_json::from_str::<Vec<Value>>(body).unwrap().len(), 8_000);
    assert!(router.log().contains("closed: answers that were not read"), "{}", router.log());
}

#[test]
fn a_chunked_body_without_end_is_not_read_for_ever_once_its_call_is_answered() {
    let harness = Harness::quiet();
    let router = harness.run();
    for (path, authorization, expected) in [
        ("/api/v1/sms/clickatell/send.json", "", "401"),
        ("/api/v1/nothing", "", "401"),
        ("/health/", "", "405"),
        ("/elsewhere", "", "404"),
        ("/api/v1/sms/nobody/send.json", "authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=\r\n", "404"),
        ("/api/v1/account/callbacks/1.json", "authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=\r\n", "405"),
    ] {
        let mut stream = connect(&harness);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{authorization}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{path}: {answer}");
        let began = Instant::now();
        while stream.write_all(b"5\r\nhello\r\n").is_ok() {
            assert!(began.elapsed() < DEADLINE, "{path}: the router still reads");
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
    assert!(router.log().contains("closed: bodies that went on after the answer"), "{}", router.log());
}

#[test]
fn a_head_that_never_ends_ends_its_connection_also_after_other_requests() {
    let harness = Harness::quiet();
    harness.add_to("http", "head_within = \"1s\"");
    let _router = harness.run();
    let mut stream = connect(&harness);
    stream.write_all(b"GET /health/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(read_answer(&mut stream).ends_with("OK"));
    let began = Instant::now();
    for byte in b"GET /health/ HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
        if is_closed(&mut stream) || stream.write_all(&[*byte]).is_err() {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "the router still reads");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

#[test]
fn connections_without_a_request_make_place_for_those_with_one() {
    let harness = Harness::quiet();
    harness.add_to("http", "workers = 1\nmax_connections = 32");
    let router = harness.run();
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(&harness);
        stream.write_all(b"GET /health/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert!(read_answer(&mut stream).ends_with("OK"), "each is answered at once");
        idle.push(stream);
    }
    harness.send("clickatell", "27123456789", "hello");
    eventually("those that were idle longest are closed", || idle[..60].iter_mut().all(is_closed).then_some(()));
    let last = idle.last_mut().unwrap();
    last.write_all(b"GET /health/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(read_answer(last).ends_with("OK"), "the newest is still open");
    assert!(router.log().contains("closed: idle connections whose place was needed"), "{}", router.log());
}

#[test]
fn what_clients_do_wrong_is_a_counted_line_and_no_error_of_the_router() {
    let mut harness = Harness::quiet();
    harness.set("VUMI_LOG", "debug");
    let router = harness.run();
    for request in ["GET / HTTP/1.1\r\nb\u{1}d header: x\r\n\r\n", "nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        for _ in 0..10 {
            let mut stream = connect(&harness);
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        }
    }
    for _ in 0..10 {
        assert_eq!(
            harness.client().get(harness.url("/api/v1/sms/clickatell/status.json")).send().unwrap().status(),
            401
        );
    }
    let log = router.log();
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines("closed: requests that are not HTTP"), 1, "{log}");
    assert_eq!(lines("refused HTTP calls"), 1, "{log}");
    assert_eq!(lines("\"ERROR\"") + lines("\"WARN\""), 0, "{log}");
    assert_eq!(router.stop(), 0);
}
