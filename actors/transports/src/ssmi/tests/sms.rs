//! SMS over the same connection: to people with their delivery reports, and from people.

use std::time::Duration;

use serde_json::json;
use vumi_kit::{
    health::State,
    ledger::Then,
    sms::{Submission, TransportStatus},
    sms_options::Content,
};
use vumi_ssmi_codec::{ClientCommand, Coding, Pid, ReturnCode, ServerCommand};

use super::harness::{PERSON, SsmiHarness, StoreRequest};
use crate::tests::exam::submission;

#[actix_rt::test]
async fn an_sms_is_numbered_and_its_delivery_report_kept() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    harness.wait_for(State::Up).await;
    harness.submit(submission("“hi”, you")).await;
    let (msisdn, message) = ("27123456789".to_owned(), "\"hi\", you".to_owned());
    assert_eq!(
        server.next_command().await,
        Some(ClientCommand::SendSms { validity: 0, msisdn: msisdn.clone(), message })
    );
    server.send(ServerCommand::Seq { msisdn: msisdn.clone(), sequence: "77".to_owned() }).await;
    let outcome = harness.next_outcome().await;
    let done = Then::Done { status: TransportStatus::AtGateway, provider_id: Some("77".to_owned()) };
    assert_eq!((outcome.id, &outcome.then), (42, &done));
    assert!(outcome.detail.contains("replaced: “”"), "{}", outcome.detail);

    server.send(ServerCommand::DeliveryReport { msisdn, sequence: "77".to_owned(), code: ReturnCode::Invalid }).await;
    let StoreRequest::Receipts(receipts) = harness.next_store_request().await else {
        panic!("no receipt was recorded")
    };
    assert_eq!(receipts[0].provider_id.as_deref(), Some("77"));
    assert_eq!(receipts[0].status, TransportStatus::RoutingError);
}

#[actix_rt::test]
async fn an_sms_whose_connection_is_lost_may_have_arrived() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    harness.wait_for(State::Up).await;
    harness.submit(submission("hi")).await;
    server.next_command().await.unwrap();
    drop(server);
    let outcome = harness.next_outcome().await;
    assert!(matches!(outcome.then, Then::Again { unknown_outcome: true, .. }));
}

#[actix_rt::test]
async fn octets_are_a_command_of_their_own_and_what_remains_of_a_validity_is_told() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    harness.wait_for(State::Up).await;
    let give_up_at = harness.clock.now().plus(Duration::from_secs(600));
    let octets = Submission { limited: true, give_up_at, content: Content::Binary { udh: None }, ..submission("48ff") };
    harness.submit(octets).await;
    let msisdn = "27123456789".to_owned();
    let (pid, coding, hex) = (Pid::Standard, Coding::EightBit, "48ff".to_owned());
    let expected = ClientCommand::SendBinarySms { validity: 10, msisdn, pid, coding, hex };
    assert_eq!(server.next_command().await, Some(expected));
}

#[actix_rt::test]
async fn a_number_that_comes_late_is_found_by_the_next_attempt_and_nothing_is_sent_twice() {
    let mut harness = SsmiHarness::start_with(json!({"outbox": {"call_limit": "50ms"}}), Vec::new()).await;
    let mut server = harness.logged_in().await;
    harness.wait_for(State::Up).await;
    harness.submit(submission("hi")).await;
    server.next_command().await.unwrap();
    let outcome = harness.next_outcome().await;
    assert!(matches!(outcome.then, Then::Again { unknown_outcome: true, .. }));
    let health = harness.wait_for(State::Degraded).await;
    assert!(health.detail.contains("SMS: no answer since"), "{health:?}");

    server.send(ServerCommand::Seq { msisdn: "27123456789".to_owned(), sequence: "77".to_owned() }).await;
    // Handled after the number.
    harness.dial(&mut server, PERSON).await;
    assert!(matches!(harness.next_store_request().await, StoreRequest::Save(_)));
    harness.submit(Submission { unknown_outcomes: 1, ..submission("hi") }).await;
    let outcome = harness.next_outcome().await;
    let done = Then::Done { status: TransportStatus::AtGateway, provider_id: Some("77".to_owned()) };
    assert_eq!(outcome.then, done);
    harness.wait_for(State::Up).await;
}

#[actix_rt::test]
async fn without_their_account_sms_from_people_wait_for_it_and_it_may_go_again() {
    let mut harness = SsmiHarness::start_with(json!({"queue": 2}), Vec::new()).await;
    harness.set_account(false);
    let mut server = harness.logged_in().await;
    let mo = |sequence: u32| ServerCommand::Mo {
        msisdn: PERSON.to_owned(),
        sequence: sequence.to_string(),
        message: "hello".to_owned(),
    };
    for sequence in 1..=3 {
        server.send(mo(sequence)).await;
    }
    // Handled after the SMS: people's sessions go on.
    harness.dial(&mut server, PERSON).await;
    assert!(matches!(harness.next_store_request().await, StoreRequest::Save(_)));
    let health = harness.wait_for(State::Degraded).await;
    assert!(health.detail.starts_with("no account `someone` since"), "{health:?}");
    assert!(health.detail.contains("2 SMS and delivery reports wait"), "{health:?}");
    assert!(health.detail.contains("SMS from people and delivery reports lost: 1"), "{health:?}");

    harness.set_account(true);
    let StoreRequest::Received(received) = harness.next_store_request().await else { panic!("the SMS were not kept") };
    assert_eq!(received.len(), 2);
    harness.wait_for(State::Up).await;

    harness.set_account(false);
    server.send(mo(4)).await;
    assert!(harness.wait_for(State::Degraded).await.detail.contains("1 SMS and delivery reports wait"));
}

#[actix_rt::test]
async fn sms_from_people_are_kept() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let (msisdn, sequence) = (PERSON.to_owned(), "5".to_owned());
    let message = "hello, there".to_owned();
    server.send(ServerCommand::Mo { msisdn: msisdn.clone(), sequence: sequence.clone(), message }).await;
    let StoreRequest::Received(received) = harness.next_store_request().await else { panic!("the SMS was not kept") };
    assert_eq!((received[0].to.as_str(), received[0].message.as_str()), ("38080", "hello, there"));
    assert_eq!(received[0].provider_id.as_deref(), Some("5"));

    server
        .send(ServerCommand::PremiumBinaryMo {
            msisdn,
            sequence,
            pid: Pid::Standard,
            coding: Coding::EightBit,
            destination: "31999".to_owned(),
            hex: "6869".to_owned(),
        })
        .await;
    let StoreRequest::Received(received) = harness.next_store_request().await else { panic!("the SMS was not kept") };
    assert_eq!((received[0].to.as_str(), received[0].message.as_str()), ("31999", "hi"));
}

#[actix_rt::test]
async fn sms_without_an_account_to_keep_them_are_counted_with_a_hint() {
    let mut harness = SsmiHarness::start_with(json!({"account": null}), Vec::new()).await;
    let mut server = harness.logged_in().await;
    let (msisdn, sequence) = (PERSON.to_owned(), "5".to_owned());
    server.send(ServerCommand::Mo { msisdn, sequence, message: "hello".to_owned() }).await;
    harness.dial(&mut server, PERSON).await;
    assert!(harness.health().await.detail.contains("SMS from people not kept: 1"));
}
