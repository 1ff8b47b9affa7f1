//! USSD sessions and answers.

use std::time::Duration;

use vumi_kit::{
    name::Name,
    session::{
        After, Answer, CloseSession, CountAnswers, FindAnswers, FindSession, OpenSessions, SaveSession, SessionRecord,
    },
};

use super::StoreHarness;

fn quiz() -> Name {
    Name::parse("quiz").unwrap()
}

fn session(harness: &StoreHarness, person: &str) -> SessionRecord {
    SessionRecord {
        owner: quiz(),
        person: person.to_owned(),
        address: "*120#".to_owned(),
        last_message_id: "m1".to_owned(),
        state: "{\"at\":1}".to_owned(),
        expires_at: harness.now().plus(Duration::from_secs(60)),
    }
}

async fn save(harness: &StoreHarness, session: SessionRecord) {
    assert!(
        harness.sessions(SaveSession { session, after: After::Anything, answers: Vec::new(), sms: Vec::new() }).await
    );
}

/// Saves the answer "red" with a session, as another message of the person `p` left it.
async fn save_after(harness: &StoreHarness, last_message_id: &str, after: After) -> bool {
    let session = SessionRecord { last_message_id: last_message_id.to_owned(), ..session(harness, "p") };
    harness.sessions(SaveSession { session, after, answers: vec![answer("p", "red")], sms: Vec::new() }).await
}

/// Closes the session of the person `p` after a message, with the answer "blue".
async fn close_after(harness: &StoreHarness, after: &str) -> bool {
    let (person, answers) = ("p".to_owned(), vec![answer("p", "blue")]);
    harness
        .sessions(CloseSession { owner: quiz(), person, after: Some(after.to_owned()), answers, sms: Vec::new() })
        .await
}

fn message(id: &str) -> After {
    After::Message(id.to_owned())
}

async fn find(harness: &StoreHarness, person: &str) -> Option<SessionRecord> {
    harness.sessions(FindSession { owner: quiz(), person: person.to_owned() }).await
}

fn answer(person: &str, answer: &str) -> Answer {
    let (person, question) = (person.to_owned(), "colour".to_owned());
    Answer { campaign: quiz(), person, question, answer: answer.to_owned() }
}

async fn says(harness: &StoreHarness, person: &str, said: &str) {
    let close = CloseSession {
        owner: quiz(),
        person: person.to_owned(),
        after: None,
        answers: vec![answer(person, said)],
        sms: Vec::new(),
    };
    assert!(harness.sessions(close).await);
}

async fn counts(harness: &StoreHarness) -> Vec<(String, u64)> {
    harness.sessions(CountAnswers { campaign: quiz(), question: "colour".to_owned() }).await
}

#[actix_rt::test]
async fn a_session_is_found_as_it_was_saved_last_until_it_is_closed() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(find(&harness, "p").await, None);
    save(&harness, session(&harness, "p")).await;
    let changed = SessionRecord { state: "2".to_owned(), last_message_id: "m2".to_owned(), ..session(&harness, "p") };
    save(&harness, changed.clone()).await;
    assert_eq!(find(&harness, "p").await, Some(changed));
    let close =
        CloseSession { owner: quiz(), person: "p".to_owned(), after: None, answers: Vec::new(), sms: Vec::new() };
    assert!(harness.sessions(close).await);
    assert_eq!(find(&harness, "p").await, None);
}

#[actix_rt::test]
async fn each_owner_has_its_own_session_of_a_person() {
    let Some(harness) = StoreHarness::new() else { return };
    save(&harness, session(&harness, "p")).await;
    let owner = Name::parse("echo").unwrap();
    assert_eq!(harness.sessions(FindSession { owner, person: "p".to_owned() }).await, None);
}

#[actix_rt::test]
async fn after_its_last_moment_a_session_is_forgotten() {
    let Some(harness) = StoreHarness::new() else { return };
    save(&harness, session(&harness, "p")).await;
    harness.advance(60);
    assert!(find(&harness, "p").await.is_some());
    harness.advance(1);
    assert_eq!(find(&harness, "p").await, None);
    assert_eq!(harness.sessions(OpenSessions { owner: quiz() }).await, []);
}

#[actix_rt::test]
async fn a_connector_reads_its_open_sessions_after_a_restart() {
    let Some(harness) = StoreHarness::new() else { return };
    for person in ["b", "a"] {
        save(&harness, session(&harness, person)).await;
    }
    let harness = harness.restarted().await;
    let open = harness.sessions(OpenSessions { owner: quiz() }).await;
    assert_eq!(open, [session(&harness, "a"), session(&harness, "b")]);
}

#[actix_rt::test]
async fn a_later_answer_replaces_the_earlier_and_the_counts_follow() {
    let Some(harness) = StoreHarness::new() else { return };
    for (person, said) in [("p1", "red"), ("p2", "blue"), ("p3", "red"), ("p3", "red")] {
        says(&harness, person, said).await;
    }
    assert_eq!(counts(&harness).await, [("red".to_owned(), 2), ("blue".to_owned(), 1)]);
    says(&harness, "p1", "blue").await;
    says(&harness, "p3", "blue").await;
    assert_eq!(counts(&harness).await, [("blue".to_owned(), 3)]);
    let asked = FindAnswers { campaign: quiz(), person: "p1".to_owned() };
    assert_eq!(harness.sessions(asked).await, [("colour".to_owned(), "blue".to_owned())]);
}

#[actix_rt::test]
async fn answers_are_kept_with_the_session_they_came_in() {
    let Some(harness) = StoreHarness::new() else { return };
    let answers = vec![answer("p", "red")];
    harness
        .sessions(SaveSession { session: session(&harness, "p"), after: After::Nothing, answers, sms: Vec::new() })
        .await;
    assert!(find(&harness, "p").await.is_some());
    assert_eq!(counts(&harness).await, [("red".to_owned(), 1)]);
}

#[actix_rt::test]
async fn a_session_is_begun_only_where_there_is_none_that_lives() {
    let Some(harness) = StoreHarness::new() else { return };
    assert!(save_after(&harness, "m1", After::Nothing).await);
    assert!(!save_after(&harness, "m2", After::Nothing).await, "another process has begun it");
    assert_eq!(find(&harness, "p").await.unwrap().last_message_id, "m1");
    harness.advance(61);
    assert!(save_after(&harness, "m3", After::Nothing).await, "the other has expired");
    assert_eq!(find(&harness, "p").await.unwrap().last_message_id, "m3");
}

#[actix_rt::test]
async fn a_session_is_taken_further_only_from_where_it_was_found() {
    let Some(harness) = StoreHarness::new() else { return };
    assert!(!save_after(&harness, "m2", message("m1")).await, "there is none");
    assert_eq!(counts(&harness).await, [], "what does not apply keeps no answers");
    save(&harness, session(&harness, "p")).await;
    assert!(save_after(&harness, "m2", message("m1")).await);
    assert!(!save_after(&harness, "m3", message("m1")).await, "another process was faster");
    assert_eq!(find(&harness, "p").await.unwrap().last_message_id, "m2");
    harness.advance(61);
    assert!(!save_after(&harness, "m3", message("m2")).await, "it has expired");
}

#[actix_rt::test]
async fn a_session_is_closed_only_where_it_was_found() {
    let Some(harness) = StoreHarness::new() else { return };
    assert!(!close_after(&harness, "m1").await, "there is none");
    save(&harness, session(&harness, "p")).await;
    assert!(!close_after(&harness, "m0").await, "another process was faster");
    assert_eq!(counts(&harness).await, [], "what does not apply keeps no answers");
    assert!(find(&harness, "p").await.is_some());
    assert!(close_after(&harness, "m1").await);
    assert_eq!(find(&harness, "p").await, None);
    assert_eq!(counts(&harness).await, [("blue".to_owned(), 1)]);
}
