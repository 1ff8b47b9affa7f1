//! The transport against a server on a real socket.

mod stage;

use std::time::Duration;

use serde_json::json;
use vumi_kit::{
    clock::Timestamp,
    component::Drain,
    health::State,
    ledger::Then,
    message::{SessionEvent, TransportType, What},
    name::Name,
    router::{Refused, Submit},
    session::SessionRecord,
    sms::Submission,
    sms::TransportStatus,
};
use vumi_ssmi_codec::{ClientCommand, Coding, Genfields, Phase, Pid, ReturnCode, ServerCommand, UssdType};

use crate::tests::exam::submission;
use stage::{Asked, CODE, PERSON, Stage};

const OTHER: &str = "27837654321";

fn nack_reason(what: What) -> String {
    match what {
        What::Nack { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[actix_rt::test]
async fn a_person_dials_answers_and_is_told_good_bye() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;

    // The closing `#` is missing, as it sometimes is.
    line.ussd(PERSON, UssdType::New, "*120*663*79").await;
    let begun = stage.message().await;
    assert_eq!((begun.from_addr.as_str(), begun.to_addr.as_str()), (PERSON, CODE));
    assert_eq!((begun.session_event, begun.content.as_deref()), (Some(SessionEvent::New), None));
    assert_eq!((begun.transport_type, begun.in_reply_to.as_deref()), (TransportType::Ussd, None));
    let Asked::Save(saved) = stage.asked().await else { panic!("the session was not saved") };
    assert_eq!((saved.person.as_str(), saved.address.as_str()), (PERSON, CODE));
    assert_eq!(saved.expires_at, stage.clock.now().plus(Duration::from_secs(300)));

    let reply = stage.reply(&begun, "1. Yes\n2. No", SessionEvent::Resume).await;
    assert_eq!(line.screen().await, (PERSON.to_owned(), UssdType::Response, "1. Yes\n2. No".to_owned()));
    let event = stage.event().await;
    assert_eq!(event.user_message_id, reply.message_id);
    assert_eq!(event.what, What::Ack { sent_message_id: reply.message_id });

    line.ussd(PERSON, UssdType::Response, "1, please").await;
    let answer = stage.message().await;
    assert_eq!((answer.to_addr.as_str(), answer.content.as_deref()), (CODE, Some("1, please")));
    assert_eq!(answer.session_event, Some(SessionEvent::Resume));

    stage.reply(&answer, "Thanks", SessionEvent::Close).await;
    assert_eq!(line.screen().await, (PERSON.to_owned(), UssdType::End, "Thanks".to_owned()));
    assert!(matches!(stage.event().await.what, What::Ack { .. }));
    assert_eq!(stage.asked().await, Asked::Close(PERSON.to_owned()));

    stage.reply(&answer, "And", SessionEvent::Resume).await;
    assert_eq!(nack_reason(stage.event().await.what), "the session is over");
    assert!(stage.is(State::Up).await.detail.contains("0 sessions"));
}

#[actix_rt::test]
async fn a_refused_login_is_shown_and_tried_again() {
    let mut stage = Stage::with(json!({"reconnect": {"first": "300ms", "most": "300ms"}}), Vec::new()).await;
    let mut line = stage.connection().await;
    line.hear().await.unwrap();
    line.say(ServerCommand::Nack { kind: 1 }).await;
    assert_eq!(line.hear().await, None);
    let health = stage.is(State::Degraded).await;
    assert!(health.detail.contains("refused"), "{health:?}");
    assert!(!health.detail.contains("secret"));

    let mut line = stage.connection().await;
    line.hear().await.unwrap();
    line.say(ServerCommand::FreeText { text: "welcome".to_owned() }).await;
    assert_eq!(line.hear().await, None);

    let _line = stage.logged_in().await;
    assert!(stage.is(State::Up).await.detail.starts_with("connected to 127.0.0.1:"));
}

#[actix_rt::test]
async fn malformed_frames_are_counted_and_skipped() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    line.raw(b"unreadable\rSSMI,110,2783\rSSMI,999,x\rSSMI,110,nobody,1,0,*1#\r\xff\r").await;
    stage.dial(&mut line, PERSON).await;
    assert!(stage.health().await.detail.contains("malformed frames skipped: 5"));
}

#[actix_rt::test]
async fn a_second_new_replaces_the_session_and_its_campaign_is_told() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let first = stage.dial(&mut line, PERSON).await;
    line.ussd(PERSON, UssdType::New, CODE).await;
    assert_eq!(stage.message().await.session_event, Some(SessionEvent::Close));
    let second = stage.message().await;
    assert_eq!(second.session_event, Some(SessionEvent::New));

    stage.reply(&first, "old", SessionEvent::Resume).await;
    assert!(nack_reason(stage.event().await.what).contains("replaced"));
    stage.reply(&second, "new", SessionEvent::Resume).await;
    assert_eq!(line.screen().await.2, "new");
}

#[actix_rt::test]
async fn the_networks_end_is_told_to_the_campaign_and_not_answered() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    for (who, kind) in [(PERSON, UssdType::End), (OTHER, UssdType::Timeout)] {
        stage.dial(&mut line, who).await;
        line.ussd(who, kind, "").await;
        let end = stage.message().await;
        assert_eq!((end.session_event, end.content), (Some(SessionEvent::Close), None));
        assert_eq!((end.from_addr.as_str(), end.to_addr.as_str()), (who, CODE));
    }
    // The next that is said is the answer to this, so nothing was said before.
    line.ussd(PERSON, UssdType::Response, "1").await;
    assert_eq!(line.screen().await.2, "This session has ended. Please dial again.");
}

#[actix_rt::test]
async fn sessions_that_the_network_hands_on_or_begins_are_served() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    line.ussd(PERSON, UssdType::Redirect, CODE).await;
    assert_eq!(stage.message().await.session_event, Some(SessionEvent::New));
    line.ussd(PERSON, UssdType::NetworkInitiated, "yes").await;
    let message = stage.message().await;
    assert_eq!((message.session_event, message.content.as_deref()), (Some(SessionEvent::Resume), Some("yes")));
    line.ussd(OTHER, UssdType::Redirect, "hello").await;
    assert_eq!(line.screen().await.1, UssdType::End);
}

#[actix_rt::test]
async fn extended_messages_bring_their_genfields_raw_and_labelled() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    line.say(ServerCommand::ExtendedUssd {
        msisdn: PERSON.to_owned(),
        kind: UssdType::New,
        phase: Phase::Two,
        genfields: Genfields("655011234567890:1:mtn::".to_owned()),
        message: CODE.to_owned(),
    })
    .await;
    let message = stage.message().await;
    assert_eq!(message.provider.as_deref(), Some("mtn"));
    let genfields = json!({"raw": "655011234567890:1:mtn::", "imsi": "655011234567890", "subscriber_type": "1",
        "operator_id": "mtn"});
    let expected = json!({"phase": 2, "ussd_type": 1, "genfields": genfields});
    assert_eq!(serde_json::Value::from(message.transport_metadata), expected);
}

#[actix_rt::test]
async fn a_dead_link_is_noticed_and_made_again() {
    let mut stage = Stage::with(json!({"link_check": "200ms"}), Vec::new()).await;
    let mut line = stage.logged_in().await;
    for _ in 0..2 {
        assert_eq!(line.hear().await, Some(ClientCommand::LinkCheck));
        line.raw(b"SSMI,101,2\r").await;
    }
    while line.hear().await.is_some() {}
    let _line = stage.logged_in().await;
    stage.is(State::Up).await;
}

#[actix_rt::test]
async fn after_a_remote_logout_the_router_connects_again() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    line.say(ServerCommand::RemoteLogout { ip: "10.0.0.1".to_owned() }).await;
    assert_eq!(line.hear().await, None);
    stage.logged_in().await;
}

#[actix_rt::test]
async fn a_reply_made_while_the_link_is_down_is_sent_when_it_is_up_again() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let begun = stage.dial(&mut line, PERSON).await;
    let late = stage.dial(&mut line, OTHER).await;
    drop(line);
    let mut line = stage.connection().await;
    stage.is(State::Degraded).await;
    let reply = stage.reply(&begun, "still here", SessionEvent::Close).await;
    // This attempt fails, too.
    drop(line);
    line = stage.logged_in().await;
    assert_eq!(line.screen().await, (PERSON.to_owned(), UssdType::End, "still here".to_owned()));
    assert_eq!(stage.event().await.user_message_id, reply.message_id);

    drop(line);
    let line = stage.connection().await;
    stage.is(State::Degraded).await;
    let reply = stage.reply(&late, "too late", SessionEvent::Close).await;
    stage.clock.advance(Duration::from_secs(300));
    let event = stage.event().await;
    assert_eq!(event.user_message_id, reply.message_id);
    assert_eq!(nack_reason(event.what), "the session is over");
    drop(line);
}

#[actix_rt::test]
async fn a_session_is_over_its_lifetime_after_the_last_message() {
    let mut stage = Stage::with(json!({"lifetime": "2s"}), Vec::new()).await;
    let mut line = stage.logged_in().await;
    let begun = stage.dial(&mut line, PERSON).await;
    stage.clock.advance(Duration::from_millis(1900));
    stage.reply(&begun, "?", SessionEvent::Resume).await;
    line.screen().await;
    stage.clock.advance(Duration::from_millis(1900));
    line.ussd(PERSON, UssdType::Response, "1").await;
    assert_eq!(stage.message().await.session_event, Some(SessionEvent::Resume));
    stage.clock.advance(Duration::from_secs(2));
    assert_eq!(stage.message().await.session_event, Some(SessionEvent::Close));
    line.ussd(PERSON, UssdType::Response, "2").await;
    assert_eq!(line.screen().await.1, UssdType::End);
}

#[actix_rt::test]
async fn characters_beyond_the_wires_set_are_spelled_and_the_event_says_so() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let begun = stage.dial(&mut line, PERSON).await;
    stage.reply(&begun, "“Zażółć”\r\ncrème", SessionEvent::Resume).await;
    assert_eq!(line.screen().await.2, "\"Zazólc\"\ncrème");
    let event = stage.event().await;
    assert!(matches!(event.what, What::Ack { .. }));
    assert_eq!(event.transport_metadata.get("replaced_characters"), Some(&json!(["“", "ż", "ł", "ć", "”"])));
}

#[actix_rt::test]
async fn a_long_text_is_shown_page_by_page_and_its_end_closes_the_session() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let begun = stage.dial(&mut line, PERSON).await;
    stage.reply(&begun, &"word ".repeat(60), SessionEvent::Close).await;
    let (_, kind, page) = line.screen().await;
    assert_eq!(kind, UssdType::Response);
    assert!(page.ends_with("word\n0 More") && page.len() <= 182, "{page}");
    assert!(matches!(stage.event().await.what, What::Ack { .. }));
    line.ussd(PERSON, UssdType::Response, "0").await;
    let (_, kind, page) = line.screen().await;
    assert_eq!(kind, UssdType::End);
    assert!(page.ends_with("word "), "{page}");
    assert!(stage.is(State::Up).await.detail.contains(", 0 sessions; "));
}

#[actix_rt::test]
async fn whoever_answers_a_page_of_a_menu_is_heard_by_the_campaign() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let begun = stage.dial(&mut line, PERSON).await;
    stage.reply(&begun, &"word ".repeat(60), SessionEvent::Resume).await;
    line.screen().await;
    line.ussd(PERSON, UssdType::Response, "2").await;
    let answer = stage.message().await;
    assert_eq!(answer.content.as_deref(), Some("2"));

    stage.event().await;
    stage.reply(&answer, &"word ".repeat(1000), SessionEvent::Resume).await;
    assert!(nack_reason(stage.event().await.what).contains("more than 9 USSD screens"));
}

#[actix_rt::test]
async fn a_person_whose_message_the_router_refuses_is_told() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    *stage.refuses.lock().unwrap() = Some(Refused::NoRoute(CODE.to_owned()));
    line.ussd(PERSON, UssdType::New, CODE).await;
    let text = "Service unavailable, please try again later.".to_owned();
    assert_eq!(line.screen().await, (PERSON.to_owned(), UssdType::End, text));
    assert!(stage.is(State::Up).await.detail.contains("0 sessions"));
}

#[actix_rt::test]
async fn one_person_too_many_is_asked_to_come_later() {
    let mut stage = Stage::with(json!({"max_sessions": 1}), Vec::new()).await;
    let mut line = stage.logged_in().await;
    stage.dial(&mut line, PERSON).await;
    line.ussd(OTHER, UssdType::New, CODE).await;
    let text = "Too many people use this service now, please try again later.".to_owned();
    assert_eq!(line.screen().await, (OTHER.to_owned(), UssdType::End, text));
}

#[actix_rt::test]
async fn a_flood_is_held_back_and_nobody_is_lost() {
    const PEOPLE: usize = 2_000;
    // The router of this stage has room for 16 messages.
    let mut stage = Stage::with(json!({"window": 50}), Vec::new()).await;
    let mut line = stage.logged_in().await;
    let frames: String = (0..PEOPLE).map(|n| format!("SSMI,110,2783100{n:04},1,2,{CODE}\r")).collect();
    line.raw(frames.as_bytes()).await;
    for _ in 0..PEOPLE {
        let begun = stage.message().await;
        stage.reply(&begun, "bye", SessionEvent::Close).await;
    }
    let mut seen = std::collections::HashSet::new();
    for _ in 0..PEOPLE {
        seen.insert(line.screen().await.0);
        assert!(matches!(stage.event().await.what, What::Ack { .. }));
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
    let mut stage = Stage::with(json!({}), vec![open]).await;
    let mut line = stage.logged_in().await;
    line.ussd(PERSON, UssdType::Response, "1").await;
    let message = stage.message().await;
    assert_eq!((message.to_addr.as_str(), message.content.as_deref()), (CODE, Some("1")));
    stage.reply(&message, "?", SessionEvent::Resume).await;
    assert_eq!(line.screen().await.2, "?");
}

#[actix_rt::test]
async fn an_sms_is_numbered_and_its_delivery_report_kept() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    stage.is(State::Up).await;
    stage.room.endpoints.submit.as_ref().unwrap().send(Submit(vec![submission("“hi”, you")])).await.unwrap();
    let (msisdn, message) = ("27123456789".to_owned(), "\"hi\", you".to_owned());
    assert_eq!(line.hear().await, Some(ClientCommand::SendSms { validity: 0, msisdn: msisdn.clone(), message }));
    line.say(ServerCommand::Seq { msisdn: msisdn.clone(), sequence: "77".to_owned() }).await;
    let Asked::Outcomes(outcomes) = stage.asked().await else { panic!("no outcome was recorded") };
    let done = Then::Done { status: TransportStatus::AtGateway, provider_id: Some("77".to_owned()) };
    assert_eq!((outcomes[0].id, &outcomes[0].then), (42, &done));
    assert!(outcomes[0].said.contains("replaced: “”"), "{}", outcomes[0].said);

    line.say(ServerCommand::DeliveryReport { msisdn, sequence: "77".to_owned(), code: ReturnCode::Invalid }).await;
    let Asked::Receipts(receipts) = stage.asked().await else { panic!("no receipt was recorded") };
    assert_eq!(receipts[0].provider_id.as_deref(), Some("77"));
    assert_eq!(receipts[0].status, TransportStatus::RoutingError);
}

#[actix_rt::test]
async fn an_sms_whose_connection_is_lost_may_have_arrived() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    stage.is(State::Up).await;
    stage.room.endpoints.submit.as_ref().unwrap().send(Submit(vec![submission("hi")])).await.unwrap();
    line.hear().await.unwrap();
    drop(line);
    let Asked::Outcomes(outcomes) = stage.asked().await else { panic!("no outcome was recorded") };
    assert!(matches!(outcomes[0].then, Then::Again { unsure: true, .. }));
}

#[actix_rt::test]
async fn a_number_that_comes_late_is_found_by_the_next_attempt_and_nothing_is_sent_twice() {
    let mut stage = Stage::with(json!({"outbox": {"call_limit": "50ms"}}), Vec::new()).await;
    let mut line = stage.logged_in().await;
    stage.is(State::Up).await;
    let submit = stage.room.endpoints.submit.clone().unwrap();
    submit.send(Submit(vec![submission("hi")])).await.unwrap();
    line.hear().await.unwrap();
    let Asked::Outcomes(outcomes) = stage.asked().await else { panic!("no outcome was recorded") };
    assert!(matches!(outcomes[0].then, Then::Again { unsure: true, .. }));
    let health = stage.is(State::Degraded).await;
    assert!(health.detail.contains("SMS: no answer since"), "{health:?}");

    line.say(ServerCommand::Seq { msisdn: "27123456789".to_owned(), sequence: "77".to_owned() }).await;
    // Heard after the number.
    stage.dial(&mut line, PERSON).await;
    assert!(matches!(stage.asked().await, Asked::Save(_)));
    submit.send(Submit(vec![Submission { unsure: 1, ..submission("hi") }])).await.unwrap();
    let Asked::Outcomes(outcomes) = stage.asked().await else { panic!("no outcome was recorded") };
    let done = Then::Done { status: TransportStatus::AtGateway, provider_id: Some("77".to_owned()) };
    assert_eq!(outcomes[0].then, done);
    stage.is(State::Up).await;
}

#[actix_rt::test]
async fn without_their_account_sms_from_people_wait_for_it_and_it_may_go_again() {
    let mut stage = Stage::with(json!({"queue": 2}), Vec::new()).await;
    *stage.has_account.lock().unwrap() = false;
    let mut line = stage.logged_in().await;
    let mo = |sequence: u32| ServerCommand::Mo {
        msisdn: PERSON.to_owned(),
        sequence: sequence.to_string(),
        message: "hello".to_owned(),
    };
    for sequence in 1..=3 {
        line.say(mo(sequence)).await;
    }
    // Heard after the SMS: people's sessions go on.
    stage.dial(&mut line, PERSON).await;
    assert!(matches!(stage.asked().await, Asked::Save(_)));
    let health = stage.is(State::Degraded).await;
    assert!(health.detail.starts_with("no account `someone` since"), "{health:?}");
    assert!(health.detail.contains("2 SMS and delivery reports wait"), "{health:?}");
    assert!(health.detail.contains("SMS from people and delivery reports lost: 1"), "{health:?}");

    *stage.has_account.lock().unwrap() = true;
    let Asked::Received(received) = stage.asked().await else { panic!("the SMS were not kept") };
    assert_eq!(received.len(), 2);
    stage.is(State::Up).await;

    *stage.has_account.lock().unwrap() = false;
    line.say(mo(4)).await;
    assert!(stage.is(State::Degraded).await.detail.contains("1 SMS and delivery reports wait"));
}

#[actix_rt::test]
async fn sms_from_people_are_kept() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let (msisdn, sequence) = (PERSON.to_owned(), "5".to_owned());
    let message = "hello, there".to_owned();
    line.say(ServerCommand::Mo { msisdn: msisdn.clone(), sequence: sequence.clone(), message }).await;
    let Asked::Received(received) = stage.asked().await else { panic!("the SMS was not kept") };
    assert_eq!((received[0].to.as_str(), received[0].message.as_str()), ("38080", "hello, there"));
    assert_eq!(received[0].provider_id.as_deref(), Some("5"));

    line.say(ServerCommand::PremiumBinaryMo {
        msisdn,
        sequence,
        pid: Pid::Standard,
        coding: Coding::EightBit,
        destination: "31999".to_owned(),
        hex: "6869".to_owned(),
    })
    .await;
    let Asked::Received(received) = stage.asked().await else { panic!("the SMS was not kept") };
    assert_eq!((received[0].to.as_str(), received[0].message.as_str()), ("31999", "hi"));
}

#[actix_rt::test]
async fn sms_without_an_account_to_keep_them_are_counted_with_a_hint() {
    let mut stage = Stage::with(json!({"account": null}), Vec::new()).await;
    let mut line = stage.logged_in().await;
    let (msisdn, sequence) = (PERSON.to_owned(), "5".to_owned());
    line.say(ServerCommand::Mo { msisdn, sequence, message: "hello".to_owned() }).await;
    stage.dial(&mut line, PERSON).await;
    assert!(stage.health().await.detail.contains("SMS from people not kept: 1"));
}

#[actix_rt::test]
async fn a_drain_answers_who_waits_and_then_logs_out() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let begun = stage.dial(&mut line, PERSON).await;
    let drained = actix_rt::spawn(stage.room.drain.send(Drain));
    // Taken by the same mailbox, so behind the drain.
    stage.is(State::Up).await;
    line.ussd(OTHER, UssdType::New, CODE).await;
    assert_eq!(line.screen().await.0, OTHER);
    stage.reply(&begun, "bye", SessionEvent::Close).await;
    assert_eq!(line.screen().await.2, "bye");
    assert_eq!(line.hear().await, Some(ClientCommand::Logout));
    assert_eq!(line.hear().await, None);
    drained.await.unwrap().unwrap();
    assert_eq!(stage.health().await.state, State::Stopping);
}

#[actix_rt::test]
async fn whoever_answers_while_the_campaign_is_away_is_asked_again_and_keeps_the_session() {
    let mut stage = Stage::set().await;
    let mut line = stage.logged_in().await;
    let waiting = stage.dial(&mut line, OTHER).await;
    assert!(matches!(stage.asked().await, Asked::Save(_)));
    let begun = stage.dial(&mut line, PERSON).await;
    assert!(matches!(stage.asked().await, Asked::Save(_)));
    stage.reply(&begun, "?", SessionEvent::Resume).await;
    line.screen().await;
    *stage.refuses.lock().unwrap() = Some(Refused::Away(Name::parse("quiz").unwrap()));
    line.ussd(PERSON, UssdType::Response, "1").await;
    let text = "One moment, please. Then send your answer again.".to_owned();
    assert_eq!(line.screen().await, (PERSON.to_owned(), UssdType::Response, text));
    let drained = actix_rt::spawn(stage.room.drain.send(Drain));
    stage.reply(&waiting, "bye", SessionEvent::Close).await;
    assert_eq!(line.screen().await.2, "bye");
    assert_eq!(line.hear().await, Some(ClientCommand::Logout));
    drained.await.unwrap().unwrap();
    assert_eq!(stage.asked().await, Asked::Close(OTHER.to_owned()), "PERSON's session is not closed");
    assert!(stage.health().await.detail.contains("1 sessions"));
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
