//! What a batch is read as, and every fault that it may have.

use proptest::prelude::*;
use vumi_kit::{
    account::SendingRights,
    carries::Carries,
    clock::Timestamp,
    name::Name,
    sms::NewSms,
    sms_fields::SmsTimes,
    sms_options::{Content, Priority},
    transport_settings::TransportSettings,
};

use super::{super::destination::Destination, BatchReader, MessageSource};
use crate::{limits::send_limits::SendLimits, response::error::ApiError};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const LIMITS: SendLimits = SendLimits { max_segments: 2, max_batch: 3 };

fn reader(source: MessageSource) -> BatchReader {
    let transport = Name::parse("clickatell").unwrap();
    let carries = Carries { flash: true, ..Carries::TEXTS };
    let (times, now) = (SmsTimes::default(), Timestamp::parse("2026-11-28 12:00:00").unwrap());
    let (rights, addresses) = (SendingRights::default(), TransportSettings::default());
    let destination = Destination::Named { transport, addresses, carries };
    BatchReader { account: 1, rights, destination, times, now, source, limits: LIMITS }
}

fn read(source: MessageSource, media_type: &str, body: &str) -> Result<Vec<NewSms>, ApiError> {
    reader(source).read(media_type, body.as_bytes())
}

fn texts(batch: &[NewSms]) -> Vec<(&str, &str, &str)> {
    batch.iter().map(|sms| (sms.to.as_str(), sms.from.as_str(), sms.message.as_str())).collect()
}

#[track_caller]
fn assert_wrong(source: MessageSource, body: &str, expected: &[(&str, &str)]) {
    let refused = read(source, FORM, body).unwrap_err();
    let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
    let named: Vec<_> = errors.iter().map(|w| (w.field.as_str(), w.value.as_str())).collect();
    assert_eq!(named, expected, "{body}");
}

#[test]
fn a_batch_is_an_sms_for_each_recipient_in_the_order_given() {
    let form = "to_msisdn=27123456781&to_msisdn=%2B27123456780&from_msisdn=27123456789&message=hello+world";
    let json =
        r#"{"to_msisdn": ["27123456781", "+27123456780"], "from_msisdn": 27123456789, "message": "hello world"}"#;
    for (media_type, body) in [(FORM, form), ("application/json", json)] {
        let batch = read(MessageSource::Text, media_type, body).unwrap();
        assert_eq!(
            texts(&batch),
            [("27123456781", "27123456789", "hello world"), ("27123456780", "27123456789", "hello world")]
        );
    }
}

#[test]
fn the_ith_recipient_gets_the_ith_values() {
    let body = "to_msisdn=271&to_msisdn=272&from_msisdn=273&template_name=Simon&template_surname=de+Haan\
                &template_name=Jack&template_surname=Jill&template=Hello+{{name}}+{{surname}}";
    let batch = read(MessageSource::Template, FORM, body).unwrap();
    assert_eq!(texts(&batch), [("271", "273", "Hello Simon de Haan"), ("272", "273", "Hello Jack Jill")]);
}

#[test]
fn every_wrong_field_and_value_is_named_at_once() {
    let everything = [("to_msisdn", ""), ("from_msisdn", ""), ("message", "")];
    assert_wrong(MessageSource::Text, "", &everything);
    assert_wrong(
        MessageSource::Text,
        "to_msisdn=27123&to_msisdn=27x&to_msisdn=12&from_msisdn=twelve+signs&message=+",
        &[("to_msisdn", "27x"), ("to_msisdn", "12"), ("from_msisdn", "twelve signs"), ("message", " ")],
    );
}

#[test]
fn too_many_recipients_and_too_long_texts_are_wrong() {
    let four = "to_msisdn=123&to_msisdn=123&to_msisdn=123&to_msisdn=123&from_msisdn=123&message=x";
    assert_wrong(MessageSource::Text, four, &[("to_msisdn", "4")]);
    let long = format!("to_msisdn=123&from_msisdn=123&message={}", "a".repeat(307));
    let shown = format!("{}…", "a".repeat(100));
    assert_wrong(MessageSource::Text, &long, &[("message", &shown)]);
    let fits = format!("to_msisdn=123&from_msisdn=123&message={}", "a".repeat(306));
    assert!(read(MessageSource::Text, FORM, &fits).is_ok());
    assert_wrong(MessageSource::Text, "to_msisdn=123&from_msisdn=123&message=a%00b", &[("message", "a\0b")]);
}

#[test]
fn what_is_wrong_with_a_template_is_named() {
    let to = "to_msisdn=271&to_msisdn=272&from_msisdn=273";
    for (rest, expected) in [
        ("template_a=1&template_a=2", ("template", "")),
        ("template_a=1&template_a=2&template={{a", ("template", "{{a")),
        ("template_a=1&template_a=2&template={{b}}", ("template", "{{b}}")),
        ("template_a=1&template={{a}}", ("template_a", "1")),
        ("template_a=1&template_a=2&template_a=3&template={{a}}", ("template_a", "3")),
        ("template_a=1&template_a=&template={{a}}", ("template", "")),
    ] {
        assert_wrong(MessageSource::Template, &format!("{to}&{rest}"), &[expected]);
    }
}

#[test]
fn what_is_asked_is_asked_of_every_sms_of_the_call() {
    let form = "to_msisdn=271&to_msisdn=272&from_msisdn=273&message=x&priority=high&reference=r1&flash=true";
    let json = r#"{"to_msisdn": ["271", "272"], "from_msisdn": "273", "message": "x", "priority": "high",
        "reference": "r1", "flash": true}"#;
    for (media_type, body) in [(FORM, form), (JSON, json)] {
        let batch = read(MessageSource::Text, media_type, body).unwrap();
        assert_eq!(batch.len(), 2);
        for sms in batch {
            let options = &sms.options;
            assert_eq!((options.priority, options.reference.as_deref()), (Priority::High, Some("r1")));
            assert_eq!(options.content, Content::Flash);
        }
    }
    let personal = "to_msisdn=271&from_msisdn=273&template_a=x&template={{a}}&validity=5m";
    let batch = read(MessageSource::Template, FORM, personal).unwrap();
    assert_eq!(batch[0].options.validity, Some(std::time::Duration::from_secs(300)));
}

#[test]
fn octets_stand_in_place_of_a_text_where_the_transport_carries_them() {
    let (transport, addresses) = (Name::parse("clickatell").unwrap(), TransportSettings::default());
    let destination = Destination::Named { transport, addresses, carries: Carries::ALL };
    let reader = BatchReader { destination, ..reader(MessageSource::Text) };
    let batch = reader.read(FORM, b"to_msisdn=271&to_msisdn=272&from_msisdn=273&data=48FF").unwrap();
    assert_eq!(texts(&batch), [("271", "273", "48ff"), ("272", "273", "48ff")]);
    let to = "to_msisdn=271&from_msisdn=273";
    assert_wrong(MessageSource::Text, &format!("{to}&data=48ff"), &[("data", "")]);
    assert_wrong(MessageSource::Text, &format!("{to}&data=48ff&message=x"), &[("data", "48ff"), ("data", "")]);
    assert_wrong(MessageSource::Text, &format!("{to}&message=x&validity=1&validity=2"), &[("validity", "2")]);
}

#[test]
fn a_template_and_its_texts_are_bounded_for_all_recipients_together() {
    let limits = SendLimits { max_segments: 40, max_batch: 10_000 };
    let reader = BatchReader { limits, ..reader(MessageSource::Template) };
    let batch = |template: &str, value: &str, count: usize| {
        let one = format!("&to_msisdn=271&template_a={value}");
        reader.read(FORM, format!("from_msisdn=273&template={template}{}", one.repeat(count)).as_bytes())
    };
    // A comment costs the time of its bytes, although the texts are short.
    let template = format!("x{{{{!{}}}}}", "c".repeat(15_994));
    assert_eq!(template.len(), 16_000);
    assert_eq!(batch(&template, "", 1_048).unwrap().len(), 1_048);
    let values = "v".repeat(120);
    let many = "{{a}}".repeat(30);
    assert_eq!(batch(&many, &values, 4_000).unwrap().len(), 4_000);
    for refused in [batch(&template, "", 1_049), batch(&many, &values, 5_000)] {
        let Err(ApiError::InvalidFields(errors)) = refused else { panic!("taken") };
        assert_eq!(errors.len(), 1);
        assert!(errors[0].detail.ends_with("16777216 bytes in all: send smaller batches"), "{}", errors[0].detail);
    }
}

#[test]
fn a_text_that_a_template_makes_too_long_is_wrong() {
    let long = "a".repeat(400);
    let body = format!("to_msisdn=271&from_msisdn=273&template_a={long}&template={{{{a}}}}");
    assert!(matches!(read(MessageSource::Template, FORM, &body), Err(ApiError::InvalidFields(_))));
}

#[test]
fn a_json_object_that_repeats_names_is_read_as_the_form_that_repeats_them() {
    let json = r#"{"to_msisdn": "271", "to_msisdn": ["272", 273], "from_msisdn": "274", "message": "x"}"#;
    let batch = read(MessageSource::Text, JSON, json).unwrap();
    assert_eq!(texts(&batch), [("271", "274", "x"), ("272", "274", "x"), ("273", "274", "x")]);
    let json = r#"{"to_msisdn": "271", "from_msisdn": "274", "message": "x", "message": "y"}"#;
    let form = "to_msisdn=271&from_msisdn=274&message=x&message=y";
    let refused = [(JSON, json), (FORM, form)].map(|(media_type, body)| read(MessageSource::Text, media_type, body));
    for refused in refused {
        let Err(ApiError::InvalidFields(errors)) = refused else { panic!("{refused:?}") };
        assert_eq!((errors[0].field.as_str(), errors[0].value.as_str()), ("message", "y"));
    }
}

#[test]
fn fields_without_end_are_refused_before_they_are_kept() {
    let sms = "to_msisdn=271&from_msisdn=274&message=x";
    for (source, media_type, body) in [
        (MessageSource::Text, FORM, format!("{sms}{}", "&a".repeat(1_001))),
        (MessageSource::Text, FORM, format!("{sms}{}", "&message=y".repeat(1_001))),
        (MessageSource::Text, JSON, format!("{{{}\"to_msisdn\": \"271\"}}", r#""a": 1, "#.repeat(1_001))),
    ] {
        let refused = read(source, media_type, &body).unwrap_err();
        assert!(matches!(&refused, ApiError::Unreadable(why) if why.contains("1000 fields")), "{refused:?}");
    }
}

#[test]
fn the_101st_template_variable_ends_the_reading() {
    let form: String = (0..250_000).map(|n| format!("template_{n}=x&")).collect();
    let json: Vec<String> = (0..250_000).map(|n| format!("\"template_{n}\": [\"x\"]")).collect();
    let json = format!("{{{}}}", json.join(", "));
    for (media_type, body) in [(FORM, form), (JSON, json)] {
        let refused = read(MessageSource::Template, media_type, &body).unwrap_err();
        let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
        assert_eq!((errors.len(), errors[0].field.as_str(), errors[0].value.as_str()), (1, "template_*", "101"));
    }
}

#[test]
fn a_long_template_variable_is_refused_and_a_long_unknown_name_skipped() {
    let long = "n".repeat(100_000);
    let refused = format!("to_msisdn=271&from_msisdn=274&template=x&template_{long}=1");
    let ApiError::InvalidFields(errors) = read(MessageSource::Template, FORM, &refused).unwrap_err() else { panic!() };
    assert!(errors.len() == 1 && errors[0].field.len() < 100 && errors[0].detail.contains("64 bytes"), "{errors:?}");
    let list = vec!["1"; 10_000].join(",");
    let json = format!(r#"{{"{long}": [{list}], "to_msisdn": "271", "from_msisdn": "274", "message": "x"}}"#);
    assert_eq!(read(MessageSource::Text, JSON, &json).unwrap().len(), 1);
}

#[test]
fn a_hundred_errors_are_named_and_the_others_counted() {
    let limits = SendLimits { max_segments: 2, max_batch: 10_000 };
    let form = format!("{}from_msisdn=274&message=x", "to_msisdn=x&".repeat(10_000));
    let reader = BatchReader { limits, ..reader(MessageSource::Text) };
    let refused = reader.read(FORM, form.as_bytes()).unwrap_err();
    let problem: serde_json::Value = serde_json::from_slice(&refused.body()).unwrap();
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
    assert!(problem["detail"].as_str().unwrap().contains("and 9900 more"), "{}", problem["detail"]);
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(
        body in "(to_msisdn=|from_msisdn=|message=|template=|template_a=|&|[0-9a-z%+{}#=]|\\PC){0,40}",
        personal in any::<bool>(),
        json in any::<bool>(),
    ) {
        let source = if personal { MessageSource::Template } else { MessageSource::Text };
        let media_type = if json { "application/json" } else { FORM };
        let _read = read(source, media_type, &body);
    }

    #[test]
    fn as_many_sms_come_out_as_recipients_go_in(to in prop::collection::vec("[1-9][0-9]{2,14}", 1..=3)) {
        let recipients: String = to.iter().map(|to| format!("to_msisdn={to}&")).collect();
        let batch = read(MessageSource::Text, FORM, &format!("{recipients}from_msisdn=123&message=x")).unwrap();
        prop_assert_eq!(batch.iter().map(|sms| sms.to.as_str().to_owned()).collect::<Vec<_>>(), to);
    }
}
