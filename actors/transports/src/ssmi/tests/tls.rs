//! The connection over TLS.

use std::time::Duration;

use serde_json::json;
use vumi_kit::{health::State, kind::Kind, message::SessionEvent};
use vumi_ssmi_codec::UssdType;

use super::harness::SsmiHarness;
use crate::ssmi::Ssmi;

/// Settings for a server whose certificate is trusted.
fn trusted() -> serde_json::Value {
    let ca = include_str!("localhost.crt");
    json!({ "tls": true, "ca": ca, "server_name": "localhost" })
}

#[actix_rt::test]
async fn over_tls_a_person_dials_and_a_long_reply_arrives_whole() {
    let mut harness = SsmiHarness::start_with(trusted(), Vec::new()).await;
    let mut server = harness.tls_connection().await.expect("the certificate is trusted");
    server.log_in().await;
    for n in 0..50 {
        let person = format!("2783{n:07}");
        let begun = harness.dial(&mut server, &person).await;
        let text = "x".repeat(150);
        harness.reply(&begun, &text, SessionEvent::Resume).await;
        assert_eq!(server.next_screen().await, (person, UssdType::Response, text));
    }
}

#[actix_rt::test]
async fn a_server_of_another_name_or_without_tls_gets_no_password() {
    let mut other = trusted();
    other["server_name"] = json!("other.example");
    let mut harness = SsmiHarness::start_with(other, Vec::new()).await;
    assert!(harness.tls_connection().await.is_none(), "the certificate is another server's");
    let told = async {
        while !harness.wait_for(State::Degraded).await.detail.contains("`server_name`") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("its health says what to mend");

    let mut harness = SsmiHarness::start_with(trusted(), Vec::new()).await;
    let mut plain = harness.connection().await;
    let hello = plain.next_raw().await;
    assert_eq!(hello.first(), Some(&0x16), "a TLS handshake and no login: {hello:?}");
}

#[test]
fn what_tls_needs_is_checked_without_reading_files() {
    let checked = |further: serde_json::Value| {
        let mut settings = json!({ "username": "me", "password": "secret" });
        settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let settings = serde_json::from_value(settings).unwrap();
        Ssmi::check(&settings).into_iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    assert_eq!(
        checked(json!({ "ca": include_str!("localhost.crt"), "server_name": "localhost" })),
        ["ca", "server_name"]
    );
    assert_eq!(checked(json!({ "tls": true, "ca": "no.pem", "server_name": "not a name" })), ["ca", "server_name"]);
    assert_eq!(checked(json!({ "tls": true })), Vec::<String>::new());
}
