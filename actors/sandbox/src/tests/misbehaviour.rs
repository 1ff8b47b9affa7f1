//! Providers that misbehave, and the pages that show and steer them.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{DEADLINE, SandboxHarness};
use crate::{SandboxError, SandboxSettings};

async fn techsys(harness: &SandboxHarness, text: &str) -> Result<String, reqwest::Error> {
    let form = [("bind", "b"), ("msisdn", "27831234567"), ("text", text)];
    harness.client.post(harness.url("techsys")).form(&form).send().await?.text().await
}

async fn clickatell(harness: &SandboxHarness, id: &str) -> String {
    let form = [("user", "u"), ("password", "p"), ("api_id", "1"), ("to", "27831234567"), ("text", "a")];
    let more = [("climsgid", id), ("callback", "7"), ("deliv_ack", "1")];
    harness.form("clickatell/http/sendmsg", &[&form[..], &more].concat()).await.1
}

#[tokio::test]
async fn every_nth_submission_is_refused_in_the_given_words() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    harness.misbehave("clickatell", json!({"refuse_every": 2, "refuse_with": "301, No credit left"})).await;
    let mut answers = Vec::new();
    for id in ["1", "2", "3", "4"] {
        answers.push(clickatell(&harness, id).await);
    }
    assert!(answers[0].starts_with("ID: ") && answers[2].starts_with("ID: "), "{answers:?}");
    assert_eq!([&answers[1], &answers[3]], ["ERR: 301, No credit left"; 2]);
    harness.misbehave("techsys", json!({"refuse_every": 1})).await;
    assert_eq!(techsys(&harness, "a").await.unwrap(), "Message could not be queued");
}

#[tokio::test]
async fn a_dropped_connection_gives_no_byte_whether_or_not_the_sms_was_recorded() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    for (drop_when, taken) in [("recorded", 1), ("before", 1)] {
        harness.misbehave("techsys", json!({"drop_every": 1, "drop_when": drop_when})).await;
        let mut socket = tokio::net::TcpStream::connect(harness.running.http_address()).await.unwrap();
        let body = "bind=b&msisdn=27831234567&text=a";
        let head = "POST /techsys HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty(), "{read:?} {answer:?}");
        assert_eq!(harness.count("techsys", "submissions").await, taken, "{drop_when}");
    }
    assert_eq!(harness.count("techsys", "dropped").await, 2);
    harness.misbehave("techsys", json!({})).await;
    assert_eq!(techsys(&harness, "b").await.unwrap(), "Message queued successfully");
}

#[tokio::test]
async fn a_late_answer_comes_after_the_sms_is_recorded() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    harness.misbehave("techsys", json!({"delay": "1h"})).await;
    tokio::select! {
        answer = techsys(&harness, "a") => panic!("an hour too early: {answer:?}"),
        () = harness.until("techsys", "submissions", 1) => {}
    }
    harness.misbehave("techsys", json!({"delay": "100ms"})).await;
    let begun = Instant::now();
    techsys(&harness, "b").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn receipts_come_twice_or_never_and_with_the_status_asked_for() {
    let mut harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    harness.misbehave("clickatell", json!({"receipts": "none", "receipt_delay": "0s"})).await;
    clickatell(&harness, "1").await;
    harness.misbehave("clickatell", json!({"receipts": "twice", "receipt_delay": "0s", "receipt_status": "007"})).await;
    clickatell(&harness, "2").await;
    let (first, second) = (harness.called().await.body, harness.called().await.body);
    assert!(first == second && first.contains("cliMsgId=2&") && first.contains("status=007"), "{first} {second}");
    assert!(!harness.was_called());
}

#[tokio::test]
async fn a_receipt_the_router_does_not_take_is_posted_again_then_given_up() {
    let settings = SandboxSettings { receipt_attempts: 2, ..SandboxSettings::default() };
    let mut harness = SandboxHarness::start(settings, &[404, 201, 500, 500, 201]).await;
    harness.misbehave("clickatell", json!({"receipt_delay": "0s"})).await;
    clickatell(&harness, "1").await;
    assert_eq!(harness.called().await.body, harness.called().await.body);
    clickatell(&harness, "2").await;
    assert_eq!(harness.called().await.body, harness.called().await.body);
    harness.until("clickatell", "receipts_given_up", 1).await;
    clickatell(&harness, "3").await;
    assert!(harness.called().await.body.contains("cliMsgId=3&"));
    harness.until("clickatell", "receipts_posted", 2).await;
    assert_eq!(harness.count("clickatell", "receipts_failed").await, 3);
}

#[tokio::test]
async fn the_sms_taken_are_shown_with_their_ids_and_can_be_reset() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    for id in ["7", "7", "7"] {
        clickatell(&harness, id).await;
    }
    let seen = harness.seen("clickatell").await;
    assert_eq!(seen["ids"], json!({"7": 3}));
    let counts = [&seen["submissions"], &seen["distinct"], &seen["duplicates"]];
    assert_eq!(counts, [&json!(3), &json!(1), &json!(2)]);
    harness.client.delete(harness.url("seen")).send().await.unwrap();
    assert_eq!(harness.seen("clickatell").await["ids"], json!({}));
}

#[tokio::test]
async fn wrong_requests_get_an_error_that_helps() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    let unknown = harness.seen("vodacom").await;
    let names = "clickatell, clickatell-platform, opera, e-scape, techsys, africas-talking, twilio, truteq, smsc";
    assert_eq!(unknown["detail"], json!(format!("there is no provider `vodacom`; there are {names}")));
    let wrong = harness.client.put(harness.url("misbehave/opera")).body(r#"{"refuse": 3}"#).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("unknown field `refuse`"));
    let (status, _) = harness.json("inbound/opera", json!({"from": "27831234567", "text": "a"})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_front_page_names_every_provider_and_its_url() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    let answer = harness.client.get(harness.url("")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    let page = answer.text().await.unwrap();
    for name in [
        "clickatell",
        "clickatell-platform",
        "opera",
        "e-scape",
        "techsys",
        "africas-talking",
        "twilio",
        "handset/dial",
        "seen",
        "inbound/clickatell",
    ] {
        assert!(page.contains(&harness.url(name)), "{name} in {page}");
    }
    for address in [harness.running.truteq_address(), harness.running.smsc_address()] {
        assert!(page.contains(&address.to_string()), "{page}");
    }
}

#[tokio::test]
async fn a_port_in_use_and_wrong_settings_are_refused_with_what_to_change() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    let taken = SandboxSettings { http_bind: harness.running.http_address(), ..SandboxSettings::default() };
    let error = crate::start(taken).unwrap_err();
    assert!(matches!(error, SandboxError::Bind { key: "http_bind", .. }));
    assert!(error.to_string().ends_with("another sandbox or router? change sandbox.http_bind"), "{error}");
    let wrong = SandboxSettings { callback_url: "x".to_owned(), ..SandboxSettings::default() };
    assert!(crate::start(wrong).unwrap_err().to_string().starts_with("sandbox.callback_url: "));
}

#[tokio::test]
async fn a_stopped_sandbox_gives_its_ports_back() {
    let harness = SandboxHarness::start(SandboxSettings::default(), &[]).await;
    techsys(&harness, "a").await.unwrap();
    let running = &harness.running;
    let addresses = [running.http_address(), running.truteq_address(), running.smsc_address()];
    let [http_bind, truteq_bind, smsc_bind] = addresses;
    harness.running.stop();
    let settings = SandboxSettings { http_bind, truteq_bind, smsc_bind, ..SandboxSettings::default() };
    let again = crate::start(settings).unwrap();
    assert_eq!([again.http_address(), again.truteq_address(), again.smsc_address()], addresses);
    again.stop();
}
