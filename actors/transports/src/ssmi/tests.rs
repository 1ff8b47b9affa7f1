//! The transport against a server on a real socket.

mod harness;
mod link;
mod sms;
mod tls;

use std::time::Duration;

use serde_json::json;
use vumi_kit::{
    clock::Timestamp,
    component::Drain,
    health::State,
    message::{EventKind, SessionEvent, TransportType},
    name::Name,
    router::Refused,
    session::SessionRecord,
};
use vumi_ssmi_codec::{ClientCommand, Genfields, Phase, ServerCommand, UssdType};

use harness::{CODE, PERSON, SsmiHarness, StoreRequest};

const OTHER: &str = "27837654321";

fn nack_reason(what: EventKind) -> String {
    match what {
        EventKind::Nack { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[actix_rt::test]
async fn a_transport_that_was_replaced_writes_nothing_more_and_hangs_up() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    harness.token.replace();
    harness.reply(&begun, "too late", SessionEvent::Close).await;
    assert_eq!(server.next_command().await, None, "the connection ends, and no screen was written");
}

#[actix_rt::test]
async fn a_person_dials_answers_and_is_told_good_bye() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;

    // The closing `#` is missing, as it sometimes is.
    server.send_ussd(PERSON, UssdType::New, "*120*663*79").await;
    let begun = harness.next_message().await;
    assert_eq!((begun.from_addr.as_str(), begun.to_addr.as_str()), (PERSON, CODE));
    assert_eq!((begun.session_event, begun.content.as_deref()), (Some(SessionEvent::New), None));
    assert_eq!((begun.transport_type, begun.in_reply_to.as_deref()), (TransportType::Ussd, None));
    let StoreRequest::Save(saved) = harness.next_store_request().await else { panic!("the session was not saved") };
    assert_eq!((saved.person.as_str(), saved.address.as_str()), (PERSON, CODE));
    assert_eq!(saved.expires_at, harness.clock.now().plus(Duration::from_secs(300)));

    let reply = harness.reply(&begun, "1. Yes\n2. No", SessionEvent::Resume).await;
    assert_eq!(server.next_screen().await, (PERSON.to_owned(), UssdType::Response, "1. Yes\n2. No".to_owned()));
    let event = harness.next_event().await;
    assert_eq!(event.user_message_id, reply.message_id);
    assert_eq!(event.what, EventKind::Ack { sent_message_id: reply.message_id });

    server.send_ussd(PERSON, UssdType::Response, "1, please").await;
    let answer = harness.next_message().await;
    assert_eq!((answer.to_addr.as_str(), answer.content.as_deref()), (CODE, Some("1, please")));
    assert_eq!(answer.session_event, Some(SessionEvent::Resume));

    harness.reply(&answer, "Thanks", SessionEvent::Close).await;
    assert_eq!(server.next_screen().await, (PERSON.to_owned(), UssdType::End, "Thanks".to_owned()));
    assert!(matches!(harness.next_event().await.what, EventKind::Ack { .. }));
    assert_eq!(harness.next_store_request().await, StoreRequest::Close(PERSON.to_owned()));

    harness.reply(&answer, "And", SessionEvent::Resume).await;
    assert_eq!(nack_reason(harness.next_event().await.what), "the session is over");
    assert!(harness.wait_for(State::Up).await.detail.contains("0 sessions"));
}

#[actix_rt::test]
async fn a_second_new_replaces_the_session_and_its_campaign_is_told() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let first = harness.dial(&mut server, PERSON).await;
    server.send_ussd(PERSON, UssdType::New, CODE).await;
    assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::Close));
    let second = harness.next_message().await;
    assert_eq!(second.session_event, Some(SessionEvent::New));

    harness.reply(&first, "old", SessionEvent::Resume).await;
    assert!(nack_reason(harness.next_event().await.what).contains("replaced"));
    harness.reply(&second, "new", SessionEvent::Resume).await;
    assert_eq!(server.next_screen().await.2, "new");
}

#[actix_rt::test]
async fn the_networks_end_is_told_to_the_campaign_and_not_answered() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    for (who, kind) in [(PERSON, UssdType::End), (OTHER, UssdType::Timeout)] {
        harness.dial(&mut server, who).await;
        server.send_ussd(who, kind, "").await;
        let end = harness.next_message().await;
        assert_eq!((end.session_event, end.content), (Some(SessionEvent::Close), None));
        assert_eq!((end.from_addr.as_str(), end.to_addr.as_str()), (who, CODE));
    }
    // The next screen answers this message, so no screen was sent before.
    server.send_ussd(PERSON, UssdType::Response, "1").await;
    assert_eq!(server.next_screen().await.2, "This session has ended. Please dial again.");
}

#[actix_rt::test]
async fn sessions_that_the_network_hands_on_or_begins_are_served() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    server.send_ussd(PERSON, UssdType::Redirect, CODE).await;
    assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::New));
    server.send_ussd(PERSON, UssdType::NetworkInitiated, "yes").await;
    let message = harness.next_message().await;
    assert_eq!((message.session_event, message.content.as_deref()), (Some(SessionEvent::Resume), Some("yes")));
    server.send_ussd(OTHER, UssdType::Redirect, "hello").await;
    assert_eq!(server.next_screen().await.1, UssdType::End);
}

#[actix_rt::test]
async fn extended_messages_bring_their_genfields_raw_and_labelled() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    server
        .send(ServerCommand::ExtendedUssd {
            msisdn: PERSON.to_owned(),
            kind: UssdType::New,
            phase: Phase::Two,
            genfields: Genfields("655011234567890:1:mtn::".to_owned()),
            message: CODE.to_owned(),
        })
        .await;
    let message = harness.next_message().await;
    assert_eq!(message.provider.as_deref(), Some("mtn"));
    let genfields = json!({"raw": "655011234567890:1:mtn::", "imsi": "655011234567890", "subscriber_type": "1",
        "operator_id": "mtn"});
    let session_id = message.message_id.clone();
    let expected = json!({"phase": 2, "ussd_type": 1, "genfields": genfields, "session_id": session_id});
    assert_eq!(serde_json::Value::from(message.transport_metadata), expected);
}

#[actix_rt::test]
async fn a_reply_made_while_the_link_is_down_is_sent_when_it_is_up_again() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    let late = harness.dial(&mut server, OTHER).await;
    drop(server);
    let mut server = harness.connection().await;
    harness.wait_for(State::Degraded).await;
    let reply = harness.reply(&begun, "still here", SessionEvent::Close).await;
    // This attempt fails, too.
    drop(server);
    server = harness.logged_in().await;
    assert_eq!(server.next_screen().await, (PERSON.to_owned(), UssdType::End, "still here".to_owned()));
    assert_eq!(harness.next_event().await.user_message_id, reply.message_id);

    drop(server);
    let server = harness.connection().await;
    harness.wait_for(State::Degraded).await;
    let reply = harness.reply(&late, "too late", SessionEvent::Close).await;
    harness.clock.advance(Duration::from_secs(300));
    let event = harness.next_event().await;
    assert_eq!(event.user_message_id, reply.message_id);
    assert_eq!(nack_reason(event.what), "the session is over");
    drop(server);
}

#[actix_rt::test]
async fn a_session_is_over_its_lifetime_after_the_last_message() {
    let mut harness = SsmiHarness::start_with(json!({"lifetime": "2s"}), Vec::new()).await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    harness.clock.advance(Duration::from_millis(1900));
    harness.reply(&begun, "?", SessionEvent::Resume).await;
    server.next_screen().await;
    harness.clock.advance(Duration::from_millis(1900));
    server.send_ussd(PERSON, UssdType::Response, "1").await;
    assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::Resume));
    harness.clock.advance(Duration::from_secs(2));
    assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::Close));
    server.send_ussd(PERSON, UssdType::Response, "2").await;
    assert_eq!(server.next_screen().await.1, UssdType::End);
}

#[actix_rt::test]
async fn characters_beyond_the_wires_set_are_spelled_and_the_event_says_so() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    harness.reply(&begun, "“Zażółć”\r\ncrème", SessionEvent::Resume).await;
    assert_eq!(server.next_screen().await.2, "\"Zazólc\"\ncrème");
    let event = harness.next_event().await;
    assert!(matches!(event.what, EventKind::Ack { .. }));
    assert_eq!(event.transport_metadata.get("replaced_characters"), Some(&json!(["“", "ż", "ł", "ć", "”"])));
}

#[actix_rt::test]
async fn a_long_text_is_shown_page_by_page_and_its_end_closes_the_session() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    harness.reply(&begun, &"word ".repeat(60), SessionEvent::Close).await;
    let (_, kind, page) = server.next_screen().await;
    assert_eq!(kind, UssdType::Response);
    assert!(page.ends_with("word\n0 More") && page.len() <= 182, "{page}");
    assert!(matches!(harness.next_event().await.what, EventKind::Ack { .. }));
    server.send_ussd(PERSON, UssdType::Response, "0").await;
    let (_, kind, page) = server.next_screen().await;
    assert_eq!(kind, UssdType::End);
    assert!(page.ends_with("word "), "{page}");
    assert!(harness.wait_for(State::Up).await.detail.contains(", 0 sessions; "));
}

#[actix_rt::test]
async fn whoever_answers_a_page_of_a_menu_is_heard_by_the_campaign() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    harness.reply(&begun, &"word ".repeat(60), SessionEvent::Resume).await;
    server.next_screen().await;
    server.send_ussd(PERSON, UssdType::Response, "2").await;
    let answer = harness.next_message().await;
    assert_eq!(answer.content.as_deref(), Some("2"));

    harness.next_event().await;
    harness.reply(&answer, &"word ".repeat(1000), SessionEvent::Resume).await;
    assert!(nack_reason(harness.next_event().await.what).contains("more than 9 USSD screens"));
}

#[actix_rt::test]
async fn a_person_whose_message_the_router_refuses_is_told() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    *harness.refusal.lock().unwrap() = Some(Refused::NoRoute(CODE.to_owned()));
    server.send_ussd(PERSON, UssdType::New, CODE).await;
    let text = "Service unavailable, please try again later.".to_owned();
    assert_eq!(server.next_screen().await, (PERSON.to_owned(), UssdType::End, text));
    assert!(harness.wait_for(State::Up).await.detail.contains("0 sessions"));
}

#[actix_rt::test]
async fn one_person_too_many_is_asked_to_come_later() {
    let mut harness = SsmiHarness::start_with(json!({"max_sessions": 1}), Vec::new()).await;
    let mut server = harness.logged_in().await;
    harness.dial(&mut server, PERSON).await;
    server.send_ussd(OTHER, UssdType::New, CODE).await;
    let text = "Too many people use this service now, please try again later.".to_owned();
    assert_eq!(server.next_screen().await, (OTHER.to_owned(), UssdType::End, text));
}

#[actix_rt::test]
async fn a_flood_is_held_back_and_nobody_is_lost() {
    const PEOPLE: usize = 2_000;
    // The mailbox of the fake router holds 16 messages.
    let mut harness = SsmiHarness::start_with(json!({"window": 50}), Vec::new()).await;
    let mut server = harness.logged_in().await;
    let frames: String = (0..PEOPLE).map(|n| format!("SSMI,110,2783100{n:04},1,2,{CODE}\r")).collect();
    server.send_raw(frames.as_bytes()).await;
    for _ in 0..PEOPLE {
        let begun = harness.next_message().await;
        harness.reply(&begun, "bye", SessionEvent::Close).await;
    }
    let mut seen = std::collections::HashSet::new();
    for _ in 0..PEOPLE {
        seen.insert(server.next_screen().await.0);
        assert!(matches!(harness.next_event().await.what, EventKind::Ack { .. }));
    }
    assert_eq!(seen.len(), PEOPLE);
}

#[actix_rt::test]
async fn open_sessions_survive_a_restart() {
    let open = SessionRecord {
        owner: Name::parse("truteq").unwrap(),
        person: PERSON.to_owned(),
        address: CODE.to_owned(),
        last_message_id: "0".repeat(32),
        state: "null".to_owned(),
        expires_at: Timestamp::from_seconds(1_000_200),
    };
    let mut harness = SsmiHarness::start_with(json!({}), vec![open]).await;
    let mut server = harness.logged_in().await;
    server.send_ussd(PERSON, UssdType::Response, "1").await;
    let message = harness.next_message().await;
    assert_eq!((message.to_addr.as_str(), message.content.as_deref()), (CODE, Some("1")));
    harness.reply(&message, "?", SessionEvent::Resume).await;
    assert_eq!(server.next_screen().await.2, "?");
}

#[actix_rt::test]
async fn a_drain_answers_who_waits_and_then_logs_out() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let begun = harness.dial(&mut server, PERSON).await;
    let drained = actix_rt::spawn(harness.component.drain.send(Drain));
    // Taken by the same mailbox, so behind the drain.
    harness.wait_for(State::Up).await;
    server.send_ussd(OTHER, UssdType::New, CODE).await;
    assert_eq!(server.next_screen().await.0, OTHER);
    harness.reply(&begun, "bye", SessionEvent::Close).await;
    assert_eq!(server.next_screen().await.2, "bye");
    assert_eq!(server.next_command().await, Some(ClientCommand::Logout));
    assert_eq!(server.next_command().await, None);
    drained.await.unwrap().unwrap();
    assert_eq!(harness.health().await.state, State::Stopping);
}

#[actix_rt::test]
async fn whoever_answers_while_the_campaign_is_away_is_asked_again_and_keeps_the_session() {
    let mut harness = SsmiHarness::start().await;
    let mut server = harness.logged_in().await;
    let waiting = harness.dial(&mut server, OTHER).await;
    assert!(matches!(harness.next_store_request().await, StoreRequest::Save(_)));
    let begun = harness.dial(&mut server, PERSON).await;
    assert!(matches!(harness.next_store_request().await, StoreRequest::Save(_)));
    harness.reply(&begun, "?", SessionEvent::Resume).await;
    server.next_screen().await;
    *harness.refusal.lock().unwrap() = Some(Refused::Away(Name::parse("quiz").unwrap()));
    server.send_ussd(PERSON, UssdType::Response, "1").await;
    let text = "One moment, please. Then send your answer again.".to_owned();
    assert_eq!(server.next_screen().await, (PERSON.to_owned(), UssdType::Response, text));
    let drained = actix_rt::spawn(harness.component.drain.send(Drain));
    harness.reply(&waiting, "bye", SessionEvent::Close).await;
    assert_eq!(server.next_screen().await.2, "bye");
    assert_eq!(server.next_command().await, Some(ClientCommand::Logout));
    drained.await.unwrap().unwrap();
    assert_eq!(
        harness.next_store_request().await,
        StoreRequest::Close(OTHER.to_owned()),
        "PERSON's session is not closed"
    );
    assert!(harness.health().await.detail.contains("1 sessions"));
}

#[test]
fn the_example_parses_and_passes_and_nonsense_is_named() {
    use vumi_kit::kind::Kind;
    let example: super::Settings = toml::from_str(super::Ssmi::EXAMPLE).unwrap();
    assert_eq!(super::Ssmi::check(&example), []);
    let nonsense = toml::from_str(
        r#"username = "a,b"
        password = "p"
        port = 0
        link_check = "0s"
        reconnect = { first = "1s", most = "1h" }
        texts = { more = "", gone = "“" }"#,
    )
    .unwrap();
    let keys: Vec<_> = super::Ssmi::check(&nonsense).into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["port", "username", "link_check", "reconnect", "texts.gone", "texts.more"]);
}
