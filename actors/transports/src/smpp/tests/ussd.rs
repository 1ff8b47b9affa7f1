//! Dialogues of people over SMPP.

use vumi_kit::{
    address::{Msisdn, UssdCode},
    clock::Timestamp,
    message::{EventKind, SessionEvent, UserMessage},
    name::Name,
    router::Refused,
    ussd_push::UssdPush,
};
use vumi_smpp_codec::{Alphabet, Message, Pdu, PduAddress, Tlvs, status, tag};

use super::harness::{SmppHarness, Smsc};

const PERSON: &str = "27831234567";
const CODE: &str = "*120*663*79#";
const SPEC: &str = "ussd = { profile = \"spec\" }";

/// A message of a gateway: the op, its_session_info, the text.
fn ussd(op: u8, info: u16, text: &str) -> Message {
    let tlvs =
        Tlvs::new().with(tag::USSD_SERVICE_OP, vec![op]).with(tag::ITS_SESSION_INFO, info.to_be_bytes().to_vec());
    Message {
        service_type: "USSD".into(),
        source: PduAddress::new(1, 1, PERSON),
        destination: PduAddress::new(3, 0, &b"120"[..]),
        short_message: Alphabet::Gsm7.encode(text).unwrap().into(),
        tlvs,
        ..Message::default()
    }
}

async fn deliver(smsc: &mut Smsc, message: Message) {
    let sequence = smsc.request(Pdu::DeliverSm(Box::new(message))).await;
    assert_eq!(smsc.answered(sequence).await, 0, "before anything follows");
}

async fn dial(harness: &mut SmppHarness, smsc: &mut Smsc) -> UserMessage {
    deliver(smsc, ussd(1, 0x0700, CODE)).await;
    let dialled = harness.next_message().await;
    assert_eq!((dialled.to_addr.as_str(), dialled.from_addr.as_str()), (CODE, PERSON));
    assert_eq!(dialled.session_event, Some(SessionEvent::New));
    dialled
}

fn reply(to: &UserMessage, text: &str, event: SessionEvent) -> UserMessage {
    to.reply(Some(text.to_owned()), Some(event), to.timestamp)
}

/// The op, its_session_info and the text of the next screen, and its number.
async fn screen(smsc: &mut Smsc) -> (u32, (u8, u32, String)) {
    let (sequence, message) = smsc.submitted().await;
    assert_eq!((message.esm_class, message.registered_delivery), (0, 0));
    assert_eq!((&message.service_type[..], &message.destination.addr[..]), (&b"USSD"[..], PERSON.as_bytes()));
    let alphabet = if message.data_coding == 8 { Alphabet::Ucs2 } else { Alphabet::Gsm7 };
    let number = |tag| message.tlvs.integer(tag).unwrap();
    let op = u8::try_from(number(tag::USSD_SERVICE_OP)).unwrap();
    (sequence, (op, number(tag::ITS_SESSION_INFO), alphabet.decode(&message.short_message)))
}

fn push(push: &UssdPush, text: &str) -> UserMessage {
    let (name, to) = (Name::parse("smsc").unwrap(), Msisdn::parse(PERSON).unwrap());
    let code = UssdCode::parse(CODE).unwrap();
    push.message(&name, &to, &code, Some(text.to_owned()), Timestamp::from_seconds(1_000_000))
}

#[actix_rt::test]
async fn a_person_dials_answers_and_reads_the_last_screen() {
    let mut harness = SmppHarness::start(SPEC).await;
    let mut smsc = harness.bound().await;
    let dialled = dial(&mut harness, &mut smsc).await;
    harness.show(reply(&dialled, "Name?", SessionEvent::Resume)).await.unwrap();
    let (sequence, shown) = screen(&mut smsc).await;
    assert_eq!(shown, (2, 0x0700, "Name?".to_owned()));
    smsc.take(sequence, "1").await;
    assert!(matches!(harness.next_event().await, EventKind::Ack { .. }));

    deliver(&mut smsc, ussd(18, 0x0702, "Anna")).await;
    let answer = harness.next_message().await;
    assert_eq!((answer.content.as_deref(), answer.to_addr.as_str()), (Some("Anna"), CODE));
    assert_eq!(answer.session_id(), dialled.session_id());
    harness.show(reply(&answer, "Привет", SessionEvent::Close)).await.unwrap();
    let (sequence, shown) = screen(&mut smsc).await;
    assert_eq!(shown, (17, 0x0703, "Привет".to_owned()));
    smsc.take(sequence, "2").await;
    assert!(matches!(harness.next_event().await, EventKind::Ack { .. }));
    harness.until_health_says("0 USSD sessions").await;
}

#[actix_rt::test]
async fn the_networks_end_is_told_to_the_campaign_however_it_is_said() {
    let mut harness = SmppHarness::start(SPEC).await;
    let mut smsc = harness.bound().await;
    let aborted = Message { esm_class: 0x18, ..ussd(18, 0x0700, "") };
    for end in [ussd(129, 0x0700, ""), ussd(18, 0x0703, ""), aborted] {
        dial(&mut harness, &mut smsc).await;
        deliver(&mut smsc, end).await;
        assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::Close));
    }
    for gone in [status::ESME_RSUBMITFAIL, status::ESME_RINVDSTADR] {
        let dialled = dial(&mut harness, &mut smsc).await;
        harness.show(reply(&dialled, "Name?", SessionEvent::Resume)).await.unwrap();
        let (sequence, _) = screen(&mut smsc).await;
        smsc.refuse(sequence, gone).await;
        assert!(matches!(harness.next_event().await, EventKind::Nack { .. }));
        assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::Close));
    }
    harness.until_health_says("0 USSD sessions").await;
}

#[actix_rt::test]
async fn a_person_has_one_dialogue_and_an_answer_to_an_older_one_is_closed() {
    let mut harness = SmppHarness::start(SPEC).await;
    let mut smsc = harness.bound().await;
    let first = dial(&mut harness, &mut smsc).await;
    deliver(&mut smsc, ussd(1, 0x0800, CODE)).await;
    let messages = [harness.next_message().await, harness.next_message().await];
    assert_eq!(
        messages.each_ref().map(|message| message.session_event.unwrap()),
        [SessionEvent::Close, SessionEvent::New]
    );
    assert_eq!(messages[0].session_id(), first.session_id());
    deliver(&mut smsc, ussd(18, 0x0700, "late")).await;
    let (_, (op, info, text)) = screen(&mut smsc).await;
    assert_eq!((op, info), (17, 0x0701));
    assert!(text.contains("dial again"), "{text}");
    harness.until_health_says("1 USSD sessions").await;
}

#[actix_rt::test]
async fn a_screen_that_the_smsc_puts_off_or_that_was_not_written_is_shown_later() {
    let mut harness = SmppHarness::start(SPEC).await;
    let mut smsc = harness.bound().await;
    let dialled = dial(&mut harness, &mut smsc).await;
    harness.show(reply(&dialled, "Name?", SessionEvent::Resume)).await.unwrap();
    let (sequence, _) = screen(&mut smsc).await;
    smsc.refuse(sequence, status::ESME_RTHROTTLED).await;
    let (sequence, shown) = screen(&mut smsc).await;
    assert_eq!(shown.2, "Name?");
    smsc.take(sequence, "1").await;
    assert!(matches!(harness.next_event().await, EventKind::Ack { .. }));
    drop(smsc);
    harness.until_health_says("not bound").await;
    harness.show(reply(&dialled, "Again?", SessionEvent::Resume)).await.unwrap();
    let mut smsc = harness.connection().await;
    smsc.answer_bind(0).await;
    assert_eq!(screen(&mut smsc).await.1.2, "Again?");
}

#[actix_rt::test]
async fn dialogues_go_on_after_a_restart() {
    let mut harness = SmppHarness::start(SPEC).await;
    let mut smsc = harness.bound().await;
    let dialled = dial(&mut harness, &mut smsc).await;
    harness.show(reply(&dialled, "Name?", SessionEvent::Resume)).await.unwrap();
    screen(&mut smsc).await;
    smsc.is_heard().await;
    let sessions = harness.sessions.clone();
    drop(harness);
    let mut harness = SmppHarness::start_with(SPEC, sessions).await;
    let mut smsc = harness.bound().await;
    deliver(&mut smsc, ussd(18, 0x0702, "Anna")).await;
    let answer = harness.next_message().await;
    assert_eq!((answer.content.as_deref(), answer.to_addr.as_str()), (Some("Anna"), CODE));
    assert_eq!(answer.session_id(), dialled.session_id());
}

#[actix_rt::test]
async fn a_push_for_a_campaign_is_answered_to_it_and_one_at_a_time() {
    let mut harness = SmppHarness::start(SPEC).await;
    let mut smsc = harness.bound().await;
    let quiz = Name::parse("quiz").unwrap();
    let pushed = push(&UssdPush::Campaign(quiz.clone()), "");
    harness.show(pushed.clone()).await.unwrap();
    let begun = harness.next_message().await;
    assert_eq!((begun.session_event, &begun.for_campaign), (Some(SessionEvent::New), &Some(quiz.clone())));
    harness.show(reply(&begun, "Ready?", SessionEvent::Resume)).await.unwrap();
    let (sequence, (op, _, text)) = screen(&mut smsc).await;
    assert_eq!((op, text.as_str()), (2, "Ready?"));
    smsc.take(sequence, "1").await;
    assert_eq!(harness.show(pushed).await, Ok(()), "the same push again does nothing");
    assert_eq!(harness.show(push(&UssdPush::Notification, "hi")).await, Err(Refused::InDialogue));
    // The gateway names the dialogue as it likes.
    deliver(&mut smsc, ussd(18, 0x2200, "yes")).await;
    let answer = harness.next_message().await;
    assert_eq!((answer.content.as_deref(), answer.for_campaign), (Some("yes"), Some(quiz)));
    harness.until_health_says("1 USSD sessions").await;
}

#[actix_rt::test]
async fn a_notification_is_shown_and_confirmed_and_begins_no_session() {
    let mut harness = SmppHarness::start(SPEC).await;
    let long = push(&UssdPush::Notification, &"a".repeat(183));
    assert_eq!(harness.show(long.clone()).await, Err(Refused::NotConnected(Name::parse("smsc").unwrap())));
    let mut smsc = harness.bound().await;
    assert!(matches!(harness.show(long).await, Err(Refused::UnfitPush(_))));
    harness.show(push(&UssdPush::Notification, "You won.")).await.unwrap();
    let (sequence, (op, _, text)) = screen(&mut smsc).await;
    assert_eq!((op, text.as_str()), (3, "You won."));
    smsc.take(sequence, "1").await;
    assert!(matches!(harness.next_event().await, EventKind::Ack { .. }));
    deliver(&mut smsc, ussd(19, 0x0100, "")).await;
    harness.until_health_says("0 USSD sessions").await;
}

#[actix_rt::test]
async fn ussd_never_becomes_an_sms() {
    let harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    let sequence = smsc.request(Pdu::DeliverSm(Box::new(ussd(1, 0x0700, CODE)))).await;
    assert_eq!(smsc.answered(sequence).await, status::ESME_RX_P_APPN);
    harness.until_health_says("the transport has no `ussd`").await;
}

#[actix_rt::test]
async fn the_code_is_found_where_the_gateway_writes_it() {
    let mut harness = SmppHarness::start("ussd = { profile = \"none\", code_in = \"destination_addr\" }").await;
    let mut smsc = harness.bound().await;
    let message = Message { destination: PduAddress::new(0, 1, CODE), ..ussd(1, 0x0700, "15") };
    deliver(&mut smsc, message).await;
    assert_eq!(harness.next_message().await.to_addr, CODE);
}
