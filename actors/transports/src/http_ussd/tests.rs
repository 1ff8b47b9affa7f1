//! The transport between an aggregator, a router and a store; the test plays all three.

mod harness;
mod steps;

use std::time::Duration;

use vumi_kit::{
    component::Drain,
    message::{EventKind, SessionEvent, UserMessage},
    name::Name,
    router::Refused,
};

use harness::{CODE, PERSON, UssdHarness};

fn facts(message: &UserMessage) -> (Option<SessionEvent>, Option<&str>, &str) {
    (message.session_event, message.content.as_deref(), &message.to_addr)
}

#[actix_rt::test]
async fn a_session_goes_to_its_campaign_and_back_step_by_step() {
    let mut harness = UssdHarness::start("{}");
    let first = harness.call("s1", "");
    let begun = harness.next_message().await;
    assert_eq!(facts(&begun), (Some(SessionEvent::New), None, CODE));
    assert_eq!((begun.from_addr.as_str(), begun.session_id().as_deref()), (PERSON, Some("s1")));
    harness.reply(&begun, "Name?", SessionEvent::Resume).await;
    assert_eq!(first.await.unwrap(), "CON Name?");
    let second = harness.call("s1", "Thabo*Zulu");
    let resumed = harness.next_message().await;
    assert_eq!(facts(&resumed), (Some(SessionEvent::Resume), Some("Thabo*Zulu"), CODE));
    harness.reply(&resumed, "Bye", SessionEvent::Close).await;
    assert_eq!(second.await.unwrap(), "END Bye");
    for _ in 0..2 {
        assert!(matches!(harness.next_event().await.what, EventKind::Ack { .. }));
    }
    assert_eq!(harness.end("s1").await, "", "its end was ours: the campaign is not told again");
    harness.nothing_for_the_router().await;
}

#[actix_rt::test]
async fn what_is_dialled_behind_the_code_is_part_of_the_address() {
    let mut harness = UssdHarness::start("{}");
    let _waits = harness.call("s1", "1*2");
    assert_eq!(facts(&harness.next_message().await), (Some(SessionEvent::New), None, "*384*123*1*2#"));
}

#[actix_rt::test]
async fn a_call_that_is_made_twice_reaches_the_campaign_once_and_both_show_its_screen() {
    let mut harness = UssdHarness::start("{}");
    let (one, two) = (harness.call("s1", ""), harness.call("s1", ""));
    let begun = harness.next_message().await;
    harness.nothing_for_the_router().await;
    harness.reply(&begun, "Hello", SessionEvent::Resume).await;
    assert_eq!((one.await.unwrap().as_str(), two.await.unwrap().as_str()), ("CON Hello", "CON Hello"));
    assert_eq!(harness.call("s1", "").await.unwrap(), "CON Hello", "also after it was answered");
    harness.nothing_for_the_router().await;
}

#[actix_rt::test]
async fn a_call_that_comes_late_changes_nothing() {
    let mut harness = UssdHarness::start("{}");
    harness.turn("s1", "", "One").await;
    harness.turn("s1", "1", "Two").await;
    harness.turn("s1", "1*2", "Three").await;
    assert_eq!(harness.call("s1", "1").await.unwrap(), "CON Please send that again.");
    harness.nothing_for_the_router().await;
    assert_eq!(harness.turn("s1", "1*2*3", "Four").await, "CON Four");
}

#[actix_rt::test]
async fn a_campaign_that_is_late_loses_no_screen_and_no_session() {
    let mut harness = UssdHarness::start(r#"{"answer_within": "3s"}"#);
    let first = harness.call("s1", "");
    let begun = harness.next_message().await;
    assert_eq!(first.await.unwrap(), "CON This takes a moment. Nothing is lost: send 1 to go on.");
    harness.reply(&begun, "Name?", SessionEvent::Resume).await;
    assert!(matches!(harness.next_event().await.what, EventKind::Ack { .. }));
    assert_eq!(harness.call("s1", "1").await.unwrap(), "CON Name?");
    harness.nothing_for_the_router().await;
    assert_eq!(harness.turn("s1", "1*Thabo", "Hello Thabo").await, "CON Hello Thabo");
}

#[actix_rt::test]
async fn an_answer_to_a_session_that_went_on_is_refused() {
    let mut harness = UssdHarness::start(r#"{"answer_within": "3s"}"#);
    let first = harness.call("s1", "");
    let begun = harness.next_message().await;
    first.await.unwrap();
    harness.turn("s1", "1", "Two").await;
    harness.next_event().await;
    harness.reply(&begun, "One", SessionEvent::Resume).await;
    assert!(matches!(harness.next_event().await.what, EventKind::Nack { .. }));
    let unasked = UserMessage { in_reply_to: None, ..begun };
    harness.reply_unasked(&unasked).await;
    assert!(matches!(harness.next_event().await.what, EventKind::Nack { .. }));
}

#[actix_rt::test]
async fn a_person_who_hangs_up_or_dials_anew_is_told_from_one_who_goes_on() {
    let mut harness = UssdHarness::start("{}");
    harness.turn("s1", "", "One").await;
    assert_eq!(harness.end("s1").await, "");
    assert_eq!(harness.next_message().await.session_event, Some(SessionEvent::Close));
    assert_eq!(harness.end("s1").await, "");
    harness.nothing_for_the_router().await;
    harness.turn("s2", "", "One").await;
    let _waits = harness.call("s3", "");
    assert_eq!(facts(&harness.next_message().await), (Some(SessionEvent::New), None, CODE));
}

#[actix_rt::test]
async fn a_long_text_is_shown_in_pages() {
    let mut harness = UssdHarness::start("{}");
    let words: Vec<String> = (0..80).map(|number| format!("w{number}")).collect();
    let text = words.join(" ");
    let mut shown = vec![harness.turn("s1", "", &text).await];
    let mut inputs = "0".to_owned();
    while shown.last().unwrap().ends_with("0 More") {
        shown.push(harness.call("s1", &inputs).await.unwrap());
        inputs.push_str("*0");
    }
    harness.nothing_for_the_router().await;
    assert!(shown.iter().all(|page| page.len() <= "CON ".len() + 182), "{shown:?}");
    let read: Vec<String> = shown.iter().map(|page| page.replace("CON ", "").replace("\n0 More", "")).collect();
    assert_eq!(read.join(" "), text);
}

#[actix_rt::test]
async fn whom_no_campaign_answers_is_told_so() {
    let harness = UssdHarness::start("{}");
    harness.refuse(Some(Refused::NoRoute(CODE.to_owned())));
    assert_eq!(harness.call("s1", "").await.unwrap(), "END Service unavailable, please try again later.");
    let mut harness = UssdHarness::start("{}");
    harness.turn("s1", "", "One").await;
    harness.refuse(Some(Refused::Away(Name::parse("quiz").unwrap())));
    assert_eq!(harness.call("s1", "1").await.unwrap(), "CON Please send that again.");
    harness.refuse(None);
    assert_eq!(harness.turn("s1", "1*1", "Two").await, "CON Two");
}

#[actix_rt::test]
async fn more_calls_than_may_wait_are_refused_and_a_drain_waits_for_those_that_do() {
    let mut harness = UssdHarness::start(r#"{"max_calls": 1}"#);
    let first = harness.call("s1", "");
    let begun = harness.next_message().await;
    let other = harness.call_of("254700000002", "s2", "").await.unwrap();
    assert_eq!(other, "END Too many people are here now. Please try again later.");
    let drained = harness.component.drain.send(Drain);
    assert!(tokio::time::timeout(Duration::from_millis(100), drained).await.is_err(), "one call waits");
    harness.reply(&begun, "Hello", SessionEvent::Resume).await;
    assert_eq!(first.await.unwrap(), "CON Hello");
}
