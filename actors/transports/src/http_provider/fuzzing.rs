//! For the fuzzer only: see `crate::fuzzing`.

use std::collections::BTreeMap;

use serde_json::Value;
use vumi_kit::{
    clock::Timestamp,
    sms::{Decision, Submission},
};

use super::{
    reading::AnswerReader,
    template::{SmsTemplate, as_it_is, json, xml},
};

/// Reads an answer by the settings under `answer`; none where the settings are refused.
#[must_use]
pub fn read_answer(settings: &Value, answer: &str) -> Option<Decision> {
    let settings = serde_json::from_value(settings.clone()).ok()?;
    Some(AnswerReader::new(&settings).ok()?.read(answer))
}

/// Fills in a template as it is, for JSON and for XML; none where the template is refused.
#[must_use]
pub fn fill_in(template: &str, submission: &Submission) -> Option<[String; 3]> {
    let none = BTreeMap::new();
    let template = SmsTemplate::parse(template, &none).ok()?;
    Some([as_it_is, json, xml].map(|escape| template.render(submission, Timestamp::from_seconds(0), &none, escape)))
}
