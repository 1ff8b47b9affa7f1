use proptest::prelude::*;

use super::{read, read_with};
use crate::{
    model::{MenuForm, QuestionAnswers, ResumePolicy, StepAction},
    permissions::MenuPermissions,
};

const MOTHERS: &str = r#"name: mothers
languages: [en, zu]
country: ZA
timezone: Africa/Johannesburg
resume: ask
keep: 7d
steps:
  language:
    question: Choose a language.
    options: languages
  consent:
    question: MothersFirst sends you free SMS about your pregnancy. May we keep your answers?
    options:
      - "Yes"
      - No: declined
  due:
    question: When is your baby due? Like 25/12/2026
    expect: date today to today + 42 weeks
    wrong: Please write day, month and year, like 25/12/2026.
  age:
    question: How old are you?
    expect: number 10 to 55
  who:
    branch:
      - age < 18: teen
      - else: town
  teen:
    show: Every clinic has a nurse for young mothers.
  town:
    question: In which town do you live?
    expect: text up to 30
  look_up:
    fetch: https://clinics.example.org/near.json?town={{town}}
    within: 5s
    take: {clinics: /items}
    example: {items: [{name: Umlazi Clinic, phone: "031 555 0101"}]}
    else: unknown
  clinic:
    question: Which clinic suits you?
    options: {of: clinics, show: "{{name}}"}
  details:
    sms: "{{clinic.name}}, {{clinic.phone}}. Your first visit is free."
  reminder:
    sms: "Two weeks to go."
    at: due - 2 weeks, 09:00
  done:
    end: Thank you! {{clinic.name}} is on its way to you by SMS.
  unknown:
    end: We can't look up clinics now.
  declined:
    end: Nothing was kept. Dial again whenever you like.
    forget: true
translations:
  zu:
    Choose a language.: Khetha ulimi.
    "Yes": Yebo
"#;

fn problems(text: &str) -> Vec<String> {
    let problems = read(text, "m.yaml").err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_menu_is_read() {
    let menu = read(MOTHERS, "mothers.yaml").unwrap();
    assert_eq!((menu.form, menu.steps.len(), menu.start, menu.resume), (MenuForm::Steps, 14, 0, ResumePolicy::Ask));
    assert_eq!(menu.translation("Yes", "zu").unwrap().written, "Yebo");
    let heads: Vec<&str> = menu.steps.iter().map(|step| step.action.head()).collect();
    assert_eq!(heads.iter().filter(|head| **head == "end").count(), 3);
    assert_eq!(menu.step_index("declined"), Some(13));
}

#[test]
fn the_list_of_2010_is_a_menu() {
    let text = "- question: How do you get water?\n  options: [tap, tank, river]\n- question: Who fetches it?\n  \
                options: [me, a child]\n  save_as: who\n- question: So %(who)s does?\n  parse: true\n- end: Thank you.\n";
    let menu = read(text, "water.yaml").unwrap();
    assert_eq!(menu.form, MenuForm::List);
    let kept: Vec<&str> = menu.steps.iter().map(|step| step.kept_as.as_str()).collect();
    assert_eq!(kept, ["How do you get water?", "who", "So %(who)s does?", "step_4"]);
    let StepAction::Question(question) = &menu.steps[2].action else { panic!() };
    assert_eq!(question.text.names, ["who"]);
    assert!(matches!(question.answers, QuestionAnswers::Typed(_)));
}

#[test]
fn all_problems_are_said_at_once_with_places_and_suggestions() {
    let wrong = MOTHERS
        .replace("age < 18: teen", "age < 18: teens")
        .replace("    else: unknown\n", "")
        .replace("expect: number 10 to 55", "expct: number 10 to 55")
        .replace("{{clinic.phone}}", "{{clinic.fone}}")
        .replace("due - 2 weeks", "town - 2 weeks")
        .replace("timezone: Africa/Johannesburg", "timezone: Africa/Johanesburg");
    // Without a whole list of steps, names are not checked yet: the first round names the structure.
    assert_eq!(
        problems(&wrong),
        [
            "m.yaml:4:11: expected a time zone, as in `Africa/Johannesburg`: did you mean `Africa/Johannesburg`?",
            "m.yaml:22:5: a step with `question` has no key `expct`: did you mean `expect`?",
            "m.yaml:25:19: `branch` leads to `teens`, which is no step: did you mean `teen`?",
            "m.yaml:32:3: `look_up` needs `else`: where to when the service is away?",
        ]
    );
    let wrong = MOTHERS
        .replace("{{clinic.phone}}", "{{clinic.fone}}")
        .replace("due - 2 weeks", "town - 2 weeks")
        .replace("{of: clinics", "{of: clinic_list");
    assert_eq!(
        problems(&wrong),
        [
            "m.yaml:40:19: `clinic_list` is no list that a `fetch` takes: did you mean `clinics`?",
            "m.yaml:45:9: `at` reckons with `town`, which is a text",
        ]
    );
}

#[test]
fn conditions_know_what_they_compare() {
    let menu = |condition: &str| {
        format!(
            "steps:\n  town:\n    question: Where?\n    options: [Durban, Umlazi]\n  age:\n    question: How old?\n    \
             expect: number\n  who:\n    branch:\n      - '{condition}': a\n      - else: a\n  a:\n    end: Bye\n"
        )
    };
    for good in ["town = Durban", "town in (Durban, \"Umlazi\")", "age > 5 and known town", "today > 2026-01-01"] {
        assert_eq!(problems(&menu(good)), [""; 0], "{good}");
    }
    for (bad, problem) in [
        ("town = Durbn", "m.yaml:10:17: `Durbn` is no option of `town`: did you mean `Durban`?"),
        ("town = \"Durbn\"", "m.yaml:10:17: `Durbn` is no option of `town`: did you mean `Durban`?"),
        ("town < 5", "m.yaml:10:10: a text can't be compared with a number; `<` and `>` compare numbers and dates"),
        ("aeg > 5", "m.yaml:10:10: `aeg` is no answer, and nothing sets it: did you mean `age`?"),
        ("age > today", "m.yaml:10:10: a number can't be compared with a date; `<` and `>` compare numbers and dates"),
    ] {
        assert_eq!(problems(&menu(bad)), [problem], "{bad}");
    }
}

#[test]
fn each_mistake_has_one_problem() {
    for (text, problem) in [
        ("", "m.yaml:1:1: the menu is nothing: expected a map with `steps`, or a list of questions"),
        ("[]", "m.yaml:1:1: the menu has no steps"),
        ("steps: {}", "m.yaml:1:8: the menu has no steps"),
        ("name: x", "m.yaml:1:1: the menu has no `steps`"),
        ("steps:\n  a:\n    end: x\n  a:\n    end: y\n", "m.yaml:4:3: `a` is there twice in `steps`: leave one out"),
        (
            "steps:\n  a:\n    end: {{x}}\n",
            "m.yaml:3:10: `end` is a map: expected a text (a text that begins with `{{` needs quotes)",
        ),
        (
            "steps:\n  a:\n    ned: x\n",
            "m.yaml:3:5: a step has one of `question`, `show`, `branch`, `set`, `fetch`, `sms`, `end`: `a` has none: did you mean `end`?",
        ),
        ("steps:\n  a:\n    show: x\n    end: y\n", "m.yaml:4:5: `a` has both `show` and `end`: make two steps of it"),
        (
            "steps:\n  a:\n    show: x\n    wrong: y\n",
            "m.yaml:4:5: `wrong` belongs to `question`, and this step is `show`",
        ),
        (
            "steps:\n  a-b:\n    end: y\n",
            "m.yaml:2:3: the name of a step has letters (a-z), digits and `_`, 60 at the most, and begins with a letter: did you mean `a_b`?",
        ),
        ("steps:\n  a:\n    end: hi {{x\n", "m.yaml:3:10: `end`: its template does not parse: a tag is not closed"),
        (
            "steps:\n  a:\n    fetch: https://{{x}}.example.org/\n    else: b\n  b:\n    end: x\n",
            "m.yaml:3:12: the server of `fetch` is fixed: `{{...}}` stands in the path or behind `?`",
        ),
        (
            "steps:\n  a:\n    show: a {{secret.key}}\n",
            "m.yaml:3:11: a secret stands only in the URL, header fields and body of a `fetch`",
        ),
    ] {
        let found = problems(text);
        assert!(found.first().is_some_and(|found| found.starts_with(problem)), "{text}: {found:#?}");
    }
}

#[test]
fn a_clients_menu_is_bounded() {
    let client = MenuPermissions::of_a_client();
    let steps: String = (0..501).map(|n| format!("- question: q{n}\n")).collect();
    let refused = read_with(&steps, "m.yaml", &client).unwrap_err();
    assert_eq!(refused[0].what, "the menu has 501 steps: 500 are the most");
    let long = format!("- end: {}\n", "x".repeat(300_000));
    assert!(read_with(&long, "m.yaml", &client).unwrap_err()[0].what.contains("bytes"));
    let secret = "steps:\n  a:\n    fetch: https://example.org/?k={{secret.key}}\n    else: b\n  b:\n    end: x\n";
    assert_eq!(read_with(secret, "m.yaml", &client).unwrap_err()[0].what, "this menu may use no secrets");
    assert!(read(secret, "m.yaml").is_ok());
}

proptest! {
    #[test]
    fn whatever_is_written_is_a_menu_or_has_problems_at_places(
        cut in 0..1_800_usize,
        word in "[a-z]{1,8}|[{}:\\[\\]\"'#&*!|>%@`,-]{1,3}|\\PC{0,6}|\n {0,8}",
        length in 0..20_usize,
    ) {
        let from = MOTHERS.floor_char_boundary(cut);
        let to = MOTHERS.floor_char_boundary(from + length);
        let text = format!("{}{word}{}", &MOTHERS[..from], &MOTHERS[to..]);
        match read(&text, "m.yaml") {
            Ok(menu) => prop_assert!(menu.start < menu.steps.len()),
            Err(problems) => prop_assert!(!problems.is_empty() && problems.len() <= 100),
        }
    }
}
