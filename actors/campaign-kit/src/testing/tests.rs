use std::{cell::RefCell, rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};

use super::Phone;
use crate::{Campaign, Screen, Session};
use vumi_kit::kind::Problem;

/// Counts the turns; `bye` ends, `hush` is not answered; hanging up is noted.
#[derive(Default)]
struct Counting {
    ended: Rc<RefCell<Vec<String>>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Turns {
    turns: u32,
}

impl Campaign for Counting {
    const NAME: &'static str = "counting";
    const EXAMPLE: &'static str = "";
    type Settings = ();
    type State = Turns;

    fn new((): ()) -> Result<Self, Vec<Problem>> {
        Ok(Self::default())
    }

    async fn answer(&self, session: &mut Session<Turns>, input: Option<&str>) -> Screen {
        session.state.turns += 1;
        match input {
            None => Screen::ask(format!("new {} {}", session.code(), session.opened_with().unwrap_or("-"))),
            Some("bye") => Screen::end(format!("bye after {}", session.state.turns)),
            Some("hush") => Screen::silence(),
            Some("long") => Screen::ask("x".repeat(183)),
            Some("count") => Screen::ask(format!("{:?} {:?}", session.counts("last").await, session.answers().await)),
            Some(text) => {
                session.remember("last", text);
                Screen::ask(format!("{text:?} is {}", session.state.turns))
            }
        }
    }

    async fn ended(&self, session: &mut Session<Turns>) {
        self.ended.borrow_mut().push(format!(
            "{} on {} after {}",
            session.msisdn(),
            session.code(),
            session.state.turns
        ));
        session.remember("last", "hung up");
    }
}

#[test]
fn a_dialogue_keeps_its_state_from_dialling_to_its_end() {
    let phone = Phone::new(Counting::default());
    assert_eq!(phone.dial("*120#"), "new *120# -");
    assert_eq!(phone.send(" a "), "\"a\" is 2");
    let end = phone.send("bye");
    assert_eq!(end, "bye after 3");
    assert!(!end.is_open());
    assert_eq!(phone.dial("*120#"), "new *120# -");
}

#[test]
fn a_message_that_comes_again_is_answered_the_same_and_moves_nothing() {
    let phone = Phone::new(Counting::default());
    phone.dial("*120#");
    assert_eq!(phone.repeat(), "new *120# -");
    assert_eq!(phone.send("a"), "\"a\" is 2");
    assert_eq!(phone.repeat(), "\"a\" is 2");
    assert_eq!(phone.send("bye"), "bye after 3");
    let again = phone.repeat();
    assert_eq!(again, "bye after 3");
    assert!(!again.is_open());
}

#[test]
fn hanging_up_and_dialling_anew_end_the_dialogue_before() {
    let campaign = Counting::default();
    let ended = campaign.ended.clone();
    let phone = Phone::new(campaign);
    phone.dial("*1#");
    phone.send("a");
    phone.hang_up();
    assert_eq!(ended.take(), ["27831234567 on *1# after 2"]);
    phone.hang_up();
    phone.dial("*2#");
    assert_eq!(phone.dial("*3#"), "new *3# -");
    assert_eq!(ended.take(), ["27831234567 on *2# after 1"]);
    assert_eq!(phone.send("count"), r#"[("hung up", 1)] [("last", "hung up")]"#);
    phone.send("bye");
    phone.dial("*4#");
    assert!(ended.take().is_empty(), "a dialogue that ended by itself is not ended again");
}

#[test]
fn an_expired_session_begins_anew() {
    let phone = Phone::new(Counting::default());
    phone.dial("*1#");
    phone.wait(Duration::from_secs(359));
    assert_eq!(phone.send("a"), "\"a\" is 2");
    phone.wait(Duration::from_secs(360));
    assert_eq!(phone.send("a"), "new *1# -");
}

#[test]
fn an_sms_begins_a_dialogue_and_the_next_goes_on_with_it_for_a_day() {
    let phone = Phone::new(Counting::default());
    assert_eq!(phone.sms("38080", "quiz "), "new 38080 quiz");
    phone.wait(Duration::from_secs(23 * 3600));
    assert_eq!(phone.sms("38080", "a"), "\"a\" is 2");
    assert!(phone.sms("38080", "hush").is_silent());
    assert_eq!(phone.dial("*1#"), "new *1# -", "a USSD session is a dialogue of its own");
    phone.wait(Duration::from_secs(24 * 3600));
    assert_eq!(phone.sms("38080", "a"), "new 38080 a");
}

#[test]
fn answers_are_counted_over_all_phones_and_a_later_one_replaces_an_earlier() {
    let phone = Phone::new(Counting::default());
    let other = phone.another("27830000000");
    for (phone, text) in [(&phone, "a"), (&other, "b"), (&phone, "b")] {
        phone.dial("*1#");
        phone.send(text);
    }
    phone.dial("*1#");
    assert_eq!(phone.send("count"), r#"[("b", 1), ("hung up", 1)] [("last", "hung up")]"#);
}

#[test]
#[should_panic(expected = "it takes 183 characters and a USSD screen holds 182")]
fn a_screen_too_long_for_ussd_fails_the_test() {
    let phone = Phone::new(Counting::default());
    phone.dial("*1#");
    phone.send("long");
}

/// The states of another version of the campaign.
struct Changed;

impl Campaign for Changed {
    const NAME: &'static str = "counting";
    const EXAMPLE: &'static str = "";
    type Settings = ();
    type State = String;

    fn new((): ()) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }

    async fn answer(&self, session: &mut Session<String>, input: Option<&str>) -> Screen {
        if session.state.is_empty() { Screen::ask("begin") } else { Screen::ask(input.unwrap_or_default()) }
    }
}

#[test]
fn a_state_of_another_version_of_the_campaign_begins_anew() {
    let old = Phone::new(Counting::default());
    old.dial("*1#");
    let mut network = Rc::into_inner(Phone::new(Changed).network).unwrap();
    network.sessions = old.network.sessions.clone();
    network.messages.set(1);
    let new = Phone::of(Rc::new(network), &old.msisdn);
    assert_eq!(new.send("1"), "begin");
    assert_eq!(new.send("2"), "begin");
}
