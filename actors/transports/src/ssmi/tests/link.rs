//! The connection: the login, faults on the wire, and a link that is lost.

use serde_json::json;
use vumi_kit::health::State;
use vumi_ssmi_codec::{ClientCommand, ServerCommand};

use super::harness::{PERSON, SsmiHarness};

#[actix_rt::test]
async fn a_refused_login_is_shown_and_tried_again() {
    let mut harness =
        SsmiHarness::start_with(json!({"reconnect": {"first": "300ms", "most": "300ms"}}), Vec::new()).await;
    let mut server = harness.connection().await;
    server.next_command().await.unwrap();
    server.send(ServerCommand::Nack { kind: 1 }).await;
    assert_eq!(server.next_command().await, None);
    let health = harness.wait_for(State::Degraded).await;
    assert!(health.detail.contains("refused"), "{health:?}");
    assert!(!health.detail.contains("secret"));

    let mut server = harness.connection().await;
    server.next_command().await.unwrap();
    server.send(ServerCommand::FreeText { text: "welcome".to_owned() }).await;
    assert_eq!(server.next_command().await, None);

    let _server = harness.logged_in().await;
    assert!(harness.wait_for(State::Up).await.detail.starts_with("connected to 127.0.0.1:"));
}

#[actix_rt::test]
async fn malformed_frames_are_counted_and_skipped() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    server.send_raw(b"garbage\rSSMI,110,2783\rSSMI,999,x\rSSMI,110,nobody,1,0,*1#\r\xff\r").await;
    harness.dial(&mut server, PERSON).await;
    assert!(harness.health().await.detail.contains("malformed frames skipped: 5"));
}

#[actix_rt::test]
async fn a_dead_link_is_noticed_and_made_again() {
    let mut harness = SsmiHarness::start_with(json!({"link_check": "200ms"}), Vec::new()).await;
    let mut server = harness.logged_in().await;
    for _ in 0..2 {
        assert_eq!(server.next_command().await, Some(ClientCommand::LinkCheck));
        server.send_raw(b"SSMI,101,2\r").await;
    }
    while server.next_command().await.is_some() {}
    let _server = harness.logged_in().await;
    harness.wait_for(State::Up).await;
}

#[actix_rt::test]
async fn after_a_remote_logout_the_router_connects_again() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    server.send(ServerCommand::RemoteLogout { ip: "10.0.0.1".to_owned() }).await;
    assert_eq!(server.next_command().await, None);
    harness.logged_in().await;
}
