//! TruTeq, with a scripted router on the line: bytes in, bytes out.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::rig::{DEADLINE, Rig};
use crate::{SandboxSettings, TruteqSettings};

/// The router's end of a connection.
struct Line(BufReader<TcpStream>);

impl Line {
    async fn connect(rig: &Rig) -> Self {
        Self(BufReader::new(TcpStream::connect(rig.running.truteq_address()).await.unwrap()))
    }

    async fn logged_in(rig: &Rig) -> Self {
        let mut line = Self::connect(rig).await;
        line.say("SSMI,1,user,pass\r").await;
        assert_eq!(line.hear().await, "SSMI,101,1\r");
        line
    }

    async fn say(&mut self, frames: &str) {
        self.0.get_mut().write_all(frames.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        let mut frame = Vec::new();
        tokio::time::timeout(DEADLINE, self.0.read_until(b'\r', &mut frame))
            .await
            .expect("TruTeq said nothing")
            .unwrap();
        String::from_utf8(frame).unwrap()
    }

    /// Whether TruTeq closes the connection, without another byte.
    async fn closes(mut self) -> bool {
        let mut rest = Vec::new();
        tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut rest))
            .await
            .expect("it stays open")
            .is_ok_and(|n| n == 0)
    }
}

async fn rig(truteq: TruteqSettings) -> Rig {
    Rig::start(SandboxSettings { truteq, ..SandboxSettings::default() }, &[]).await
}

fn without_time(mut shown: (u16, Value)) -> (u16, Value) {
    if let Some(shown) = shown.1.as_object_mut() {
        assert!(shown.remove("elapsed_ms").is_none_or(|ms| ms.is_u64()));
    }
    shown
}

/// Posts to a handset while the router's script runs.
async fn handset(rig: &Rig, path: &str, body: Value, script: impl Future<Output = ()>) -> (u16, Value) {
    let path = format!("handset/{path}");
    let (shown, ()) = tokio::join!(rig.json(&path, body), script);
    without_time(shown)
}

#[tokio::test]
async fn a_login_is_taken_or_refused_and_nothing_goes_before_it() {
    let rig = rig(TruteqSettings {
        username: Some("user".to_owned()),
        password: Some(SecretString::from("pass")),
        ..TruteqSettings::default()
    })
    .await;
    let mut line = Line::connect(&rig).await;
    line.say("SSMI,3\rSSMI,1,user,wrong\r").await;
    assert_eq!([line.hear().await, line.hear().await], ["SSMI,102,1\r"; 2]);
    line.say("SSMI,1,us").await;
    line.say("er,pass\r").await;
    assert_eq!(line.hear().await, "SSMI,101,1\r");
    line.say("nonsense\rSSMI,3\r").await;
    assert_eq!(line.hear().await, "SSMI,101,2\r");
    line.say("SSMI,99\r").await;
    assert!(line.closes().await);
    rig.misbehave("truteq", json!({"refuse_login": true})).await;
    let mut line = Line::connect(&rig).await;
    line.say("SSMI,1,user,pass\r").await;
    assert_eq!(line.hear().await, "SSMI,102,1\r");
}

#[tokio::test]
async fn a_handset_dials_answers_and_sees_the_end() {
    let rig = rig(TruteqSettings::default()).await;
    let mut line = Line::logged_in(&rig).await;
    let dial = json!({"msisdn": "+27831234567", "code": "*120*663*79#"});
    let shown = handset(&rig, "dial", dial, async {
        assert_eq!(line.hear().await, "SSMI,110,27831234567,1,2,*120*663*79#\r");
        line.say("SSMI,110,27831234567,2,One, or two?\n1. a\r").await;
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "One, or two?\n1. a", "session": "open"})));
    let answer = json!({"msisdn": "27831234567", "text": "1"});
    let shown = handset(&rig, "answer", answer.clone(), async {
        assert_eq!(line.hear().await, "SSMI,110,27831234567,2,2,1\r");
        line.say("SSMI,120,27831234567,3,655011234567890:1::,Thanks\r").await;
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "Thanks", "session": "closed"})));
    let (status, problem) = rig.json("handset/answer", answer).await;
    assert_eq!((status, &problem["detail"]), (409, &json!("this handset has no session: dial a code first")));
    let ussd = rig.seen("truteq").await["ussd"].clone();
    assert_eq!(
        [&ussd["dialled"], &ussd["answered"], &ussd["replies"], &ussd["strays"]],
        [1, 1, 2, 0].map(|n| json!(n)).each_ref()
    );
}

#[tokio::test]
async fn a_handset_that_hangs_up_tells_the_router() {
    let rig = rig(TruteqSettings::default()).await;
    let mut line = Line::logged_in(&rig).await;
    handset(&rig, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        line.hear().await;
        line.say("SSMI,110,27831234567,2,Hello\r").await;
    })
    .await;
    let shown = handset(&rig, "hang_up", json!({"msisdn": "27831234567"}), async {
        assert_eq!(line.hear().await, "SSMI,110,27831234567,3,2,\r");
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "", "session": "closed"})));
}

#[tokio::test]
async fn a_handset_is_told_why_it_shows_nothing() {
    let rig = rig(TruteqSettings { answer_limit: Duration::from_millis(50), ..TruteqSettings::default() }).await;
    let dial = |msisdn: &str, code: &str| json!({"msisdn": msisdn, "code": code});
    let (status, problem) = rig.json("handset/dial", dial("27831234567", "*120#")).await;
    assert!(status == 503 && problem["detail"].as_str().unwrap().starts_with("no router is logged in"), "{problem}");
    let mut line = Line::logged_in(&rig).await;
    assert_eq!(rig.json("handset/dial", dial("phone", "*120#")).await.0, 400);
    assert_eq!(rig.json("handset/dial", dial("27831234567", "120")).await.0, 400);
    let (status, problem) = rig.json("handset/dial", dial("27831234567", "*120#")).await;
    assert!(status == 504 && problem["detail"].as_str().unwrap().contains("did not reply within 50ms"), "{problem}");
    line.hear().await;
    let (status, problem) = rig.json("handset/answer", json!({"msisdn": "27831234567", "text": "й"})).await;
    assert!(status == 400 && problem["detail"].as_str().unwrap().ends_with("й"), "{problem}");
}

#[tokio::test]
async fn a_session_goes_on_with_the_router_that_logs_in_next() {
    let rig = rig(TruteqSettings::default()).await;
    let mut first = Line::logged_in(&rig).await;
    handset(&rig, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        first.hear().await;
        first.say("SSMI,110,27831234567,2,Hello\r").await;
    })
    .await;
    first.say("SSMI,99\r").await;
    assert!(first.closes().await);
    let mut second = Line::logged_in(&rig).await;
    let shown = handset(&rig, "answer", json!({"msisdn": "27831234567", "text": "1"}), async {
        assert_eq!(second.hear().await, "SSMI,110,27831234567,2,2,1\r");
        second.say("SSMI,110,27831234567,3,Bye\r").await;
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "Bye", "session": "closed"})));
}

#[tokio::test]
async fn all_lines_can_be_dropped_at_once() {
    let rig = rig(TruteqSettings::default()).await;
    let (first, second) = (Line::logged_in(&rig).await, Line::logged_in(&rig).await);
    rig.misbehave("truteq", json!({"drop_now": true})).await;
    let dial = json!({"msisdn": "27831234567", "code": "*120#"});
    assert_eq!(rig.json("handset/dial", dial).await.0, 503);
    assert!(first.closes().await && second.closes().await);
    let _next = Line::logged_in(&rig).await;
    assert_eq!(rig.seen("truteq").await["routers"], json!(1), "only those that were there");
}

#[tokio::test]
async fn sessions_spread_over_routers_and_stay_where_they_began() {
    let rig = rig(TruteqSettings::default()).await;
    let mut lines = [Line::logged_in(&rig).await, Line::logged_in(&rig).await];
    for msisdn in ["27830000001", "27830000002"] {
        let [a, b] = &mut lines;
        let reply = format!("SSMI,110,{msisdn},2,Hello\r");
        handset(&rig, "dial", json!({"msisdn": msisdn, "code": "*120#"}), async {
            let line = tokio::select! { _ = a.hear() => a, _ = b.hear() => b };
            line.say(&reply).await;
        })
        .await;
    }
    let [a, b] = &mut lines;
    for msisdn in ["27830000001", "27830000002", "27830000001", "27830000002"] {
        let reply = format!("SSMI,110,{msisdn},2,Again\r");
        let (mut on_a, mut on_b) = (String::new(), String::new());
        handset(&rig, "answer", json!({"msisdn": msisdn, "text": "1"}), async {
            tokio::select! {
                frame = a.hear() => { on_a = frame; a.say(&reply).await }
                frame = b.hear() => { on_b = frame; b.say(&reply).await }
            }
        })
        .await;
        assert!(on_a.is_empty() != on_b.is_empty());
        // The first went to the second line in turn, and so on.
        assert_eq!(on_b.contains("27830000001"), on_a.is_empty(), "{on_a} {on_b}");
    }
}

#[tokio::test]
async fn an_sms_gets_its_number_then_its_delivery_report_even_on_the_next_line() {
    let rig = rig(TruteqSettings::default()).await;
    rig.misbehave("truteq", json!({"receipt_delay": "0s", "refuse_every": 2, "drop_every": 3})).await;
    let mut line = Line::logged_in(&rig).await;
    line.say("SSMI,2,0,27831234567,hello, you\r").await;
    assert_eq!(line.hear().await, "SSMI,100,27831234567,1\r");
    assert_eq!(line.hear().await, "SSMI,104,27831234567,1,0\r");
    line.say("SSMI,2,0,27831234567,two\r").await;
    assert_eq!(line.hear().await, "SSMI,100,27831234567,2\r");
    assert_eq!(line.hear().await, "SSMI,104,27831234567,2,3\r");
    line.say("SSMI,2,0,27831234567,three\r").await;
    assert!(line.closes().await);
    let mut next = Line::logged_in(&rig).await;
    assert_eq!(next.hear().await, "SSMI,104,27831234567,3,0\r");
    let seen = rig.seen("truteq").await;
    assert_eq!([&seen["submissions"], &seen["refused"], &seen["dropped"]], [2, 1, 1].map(|n| json!(n)).each_ref());
}

#[tokio::test]
async fn an_inbound_sms_goes_to_the_router_premium_if_it_names_a_number() {
    let rig = rig(TruteqSettings::default()).await;
    let order = json!({"from": "27831234567", "text": "hi, there"});
    assert_eq!(rig.json("inbound/truteq", order.clone()).await.0, 503);
    let mut line = Line::logged_in(&rig).await;
    assert_eq!(rig.json("inbound/truteq", order).await, (202, json!({"sequence": "1"})));
    assert_eq!(line.hear().await, "SSMI,103,27831234567,1,hi, there\r");
    rig.json("inbound/truteq", json!({"from": "27831234567", "to": "32323", "text": "hi"})).await;
    assert_eq!(line.hear().await, "SSMI,107,27831234567,2,32323,hi\r");
}

#[tokio::test]
async fn misbehaviour_of_the_line_is_there_to_try() {
    let rig = rig(TruteqSettings::default()).await;
    rig.misbehave("truteq", json!({"duplicate_new": true, "ignore_link_checks": true, "drop_after": 3})).await;
    let mut line = Line::logged_in(&rig).await;
    line.say("SSMI,3\r").await;
    let shown = handset(&rig, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        let new = "SSMI,110,27831234567,1,2,*120#\r";
        assert_eq!([line.hear().await, line.hear().await], [new, new], "no answer to the link check before them");
        line.say("SSMI,110,27831234567,2,A\rSSMI,110,27831234567,2,A\r").await;
    })
    .await;
    assert_eq!(shown.1["screen"], json!("A"));
    assert!(line.closes().await, "after three commands");
    assert_eq!(rig.seen("truteq").await["ussd"]["strays"], json!(1));
}

#[tokio::test]
async fn a_session_that_nobody_goes_on_with_is_ended_by_the_network() {
    let rig = rig(TruteqSettings { session_timeout: Duration::from_millis(60), ..TruteqSettings::default() }).await;
    let mut line = Line::logged_in(&rig).await;
    handset(&rig, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        line.hear().await;
        line.say("SSMI,110,27831234567,2,Hello\r").await;
    })
    .await;
    assert_eq!(line.hear().await, "SSMI,110,27831234567,4,2,\r");
    assert_eq!(rig.json("handset/answer", json!({"msisdn": "27831234567", "text": "1"})).await.0, 409);
}
