//! What a call means for its session, and what settings say.

use serde_json::{Value, json};
use vumi_kit::{address::UssdCode, kind::Kind};
use vumi_ussd_codec::{CallEvent, InputStyle, UssdCall};

use crate::http_ussd::{
    HttpUssd,
    session_step::{KeptUssdSession, SessionStep, next_step},
    settings::UssdSettings,
};

fn kept(text: &str, content: Option<&str>, is_over: bool) -> KeptUssdSession {
    KeptUssdSession {
        session: "s1".to_owned(),
        text: text.to_owned(),
        turn: Some("1".to_owned()),
        content: content.map(str::to_owned),
        is_over,
        unshown: None,
    }
}

/// What is kept; the call's session, event, input and turn; how inputs come; what follows.
type StepCase<'k> =
    (Option<&'k KeptUssdSession>, &'static str, CallEvent, &'static str, &'static str, InputStyle, SessionStep);

#[test]
fn a_call_begins_a_session_goes_on_with_it_repeats_or_ends_it() {
    use CallEvent::{End, New, Resume, Unmarked};
    use InputStyle::{Joined, Last};
    let code = UssdCode::parse("*384*123#").unwrap();
    let go_on = |input: &str| SessionStep::GoOn(input.to_owned());
    let begin = || SessionStep::Begin(code.clone());
    let (first, second, over) = (kept("", None, false), kept("1", Some("1"), false), kept("1", Some("1"), true));
    let cases: Vec<StepCase<'_>> = vec![
        (None, "s1", New, "", "1", Last, begin()),
        (None, "s1", Unmarked, "", "1", Joined, begin()),
        // Another process forgot it, or it expired: the person is shown the first screen.
        (None, "s1", Resume, "3", "1", Last, begin()),
        (Some(&first), "s2", Unmarked, "", "1", Joined, begin()),
        (Some(&first), "s1", New, "", "1", Last, SessionStep::Repeated),
        (Some(&second), "s1", New, "", "9", Last, begin()),
        (Some(&first), "s1", Unmarked, "1", "2", Joined, go_on("1")),
        (Some(&second), "s1", Unmarked, "1*2*", "2", Joined, go_on("2*")),
        (Some(&second), "s1", Unmarked, "1", "2", Joined, SessionStep::Repeated),
        (Some(&second), "s1", Unmarked, "", "2", Joined, SessionStep::Earlier),
        (Some(&second), "s1", Resume, "1", "2", Last, go_on("1")),
        (Some(&second), "s1", Resume, "1", "1", Last, SessionStep::Repeated),
        (Some(&second), "s1", End, "", "1", Last, SessionStep::End),
        (Some(&over), "s1", End, "", "1", Last, SessionStep::Nothing),
        (Some(&second), "s2", End, "", "1", Last, SessionStep::Nothing),
        (None, "s1", End, "", "1", Last, SessionStep::Nothing),
        (Some(&over), "s1", Unmarked, "1*2", "2", Joined, begin()),
        (Some(&over), "s1", Unmarked, "1", "1", Joined, SessionStep::Repeated),
    ];
    for (number, (kept, session, event, input, turn, style, expected)) in cases.into_iter().enumerate() {
        let call = UssdCall {
            session: session.to_owned(),
            input: Some(input.to_owned()),
            event,
            turn: Some(turn.to_owned()),
            ..UssdCall::default()
        };
        assert_eq!(next_step(kept, &call, style, Some(code.clone())), expected, "case {number}");
        if expected == begin() {
            assert_eq!(next_step(kept, &call, style, None), SessionStep::NoCode, "case {number}");
        }
    }
}

fn settings(more: &Value) -> UssdSettings {
    serde_json::from_value(more.clone()).unwrap()
}

#[test]
fn the_code_is_the_settings_the_calls_or_what_was_dialled() {
    for (more, code, input, event, dialled) in [
        (json!({"aggregator": "hubtel"}), Some("*713#"), "*713*1*2#", CallEvent::New, Some("*713*1*2#")),
        (json!({"aggregator": "hubtel"}), Some("*713#"), "*714#", CallEvent::New, Some("*713#")),
        (json!({"aggregator": "arkesel"}), None, "*928#", CallEvent::New, Some("*928#")),
        (json!({"aggregator": "arkesel"}), None, "2", CallEvent::Resume, None),
        (json!({"aggregator": "moolre"}), Some("717"), "", CallEvent::New, None),
        (json!({"aggregator": "moolre", "code": "*203*717#"}), Some("717"), "", CallEvent::New, Some("*203*717#")),
        (json!({"aggregator": "africas-talking"}), Some("*384*1#"), "", CallEvent::Unmarked, Some("*384*1#")),
        (json!({"aggregator": "africas-talking"}), Some("*384*1#"), "1*2", CallEvent::Unmarked, Some("*384*1*1*2#")),
        (json!({"aggregator": "africas-talking"}), Some("*384*1#"), "Thabo", CallEvent::Unmarked, Some("*384*1#")),
    ] {
        let call =
            UssdCall { code: code.map(str::to_owned), input: Some(input.to_owned()), event, ..UssdCall::default() };
        let found = settings(&more).dialled(&call);
        assert_eq!(found.as_ref().map(UssdCode::as_str), dialled, "{more} {input}");
    }
}

#[test]
fn wrong_settings_are_refused_by_key() {
    let shape = json!({"fields": {"session": "s", "person": "p", "input": "i"}, "answer": {"prefix": {"open": "C", "close": "E"}}});
    for (more, key) in [
        (json!({}), "aggregator"),
        (json!({"aggregator": "infobop"}), "aggregator"),
        (json!({"aggregator": "infobip", "shape": shape}), "shape"),
        (
            json!({"shape": {"fields": {"session": "", "person": "p", "input": "i"}, "answer": {"prefix": {"open": "C", "close": "E"}}}}),
            "shape.fields.session",
        ),
        (json!({"aggregator": "uzo", "code": "717"}), "code"),
        (json!({"aggregator": "uzo", "answer_within": "2s"}), "answer_within"),
        (json!({"aggregator": "uzo", "screen": 10}), "screen"),
        (json!({"aggregator": "uzo", "max_calls": 0}), "max_calls"),
        (json!({"aggregator": "uzo", "lifetime": "5s"}), "lifetime"),
        (json!({"aggregator": "uzo", "texts": {"more": " "}}), "texts.more"),
        (json!({"aggregator": "uzo", "webhooks": {"token": "short"}}), "webhooks.token"),
    ] {
        let problems = HttpUssd::check(&settings(&more));
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{more}");
    }
    assert_eq!(HttpUssd::check(&settings(&json!({ "shape": shape }))), []);
}
