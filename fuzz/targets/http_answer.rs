//! A provider's answer read by settings: of the two examples, and by a pointer and an expression of the fuzzer's own.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use vumi_transports::fuzzing::read_answer;

static EXAMPLES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let answer = |text: &str| toml::from_str::<Value>(text).expect("settings in TOML")["answer"].clone();
    vec![
        answer(include_str!("../../actors/transports/src/http_provider/africas_talking.toml")),
        answer(include_str!("../../actors/transports/src/http_provider/twilio.toml")),
    ]
});

fuzz_target!(|data: &str| {
    for settings in EXAMPLES.iter() {
        assert!(read_answer(settings, data).is_some(), "settings that are good stay good");
    }
    if let Some((found_at, answer)) = data.split_once('\n') {
        let _decision = read_answer(&json!({ "id": { "json": found_at } }), answer);
        let _decision = read_answer(&json!({ "id": { "regex": found_at } }), answer);
    }
});
