//! Calls and answers that no aggregator and no application should send.

use proptest::prelude::*;

use crate::{
    CallBytes,
    presets::{names, preset},
};

#[test]
fn a_call_without_a_needed_field_or_with_one_that_is_too_long_names_it() {
    let shape = preset("africas-talking").unwrap().shape;
    let form = |body: &str| {
        shape.read_call(&CallBytes { is_form: true, body: body.as_bytes(), ..CallBytes::default() }).unwrap_err().field
    };
    assert_eq!(form(""), "phoneNumber");
    assert_eq!(form("phoneNumber=%2B254"), "sessionId");
    assert_eq!(form("phoneNumber=+&sessionId=1"), "phoneNumber");
    assert_eq!(form(&format!("phoneNumber=254&sessionId={}", "x".repeat(201))), "sessionId");
    assert_eq!(form(&format!("phoneNumber=254&sessionId=1&text={}", "1*".repeat(4_001))), "text");
    let json = |body: &[u8]| shape.read_call(&CallBytes { body, ..CallBytes::default() }).unwrap_err().field;
    for body in [&b"[1]"[..], b"nothing", b"\xff\xfe", &b"[".repeat(100_000)] {
        assert_eq!(json(body), "body");
    }
}

#[test]
fn an_answer_of_another_form_says_what_was_expected_and_quotes_nothing() {
    for (name, body, expected) in [
        ("africas-talking", "Welcome, Thabo", "begins with `CON ` or `END `"),
        ("africas-talking", "CONTINUE", "begins with"),
        ("africas-talking", "", "begins with"),
        ("hubtel", "CON x", "a JSON object"),
        ("hubtel", r#"{"Type":"response"}"#, "the screen's text in `Message`"),
        ("hubtel", r#"{"Message":"Thabo","Type":"maybe"}"#, r#""response" or "release" in `Type`"#),
        ("channel-mobile", "<a><displaytext>x", "an XML document"),
        ("channel-mobile", "<!DOCTYPE a [<!ENTITY e 'x'>]><a><displaytext>&e;</displaytext></a>", "an XML document"),
    ] {
        let wrong = preset(name).unwrap().shape.read_answer(body).map(drop).unwrap_err().to_string();
        assert!(wrong.contains(expected) && !wrong.contains("Thabo"), "{name}: {wrong}");
    }
    let prefix = preset("africas-talking").unwrap().shape;
    for (body, text, is_open) in [
        ("CON\nHello\n", "Hello", true),
        ("\u{feff}END bye", "bye", false),
        (" CON  1. a", " 1. a", true),
        ("END", "", false),
    ] {
        let read = prefix.read_answer(body).unwrap();
        assert_eq!((read.text.as_str(), read.is_open), (text, is_open), "{body:?}");
    }
}

#[test]
fn deep_xml_takes_no_stack() {
    let shape = preset("channel-mobile").unwrap().shape;
    assert!(shape.read_answer(&"<a>".repeat(1_000_000)).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,100}", is_form: bool) {
        for name in names() {
            let shape = preset(&name).unwrap().shape;
            let _any = shape.read_call(&CallBytes { path: &query, query: &query, is_form, body: &body });
            let _any = shape.read_answer(&String::from_utf8_lossy(&body));
        }
    }
}
