//! A campaign in any language, called over HTTP: the examples, and applications that answer slowly, wrongly or never.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, free_port};

const CODE: &str = "*120*663*81#";
const PERSON: &str = "27831234567";

/// Adds the campaign and its route, before the route that takes everything else.
fn with_campaign(url: &str, more: &str) -> Harness {
    let harness = Harness::new();
    let table = format!("[campaigns.water]\nkind = \"http\"\nurl = \"{url}\"\n{more}\n");
    let route = format!("[[routes]]\nussd = \"{CODE}\"\ncampaign = \"water\"\n\n");
    harness.edit(|text| text.replacen("[[routes]]\n", &format!("{table}\n{route}[[routes]]\n"), 1));
    harness
}

fn press(harness: &Harness, key: &str, body: &Value) -> (String, bool) {
    let answer = harness.handset(key, body);
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    let shown: Value = answer.json().unwrap();
    (shown["screen"].as_str().unwrap().to_owned(), shown["session"] == "open")
}

fn dial(harness: &Harness) -> (String, bool) {
    press(harness, "dial", &json!({ "msisdn": PERSON, "code": CODE }))
}

fn send(harness: &Harness, text: &str) -> (String, bool) {
    press(harness, "answer", &json!({ "msisdn": PERSON, "text": text }))
}

/// A program that serves on a port; killed when dropped.
struct ExampleService(Child);

impl ExampleService {
    fn start(program: &str, file: &str, port: u16) -> Self {
        let file = format!("{}/examples/http-campaign/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(program);
        let child = command.arg(file).arg(port.to_string()).stdin(Stdio::null()).spawn();
        let service = Self(child.unwrap());
        eventually("the service listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        service
    }
}

impl Drop for ExampleService {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn the_examples_in_python_and_node_show_the_same_screens() {
    let node = std::env::var("VUMI_TEST_NODE").unwrap_or_else(|_| "node".to_owned());
    for (program, file) in [("python3", "service.py"), (node.as_str(), "service.js")] {
        let port = free_port();
        let _service = ExampleService::start(program, file, port);
        let harness = with_campaign(&format!("http://127.0.0.1:{port}/"), "");
        let _router = harness.run();
        harness.wait_for_network();
        let open = |text: &str| (text.to_owned(), true);
        assert_eq!(dial(&harness), open("How do you get water?\n1. Tap\n2. River"), "{file}");
        assert_eq!(send(&harness, "7"), open("Please answer with a number."), "{file}");
        assert_eq!(send(&harness, "2"), open("How many minutes do you walk?"), "{file}");
        assert_eq!(send(&harness, "far"), open("Please answer with a number."), "{file}");
        assert_eq!(send(&harness, "40"), ("Thank you! 40 minutes to the river.".to_owned(), false), "{file}");
        assert_eq!(dial(&harness), open("How do you get water?\n1. Tap\n2. River"), "{file}: dialled again");
    }
}

/// A call that an application got.
#[derive(Clone, Debug)]
struct ApplicationCall {
    headers: Vec<(String, String)>,
    body: String,
}

impl ApplicationCall {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// An application that behaves as each call's input says: `answer` makes of a call's body what is written, byte by byte; none:
/// it never answers.
fn application(answer: fn(&str) -> Option<String>) -> (u16, Arc<Mutex<Vec<ApplicationCall>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, calls) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, seen) = (stream.unwrap(), Arc::clone(&seen));
            std::thread::spawn(move || serve(stream, &seen, answer));
        }
    });
    (port, calls)
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<ApplicationCall>>, answer: fn(&str) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
        }
        let mut call = ApplicationCall { headers, body: String::new() };
        let mut body = vec![0; call.header("content-length").parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        call.body = String::from_utf8(body).unwrap();
        seen.lock().unwrap().push(call.clone());
        match answer(&call.body) {
            Some(response) if stream.write_all(response.as_bytes()).is_err() => return,
            Some(_) => {}
            // The thread holds the connection open until the router closes it.
            None => drop(reader.read_line(&mut String::new())),
        }
    }
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn misbehaving(body: &str) -> Option<String> {
    let call: Value = serde_json::from_str(body).unwrap();
    let open =
        |text: &str| response("200 OK", &json!({"text": text, "open": true, "state": {"last": text}}).to_string());
    Some(match call["text"].as_str() {
        None => open("Hello"),
        Some("never") => return None,
        Some("slow") => {
            // Bytes keep coming, and the answer does not.
            format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", " ".repeat(20))
        }
        Some("500") => response("500 Internal Server Error", "Thabo's secret"),
        Some("redirect") => {
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        Some("5MB") => response("200 OK", &"x".repeat(5 * 1024 * 1024)),
        Some("wrong") => response("200 OK", "CON Thabo's secret"),
        Some("nothing") => response("200 OK", r#"{"open":true}"#),
        Some("sms") => response("200 OK", r#"{"text":"It is on its way.","open":false,"sms":[{"text":"Boil it."}]}"#),
        Some("garbage") => "Thabo's secret\r\n\r\n".to_owned(),
        Some(text) => open(&format!("You sent {text}; before: {}", call["state"]["last"].as_str().unwrap_or_default())),
    })
}

#[test]
fn whatever_an_application_does_the_person_reads_a_screen_and_the_operator_the_reason() {
    let (port, calls) = application(misbehaving);
    let harness = with_campaign(&format!("http://127.0.0.1:{port}/"), "limits = { answer_within = \"3s\" }");
    let router = harness.run();
    harness.wait_for_network();
    // What is said of the health may be a second old.
    let becomes = |state: &str, reason: &str| {
        eventually(&format!("it is {state}: {reason}"), || {
            let water = harness.part("water")?;
            let detail = water["detail"].as_str().unwrap_or_default();
            (water["state"] == state && detail.contains(reason)).then_some(())
        });
    };
    for (input, reason) in [
        ("500", "answered 500"),
        ("redirect", "a redirect"),
        ("5MB", "more than 64 KiB"),
        ("wrong", "expected a JSON object"),
        ("nothing", "expected the screen's text"),
        ("garbage", "error sending request"),
    ] {
        assert_eq!(dial(&harness), ("Hello".to_owned(), true), "{input}");
        let (screen, is_open) = send(&harness, input);
        assert!(screen.contains("can't answer now") && !is_open, "{input}: {screen}");
        becomes("degraded", reason);
    }
    for input in ["never", "slow"] {
        assert_eq!(dial(&harness), ("Hello".to_owned(), true), "{input}");
        becomes("up", "");
        assert_eq!(send(&harness, "5"), ("You sent 5; before: Hello".to_owned(), true));
        let (screen, is_open) = send(&harness, input);
        assert!(screen.contains("took too long") && is_open, "{input}: {screen}");
        becomes("degraded", "no answer within 1s");
        let (screen, _) = send(&harness, "6");
        assert_eq!(
            screen, "You sent 6; before: You sent 5; before: Hello",
            "the state is as before the step that failed"
        );
    }
    let logged = router.log();
    assert!(logged.contains("the application at `url`: "), "a line for the operator: {logged}");
    assert!(!logged.contains("Thabo"), "no word of an answer is logged");
    assert!(calls.lock().unwrap().iter().all(|call| !call.header("idempotency-key").is_empty()));
}

#[test]
fn a_call_is_signed_as_callbacks_are_and_has_a_key_of_its_own() {
    let (port, calls) = application(misbehaving);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let more = format!("secret = \"{secret}\"\nheaders = {{ Authorization = \"Bearer x\" }}\ntell_ends = true");
    let harness = with_campaign(&format!("http://127.0.0.1:{port}/"), &more);
    let _router = harness.run();
    harness.wait_for_network();
    dial(&harness);
    send(&harness, "1");
    harness.handset("hang_up", &json!({ "msisdn": PERSON }));
    let calls = eventually("three calls", || {
        let calls = calls.lock().unwrap().clone();
        (calls.len() == 3).then_some(calls)
    });
    let (mut events, mut sessions) = (Vec::new(), Vec::new());
    for call in &calls {
        let (id, at_s) = (call.header("webhook-id"), call.header("webhook-timestamp").parse().unwrap());
        let signature = vumi_kit::webhook_signature::sign(secret, id, at_s, &call.body).unwrap();
        assert_eq!(call.header("webhook-signature"), signature);
        assert_eq!(call.header("authorization"), "Bearer x");
        let body: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(body["message_id"], call.header("idempotency-key"));
        events.push(body["event"].as_str().unwrap().to_owned());
        sessions.push(body["session"].as_str().unwrap().to_owned());
    }
    assert_eq!(events, ["new", "resume", "close"]);
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "one id for the whole session");
}

#[test]
fn an_answer_sends_sms_beside_its_screen_once() {
    let (port, _calls) = application(misbehaving);
    let sender = "sender = { account = \"username\", transport = \"clickatell\", from = \"27123456780\" }";
    let harness = with_campaign(&format!("http://127.0.0.1:{port}/"), sender);
    let _router = harness.run();
    harness.wait_for_network();
    dial(&harness);
    assert_eq!(send(&harness, "sms"), ("It is on its way.".to_owned(), false));
    eventually("the SMS is with the provider", || {
        let seen = harness.seen("clickatell");
        (seen["ids"].as_object().unwrap().len() == 1).then_some(())
    });
}
