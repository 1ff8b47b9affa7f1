//! An aggregator calls, and the response is the campaign's screen: in one process, and in several.

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::black_box::{
    DEADLINE, Harness, Process, broker::Broker, database::TestDatabase, eventually, free_port, words,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Adds a transport, and a route of its code to the quiz.
fn with_transport(name: &str, aggregator: &str, code: &str) -> Harness {
    let harness = Harness::new();
    add_transport(&harness, name, aggregator, code);
    harness
}

fn add_transport(harness: &Harness, name: &str, aggregator: &str, code: &str) {
    let table = format!(
        "[transports.{name}]\nkind = \"http-ussd\"\naggregator = \"{aggregator}\"\n[transports.{name}.webhooks]\ntoken = \"{TOKEN}\"\n"
    );
    let route = format!("[[routes]]\nussd = \"{code}\"\ncampaign = \"quiz\"\n\n");
    harness.edit(|text| text.replacen("[[routes]]\n", &format!("{table}\n{route}[[routes]]\n"), 1));
}

/// Africa's Talking, which calls one process.
struct CallingAggregator {
    client: Client,
    url: String,
    session: &'static str,
}

impl CallingAggregator {
    fn new(port: u16, session: &'static str) -> Self {
        let url = format!("http://127.0.0.1:{port}/api/v1/hooks/at/{TOKEN}/ussd");
        Self { client: Client::builder().timeout(DEADLINE).no_proxy().build().unwrap(), url, session }
    }

    fn call(&self, text: &str) -> reqwest::Result<String> {
        let form = [
            ("sessionId", self.session),
            ("serviceCode", "*384*123#"),
            ("phoneNumber", "+254700000001"),
            ("networkCode", "63902"),
            ("text", text),
        ];
        self.client.post(&self.url).form(&form).send()?.error_for_status()?.text()
    }
}

#[test]
fn africas_talking_plays_the_quiz_to_its_end() {
    let harness = with_transport("at", "africas-talking", "*384*123#");
    let _router = harness.run();
    let network = CallingAggregator::new(harness.http, "s1");
    let first = network.call("").unwrap();
    assert!(first.starts_with("CON ") && first.contains('?'), "{first}");
    assert_eq!(network.call("").unwrap(), first, "a call that is made twice shows the same");
    let wrong = network.call("99").unwrap();
    assert!(wrong.starts_with("CON ") && wrong != first, "{wrong}");
    let second = network.call("99*1").unwrap();
    let third = network.call("99*1*1").unwrap();
    assert!(second.starts_with("CON ") && third.starts_with("CON ") && second != third, "{second} {third}");
    assert_eq!(network.call("99*1").unwrap(), "CON Please send that again.", "an old call changes nothing");
    assert!(network.call("99*1*1*1").unwrap().starts_with("END "));
    let part = harness.part("at").unwrap();
    assert_eq!((part["state"].as_str(), part["role"].as_str()), (Some("up"), Some("transport")), "{part}");
}

#[test]
fn who_may_not_call_or_calls_wrongly_is_refused_and_sms_do_not_go_by_it() {
    let harness = with_transport("at", "africas-talking", "*384*123#");
    let _router = harness.run();
    let post = |path: &str, form: &[(&str, &str)]| {
        harness.client().post(harness.url(path)).form(form).send().unwrap().status().as_u16()
    };
    let whole = [("sessionId", "s1"), ("serviceCode", "*384*123#"), ("phoneNumber", "+254700000001"), ("text", "")];
    let hooks = format!("/api/v1/hooks/at/{TOKEN}/ussd");
    assert_eq!(post(&hooks, &whole), 200);
    assert_eq!(post("/api/v1/hooks/at/ffffffffffffffffffffffffffffffff/ussd", &whole), 403);
    assert_eq!(post("/api/v1/ussd/at", &whole), 401);
    assert_eq!(post(&hooks, &whole[1..]), 400, "no session");
    assert_eq!(post(&hooks, &[("sessionId", "s1"), ("phoneNumber", "Thabo")]), 400);
    assert_eq!(post(&format!("/api/v1/hooks/clickatell/{TOKEN}/ussd"), &whole), 403);
    let deleted = harness.client().delete(harness.url(&hooks)).send().unwrap();
    assert_eq!(deleted.status(), 405);
    let id = harness.send("at", "254700000001", "hello");
    let failed = eventually("the SMS is refused", || {
        let sms = harness.status("at", id);
        (sms["state"] == "failed").then_some(sms)
    });
    assert!(failed.to_string().contains("carries no SMS"), "{failed}");
}

#[test]
fn an_aggregator_that_posts_json_gets_its_own_form() {
    let harness = with_transport("hubtel", "hubtel", "*713#");
    let _router = harness.run();
    let call = |kind: &str, message: &str, sequence: u64| -> Value {
        let body = json!({"SessionId": "s1", "Mobile": "233244000001", "ServiceCode": "*713#", "Message": message,
            "Type": kind, "Sequence": sequence, "Operator": "mtn"});
        let url = harness.url(&format!("/api/v1/hooks/hubtel/{TOKEN}/ussd"));
        harness.client().post(url).json(&body).send().unwrap().json().unwrap()
    };
    let first = call("Initiation", "*713#", 1);
    assert_eq!((first["Type"].as_str(), first["SessionId"].as_str()), (Some("response"), Some("s1")), "{first}");
    let second = call("Response", "1", 2);
    assert_ne!(second["Message"], first["Message"]);
    assert_eq!(call("Response", "1", 2), second, "made twice");
    assert_ne!(call("Response", "1", 3)["Message"], second["Message"]);
}

#[test]
fn it_runs_wherever_http_does_and_nowhere_else() {
    let harness = with_transport("at", "africas-talking", "*384*123#");
    let refused = harness.vumi(&["run", "--only", "transport:at"]);
    assert!(!refused.status.success() && words(&refused).contains("ask for `http`"), "{}", words(&refused));
    let kinds = harness.vumi(&["kinds"]);
    assert!(words(&kinds).contains("http-ussd"), "{}", words(&kinds));
    harness.edit(|text| {
        let (before, rest) = text.split_once("[transports.truteq]").unwrap();
        format!("{before}{}", &rest[rest.find("[transports.smsc]").unwrap()..])
    });
    let router = harness.start(&["run", "--only", "http,campaigns"]);
    router.wait_for_line("ready; stop with");
    let network = CallingAggregator::new(harness.http, "s1");
    assert!(network.call("").unwrap().starts_with("CON "));
    assert!(!router.log().contains("component=clickatell"), "{}", router.log());
}

#[test]
fn the_sandbox_dials_as_the_aggregator_also_twice_and_out_of_order() {
    let harness = with_transport("at", "africas-talking", "*384*123#");
    // The sandbox comes by its account.
    harness.edit(|text| text.replace(&format!("[transports.at.webhooks]\ntoken = \"{TOKEN}\"\n"), ""));
    let _router = harness.run();
    let press = |key: &str, mut body: Value| -> Value {
        body["msisdn"] = "254700000001".into();
        body["via"] = json!({ "transport": "at", "twice": true, "stale": true });
        let answer = harness.handset(key, &body);
        assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
        answer.json().unwrap()
    };
    let mut shown = press("dial", json!({ "code": "*384*123#" }));
    for _ in 0..3 {
        assert_eq!(shown["session"], "open", "{shown}");
        let next = press("answer", json!({ "text": "1" }));
        assert_ne!(next["screen"], shown["screen"]);
        shown = next;
    }
    assert_eq!(shown["session"], "closed", "three questions, each answered once: {shown}");
    let dialled = harness.vumi(&["dial", "--transport", "at", "--msisdn", "254700000002", "*384*123#"]);
    assert!(dialled.status.success() && words(&dialled).contains('?'), "{}", words(&dialled));
}

struct Cluster {
    harness: Harness,
    ports: [u16; 2],
}

impl Cluster {
    fn http(&self, number: usize) -> Process {
        let process = self.start(&format!("http-{number}"), "http", self.ports[number]);
        process.wait_for_line("ready; stop with");
        process
    }

    fn start(&self, node: &str, only: &str, port: u16) -> Process {
        let mut command = self.harness.command(&["run", "--only", only]);
        command.env("VUMI__STORE__NODE", node).env("VUMI__HTTP__BIND", format!("127.0.0.1:{port}"));
        Process::spawn(command)
    }
}

#[test]
fn a_call_is_answered_by_the_process_that_has_it_and_the_session_survives_that_process() {
    let (Some(broker), Some(database)) = (Broker::shared(), TestDatabase::start()) else { return };
    let _turn = broker.turn();
    broker.ctl(&["eval", "catch rabbit_vhost:delete(<<\"/calls\">>, <<\"test\">>)."]);
    broker.ctl(&["add_vhost", "/calls", "--default-queue-type", "quorum"]);
    broker.ctl(&["set_permissions", "-p", "/calls", "guest", ".*", ".*", ".*"]);
    let harness = with_transport("at", "africas-talking", "*384*123#");
    harness.edit(|text| {
        let amqp = format!("[amqp]\nurl = \"{}\"\n", broker.url("guest", "guest", "/calls"));
        let text = text.split("[sandbox]").next().unwrap().replace("sqlite://vumi.db", &database.url());
        format!("{text}\n{amqp}")
    });
    let cluster = Cluster { harness, ports: [free_port(), free_port()] };
    let campaigns = cluster.start("campaigns", "campaigns", free_port());
    campaigns.wait_for_line("ready; stop with");
    let (first, _second) = (cluster.http(0), cluster.http(1));
    let [one, other] = cluster.ports.map(|port| CallingAggregator::new(port, "s1"));
    let is_screen =
        |screen: &str| screen.starts_with("CON ") && !screen.contains("moment") && !screen.contains("again");
    eventually("the broker joins the processes", || {
        let probes = [(0, "probe-0"), (1, "probe-1")]
            .map(|(number, session)| CallingAggregator::new(cluster.ports[number], session));
        probes.iter().all(|probe| probe.call("").is_ok_and(|screen| is_screen(&screen))).then_some(())
    });
    let asked = one.call("").unwrap();
    assert!(is_screen(&asked), "{asked}");
    let mut inputs = String::new();
    for number in 0..20 {
        // A wrong answer asks again: each process gets the answers to its own calls.
        inputs.push_str(if number == 0 { "99" } else { "*99" });
        let caller = if number % 2 == 0 { &other } else { &one };
        let again = caller.call(&inputs).unwrap();
        assert!(is_screen(&again) && again != asked, "{number}: {again}");
    }
    // A call is under way while its process is killed.
    campaigns.signal("STOP");
    let url = one.url.clone();
    let hangs = std::thread::spawn(move || {
        CallingAggregator { url, ..CallingAggregator::new(1, "s1") }.call(&format!("{inputs}*1"))
    });
    std::thread::park_timeout(std::time::Duration::from_millis(300));
    first.kill();
    assert!(hangs.join().unwrap().is_err(), "the call ended with its process");
    campaigns.signal("CONT");
    let inputs = vec!["99"; 20].join("*");
    let next = eventually("the session goes on with the person's next call", || {
        let screen = other.call(&format!("{inputs}*1*1")).ok()?;
        is_screen(&screen).then_some(screen)
    });
    assert!(next != asked, "it goes on after the question that was answered: {next}");
}
