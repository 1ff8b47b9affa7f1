use std::{cell::RefCell, rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};

use super::Phone;
use crate::{Campaign, CampaignSender, KnownBy, Limits, Screen, Session};
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
    let mut rehearsal = Rc::into_inner(Phone::new(Changed).rehearsal).unwrap();
    rehearsal.memory = old.rehearsal.memory.clone();
    rehearsal.messages.set(1);
    let new = Phone::of(Rc::new(rehearsal), &old.msisdn);
    assert_eq!(new.send("1"), "begin");
    assert_eq!(new.send("2"), "begin");
}

/// Asks for a name and a town, lets people go on, and knows them by their number; `ended` is noted.
#[derive(Default)]
struct TownForm {
    keep: Duration,
    ended: Rc<RefCell<Vec<String>>>,
}

#[derive(Default, Serialize, Deserialize)]
struct TownAnswers {
    name: Option<String>,
    asks_to_go_on: bool,
}

impl Campaign for TownForm {
    const NAME: &'static str = "form";
    const EXAMPLE: &'static str = "";
    type Settings = ();
    type State = TownAnswers;

    fn new((): ()) -> Result<Self, Vec<Problem>> {
        Ok(Self::default())
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Number
    }

    fn limits(&self) -> Limits {
        Limits { keep: self.keep, ..Limits::default() }
    }

    async fn resume(&self, session: &mut Session<TownAnswers>) -> Option<Screen> {
        session.state.name.as_ref()?;
        session.state.asks_to_go_on = true;
        Some(Screen::ask(format!("Go on? {}", session.opened_with().unwrap_or("-"))))
    }

    async fn answer(&self, session: &mut Session<TownAnswers>, input: Option<&str>) -> Screen {
        let shortcut = session.dialled_inputs().first().cloned();
        let Some(input) = input.or(shortcut.as_deref()) else { return Screen::ask("Name?") };
        match &session.state.name {
            Some(_) if std::mem::take(&mut session.state.asks_to_go_on) => Screen::ask("Town?"),
            Some(name) => Screen::end(format!("{name} of {input} in {}", session.id())),
            None => {
                session.state.name = Some(input.to_owned());
                Screen::ask("Town?")
            }
        }
    }

    async fn ended(&self, session: &mut Session<TownAnswers>) {
        self.ended.borrow_mut().push(format!("{} on {}", session.id(), session.code()));
    }
}

fn form() -> (Phone<TownForm>, Rc<RefCell<Vec<String>>>) {
    let form = TownForm { keep: Duration::from_secs(7 * 24 * 3600), ended: Rc::default() };
    let ended = form.ended.clone();
    (Phone::new(form), ended)
}

#[test]
fn a_person_who_was_cut_off_goes_on_days_later_where_the_campaign_keeps_the_state() {
    let (phone, ended) = form();
    phone.dial("*120#");
    assert_eq!(phone.send("Thandi"), "Town?");
    phone.hang_up();
    assert_eq!(*ended.borrow(), ["s0 on *120#"]);
    phone.wait(Duration::from_secs(6 * 24 * 3600));
    assert_eq!(phone.dial("*121#"), "Go on? -");
    assert_eq!(phone.send("1"), "Town?");
    assert_eq!(phone.send("Durban"), "Thandi of Durban in s3");
    assert_eq!(phone.dial("*120#"), "Name?", "what is over is not gone on with");
    assert_eq!(*ended.borrow(), ["s0 on *120#"]);
}

#[test]
fn the_time_that_a_state_is_kept_begins_anew_with_each_message() {
    let (phone, _) = form();
    phone.dial("*120#");
    phone.send("Thandi");
    for _ in 0..3 {
        phone.wait(Duration::from_secs(6 * 24 * 3600));
        assert_eq!(phone.dial("*120#"), "Go on? -");
    }
    phone.wait(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(phone.dial("*120#"), "Name?");
}

#[test]
fn what_is_begun_by_ussd_is_finished_by_sms_by_a_person_who_is_known_by_the_number() {
    let (phone, ended) = form();
    phone.dial("*120#");
    phone.send("Thandi");
    assert_eq!(phone.sms("38080", " FORM "), "Go on? FORM");
    phone.hang_up();
    assert!(ended.borrow().is_empty(), "the session that timed out is not the dialogue any more");
    assert_eq!(phone.sms("38080", "1"), "Town?");
    assert!(phone.sms("38080", "Durban").contains("Thandi of Durban"));
}

#[test]
fn a_message_of_another_session_is_no_answer_to_a_screen_it_never_showed() {
    let (phone, _) = form();
    phone.dial("*120#");
    phone.send("Thandi");
    phone.wait(Duration::from_secs(1));
    // The beginning of the next session got lost.
    phone.rehearsal.session_ids.borrow_mut().insert(phone.msisdn.clone(), "another".to_owned());
    assert_eq!(phone.send("Durban"), "Go on? -");
}

#[test]
fn without_a_state_worth_it_the_campaign_begins_anew_and_the_old_dialogue_is_told_so_once() {
    let (phone, ended) = form();
    phone.dial("*120#");
    assert_eq!(phone.dial("*121#"), "Name?");
    assert_eq!(*ended.borrow(), ["s1 on *120#"]);
    phone.hang_up();
    assert_eq!(phone.dial("*122#"), "Name?");
    assert_eq!(*ended.borrow(), ["s1 on *120#", "s1 on *121#"]);
}

#[test]
fn a_campaign_takes_what_is_dialled_beyond_its_code_and_only_at_the_beginning() {
    let (phone, _) = form();
    assert_eq!(phone.dial_beyond("*120*1*Thandi#", &["Thandi", "2"]), "Town?");
    assert_eq!(phone.send("Durban"), "Thandi of Durban in s0");
    let counting = Phone::new(Counting::default());
    assert_eq!(counting.dial_beyond("*120*1*2#", &["1", "2"]), "new *120*1*2# -", "one without shortcuts");
}

/// Sends an SMS now and one later.
struct Reminding(CampaignSender);

impl Campaign for Reminding {
    const NAME: &'static str = "reminding";
    const EXAMPLE: &'static str = "";
    type Settings = CampaignSender;
    type State = ();

    fn new(sender: CampaignSender) -> Result<Self, Vec<Problem>> {
        Ok(Self(sender))
    }

    fn sms_sender(&self) -> Option<&CampaignSender> {
        Some(&self.0)
    }

    async fn answer(&self, session: &mut Session<()>, input: Option<&str>) -> Screen {
        let Some(input) = input else { return Screen::ask("Where?") };
        let later = session.now().plus(Duration::from_secs(3600));
        session.send_sms("now", format!("You said {input}."), None).await.unwrap();
        session.send_sms("later", "Come!", Some(later)).await.unwrap();
        session.send_sms("past", "Gone.", Some(session.now())).await.unwrap();
        Screen::ask("More?")
    }
}

#[test]
fn a_campaign_sends_sms_beside_its_screens_once_for_each_step_of_a_message() {
    let sender = serde_json::json!({"account": "clinic", "from": "38080"});
    let phone = Phone::new(Reminding::new(serde_json::from_value(sender).unwrap()).unwrap());
    phone.dial("*120#");
    phone.send("here");
    phone.repeat();
    let sent = phone.sent_sms();
    let at = |at: &super::PhoneSms| at.at.is_some();
    assert_eq!(sent.iter().map(|sms| sms.text.as_str()).collect::<Vec<_>>(), ["You said here.", "Come!", "Gone."]);
    assert_eq!(sent.iter().map(at).collect::<Vec<_>>(), [false, true, false], "what is past goes at once");
    assert!(phone.another("27830000000").sent_sms().is_empty());
    phone.send("there");
    assert_eq!(phone.sent_sms().len(), 6);
}
