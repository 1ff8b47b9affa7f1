//! The inputs of a session that come joined.

use proptest::prelude::*;

use crate::{
    CallEvent, UssdCall,
    joined::{JoinedInput, extra_steps, new_input, with_input},
};

#[test]
fn the_last_text_is_cut_off_the_front_and_nothing_is_replayed() {
    for (before, text, new) in [
        ("", "1", JoinedInput::Next("1")),
        ("", "1*2", JoinedInput::Next("1*2")),
        ("", "", JoinedInput::Repeated),
        ("1", "1*2", JoinedInput::Next("2")),
        ("1", "1*2*3", JoinedInput::Next("2*3")),
        ("1", "1*", JoinedInput::Next("")),
        ("1", "1**", JoinedInput::Next("*")),
        ("1*2", "1*2", JoinedInput::Repeated),
        ("1*2", "1", JoinedInput::Earlier),
        ("1*2", "", JoinedInput::Earlier),
        ("12", "1", JoinedInput::Next("1")),
        ("1*2", "5", JoinedInput::Next("5")),
    ] {
        assert_eq!(new_input(before, text), new, "{before:?} {text:?}");
    }
}

#[test]
fn what_was_dialled_behind_the_code_are_steps() {
    let steps = |dialled, code| extra_steps(dialled, code).map(|steps| steps.join(","));
    assert_eq!(steps("*384*123*1*2#", "*384*123#").as_deref(), Some("1,2"));
    assert_eq!(steps("*384*123#", "*384*123#").as_deref(), Some(""));
    assert_eq!(steps("*384*1234#", "*384*123#"), None);
    assert_eq!(steps("*384*123", "*384*123#"), None);
    let call = |input: &str, event| UssdCall { input: Some(input.to_owned()), event, ..UssdCall::default() };
    assert_eq!(call("*384*123*1#", CallEvent::New).dialled(), Some("*384*123*1#"));
    assert_eq!(call("*384*123*1#", CallEvent::Resume).dialled(), None, "a person can type that");
    assert_eq!(call("1*2", CallEvent::New).dialled(), None);
}

proptest! {
    #[test]
    fn each_input_of_a_session_comes_out_once_and_whole(inputs in prop::collection::vec("[0-9a-z* ]{1,6}", 1..12)) {
        let mut before = String::new();
        for (number, input) in inputs.iter().enumerate() {
            let text = with_input(&before, input);
            prop_assert_eq!(new_input(&before, &text), JoinedInput::Next(input), "input {}", number);
            prop_assert_eq!(new_input(&text, &text), JoinedInput::Repeated);
            before = text;
        }
    }
}
