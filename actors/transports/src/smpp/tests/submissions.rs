//! SMS on their way out.

use vumi_kit::{
    ledger::{Outcome, Then},
    sent_parts::SentPart,
    sms::{Submission, TransportStatus},
};
use vumi_smpp_codec::{BindResp, Message, Pdu, udh::Udh};

use super::harness::SmppHarness;
use crate::tests::exam::submission;

fn long(id: i64) -> Submission {
    Submission { id, segments: 3, ..submission(&"a".repeat(400)) }
}

/// Which part a PDU is: reference, total, number.
fn part(message: &Message) -> (u16, u8, u8) {
    let concat = Udh::read(&message.short_message).unwrap().concat.unwrap();
    (concat.reference, concat.total, concat.number)
}

fn numbers(outcome: &Outcome) -> Vec<(u8, Option<&str>)> {
    outcome.parts.iter().map(|taken| (taken.part.number, taken.part.provider_id.as_deref())).collect()
}

#[actix_rt::test]
async fn an_sms_is_submitted_and_its_id_recorded_and_a_stop_unbinds() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    harness.submit(submission("hello")).await;
    let (sequence, message) = smsc.submitted().await;
    assert_eq!((sequence, &message.short_message[..], message.registered_delivery), (2, &b"hello"[..], 1));
    smsc.take(sequence, "0A1b").await;
    let outcome = harness.next_outcome().await;
    let provider_id = Some("0A1b".to_owned());
    assert_eq!(outcome.then, Then::Done { status: TransportStatus::AtGateway, provider_id });
    assert_eq!(outcome.parts[0].spellings.as_ref().map(|spellings| spellings.folded.as_str()), Some("a1b"));
    let ((), ()) = tokio::join!(harness.drain(), smsc.expect_unbind());
}

#[actix_rt::test]
async fn parts_that_were_taken_are_not_submitted_again() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    harness.submit(long(0x1234)).await;
    let (sequence, first) = smsc.submitted().await;
    assert_eq!(part(&first), (0x34, 3, 1));
    smsc.take(sequence, "p1").await;
    let (second, third) = (smsc.submitted().await, smsc.submitted().await);
    assert_eq!((part(&second.1), part(&third.1)), ((0x34, 3, 2), (0x34, 3, 3)), "both before they are answered");
    // In any order.
    smsc.take(third.0, "p3").await;
    smsc.refuse(second.0, 0x08).await;
    let outcome = harness.next_outcome().await;
    assert!(matches!(outcome.then, Then::Again { unknown_outcome: false, .. }), "{outcome:?}");
    assert!(outcome.detail.starts_with("part 2 of 3: command_status 0x08 ESME_RSYSERR"), "{}", outcome.detail);
    assert_eq!(numbers(&outcome), [(1, Some("p1")), (3, Some("p3"))]);
    assert!(outcome.parts.iter().all(|taken| taken.must_report));

    let parts = outcome.parts.into_iter().map(|taken| taken.part).collect();
    harness.submit(Submission { attempts: 1, parts, ..long(0x1234) }).await;
    let (sequence, again) = smsc.submitted().await;
    assert_eq!(part(&again), (0x34, 3, 2), "the same reference and total");
    smsc.take(sequence, "p2").await;
    let outcome = harness.next_outcome().await;
    let provider_id = Some("p1".to_owned());
    assert_eq!(outcome.then, Then::Done { status: TransportStatus::AtGateway, provider_id });
    assert_eq!(numbers(&outcome), [(2, Some("p2"))]);
}

#[actix_rt::test]
async fn a_part_refused_for_good_fails_the_sms_and_the_rest_is_not_sent() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    harness.submit(long(1)).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.refuse(sequence, 0x0B).await;
    let outcome = harness.next_outcome().await;
    assert_eq!(outcome.then, Then::Done { status: TransportStatus::RoutingError, provider_id: None });
    harness.submit(submission("next")).await;
    assert_eq!(&smsc.submitted().await.1.short_message[..], b"next");
}

#[actix_rt::test]
async fn what_is_in_flight_when_the_connection_is_lost_may_have_arrived_and_nothing_is_claimed_until_bound_again() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    harness.submit(long(1)).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.take(sequence, "p1").await;
    smsc.submitted().await;
    smsc.submitted().await;
    drop(smsc);
    let outcome = harness.next_outcome().await;
    assert!(matches!(outcome.then, Then::Again { unknown_outcome: true, .. }), "{outcome:?}");
    assert_eq!(numbers(&outcome), [(1, Some("p1"))], "what is known is not lost");

    let mut smsc = harness.connection().await;
    let (bind, _) = smsc.expect_bind().await;
    harness.wait(Submission { id: 2, ..submission("waits") });
    harness.submit(Submission { id: 3, ..submission("handed over") }).await;
    let outcome = harness.next_outcome().await;
    assert!(matches!((outcome.id, &outcome.then), (3, Then::Untried { .. })), "{outcome:?}");
    assert_eq!(harness.waiting(), 1, "nothing is claimed");
    smsc.answer(0, bind, Pdu::BindResp(BindResp::default())).await;
    assert_eq!(&smsc.submitted().await.1.short_message[..], b"waits");
}

#[actix_rt::test]
async fn a_throttled_sms_keeps_its_place_and_the_transport_slows_down() {
    let mut harness = SmppHarness::start("outbox = { retry = { first = \"10ms\", most = \"20ms\" } }").await;
    let mut smsc = harness.bound().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.refuse(sequence, 0x58).await;
    let outcome = harness.next_outcome().await;
    assert!(matches!(outcome.then, Then::Untried { .. }), "{outcome:?}");
    let health = harness.until_health_says("slowed down to").await;
    assert!(health.detail.contains("ESME_RTHROTTLED"), "{}", health.detail);
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.take(sequence, "x").await;
    assert!(matches!(harness.next_outcome().await.then, Then::Done { .. }));
}

#[actix_rt::test]
async fn a_full_queue_is_one_recipients_until_it_is_said_several_times_in_a_row() {
    let mut harness = SmppHarness::start("outbox = { retry = { first = \"1ms\", most = \"1ms\" } }").await;
    let mut smsc = harness.bound().await;
    for id in 1..=5 {
        harness.submit(Submission { id, ..submission("hello") }).await;
        let (sequence, _) = smsc.submitted().await;
        smsc.refuse(sequence, 0x14).await;
        let then = harness.next_outcome().await.then;
        let throttled = matches!(then, Then::Untried { .. });
        assert_eq!(throttled, id == 5, "{id}: {then:?}");
    }
}

#[actix_rt::test]
async fn an_answer_that_comes_late_is_taken_by_the_next_attempt() {
    let mut harness = SmppHarness::start("outbox = { call_limit = \"50ms\" }").await;
    let mut smsc = harness.bound().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    let outcome = harness.next_outcome().await;
    assert!(matches!(outcome.then, Then::Again { unknown_outcome: true, .. }), "{outcome:?}");
    smsc.take(sequence, "late").await;
    // What comes behind it on the same connection is read after it.
    smsc.is_heard().await;
    harness.submit(Submission { attempts: 1, unknown_outcomes: 1, ..submission("hello") }).await;
    let then = harness.next_outcome().await.then;
    let provider_id = Some("late".to_owned());
    assert_eq!(then, Then::Done { status: TransportStatus::AtGateway, provider_id }, "and nothing is submitted");
}

#[actix_rt::test]
async fn the_window_counts_pdus_and_all_sessions_are_used() {
    let mut harness = SmppHarness::start("sessions = 2\nwindow = 2").await;
    let (mut one, mut two) = (harness.bound().await, harness.bound().await);
    harness.until_health_says("2 of 2 connections bound").await;
    for id in 1..=5 {
        harness.submit(Submission { id, ..submission("hello") }).await;
    }
    let (first, _, _, _) = (one.submitted().await, one.submitted().await, two.submitted().await, two.submitted().await);
    assert!(harness.health().await.detail.contains("4 of 4 PDUs in flight"));
    one.take(first.0, "a").await;
    harness.next_outcome().await;
    one.submitted().await;
}

#[actix_rt::test]
async fn a_message_the_smsc_can_not_read_is_tried_once_more_and_a_vendors_status_is_as_the_settings_say() {
    let mut harness = SmppHarness::start("statuses = { \"0x400\" = \"message_error\" }").await;
    let mut smsc = harness.bound().await;
    for (attempts, expected) in [(0, None), (1, Some(TransportStatus::MessageError))] {
        harness.submit(Submission { attempts, ..submission("hello") }).await;
        let (sequence, _) = smsc.submitted().await;
        smsc.answer(0x03, sequence, Pdu::GenericNack).await;
        let ended = match harness.next_outcome().await.then {
            Then::Done { status, .. } => Some(status),
            _ => None,
        };
        assert_eq!(ended, expected);
    }
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    smsc.refuse(sequence, 0x400).await;
    let then = harness.next_outcome().await.then;
    assert_eq!(then, Then::Done { status: TransportStatus::MessageError, provider_id: None });
}

#[actix_rt::test]
async fn without_an_id_an_sms_is_taken_all_the_same() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    harness.submit(submission("hello")).await;
    let (sequence, _) = smsc.submitted().await;
    // Without a body, as some SMSC answer.
    smsc.raw(&[&[0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0][..], &sequence.to_be_bytes()].concat()).await;
    let outcome = harness.next_outcome().await;
    assert_eq!(outcome.then, Then::Done { status: TransportStatus::AtGateway, provider_id: None });
    assert_eq!(outcome.parts[0].part, SentPart { number: 1, provider_id: None });
}
