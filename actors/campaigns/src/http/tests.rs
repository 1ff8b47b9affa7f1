use serde_json::{Value, json};
use vumi_campaign_kit::Campaign;

use super::{
    HttpApplication, LONGEST_INPUTS, add_inputs,
    forms::{ApplicationForm, ApplicationScreen, ApplicationSms, ApplicationStep, StepEvent},
    settings::ApplicationSettings,
};

fn settings(more: &Value) -> ApplicationSettings {
    let mut settings = json!({ "url": "http://127.0.0.1:8080/ussd" });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(settings).unwrap()
}

fn form(more: &Value) -> ApplicationForm {
    settings(more).form().unwrap()
}

fn step<'s>(event: StepEvent, inputs: &'s [String], state: &'s Value) -> ApplicationStep<'s> {
    ApplicationStep {
        session: "s1",
        message_id: "m1",
        transport: "ussd",
        operator: None,
        from: "27831234567",
        to: "*120*1#",
        text: inputs.last().map(String::as_str),
        inputs,
        event,
        state,
    }
}

#[test]
fn the_json_form_says_who_where_what_and_the_state() {
    let inputs = ["1".to_owned(), "Thabo".to_owned()];
    let state = json!({"step": "name"});
    let call = form(&json!({})).write(&step(StepEvent::Resume, &inputs, &state));
    let body: Value = serde_json::from_str(&call.body.unwrap().1).unwrap();
    let expected = json!({"session": "s1", "message_id": "m1", "transport": "ussd", "from": "27831234567", "to": "*120*1#",
        "text": "Thabo", "inputs": ["1", "Thabo"], "event": "resume", "state": {"step": "name"}});
    assert_eq!(body, expected);
}

#[test]
fn the_form_of_africas_talking_joins_the_inputs_and_adds_the_last() {
    let inputs = ["1".to_owned(), "Thabo".to_owned()];
    let call = form(&json!({"form": "africas-talking"})).write(&step(StepEvent::Resume, &inputs, &Value::Null));
    assert_eq!(
        call.body.unwrap().1,
        "input=Thabo&phoneNumber=%2B27831234567&serviceCode=*120*1%23&sessionId=s1&text=1*Thabo"
    );
}

#[test]
fn every_other_form_of_the_table_can_call_an_application() {
    for name in vumi_ussd_codec::presets::names() {
        let inputs = ["7".to_owned()];
        let call = form(&json!({ "form": name })).write(&step(StepEvent::Resume, &inputs, &Value::Null));
        let all = format!("{} {} {:?}", call.path, call.query, call.body);
        assert!(all.contains("s1") && all.contains("27831234567") && all.contains('7'), "{name}: {all}");
    }
}

#[test]
fn an_answer_is_read_or_refused_with_what_was_expected() {
    let ours = form(&json!({}));
    let screen =
        |text: &str, is_open, state| ApplicationScreen { text: Some(text.to_owned()), is_open, state, sms: Vec::new() };
    assert_eq!(ours.read(r#"{"text":"Hi","open":true}"#), Ok(screen("Hi", true, None)));
    assert_eq!(ours.read(r#"{"text":"Hi","open":false,"state":null}"#), Ok(screen("Hi", false, Some(Value::Null))));
    let sms = ours.read(r#"{"text":"Hi","open":true,"sms":[{"text":"SMS","at":"2026-12-01T09:00:00Z"}]}"#).unwrap().sms;
    assert_eq!(sms, [ApplicationSms { text: "SMS".to_owned(), at: Some("2026-12-01T09:00:00Z".to_owned()) }]);
    let large = json!({"text": "Hi", "open": true, "state": "x".repeat(17_000)}).to_string();
    let long = json!({"text": "x".repeat(5_000), "open": true}).to_string();
    for (body, expected) in [
        ("CON Thabo", "a JSON object"),
        (r#"{"text":"Thabo"}"#, "\"open\": true or false"),
        (r#"{"text":"Thabo","open":"yes"}"#, "\"open\": true or false"),
        (r#"{"text":"Thabo","open":true,"opne":1}"#, "\"open\": true or false"),
        (large.as_str(), "16 KiB"),
        (long.as_str(), "4000 bytes"),
    ] {
        let wrong = ours.read(body).unwrap_err();
        assert!(wrong.contains(expected) && !wrong.contains("Thabo"), "{wrong}");
    }
    let theirs = form(&json!({"form": "africas-talking"}));
    assert_eq!(theirs.read("CON Hi"), Ok(screen("Hi", true, None)));
    assert!(theirs.read("Hi").is_err());
}

#[test]
fn wrong_settings_are_refused_by_key() {
    for (more, key) in [
        (json!({"url": "clinic.example"}), "url"),
        (json!({"url": "ftp://clinic.example"}), "url"),
        (json!({"form": "infobop"}), "form"),
        (json!({"form": "custom"}), "form"),
        (
            json!({"shape": {"fields": {"session": "s", "person": "p", "input": "i"}, "answer": {"prefix": {"open": "C", "close": "E"}}}}),
            "shape",
        ),
        (
            json!({"form": "custom", "shape": {"fields": {"session": "", "person": "p", "input": "i"}, "answer": {"prefix": {"open": "C", "close": "E"}}}}),
            "shape.fields.session",
        ),
        (json!({"secret": "sesame"}), "secret"),
        (json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "form": "hollatags"}), "secret"),
        (json!({"headers": {"a b": "c"}}), "headers.a b"),
        (json!({"connections": 0}), "connections"),
        (json!({"limits": {"answer_within": "2s"}}), "limits.answer_within"),
    ] {
        let problems = HttpApplication::new(settings(&more)).err().unwrap_or_default();
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{more}");
    }
    assert!(HttpApplication::new(settings(&json!({"form": "hubtel"}))).is_ok());
}

#[test]
fn the_inputs_of_a_long_dialogue_are_bounded_and_the_last_is_whole() {
    let mut inputs = Vec::new();
    for number in 0..3_000 {
        add_inputs(&mut inputs, vec![number.to_string()]);
    }
    assert_eq!(inputs.last().map(String::as_str), Some("2999"));
    assert!(inputs.iter().map(|input| input.len() + 1).sum::<usize>() <= LONGEST_INPUTS);
    add_inputs(&mut inputs, vec!["é".repeat(2_000)]);
    assert_eq!(inputs.last().map(String::len), Some(1_000));
}
