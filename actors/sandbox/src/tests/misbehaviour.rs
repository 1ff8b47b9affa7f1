//! Carriers that misbehave, and the pages that show and steer them.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::rig::{DEADLINE, Rig};
use crate::{SandboxSettings, StartError};

async fn techsys(rig: &Rig, text: &str) -> Result<String, reqwest::Error> {
    let form = [("bind", "b"), ("msisdn", "27831234567"), ("text", text)];
    rig.client.post(rig.url("techsys")).form(&form).send().await?.text().await
}

async fn clickatell(rig: &Rig, id: &str) -> String {
    let form = [("user", "u"), ("password", "p"), ("api_id", "1"), ("to", "27831234567"), ("text", "a")];
    let more = [("climsgid", id), ("callback", "7"), ("deliv_ack", "1")];
    rig.form("clickatell/http/sendmsg", &[&form[..], &more].concat()).await.1
}

#[tokio::test]
async fn every_nth_submission_is_refused_in_the_given_words() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    rig.misbehave("clickatell", json!({"refuse_every": 2, "refuse_with": "301, No credit left"})).await;
    let mut answers = Vec::new();
    for id in ["1", "2", "3", "4"] {
        answers.push(clickatell(&rig, id).await);
    }
    assert!(answers[0].starts_with("ID: ") && answers[2].starts_with("ID: "), "{answers:?}");
    assert_eq!([&answers[1], &answers[3]], ["ERR: 301, No credit left"; 2]);
    rig.misbehave("techsys", json!({"refuse_every": 1})).await;
    assert_eq!(techsys(&rig, "a").await.unwrap(), "Message could not be queued");
}

#[tokio::test]
async fn a_dropped_connection_gives_no_byte_whether_or_not_the_sms_was_recorded() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    for (drop_when, taken) in [("recorded", 1), ("before", 1)] {
        rig.misbehave("techsys", json!({"drop_every": 1, "drop_when": drop_when})).await;
        let mut socket = tokio::net::TcpStream::connect(rig.running.http_address()).await.unwrap();
        let body = "bind=b&msisdn=27831234567&text=a";
        let head = "POST /techsys HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty(), "{read:?} {answer:?}");
        assert_eq!(rig.count("techsys", "submissions").await, taken, "{drop_when}");
    }
    assert_eq!(rig.count("techsys", "dropped").await, 2);
    rig.misbehave("techsys", json!({})).await;
    assert_eq!(techsys(&rig, "b").await.unwrap(), "Message queued successfully");
}

#[tokio::test]
async fn a_late_answer_comes_after_the_sms_is_recorded() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    rig.misbehave("techsys", json!({"delay": "1h"})).await;
    tokio::select! {
        answer = techsys(&rig, "a") => panic!("an hour too early: {answer:?}"),
        () = rig.until("techsys", "submissions", 1) => {}
    }
    rig.misbehave("techsys", json!({"delay": "100ms"})).await;
    let begun = Instant::now();
    techsys(&rig, "b").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn receipts_come_twice_or_never_and_with_the_status_asked_for() {
    let mut rig = Rig::start(SandboxSettings::default(), &[]).await;
    rig.misbehave("clickatell", json!({"receipts": "none", "receipt_delay": "0s"})).await;
    clickatell(&rig, "1").await;
    rig.misbehave("clickatell", json!({"receipts": "twice", "receipt_delay": "0s", "receipt_status": "007"})).await;
    clickatell(&rig, "2").await;
    let (first, second) = (rig.called().await.body, rig.called().await.body);
    assert!(first == second && first.contains("cliMsgId=2&") && first.contains("status=007"), "{first} {second}");
    assert!(!rig.was_called());
}

#[tokio::test]
async fn a_receipt_the_router_does_not_take_is_posted_again_then_given_up() {
    let settings = SandboxSettings { receipt_attempts: 2, ..SandboxSettings::default() };
    let mut rig = Rig::start(settings, &[404, 201, 500, 500, 201]).await;
    rig.misbehave("clickatell", json!({"receipt_delay": "0s"})).await;
    clickatell(&rig, "1").await;
    assert_eq!(rig.called().await.body, rig.called().await.body);
    clickatell(&rig, "2").await;
    assert_eq!(rig.called().await.body, rig.called().await.body);
    rig.until("clickatell", "receipts_given_up", 1).await;
    clickatell(&rig, "3").await;
    assert!(rig.called().await.body.contains("cliMsgId=3&"));
    rig.until("clickatell", "receipts_posted", 2).await;
    assert_eq!(rig.count("clickatell", "receipts_failed").await, 3);
}

#[tokio::test]
async fn what_was_seen_is_shown_with_ids_and_can_be_forgotten() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    for id in ["7", "7", "7"] {
        clickatell(&rig, id).await;
    }
    let seen = rig.seen("clickatell").await;
    assert_eq!(seen["ids"], json!({"7": 3}));
    let counts = [&seen["submissions"], &seen["distinct"], &seen["duplicates"]];
    assert_eq!(counts, [&json!(3), &json!(1), &json!(2)]);
    rig.client.delete(rig.url("seen")).send().await.unwrap();
    assert_eq!(rig.seen("clickatell").await["ids"], json!({}));
}

#[tokio::test]
async fn wrong_orders_get_words_that_help() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    let unknown = rig.seen("vodacom").await;
    let names = "clickatell, clickatell-platform, opera, e-scape, techsys, africas-talking, twilio, truteq";
    assert_eq!(unknown["detail"], json!(format!("there is no carrier `vodacom`; there are {names}")));
    let wrong = rig.client.put(rig.url("misbehave/opera")).body(r#"{"refuse": 3}"#).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("unknown field `refuse`"));
    let (status, _) = rig.json("inbound/opera", json!({"from": "27831234567", "text": "a"})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_front_page_names_every_carrier_and_its_url() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    let answer = rig.client.get(rig.url("")).send().await.unwrap();
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
        assert!(page.contains(&rig.url(name)), "{name} in {page}");
    }
    assert!(page.contains(&rig.running.truteq_address().to_string()), "{page}");
}

#[tokio::test]
async fn a_port_in_use_and_wrong_settings_are_refused_with_what_to_change() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    let taken = SandboxSettings { http_bind: rig.running.http_address(), ..SandboxSettings::default() };
    let error = crate::start(taken).unwrap_err();
    assert!(matches!(error, StartError::Bind { key: "http_bind", .. }));
    assert!(error.to_string().ends_with("another sandbox or router? change sandbox.http_bind"), "{error}");
    let wrong = SandboxSettings { callback_url: "x".to_owned(), ..SandboxSettings::default() };
    assert!(crate::start(wrong).unwrap_err().to_string().starts_with("sandbox.callback_url: "));
}

#[tokio::test]
async fn a_stopped_sandbox_gives_its_ports_back() {
    let rig = Rig::start(SandboxSettings::default(), &[]).await;
    techsys(&rig, "a").await.unwrap();
    let (http_bind, truteq_bind) = (rig.running.http_address(), rig.running.truteq_address());
    rig.running.stop();
    let again = crate::start(SandboxSettings { http_bind, truteq_bind, ..SandboxSettings::default() }).unwrap();
    assert_eq!((again.http_address(), again.truteq_address()), (http_bind, truteq_bind));
    again.stop();
}
