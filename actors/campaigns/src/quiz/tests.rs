use vumi_campaign_kit::Campaign;
use vumi_campaign_kit::testing::Phone;

use super::{Quiz, QuizSettings};

fn quiz() -> Quiz {
    Quiz::new(QuizSettings::default()).unwrap()
}

fn problems(settings: &str) -> Vec<String> {
    let problems = Quiz::new(toml::from_str(settings).unwrap()).err().unwrap_or_default();
    problems.into_iter().map(|problem| format!("{}: {}", problem.key, problem.what)).collect()
}

/// Answers all questions of the default quiz.
fn play(phone: &Phone<Quiz>, choices: [&str; 3]) {
    phone.dial("*120*663*79#");
    let last = choices.map(|choice| phone.send(choice)).into_iter().next_back().unwrap();
    assert!(!last.is_open(), "{last}");
}

#[test]
fn it_asks_three_questions_and_thanks() {
    let phone = Phone::new(quiz()).from("27831234567");
    let first = phone.dial("*120*663*79#");
    assert_eq!(first, "When did you last test for HIV?\n1. This year\n2. Longer ago\n3. Never");
    assert!(phone.send("1").contains("Can a person who looks healthy have HIV?"));
    assert!(phone.send("I DON'T KNOW").contains("Where would you go for a test?"));
    let thanks = phone.send("4");
    assert!(thanks.contains("Thank you!"));
    assert!(!thanks.is_open());
}

#[test]
fn it_does_what_its_test_file_says() {
    vumi_campaign_tests::assert_file("src/quiz/quiz.test.yaml", quiz);
}

#[test]
fn a_wrong_choice_asks_again() {
    let phone = Phone::new(quiz());
    let question = phone.dial("*120#");
    for wrong in ["0", "4", "99", "-1", "", "what?", "99999999999999999999"] {
        let again = phone.send(wrong);
        assert!(again.is_open());
        assert_eq!(again.text(), format!("Please send the number of your choice.\n{question}"), "{wrong:?}");
    }
    assert!(phone.send("1").contains("Can a person"));
}

#[test]
fn a_returning_person_is_told_what_everybody_answered() {
    let phone = Phone::new(quiz());
    play(&phone, ["1", "1", "4"]);
    play(&phone.another("27830000002"), ["3", "1", "4"]);
    play(&phone.another("27830000003"), ["3", "2", "4"]);

    let first = phone.dial("*120*663*79#");
    assert_eq!(
        first,
        "Welcome back! So far people said:\nWhen did you last test for HIV?\n33% This year\n0% Longer ago\n67% Never\nSend 1 for more."
    );
    assert!(first.is_open());
    assert!(phone.send("1").contains("67% Yes\n33% No\n0% I don't know\nSend 1 for more."));
    let last = phone.send("anything");
    assert!(last.contains("0% Clinic\n0% Hospital\n0% Mobile clinic\n100% I don't know"));
    assert!(!last.is_open());
}

#[test]
fn a_person_who_left_halfway_is_asked_what_is_still_open() {
    let phone = Phone::new(quiz());
    phone.dial("*120#");
    phone.send("1");
    phone.hang_up();
    assert!(phone.dial("*120#").contains("Can a person who looks healthy have HIV?"));
}

#[test]
fn two_people_at_the_same_time_are_each_asked_their_own_questions() {
    let (one, other) = (Phone::new(quiz()).from("27830000001"), "27830000002");
    let other = one.another(other);
    one.dial("*120#");
    assert!(one.send("1").contains("looks healthy"));
    assert!(other.dial("*120#").contains("last test"));
    assert!(one.send("1").contains("Where would you go"));
    assert!(other.send("1").contains("looks healthy"));
}

#[test]
fn a_restart_in_the_midst_of_a_dialogue_goes_unnoticed() {
    let phone = Phone::new(quiz());
    phone.dial("*120#");
    let second = phone.send("1");
    phone.restart(quiz());
    assert!(phone.send("nonsense").contains(second.text()));
    assert!(phone.send("1").contains("Where would you go"));
}

#[test]
fn a_restart_with_fewer_questions_ends_with_thanks() {
    let phone = Phone::new(quiz());
    phone.dial("*120#");
    phone.send("1");
    let one = "questions = [{ ask = \"Well?\", choices = [\"Yes\", \"No\"] }]";
    phone.restart(Quiz::new(toml::from_str(one).unwrap()).unwrap());
    let shown = phone.send("1");
    assert!(shown.contains("Thank you!") && !shown.is_open());
}

#[test]
fn over_sms_the_keyword_gets_the_first_question_and_each_answer_the_next() {
    let phone = Phone::new(quiz());
    assert!(phone.sms("38080", "quiz").contains("last test"));
    assert!(phone.sms("38080", "never ").contains("looks healthy"));
    assert!(phone.repeat().contains("looks healthy"));
    assert!(phone.sms("38080", "1").contains("Where would you go"));
    assert!(phone.sms("38080", "clinic").contains("Thank you!"));
    assert!(phone.sms("38080", "quiz").contains("Welcome back!"));
}

#[test]
fn settings_that_make_no_quiz_are_refused_by_key() {
    assert_eq!(problems("questions = []"), ["questions: there are none: give one or more, or leave the key out"]);
    for (question, problem) in [
        (r#"ask = "Well?", choices = ["Yes"]"#, "questions[0].choices: 1 choices: expected 2 to 9"),
        (r#"ask = "Well?", choices = ["Yes", "Yes"]"#, "questions[0].choices: a choice is there twice"),
        (r#"ask = "Well?", choices = ["Yes", " "]"#, "questions[0].choices: a choice is empty: expected words"),
        (r#"ask = " ", choices = ["Yes", "No"]"#, "questions[0].ask: it is empty: expected a question"),
    ] {
        assert_eq!(problems(&format!("questions = [{{ {question} }}]")), [problem]);
    }
    let question = r#"{ ask = "Well?", choices = ["Yes", "No"] }"#;
    let twice = problems(&format!("questions = [{question}, {question}]"));
    assert_eq!(twice, ["questions[1].ask: it is asked twice: answers are kept by question"]);
}

#[test]
fn settings_whose_screens_no_phone_can_show_are_refused_by_key() {
    let long = format!(r#"questions = [{{ ask = "{}?", choices = ["Yes", "No"] }}]"#, "x".repeat(130));
    let wrong = "questions[0]: with `wrong` before it: it takes 183 characters and a USSD screen holds 182: shorten it";
    assert_eq!(problems(&long), [wrong]);
    let both = problems(&long.replace("\"Yes\"", "\"Yes, we are\""));
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(problems("thanks = \"\u{1f600}\"").len(), 1);
}
