//! TruTeq, with a scripted router on the connection: bytes in, bytes out.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::harness::{DEADLINE, SandboxHarness};
use crate::{SandboxSettings, TruteqSettings};

/// The router's end of a connection.
struct ScriptedRouter(BufReader<TcpStream>);

impl ScriptedRouter {
    async fn connect(harness: &SandboxHarness) -> Self {
        Self(BufReader::new(TcpStream::connect(harness.running.truteq_address()).await.unwrap()))
    }

    async fn logged_in(harness: &SandboxHarness) -> Self {
        let mut router = Self::connect(harness).await;
        router.send("SSMI,1,user,pass\r").await;
        assert_eq!(router.receive().await, "SSMI,101,1\r");
        router
    }

    async fn send(&mut self, frames: &str) {
        self.0.get_mut().write_all(frames.as_bytes()).await.unwrap();
    }

    async fn receive(&mut self) -> String {
        let mut frame = Vec::new();
        tokio::time::timeout(DEADLINE, self.0.read_until(b'\r', &mut frame))
            .await
            .expect("TruTeq sent nothing")
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

async fn start(truteq: TruteqSettings) -> SandboxHarness {
    SandboxHarness::start(SandboxSettings { truteq, ..SandboxSettings::default() }, &[]).await
}

fn without_time(mut shown: (u16, Value)) -> (u16, Value) {
    if let Some(shown) = shown.1.as_object_mut() {
        assert!(shown.remove("elapsed_ms").is_none_or(|ms| ms.is_u64()));
    }
    shown
}

/// Posts to a handset while the router's script runs.
async fn handset(harness: &SandboxHarness, path: &str, body: Value, script: impl Future<Output = ()>) -> (u16, Value) {
    let path = format!("handset/{path}");
    let (shown, ()) = tokio::join!(harness.json(&path, body), script);
    without_time(shown)
}

#[tokio::test]
async fn a_login_is_accepted_or_refused_and_must_come_first() {
    let harness = start(TruteqSettings {
        username: Some("user".to_owned()),
        password: Some(SecretString::from("pass")),
        ..TruteqSettings::default()
    })
    .await;
    let mut router = ScriptedRouter::connect(&harness).await;
    router.send("SSMI,3\rSSMI,1,user,wrong\r").await;
    assert_eq!([router.receive().await, router.receive().await], ["SSMI,102,1\r"; 2]);
    router.send("SSMI,1,us").await;
    router.send("er,pass\r").await;
    assert_eq!(router.receive().await, "SSMI,101,1\r");
    router.send("nonsense\rSSMI,3\r").await;
    assert_eq!(router.receive().await, "SSMI,101,2\r");
    router.send("SSMI,99\r").await;
    assert!(router.closes().await);
    harness.misbehave("truteq", json!({"refuse_login": true})).await;
    let mut router = ScriptedRouter::connect(&harness).await;
    router.send("SSMI,1,user,pass\r").await;
    assert_eq!(router.receive().await, "SSMI,102,1\r");
}

#[tokio::test]
async fn a_handset_dials_answers_and_sees_the_end() {
    let harness = start(TruteqSettings::default()).await;
    let mut router = ScriptedRouter::logged_in(&harness).await;
    let dial = json!({"msisdn": "+27831234567", "code": "*120*663*79#"});
    let shown = handset(&harness, "dial", dial, async {
        assert_eq!(router.receive().await, "SSMI,110,27831234567,1,2,*120*663*79#\r");
        router.send("SSMI,110,27831234567,2,One, or two?\n1. a\r").await;
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "One, or two?\n1. a", "session": "open"})));
    let answer = json!({"msisdn": "27831234567", "text": "1"});
    let shown = handset(&harness, "answer", answer.clone(), async {
        assert_eq!(router.receive().await, "SSMI,110,27831234567,2,2,1\r");
        router.send("SSMI,120,27831234567,3,655011234567890:1::,Thanks\r").await;
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "Thanks", "session": "closed"})));
    let (status, problem) = harness.json("handset/answer", answer).await;
    assert_eq!((status, &problem["detail"]), (409, &json!("this handset has no session: dial a code first")));
    let ussd = harness.seen("truteq").await["ussd"].clone();
    assert_eq!(
        [&ussd["dialled"], &ussd["answered"], &ussd["replies"], &ussd["strays"]],
        [1, 1, 2, 0].map(|n| json!(n)).each_ref()
    );
}

#[tokio::test]
async fn a_handset_that_hangs_up_ends_the_session_at_the_router() {
    let harness = start(TruteqSettings::default()).await;
    let mut router = ScriptedRouter::logged_in(&harness).await;
    handset(&harness, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        router.receive().await;
        router.send("SSMI,110,27831234567,2,Hello\r").await;
    })
    .await;
    let shown = handset(&harness, "hang_up", json!({"msisdn": "27831234567"}), async {
        assert_eq!(router.receive().await, "SSMI,110,27831234567,3,2,\r");
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "", "session": "closed"})));
}

#[tokio::test]
async fn a_handset_that_shows_nothing_gets_the_reason() {
    let harness = start(TruteqSettings { answer_limit: Duration::from_millis(50), ..TruteqSettings::default() }).await;
    let dial = |msisdn: &str, code: &str| json!({"msisdn": msisdn, "code": code});
    let (status, problem) = harness.json("handset/dial", dial("27831234567", "*120#")).await;
    assert!(status == 503 && problem["detail"].as_str().unwrap().starts_with("no router is logged in"), "{problem}");
    let mut router = ScriptedRouter::logged_in(&harness).await;
    assert_eq!(harness.json("handset/dial", dial("phone", "*120#")).await.0, 400);
    assert_eq!(harness.json("handset/dial", dial("27831234567", "120")).await.0, 400);
    let (status, problem) = harness.json("handset/dial", dial("27831234567", "*120#")).await;
    assert!(status == 504 && problem["detail"].as_str().unwrap().contains("did not reply within 50ms"), "{problem}");
    router.receive().await;
    let (status, problem) = harness.json("handset/answer", json!({"msisdn": "27831234567", "text": "й"})).await;
    assert!(status == 400 && problem["detail"].as_str().unwrap().ends_with("й"), "{problem}");
}

#[tokio::test]
async fn a_session_goes_on_with_the_router_that_logs_in_next() {
    let harness = start(TruteqSettings::default()).await;
    let mut first = ScriptedRouter::logged_in(&harness).await;
    handset(&harness, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        first.receive().await;
        first.send("SSMI,110,27831234567,2,Hello\r").await;
    })
    .await;
    first.send("SSMI,99\r").await;
    assert!(first.closes().await);
    let mut second = ScriptedRouter::logged_in(&harness).await;
    let shown = handset(&harness, "answer", json!({"msisdn": "27831234567", "text": "1"}), async {
        assert_eq!(second.receive().await, "SSMI,110,27831234567,2,2,1\r");
        second.send("SSMI,110,27831234567,3,Bye\r").await;
    })
    .await;
    assert_eq!(shown, (200, json!({"screen": "Bye", "session": "closed"})));
}

#[tokio::test]
async fn all_connections_can_be_dropped_at_once() {
    let harness = start(TruteqSettings::default()).await;
    let (first, second) = (ScriptedRouter::logged_in(&harness).await, ScriptedRouter::logged_in(&harness).await);
    harness.misbehave("truteq", json!({"drop_now": true})).await;
    let dial = json!({"msisdn": "27831234567", "code": "*120#"});
    assert_eq!(harness.json("handset/dial", dial).await.0, 503);
    assert!(first.closes().await && second.closes().await);
    let _next = ScriptedRouter::logged_in(&harness).await;
    assert_eq!(harness.seen("truteq").await["routers"], json!(1), "only those that were there");
}

#[tokio::test]
async fn sessions_spread_over_routers_and_stay_where_they_began() {
    let harness = start(TruteqSettings::default()).await;
    let mut routers = [ScriptedRouter::logged_in(&harness).await, ScriptedRouter::logged_in(&harness).await];
    for msisdn in ["27830000001", "27830000002"] {
        let [a, b] = &mut routers;
        let reply = format!("SSMI,110,{msisdn},2,Hello\r");
        handset(&harness, "dial", json!({"msisdn": msisdn, "code": "*120#"}), async {
            let router = tokio::select! { _ = a.receive() => a, _ = b.receive() => b };
            router.send(&reply).await;
        })
        .await;
    }
    let [a, b] = &mut routers;
    for msisdn in ["27830000001", "27830000002", "27830000001", "27830000002"] {
        let reply = format!("SSMI,110,{msisdn},2,Again\r");
        let (mut on_a, mut on_b) = (String::new(), String::new());
        handset(&harness, "answer", json!({"msisdn": msisdn, "text": "1"}), async {
            tokio::select! {
                frame = a.receive() => { on_a = frame; a.send(&reply).await }
                frame = b.receive() => { on_b = frame; b.send(&reply).await }
            }
        })
        .await;
        assert!(on_a.is_empty() != on_b.is_empty());
        // The first went to the second line in turn, and so on.
        assert_eq!(on_b.contains("27830000001"), on_a.is_empty(), "{on_a} {on_b}");
    }
}

#[tokio::test]
async fn an_sms_gets_its_number_then_its_delivery_report_even_on_the_next_connection() {
    let harness = start(TruteqSettings::default()).await;
    harness.misbehave("truteq", json!({"receipt_delay": "0s", "refuse_every": 2, "drop_every": 3})).await;
    let mut router = ScriptedRouter::logged_in(&harness).await;
    router.send("SSMI,2,0,27831234567,hello, you\r").await;
    assert_eq!(router.receive().await, "SSMI,100,27831234567,1\r");
    assert_eq!(router.receive().await, "SSMI,104,27831234567,1,0\r");
    router.send("SSMI,2,0,27831234567,two\r").await;
    assert_eq!(router.receive().await, "SSMI,100,27831234567,2\r");
    assert_eq!(router.receive().await, "SSMI,104,27831234567,2,3\r");
    router.send("SSMI,2,0,27831234567,three\r").await;
    assert!(router.closes().await);
    let mut next = ScriptedRouter::logged_in(&harness).await;
    assert_eq!(next.receive().await, "SSMI,104,27831234567,3,0\r");
    let seen = harness.seen("truteq").await;
    assert_eq!([&seen["submissions"], &seen["refused"], &seen["dropped"]], [2, 1, 1].map(|n| json!(n)).each_ref());
}

#[tokio::test]
async fn an_inbound_sms_goes_to_the_router_premium_if_it_names_a_number() {
    let harness = start(TruteqSettings::default()).await;
    let order = json!({"from": "27831234567", "text": "hi, there"});
    assert_eq!(harness.json("inbound/truteq", order.clone()).await.0, 503);
    let mut router = ScriptedRouter::logged_in(&harness).await;
    assert_eq!(harness.json("inbound/truteq", order).await, (202, json!({"sequence": "1"})));
    assert_eq!(router.receive().await, "SSMI,103,27831234567,1,hi, there\r");
    harness.json("inbound/truteq", json!({"from": "27831234567", "to": "32323", "text": "hi"})).await;
    assert_eq!(router.receive().await, "SSMI,107,27831234567,2,32323,hi\r");
}

#[tokio::test]
async fn the_connection_misbehaves_on_request() {
    let harness = start(TruteqSettings::default()).await;
    harness.misbehave("truteq", json!({"duplicate_new": true, "ignore_link_checks": true, "drop_after": 3})).await;
    let mut router = ScriptedRouter::logged_in(&harness).await;
    router.send("SSMI,3\r").await;
    let shown = handset(&harness, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        let new = "SSMI,110,27831234567,1,2,*120#\r";
        assert_eq!(
            [router.receive().await, router.receive().await],
            [new, new],
            "no answer to the link check before them"
        );
        router.send("SSMI,110,27831234567,2,A\rSSMI,110,27831234567,2,A\r").await;
    })
    .await;
    assert_eq!(shown.1["screen"], json!("A"));
    assert!(router.closes().await, "after three commands");
    assert_eq!(harness.seen("truteq").await["ussd"]["strays"], json!(1));
}

#[tokio::test]
async fn the_network_ends_a_session_without_messages() {
    let harness =
        start(TruteqSettings { session_timeout: Duration::from_millis(60), ..TruteqSettings::default() }).await;
    let mut router = ScriptedRouter::logged_in(&harness).await;
    handset(&harness, "dial", json!({"msisdn": "27831234567", "code": "*120#"}), async {
        router.receive().await;
        router.send("SSMI,110,27831234567,2,Hello\r").await;
    })
    .await;
    assert_eq!(router.receive().await, "SSMI,110,27831234567,4,2,\r");
    assert_eq!(harness.json("handset/answer", json!({"msisdn": "27831234567", "text": "1"})).await.0, 409);
}
