use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use vumi_kit::middleware::ChainOutcome;

use crate::tests::{chain, inbound, outbound};

/// A program that answers every post alike, and what it was posted. An empty answer: it never answers.
async fn program(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sms", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let keep = keep.clone();
            tokio::spawn(async move {
                let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
                loop {
                    let read = socket.read(&mut buffer).await.unwrap_or_default();
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if read == 0 || text.contains("\r\n\r\n") && text.ends_with('}') {
                        keep.lock().unwrap().push(text);
                        break;
                    }
                }
                if answer.is_empty() {
                    return std::future::pending().await;
                }
                let _gone = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    (url, heard)
}

fn json_answer(body: &str) -> &'static str {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    Box::leak(head.into_boxed_str())
}

#[tokio::test]
async fn its_program_is_asked_and_may_change_an_sms() {
    let answer = json_answer(r#"{"message": "changed", "from": "MYCLINIC", "to": "27830000001", "tags": ["seen"]}"#);
    let (url, heard) = program(answer).await;
    let mut sms = outbound("hello");
    let asked = chain(json!({"kind": "webhook", "url": url, "token": "s3cret"}));
    assert_eq!(asked.run(&mut sms).await, ChainOutcome::Passed);
    assert_eq!((sms.message.as_str(), sms.from.as_str(), sms.to.as_str()), ("changed", "MYCLINIC", "27830000001"));
    assert_eq!(sms.tags, ["seen"]);
    let post = heard.lock().unwrap()[0].clone();
    assert!(post.starts_with("POST /sms HTTP/1.1") && post.contains("authorization: Bearer s3cret"), "{post}");
    let body: Value = serde_json::from_str(post.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"direction": "outbound", "account": "clinic", "transport": "opera", "campaign": null, "from": "38080",
            "to": "27831234567", "message": "hello", "is_text": true, "tags": []})
    );
}

#[tokio::test]
async fn its_program_may_hold_or_refuse_and_204_lets_pass() {
    for (answer, outcome) in [
        (
            json_answer(r#"{"action": "hold", "reason": "too late at night"}"#),
            ChainOutcome::Held("middleware m: too late at night".to_owned()),
        ),
        (json_answer(r#"{"action": "refuse"}"#), ChainOutcome::Refused("middleware m: its program says so".to_owned())),
        (json_answer("{}"), ChainOutcome::Passed),
        ("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", ChainOutcome::Passed),
    ] {
        let (url, _) = program(answer).await;
        assert_eq!(chain(json!({"kind": "webhook", "url": url})).run(&mut inbound("hi")).await, outcome);
    }
}

#[tokio::test]
async fn without_a_usable_answer_in_time_it_is_open_or_closed_and_nothing_is_changed() {
    for answer in [
        "",
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        json_answer("no JSON"),
        json_answer(r#"{"message": "changed", "to": "nobody"}"#),
        json_answer(r#"{"action": "dance"}"#),
    ] {
        let (url, _) = program(answer).await;
        for (on_failure, passes) in [("open", true), ("closed", false)] {
            let asked = chain(json!({"kind": "webhook", "url": url, "deadline": "200ms", "on_failure": on_failure}));
            let mut sms = outbound("hello");
            let outcome = asked.run(&mut sms).await;
            assert_eq!(outcome == ChainOutcome::Passed, passes, "{answer}: {outcome:?}");
            assert!(passes || matches!(outcome, ChainOutcome::Later(_)), "{outcome:?}");
            assert_eq!(sms, outbound("hello"), "{answer}");
        }
    }
}

#[tokio::test]
async fn an_absent_program_is_not_asked_for_every_sms() {
    let (url, heard) = program("").await;
    let asked = chain(json!({"kind": "webhook", "url": url, "deadline": "300ms", "on_failure": "hold"}));
    for _ in 0..20 {
        assert!(matches!(asked.run(&mut outbound("hi")).await, ChainOutcome::Held(_)));
    }
    let asked = heard.lock().unwrap().len();
    assert!((1..=5).contains(&asked), "asked {asked} times");
}
