//! One settings file, several processes: `vumi run --only` runs a part of it.

use std::io::Write;

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use serde_json::{Value, json};

use crate::{
    amqp::{PeerQueues, broker},
    black_box::{Harness, Process, eventually, words},
};

/// Where the tests' PostgreSQL is.
const POSTGRES: &str = "VUMI_TEST_POSTGRES";

/// What `vumi ARGUMENTS` says when it refuses.
fn refusal(harness: &Harness, arguments: &[&str]) -> String {
    let output = harness.vumi(arguments);
    assert!(!output.status.success(), "{}", words(&output));
    words(&output)
}

/// Starts a part with a database of its own.
fn part(harness: &Harness, only: &str, database: &str) -> Process {
    let mut command = harness.command(&["run", "--only", only]);
    command.env("VUMI__STORE__URL", format!("sqlite://{database}.db"));
    let process = Process::spawn(command);
    process.wait_for_line("ready; stop with");
    process
}

/// The settings with a broker, and with names that no other test has: the queues are called by them.
fn own_names(mut text: String, test: &str, url: &str, queues: &mut Vec<PeerQueues>) -> String {
    for name in ["truteq", "quiz", "echo"] {
        let own = format!("{name}-{test}-{}", std::process::id());
        text = text
            .replace(&format!("[transports.{name}]"), &format!("[transports.{own}]"))
            .replace(&format!("[campaigns.{name}]"), &format!("[campaigns.{own}]"))
            .replace(&format!("campaign = \"{name}\""), &format!("campaign = \"{own}\""));
        queues.push(PeerQueues { url: url.to_owned(), connector: own });
    }
    let dead = &queues[0].connector;
    format!("{text}\n[amqp]\nurl = \"{url}\"\ndead_letters = \"{dead}.dead\"\nhold_for = \"10m\"\n")
}

fn names(parts: &Value) -> Vec<&str> {
    parts["parts"].as_array().unwrap().iter().filter_map(|part| part["name"].as_str()).collect()
}

#[test]
fn a_part_that_is_not_in_the_settings_is_refused_and_those_there_are_listed() {
    let harness = Harness::new();
    for wrong in ["transport:clicktell", "campaign:clickatell", "https", "", "http,transport:"] {
        let printed = refusal(&harness, &["run", "--only", wrong]);
        assert!(printed.contains("--only") && printed.contains("there is no"), "{wrong}: {printed}");
        for known in ["transport:clickatell", "campaign:echo", "http", "callbacks", "transports"] {
            assert!(printed.contains(known), "{wrong}: {printed}");
        }
    }
}

#[test]
fn parts_that_need_the_broker_say_so_and_others_do_not() {
    let harness = Harness::new();
    for (only, needed) in [
        ("http", "campaigns run in another process (echo, quiz)"),
        ("transport:truteq", "campaigns run in another process (echo, quiz)"),
        ("http,transport:truteq,campaign:quiz", "campaigns run in another process (echo)"),
        ("campaign:quiz", "come in by other processes (http, transport:truteq) for campaigns of this one (quiz)"),
    ] {
        let printed = refusal(&harness, &["check", "--only", only]);
        assert!(printed.contains(needed) && printed.contains("[amqp]"), "{only}: {printed}");
    }
    for only in ["transport:clickatell", "callbacks", "sandbox", "http,campaigns,transport:truteq"] {
        let output = harness.vumi(&["check", "--only", only]);
        assert!(output.status.success(), "{only}: {}", words(&output));
    }
}

#[test]
fn a_part_runs_alone_and_takes_sms_for_transports_elsewhere() {
    let harness = Harness::new();
    let router = harness.start(&["run", "--only", "http,campaigns", "--only", "transport:truteq,transport:opera"]);
    let parts: Value = harness.get_open("/health/ready").unwrap().json().unwrap();
    let expected = [
        "store",
        "router",
        "africas-talking-ussd",
        "opera",
        "truteq",
        "conversations",
        "echo",
        "quiz",
        "broadcasts",
        "http",
    ];
    assert_eq!(names(&parts), expected);
    let id = harness.send("clickatell", "27831234567", "for another process");
    let waiting = harness.status("clickatell", id);
    assert!(waiting["transport_status"].is_null() || waiting["transport_status"] != 4, "{waiting}");
    // Its provider calls whichever process has the HTTP front-end.
    let receipt = harness.get("/api/v1/sms/clickatell/receipt.json?apiMsgId=1&cliMsgId=1&status=004").send().unwrap();
    assert!(receipt.status().is_success(), "{}", receipt.status());
    assert_eq!(router.stop(), 0);
    // The process with the transport finds it in the ledger.
    let sender = harness.start(&["run", "--only", "transport:clickatell,transport:truteq,http,campaigns,sandbox"]);
    harness.wait_for_status("clickatell", id, 4);
    assert_eq!(sender.stop(), 0);
}

#[test]
fn a_second_process_on_the_same_sqlite_is_told_to_use_postgresql() {
    let harness = Harness::new();
    let router = harness.start(&["run", "--only", "http,campaigns,transport:truteq"]);
    let printed = refusal(&harness, &["run", "--only", "transport:clickatell"]);
    assert!(printed.contains("vumi.db") && printed.contains("postgres://"), "{printed}");
    assert_eq!(router.stop(), 0);
}

#[test]
fn the_sandbox_starts_where_it_is_named() {
    let harness = Harness::new();
    let sandbox = harness.start(&["run", "--only", "sandbox"]);
    assert!(harness.client().get(harness.provider_url("/")).send().unwrap().status().is_success());
    assert!(!harness.folder.path().join("vumi.db").exists(), "a sandbox alone keeps nothing");
    let router = harness.start(&["run", "--only", "http,callbacks,transports,campaigns"]);
    harness.wait_for_network();
    assert_eq!(router.stop(), 0);
    assert_eq!(sandbox.stop(), 0);
}

#[test]
fn people_dial_in_one_process_and_each_campaign_answers_in_its_own() {
    let Some(url) = broker() else { return };
    let mut queues = Vec::new();
    let harness = Harness::new();
    harness.edit(|text| own_names(text, "part", &url, &mut queues));
    let campaign = |name: &str| format!("campaign:{name}-part-{}", std::process::id());
    let _front = part(&harness, "http,callbacks,transports,sandbox", "front");
    harness.wait_for_part(&queues[0].connector);
    harness.wait_for_part("amqp");
    let quiz = part(&harness, &campaign("quiz"), "quiz");
    let echo = part(&harness, &campaign("echo"), "echo");

    let ready: Value = harness.get_open("/health/ready").unwrap().json().unwrap();
    assert!(names(&ready).contains(&"amqp") && !names(&ready).iter().any(|name| name.contains("quiz")), "{ready}");
    let shown = harness.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*663*79#" }));
    assert_eq!(shown.status(), 200, "{}", shown.text().unwrap());
    let shown: Value = harness.handset("dial", &json!({ "msisdn": "27837654321", "code": "*120*1#" })).json().unwrap();
    assert_eq!(shown["session"], "open", "{shown}");

    // Killed and started again, the campaign's process goes on where the person was.
    quiz.kill();
    let _quiz = part(&harness, &campaign("quiz"), "quiz");
    let answer = json!({ "msisdn": "27831234567", "text": "1" });
    let shown: Value = harness.handset("answer", &answer).json().unwrap();
    assert!(shown["screen"].as_str().unwrap().starts_with("Can a person"), "{shown}");
    // Everything that crossed the broker was acknowledged when it was done: nothing waits to be given up.
    eventually("nothing is in work", || {
        let ready = harness.readiness()?.to_string();
        ready.contains(" 0 deliveries in work").then_some(())
    });
    echo.signal("TERM");
    echo.wait_for_line("\"stopped\"");
    assert!(!echo.log().contains("did not finish in time"), "{}", echo.log());
    assert!(words(&harness.vumi(&["dead", "list"])).contains("is empty"));
}

/// Where the tests' PostgreSQL is, where one answers; else says that the test is left out.
fn postgresql() -> Option<String> {
    let url = std::env::var(POSTGRES)
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres?connect_timeout=2".to_owned());
    match PgConnection::establish(&url) {
        Ok(_) => Some(url),
        Err(error) => {
            // Past the test runner, which would keep it to itself.
            let printed =
                format!("left out: no PostgreSQL ({error}); {POSTGRES}=postgres://user@host/database names one");
            let _nobody_reads = writeln!(std::io::stderr(), "{printed}");
            None
        }
    }
}

/// A schema of its own, dropped at the end.
struct Schema {
    server: String,
    name: String,
}

impl Schema {
    fn new(server: String) -> Self {
        let schema = Self { server, name: format!("vumi_it_{}", std::process::id()) };
        schema.execute("CREATE SCHEMA");
        schema
    }

    fn execute(&self, what: &str) {
        let mut connection = PgConnection::establish(&self.server).unwrap();
        connection.batch_execute(&format!("{what} {}", self.name)).unwrap();
    }

    fn url(&self) -> String {
        let joint = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{joint}options=-csearch_path%3D{}", self.server, self.name)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let mut connection = PgConnection::establish(&self.server).unwrap();
        let _gone_with_the_server = connection.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

#[test]
fn three_processes_of_one_file_share_ledger_and_broker() {
    let (Some(url), Some(server)) = (broker(), postgresql()) else { return };
    let schema = Schema::new(server);
    let mut queues = Vec::new();
    let mut harness = Harness::new();
    harness.edit(|text| own_names(text, "three", &url, &mut queues));
    harness.set("VUMI__STORE__URL", &schema.url());
    let _front = harness.start(&["run", "--only", "http,callbacks,sandbox"]);
    let _transports = harness.start(&["run", "--only", "transports"]);
    let campaigns = harness.start(&["run", "--only", "campaigns"]);
    harness.wait_for_part("amqp");

    // To a person: accepted here, claimed there, and the receipt comes in here.
    let id = harness.send("clickatell", "27831234567", "by another process");
    harness.wait_for_status("clickatell", id, 4);

    // From a person: the provider calls here, the campaign answers there, and a third process sends it; also after the
    // campaign was away.
    let from_person = |id: &str| {
        let sms = [("api_id", "1234"), ("moMsgId", id), ("from", "27831234567"), ("to", "38080")];
        let rest = [("timestamp", "2026-01-01 10:00:00"), ("charset", "ISO-8859-1"), ("udh", ""), ("text", "hello")];
        let kept = harness.post("/api/v1/sms/clickatell/receive.json", &[&sms[..], &rest].concat()).send().unwrap();
        assert!(kept.status().is_success(), "{}", kept.text().unwrap());
    };
    let sent = || harness.seen("clickatell")["submissions"].as_u64().unwrap();
    from_person("m1");
    eventually("the answer was sent", || (sent() == 2).then_some(()));
    campaigns.kill();
    from_person("m2");
    let _campaigns = harness.start(&["run", "--only", "campaigns"]);
    eventually("the second answer was sent", || (sent() == 3).then_some(()));

    let dialled = || harness.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*663*79#" }));
    let shown: Value =
        eventually("the network is up", || Some(dialled()).filter(|shown| shown.status() == 200)).json().unwrap();
    assert_eq!(shown["session"], "open", "{shown}");
}
