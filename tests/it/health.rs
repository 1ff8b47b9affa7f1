//! Processes without the HTTP API say how they are, too: `[health]`.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use reqwest::blocking::Response;
use serde_json::Value;

use crate::black_box::{DEADLINE, Harness, Process, eventually, free_port, words};

/// More than the server holds at once.
const MANY: usize = 80;

/// The process with the campaigns alone; its broker is away.
struct HealthHarness {
    harness: Harness,
    port: u16,
    _process: Process,
}

impl HealthHarness {
    fn set() -> Self {
        let (mut harness, port) = (Harness::new(), free_port());
        let broker = free_port();
        harness.edit(|text| format!("{text}\n[amqp]\nurl = \"amqp://guest:guest@127.0.0.1:{broker}/%2F\"\n"));
        harness.set("VUMI__HEALTH__BIND", &format!("127.0.0.1:{port}"));
        let process = harness.start(&["run", "--only", "campaigns"]);
        Self { harness, port, _process: process }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn get(&self, path: &str) -> Response {
        self.harness.client().get(self.url(path)).header("accept", "application/json").send().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }
}

#[test]
fn a_process_without_the_api_says_how_it_is_and_nothing_else() {
    let health_harness = HealthHarness::set();
    assert_eq!(health_harness.get("/health/").text().unwrap(), "OK");
    let ready = health_harness.get("/health/ready");
    assert_eq!(ready.status(), 200);
    let ready: Value = ready.json().unwrap();
    let parts = ready["parts"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["store", "router", "conversations", "echo", "quiz", "amqp", "health"]);
    // What is for a broker that is away waits in the ledger.
    assert_eq!(parts[5]["state"], "degraded", "{ready}");

    for elsewhere in ["/", "/api/v1/sms/clickatell/status.json?id=1", "/api/docs/", "/api/v1/openapi.json"] {
        assert_eq!(health_harness.get(elsewhere).status(), 404, "{elsewhere}");
    }
    let posted = health_harness.harness.client().post(health_harness.url("/health/ready")).body("x").send().unwrap();
    assert_eq!(posted.status(), 405);

    let status = health_harness.harness.vumi(&["status"]);
    assert!(status.status.success() && words(&status).contains("quiz"), "{}", words(&status));
    // Without the process's own variable.
    let asked = health_harness
        .harness
        .command(&["status", "--url", &health_harness.url("/")])
        .env_remove("VUMI__HEALTH__BIND")
        .output();
    // How much room the disk has changes meanwhile.
    let without_room = |text: &str| text.lines().filter(|line| !line.starts_with("store")).map(str::to_owned).collect();
    let (asked, shown): (Vec<String>, Vec<String>) =
        (without_room(&words(&asked.unwrap())), without_room(&words(&status)));
    assert_eq!(asked, shown);
}

#[test]
fn a_process_whose_store_keeps_nothing_is_not_ready_until_it_does_again() {
    let health_harness = HealthHarness::set();
    let path = health_harness.harness.folder.path().join("vumi.db");
    let mut shell = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    shell.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
    eventually("it is not ready", || (health_harness.get("/health/ready").status() == 503).then_some(()));
    assert_eq!(health_harness.get("/health/").status(), 200, "it is there all the same");
    assert!(!health_harness.harness.vumi(&["status"]).status.success());
    shell.batch_execute("ROLLBACK").unwrap();
    eventually("it is ready again", || (health_harness.get("/health/ready").status() == 200).then_some(()));
}

#[test]
fn who_holds_connections_keeps_nobody_from_asking() {
    let health_harness = HealthHarness::set();
    let mut asked = health_harness.connect();
    asked.write_all(b"GET /health/ HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    asked.read_to_string(&mut answer).expect("the connection is closed after the answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("OK"), "{answer}");
    let silent: Vec<TcpStream> = (0..MANY).map(|_| health_harness.connect()).collect();
    assert_eq!(health_harness.get("/health/ready").status(), 200);
    drop(silent);

    let mut endless = health_harness.connect();
    endless.write_all(b"GET /health/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab").unwrap();
    let mut answer = String::new();
    endless.read_to_string(&mut answer).expect("the connection is closed, though its body goes on");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn where_health_is_told_is_checked() {
    let mut harness = Harness::new();
    let line = |arguments: &[&str]| {
        let checked = words(&harness.vumi(arguments));
        checked.lines().find_map(|line| line.trim().strip_prefix("health ")).map(|rest| rest.trim().to_owned())
    };
    assert_eq!(line(&["check"]), Some(format!("127.0.0.1:{}", harness.http)));
    let printed = line(&["check", "--only", "transport:clickatell"]).unwrap();
    assert!(printed.contains("none") && printed.contains("VUMI__HEALTH__BIND"), "{printed}");
    harness.edit(|text| format!("{text}\n[health]\nbind = \"127.0.0.1:8001\"\n"));
    assert_eq!(line(&["check", "--only", "transport:clickatell"]).as_deref(), Some("127.0.0.1:8001"));

    for (wrong, expected) in [("127.0.0.1:0", "port 0"), ("localhost", "127.0.0.1:8000")] {
        let refused = harness.command(&["check"]).env("VUMI__HEALTH__BIND", wrong).output().unwrap();
        let printed = words(&refused);
        assert!(
            !refused.status.success() && printed.contains("health.bind") && printed.contains(expected),
            "{printed}"
        );
    }
    harness.set("VUMI__HEALTH__BIND", &format!("127.0.0.1:{}", harness.providers));
    let refused = harness.vumi(&["run"]);
    assert!(!refused.status.success() && words(&refused).contains("`bind` under [health]"), "{}", words(&refused));
}

#[test]
fn one_address_may_be_the_apis_and_healths() {
    let mut harness = Harness::new();
    harness.set("VUMI__HEALTH__BIND", &format!("127.0.0.1:{}", harness.http));
    let _api = harness.run();
    assert!(words(&harness.vumi(&["status"])).contains("http"));
}
