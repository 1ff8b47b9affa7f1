use std::{rc::Rc, time::Duration};

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use vumi_campaign_kit::{Campaign, Screen, Session};
use vumi_kit::{address::Address, campaign_sms::CampaignSender, clock::Timestamp, kind::Problem};

use crate::{RustCampaign, TestFile, accepted, recording::SessionRecording, report, run};

/// Asks for a town and how many, and says both; `panic` panics, `hush` is not answered.
struct Tanks {
    sender: CampaignSender,
}

#[derive(Default, Serialize, Deserialize)]
struct TankOrder {
    town: Option<String>,
}

impl Campaign for Tanks {
    const NAME: &'static str = "tanks";
    const EXAMPLE: &'static str = "";
    type Settings = ();
    type State = TankOrder;

    fn new((): ()) -> Result<Self, Vec<Problem>> {
        Ok(tanks())
    }

    fn sms_sender(&self) -> Option<&CampaignSender> {
        Some(&self.sender)
    }

    async fn answer(&self, session: &mut Session<TankOrder>, input: Option<&str>) -> Screen {
        match (input, session.state.town.clone()) {
            (None, _) => Screen::ask("Which town?\n1. Umlazi\n2. Inanda"),
            (Some("panic"), _) => panic!("as the test wants"),
            (Some("hush"), _) => Screen::silence(),
            (Some("long"), _) => Screen::ask("x".repeat(183)),
            (Some(town), None) => {
                session.remember("town", town);
                session.state.town = Some(town.to_owned());
                Screen::ask("How many?")
            }
            (Some(count), Some(town)) => {
                session.send_sms("now", format!("{count} tanks"), None).await.unwrap();
                let tomorrow = session.now().plus(Duration::from_secs(24 * 3600));
                session.send_sms("tomorrow", "Are they there?", Some(tomorrow)).await.unwrap();
                Screen::end(format!("{count} come to {town}."))
            }
        }
    }
}

fn tanks() -> Tanks {
    let from = Address::sender("38080").unwrap();
    Tanks { sender: CampaignSender { account: "tanks".to_owned(), transport: None, from } }
}

fn outcome(text: &str) -> (TestFile, crate::FileOutcome, String) {
    let file = TestFile::read(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let done = run(&file, &RustCampaign(tanks));
    let said = report("tanks.test.yaml", &file, &done);
    (file, done, said)
}

const GOOD: &str = r#"
now: 2026-03-02 10:00
tests:
  Somebody orders:
    - dial: "*120#"
      see: |
        Which town?
        1. Umlazi
        2. Inanda
    - send: [Umlazi, 3]
      end: 3 come to Umlazi.
      sms: 3 tanks
      later: [2026-03-03 10:00]
      kept: {town: Umlazi}
    - {from: 27830000002, dial: {code: "*120#", beyond: [1]}, sms: [], later: []}
  Two people, and one of them by SMS:
    - {dial: "*120#", see_part: Which town}
    - {from: 27830000002, write: tank, see_part: 2. Inanda}
    - {from: 27830000002, send: Inanda, see: How many?}
    - {from: 27830000002, kept: {town: Inanda}}
    - {send: Umlazi, see: How many?}
    - {from: 27830000002, send: 4, end: 4 come to Inanda.}
  Whoever hangs up begins anew:
    - dial: "*120#"
    - send: Umlazi
    - hang_up: true
    - wait: 2h
    - dial: "*120#"
      see_part: Which town?
"#;

#[test]
fn a_file_whose_screens_are_all_as_expected_passes() {
    let (file, done, said) = outcome(GOOD);
    assert_eq!(done.failed(&file), 0, "{said}");
    assert_eq!(
        said,
        "ok     Somebody orders\nok     Two people, and one of them by SMS\nok     Whoever hangs up begins anew\n"
    );
    assert_eq!(accepted(&file, &done), GOOD, "nothing differs, so nothing changes");
}

#[test]
fn what_differs_is_said_line_by_line_with_its_place() {
    let other =
        GOOD.replace("2. Inanda\n    - send", "2. Durban\n    - send").replace("{town: Inanda}", "{town: Durban}");
    let (file, done, said) = outcome(&other);
    assert_eq!(done.failed(&file), 2, "{said}");
    let first = "FAILED Somebody orders\n  tanks.test.yaml:6:7: after dialling *120#: expected other\n        Which town?\n        1. Umlazi\n      - 2. Durban\n      + 2. Inanda\n";
    assert!(said.starts_with(first), "{said}");
    assert!(said.contains("- town: Durban\n      + town: Inanda\n"), "{said}");
}

#[test]
fn every_expectation_can_fail() {
    for (step, words) in [
        ("dial: \"*1#\"\n      see_part: Where", "- … Where …"),
        ("dial: \"*1#\"\n      end: \"Which town?\\n1. Umlazi\\n2. Inanda\"", "+ and the dialogue goes on (`see`)"),
        ("dial: \"*1#\"\n      sms: [Hello]", "- SMS: Hello\n      + no SMS"),
        ("dial: \"*1#\"\n      later: [2026-01-06 09:00]", "- 2026-01-06 09:00\n      + nothing later"),
        ("dial: \"*1#\"\n      kept: {town: Umlazi}", "- town: Umlazi\n      + nothing kept"),
        ("dial: \"*1#\"\n    - send: x\n      kept: {}", "- nothing kept\n      + town: x"),
        ("dial: \"*1#\"\n    - send: [x, 2]\n      see: 2 come to x.", "+ and the dialogue is over (`end`)"),
        ("dial: \"*1#\"\n    - send: hush\n      see: x", "- x\n      + no screen"),
        ("dial: \"*1#\"\n    - send: panic\n      see: x", "+ it panicked"),
        ("dial: \"*1#\"\n    - send: long", "a phone can't show this screen: it takes 183 characters and"),
        ("send: x", "no session is open"),
        ("hang_up: true", "no session is open"),
        ("away: look_up", "`away` is for menus"),
        ("dial: \"*1#\"\n    - send: [x, 2, 3]", "`3` can't be sent: no session is open"),
    ] {
        let (file, done, said) = outcome(&format!("tests:\n  T:\n    - {step}\n"));
        assert_eq!(done.failed(&file), 1, "{step}\n{said}");
        assert!(said.contains(words), "{step}\n{said}");
    }
}

#[test]
fn a_campaign_that_can_not_be_made_fails_each_test() {
    struct None_;
    impl crate::CampaignFactory for None_ {
        fn open(&self, _: NaiveDateTime) -> Result<Box<dyn crate::TestedCampaign>, String> {
            Err("there is no campaign".to_owned())
        }
    }
    let file = TestFile::read(GOOD).unwrap();
    let done = run(&file, &None_);
    assert_eq!(done.failed(&file), 3);
    assert_eq!(done.tests[0].observed[0].failure.as_deref(), Some("there is no campaign"));
    assert!(report("x", &file, &done).contains("there is no campaign"));
}

#[test]
fn what_was_seen_is_written_into_the_file_and_the_rest_stays_byte_for_byte() {
    let before = "# a comment\ntests:\n  T:   # another\n    - dial: \"*120#\"   # the code\n      see: Where?   # kept\n\n    # between\n    - {send: Umlazi, see: \"How\\nmany?\", kept: {town: Inanda}}\n    - send: 3\n      see: |\n        One\n        two\n      sms: [Hello]\n\n# the end\n";
    let after = "# a comment\ntests:\n  T:   # another\n    - dial: \"*120#\"   # the code\n      see: |   # kept\n        Which town?\n        1. Umlazi\n        2. Inanda\n\n    # between\n    - {send: Umlazi, see: How many?, kept: {town: Umlazi}}\n    - send: 3\n      end: 3 come to Umlazi.\n      sms: [\"3 tanks\"]\n\n# the end\n";
    let (file, done, _) = outcome(before);
    let written = accepted(&file, &done);
    assert_eq!(written, after);
    let (file, done, said) = outcome(&written);
    assert_eq!(done.failed(&file), 0, "{said}");
}

#[test]
fn a_file_that_can_not_be_read_is_refused_with_every_problem_at_its_place() {
    let text = "menus: a.yaml\nnow: today\ntests:\n  A:\n    - dail: \"*1#\"\n      see: [a]\n    - send: 1\n      hang_up: true\n      wait: soon\n    - hang_up: no\n      see: x\n    - see: a\n      end: b\n    - from: abc\n      kept: [a]\n      later: tomorrow\n  B: []\n  C: x\n";
    let problems = TestFile::read(text).unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for wanted in [
        "1:1: `menus` is no key here: did you mean `menu`?",
        "2:6: expected a date and a time, such as 2026-03-02 10:00",
        "5:7: `dail` is no key here: did you mean `dial`?",
        "6:12: this is a list: expected the screen's text, after `|` where it has lines",
        "8:7: a step does one thing: put this into a step of its own",
        "9:13: expected a time of up to ten years, such as 30s, 2h or 3days",
        "10:16: expected `hang_up: true`",
        "11:7: this step shows no screen: move it to the step that does",
        "13:7: `see` says that the dialogue is open, `end` that it is over: leave one out",
        "14:13: expected a phone number in international form, such as 27830000002",
        "15:13: expected answers by their step's name, such as {age: 24}; `{}` says that nothing is kept",
        "16:14: expected a list of times, such as [2026-09-11 09:00]",
        "17:6: 0 steps: expected 1 to 2000",
        "18:6: this is a text: expected a list of steps, such as `- dial: \"*120#\"`",
    ] {
        assert!(said.iter().any(|one| one == wanted), "{wanted}\n{}", said.join("\n"));
    }
    for (text, words) in [
        ("", "a test file has `menu`, `now` and `tests`"),
        ("menu: a.yaml\n", "`tests` is missing"),
        ("menu: a\ncampaign: {kind: b}\ntests: {A: [{dial: \"*1#\"}]}\n", "a file tests one of them"),
        ("campaign: b\ntests: {A: [{dial: \"*1#\"}]}\n", "expected a campaign's settings"),
        ("tests: {A: [{dial: \"*1#\"}], A: []}\n", "`A` is there twice"),
        ("tests: {A: [{}]}\n", "this step does nothing"),
        ("tests: {A: [{send: }]}\n", "there is nothing here"),
    ] {
        let problems = TestFile::read(text).unwrap_err();
        assert!(problems.iter().any(|problem| problem.message.contains(words)), "{text:?}: {problems:?}");
    }
}

#[test]
fn a_recorded_session_becomes_a_test_that_passes_and_has_no_numbers_of_people() {
    let mut recording = SessionRecording::of("27821112222");
    recording.dialled("*120#", Some(&Screen::ask("Hello 0821112222\nyour number?")));
    recording.sent("0825556666", Some(&Screen::ask("Yours is 0825556666, and 27821112222?")));
    recording.sent("+27825557777", Some(&Screen::ask("Your ID?")));
    recording.sent("9202204720082", Some(&Screen::end("9202204720082: done.")));
    let now = crate::read::read_moment("2026-03-02 10:00").unwrap();
    let file = recording.to_file(Some("clinic.yaml"), now, "Recorded");
    let wanted = "menu: clinic.yaml\nnow: 2026-03-02 10:00\ntests:\n  Recorded:\n    - dial: \"*120#\"\n      see: |\n        Hello 0831234567\n        your number?\n    - send: \"0830000001\"\n      see: Yours is 0830000001, and 27831234567?\n    - send: \"+27830000002\"\n      see: Your ID?\n    - send: 8001015009087\n      end: \"8001015009087: done.\"\n";
    assert_eq!(file, wanted);
    assert_eq!(TestFile::read(&file).unwrap().tests[0].steps.len(), 4);

    let more = recording.appended_to(&file, "Recorded").unwrap();
    let names: Vec<String> = TestFile::read(&more).unwrap().tests.into_iter().map(|test| test.name).collect();
    assert_eq!(names, ["Recorded", "Recorded (2)"]);
    assert!(more.starts_with(&file));
    assert!(recording.appended_to("tests: {A: [{dial: \"*1#\"}]}\nmenu: x.yaml\n", "B").is_err());
}

#[test]
fn a_recording_of_a_campaign_is_a_test_that_passes_with_it() {
    let phone = Rc::new(vumi_campaign_kit::rehearsal::Rehearsal::new(tanks(), Timestamp::from_seconds(0)).unwrap());
    use vumi_campaign_kit::rehearsal::{PersonAct, Rehearse};
    let mut recording = SessionRecording::of("27821112222");
    let act = |act| phone.act("27821112222", act).unwrap();
    recording.dialled("*120#", act(PersonAct::Dial("*120#", &[])).as_ref());
    recording.sent("Umlazi", act(PersonAct::Answer("*120#", "Umlazi")).as_ref());
    recording.hung_up();
    recording.dialled("*120#", act(PersonAct::Dial("*120#", &[])).as_ref());
    recording.sent("Inanda", act(PersonAct::Answer("*120#", "Inanda")).as_ref());
    recording.sent("3", act(PersonAct::Answer("*120#", "3")).as_ref());
    let (file, done, said) = outcome(&recording.to_file(None, NaiveDateTime::default(), "Recorded: today"));
    assert_eq!(done.failed(&file), 0, "{said}\n{}", file.text);
}
