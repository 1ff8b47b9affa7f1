use std::{borrow::Cow, time::Duration};

use proptest::prelude::*;

use super::{AskedOptions, SmsFields, SmsTimes};
use crate::{
    clock::Timestamp,
    field_errors::FieldErrors,
    sms_options::{Content, Priority, SmsOptions},
};

fn now() -> Timestamp {
    Timestamp::parse("2026-11-28 12:00:00").unwrap()
}

fn read(given: &[(&str, &str)], text_field: Option<&str>) -> (AskedOptions, FieldErrors) {
    let value = |name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| Cow::Borrowed(*value));
    let mut errors = FieldErrors::default();
    let asked = SmsFields::collect(value).read(text_field, &SmsTimes::default(), now(), &mut errors);
    (asked, errors)
}

#[track_caller]
fn asked(given: &[(&str, &str)]) -> SmsOptions {
    let (asked, errors) = read(given, None);
    assert!(errors.is_empty(), "{errors:?}");
    asked.options
}

#[track_caller]
fn refused(field: &str, value: &str, says: &str) {
    let (_, errors) = read(&[(field, value)], None);
    let [error] = &errors[..] else { panic!("{field}={value}: {errors:?}") };
    assert!(error.field == field && error.detail.contains(says), "{field}={value}: {error:?}");
}

#[test]
fn every_field_is_read_and_none_asks_for_nothing() {
    assert_eq!(asked(&[]), SmsOptions::default());
    let options = asked(&[
        ("validity", "10m"),
        ("send_at", "2026-11-28T15:00:00+02:00"),
        ("priority", "high"),
        ("callback_url", "https://client.example/sms?of=1"),
        ("reference", "order 7"),
        ("flash", "true"),
    ]);
    assert_eq!(
        options,
        SmsOptions {
            priority: Priority::High,
            send_at: Timestamp::parse("2026-11-28 13:00:00"),
            validity: Some(Duration::from_secs(600)),
            reference: Some("order 7".to_owned()),
            callback_url: Some("https://client.example/sms?of=1".to_owned()),
            receipts: None,
            content: Content::Flash,
            held: None,
            ..SmsOptions::default()
        }
    );
}

#[test]
fn a_validity_is_seconds_or_a_time_up_to_what_the_router_tries() {
    for (text, seconds) in [("1", 1), ("600", 600), ("1h 30m", 5400), ("1day", 86_400), ("86400", 86_400)] {
        assert_eq!(asked(&[("validity", text)]).validity, Some(Duration::from_secs(seconds)), "{text}");
    }
    for wrong in ["", "0", "-5", "86401", "25h", "500ms", "soon", "1.5", "99999999999999999999999", "10 parsecs"] {
        refused("validity", wrong, "1 second to 1day");
    }
}

#[test]
fn a_time_to_send_is_utc_or_has_an_offset_and_lies_ahead() {
    for (text, at) in [
        ("2026-11-28 13:00:00", "2026-11-28 13:00:00"),
        ("2026-11-28T13:00:00Z", "2026-11-28 13:00:00"),
        ("2026-11-28T13:00:00.25-01:30", "2026-11-28 14:30:00.25"),
        ("2026-11-28 11:59:01", "2026-11-28 12:00:00"),
        ("2026-12-28 12:00:00", "2026-12-28 12:00:00"),
    ] {
        assert_eq!(asked(&[("send_at", text)]).send_at, Timestamp::parse(at), "{text}");
    }
    refused("send_at", "2026-11-28 11:58:59", "now it is 2026-11-28 12:00:00 UTC");
    refused("send_at", "2026-12-28 12:00:01", "2026-12-28 12:00:00 UTC is the last");
    refused("send_at", "2036-11-28 12:00:00", "30days ahead");
    for wrong in ["", "tomorrow", "2026-11-29", "2026-11-28T13:00:00", "1795867200", "2026-02-30 10:00:00"] {
        refused("send_at", wrong, "RFC 3339");
    }
}

#[test]
fn what_waited_on_its_way_may_be_late() {
    let mut errors = FieldErrors::default();
    let fields = SmsFields::collect(|name| (name == "send_at").then_some(Cow::Borrowed("2020-01-01 00:00:00")));
    let asked = fields.read(None, &SmsTimes::default().however_late(), now(), &mut errors);
    assert_eq!((asked.options.send_at, errors.len()), (Some(now()), 0));
}

#[test]
fn a_priority_a_reference_a_url_and_a_flag_are_refused_by_what_they_must_be() {
    refused("priority", "urgent", "low, normal, high");
    refused("priority", "", "low, normal, high");
    refused("reference", " ", "1 to 128 bytes");
    refused("reference", &"é".repeat(65), "1 to 128 bytes");
    refused("reference", "a\u{0}b", "control");
    assert_eq!(asked(&[("reference", &"é".repeat(64))]).reference.unwrap().len(), 128);
    for wrong in ["ftp://a/", "client.example", "http://", "javascript:alert(1)", "http://a/\n", ""] {
        refused("callback_url", wrong, "http:// or https://");
    }
    refused("flash", "maybe", "`true` or `false`");
    assert_eq!(asked(&[("flash", "0")]).content, Content::Text);
}

#[test]
fn a_binary_sms_is_hex_within_140_octets_with_its_header() {
    let (asked, errors) = read(&[("data", "48656C6C6F"), ("udh", "06050415811581")], None);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(asked.data.as_deref(), Some("48656c6c6f"));
    assert_eq!(asked.options.content, Content::Binary { udh: Some("06050415811581".to_owned()) });
    assert!(read(&[("data", &"00".repeat(140))], None).1.is_empty());
    assert!(read(&[("data", &"00".repeat(133)), ("udh", "06050415811581")], None).1.is_empty());
    for wrong in ["", "4", "4x", "é", "0x48"] {
        refused("data", wrong, "hex");
    }
    refused("data", &"00".repeat(141), "140 at the most");
    let (_, errors) = read(&[("data", &"00".repeat(134)), ("udh", "06050415811581")], None);
    assert_eq!(errors[0].detail, "has 141 octets with `udh`; an SMS has 140 at the most");
    for (wrong, says) in [
        ("", "is empty"),
        ("07050415811581", "says that 7 follow, and 6 do"),
        ("00", "do not fill it"),
        ("0105", "do not fill it"),
        ("03050400", "do not fill it"),
        ("zz", "hex"),
    ] {
        let (_, errors) = read(&[("data", "00"), ("udh", wrong)], None);
        let [error] = &errors[..] else { panic!("{wrong}: {errors:?}") };
        assert!(error.field == "udh" && error.detail.contains(says), "{wrong}: {error:?}");
    }
}

#[test]
fn all_wrong_fields_are_named_at_once_and_what_does_not_go_together() {
    let (_, errors) = read(
        &[
            ("validity", "never"),
            ("send_at", "2020-01-01 00:00:00"),
            ("priority", "9"),
            ("callback_url", "x"),
            ("reference", ""),
            ("flash", "true"),
            ("data", "abc"),
            ("udh", "00"),
        ],
        Some("message"),
    );
    let named: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(named, ["validity", "send_at", "priority", "callback_url", "reference", "udh", "data", "data", "flash"]);
    refused("udh", "06050415811581", "give that, too");
    let (_, errors) = read(&[("data", "00")], Some("template"));
    assert_eq!(errors[0].detail, "stands in place of a text: leave it out, or `template`");
}

proptest! {
    #[test]
    fn no_value_makes_the_reader_panic(
        field in prop::sample::select(SmsFields::NAMES.to_vec()),
        value in "(\\PC|[0-9a-f:TZ+ -]){0,40}",
    ) {
        let _read_or_refused = read(&[(field, &value), ("data", "00")], None);
    }
}
