//! Sessions: bound, refused, lost, odd.

use vumi_kit::health::State;
use vumi_smpp_codec::{BindMode, CommandId, IncomingPdu, Pdu, Tlvs};

use super::harness::{CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY, SmppHarness, deliver, receives};
use crate::tests::exam::submission;

#[actix_rt::test]
async fn a_wrong_password_is_said_and_knocked_at_seldom() {
    let harness = SmppHarness::start("reconnect = { first = \"1s\", most = \"60s\" }").await;
    let mut smsc = harness.connection().await;
    smsc.answer_bind(0x0E).await;
    let health = harness.until_health_says("check `system_id` and `password`").await;
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("ESME_RINVPASWD") && !health.detail.contains("secret"), "{}", health.detail);
}

#[actix_rt::test]
async fn the_receiver_is_bound_before_its_transmitter() {
    let mut harness = SmppHarness::start("bind = \"transmitter_and_receiver\"").await;
    let mut receiver = harness.connection().await;
    assert!(receives(receiver.answer_bind(0).await.mode));
    let mut transmitter = harness.connection().await;
    assert_eq!(transmitter.answer_bind(0).await.mode, BindMode::Transmitter);
    transmitter.is_heard().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = transmitter.submitted().await;
    transmitter.take(sequence, "a").await;
    harness.next_outcome().await;
    let sequence = receiver.request(Pdu::DeliverSm(Box::new(deliver(b"hi")))).await;
    harness.next_received(Ok(())).await;
    assert_eq!(receiver.answered(sequence).await, 0);
}

#[actix_rt::test]
async fn a_peer_that_does_not_answer_enquire_link_is_left() {
    let harness = SmppHarness::start("enquire_link = \"20ms\"\noutbox = { call_limit = \"50ms\" }").await;
    let mut half_open = harness.connection().await;
    half_open.answer_bind(0).await;
    let enquiry = half_open.next().await.expect("an enquire_link");
    assert_eq!(enquiry.command, CommandId::ENQUIRE_LINK);
    let mut again = harness.connection().await;
    again.answer_bind(0).await;
    let enquiry = again.next().await.expect("an enquire_link");
    again.answer(0, enquiry.sequence, Pdu::EnquireLinkResp).await;
    let next = again.next().await.expect("the session lives, and is asked again");
    assert_eq!(next.command, CommandId::ENQUIRE_LINK);
    assert!(next.sequence > enquiry.sequence);
}

#[actix_rt::test]
async fn an_smsc_that_unbinds_gets_its_answer_and_is_bound_to_again() {
    let harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    let sequence = smsc.request(Pdu::Unbind).await;
    assert_eq!(smsc.answered(sequence).await, 0);
    assert_eq!(smsc.next().await, None);
    harness.bound().await;
}

#[actix_rt::test]
async fn odd_pdus_are_answered_and_the_session_lives() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    let odd: [(&[u8], CommandId, u32); 4] = [
        // An operation that nobody knows.
        (&[0, 0, 0, 16, 0, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0, 7], CommandId::GENERIC_NACK, 0x03),
        // A deliver_sm that ends in its first field.
        (&[0, 0, 0, 18, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 8, b'x', b'y'], CommandId::DELIVER_SM_RESP, 0x02),
        // A submit_sm to a client.
        (&[0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9], CommandId::SUBMIT_SM_RESP, 0x02),
        // query_sm, well formed.
        (&[0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0], CommandId::QUERY_SM_RESP, 0x03),
    ];
    for (octets, command, status) in odd {
        smsc.raw(octets).await;
        let frame = smsc.next().await.expect("the session lives");
        assert_eq!((frame.command, frame.status), (command, status), "{octets:?}");
    }
    // Answers to nothing, an alert_notification without a body, an outbind: nothing follows.
    smsc.take(4711, "x").await;
    smsc.raw(&[0, 0, 0, 16, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 11]).await;
    smsc.raw(&[0, 0, 0, 18, 0, 0, 0, 0x0b, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0]).await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.take(sequence, "a").await;
    harness.next_outcome().await;
    let health = harness.health().await;
    assert!(health.detail.contains("PDUs with a fault in them refused"), "{}", health.detail);
}

#[actix_rt::test]
async fn where_the_next_pdu_begins_is_not_known_the_session_ends_with_a_generic_nack() {
    let harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    smsc.raw(b"GET / HTTP/1.1\r\n\r\n").await;
    let nack = smsc.next().await.expect("a generic_nack");
    let IncomingPdu { command, status, sequence, .. } = nack;
    assert_eq!((command, status, sequence), (CommandId::GENERIC_NACK, 0x02, 0));
    assert_eq!(smsc.next().await, None);
    harness.bound().await;
}

#[actix_rt::test]
async fn a_status_that_the_session_is_not_bound_binds_anew() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.refuse(sequence, 0x04).await;
    harness.next_outcome().await;
    assert_eq!(smsc.next().await, None);
    harness.bound().await;
}

#[actix_rt::test]
async fn a_congested_smsc_gets_one_pdu_at_a_time() {
    let mut harness = SmppHarness::start("window = 10").await;
    let mut smsc = harness.bound().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    let tlvs = Tlvs::new().with(vumi_smpp_codec::tag::CONGESTION_STATE, vec![100]);
    let resp = vumi_smpp_codec::MessageResp { message_id: "a".into(), tlvs };
    smsc.answer(0, sequence, Pdu::SubmitSmResp(resp)).await;
    harness.next_outcome().await;
    assert!(harness.health().await.detail.contains("0 of 1 PDUs in flight"));
}

#[actix_rt::test]
async fn over_tls_both_sides_show_certificates_and_without_ours_no_password_is_sent() {
    let trusting = format!("tls = true\nserver_name = \"localhost\"\nca = \"\"\"{CERTIFICATE}\"\"\"");
    let shown = format!(
        "{trusting}\nclient_certificate = \"\"\"{CLIENT_CERTIFICATE}\"\"\"\nclient_key = \"\"\"{CLIENT_KEY}\"\"\""
    );
    let mut harness = SmppHarness::start(&shown).await;
    let mut smsc = harness.tls_connection(true).await.expect("the certificates are trusted");
    smsc.answer_bind(0).await;
    smsc.is_heard().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.take(sequence, "a").await;
    harness.next_outcome().await;

    let harness = SmppHarness::start(&trusting).await;
    assert!(harness.tls_connection(true).await.is_none(), "it has no certificate to show");
    let mut smsc = harness.tls_connection(false).await.expect("where none is asked for, none is needed");
    smsc.answer_bind(0).await;
}
