//! A request's template of the fuzzer's own, and a text filled in: what is put in can't break out of its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vumi_kit::{
    clock::Timestamp,
    sms::Submission,
    sms_options::{Content, Priority},
};
use vumi_transports::fuzzing::fill_in;

fuzz_target!(|data: &str| {
    let (template, text) = data.split_once('\n').unwrap_or(("", data));
    let submission = Submission {
        id: 42,
        to: "27831234567".to_owned().try_into().expect("an MSISDN"),
        from: "38080".to_owned().try_into().expect("a short code"),
        message: text.to_owned(),
        content: Content::Text,
        segments: 1,
        priority: Priority::Normal,
        reference: None,
        attempts: 0,
        unknown_outcomes: 0,
        due_at: Timestamp::from_seconds(0),
        parts: Vec::new(),
        lease_until: Timestamp::from_seconds(0),
        give_up_at: Timestamp::from_seconds(0),
        limited: false,
        begun: true,
        renewed: false,
        claim_token: "local/1".into(),
    };
    let _filled_in = fill_in(template, &submission);
    let [plain, json, xml] = fill_in("{{text}}", &submission).expect("a good template");
    assert_eq!(plain, text);
    assert_eq!(serde_json::from_str::<String>(&format!("\"{json}\"")).expect("JSON"), text);
    assert!(!xml.contains(['<', '>', '"']), "{xml}");
});
