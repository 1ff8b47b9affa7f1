//! What a campaign elsewhere asks of an SMS beside its text: the object `sms` in the `helper_metadata` of its message.

use std::borrow::Cow;

use serde_json::Value;
use vumi_kit::{
    clock::Timestamp,
    field_errors::{FieldError, FieldErrors},
    message::UserMessage,
    sms_fields::{AskedOptions, SmsFields, SmsTimes},
};

const KEY: &str = "sms";

/// The object as it came, for a digest of the message; none: the campaign asks for nothing.
pub(super) fn asked_of(message: &UserMessage) -> Option<&Value> {
    message.helper_metadata.get(KEY).filter(|asked| !asked.is_null())
}

/// Reads it. `has_text` tells whether the message has a `content`. The error says all that is wrong.
pub(super) fn asked_options(
    message: &UserMessage,
    has_text: bool,
    times: &SmsTimes,
    now: Timestamp,
) -> Result<AskedOptions, String> {
    let mut errors = FieldErrors::default();
    let fields = match asked_of(message) {
        None => SmsFields::default(),
        Some(Value::Object(asked)) => {
            for name in asked.keys().filter(|name| !SmsFields::NAMES.contains(&name.as_str())) {
                errors.push(FieldError::new(name, "", format!("is not one of {}", SmsFields::NAMES.join(", "))));
            }
            SmsFields::collect(|name| asked.get(name).and_then(|value| text_of(name, value, &mut errors)))
        }
        Some(other) => {
            errors.push(FieldError::new(KEY, &other.to_string(), "is an object of fields"));
            SmsFields::default()
        }
    };
    let asked = fields.read(has_text.then_some("content"), times, now, &mut errors);
    if errors.is_empty() { Ok(asked) } else { Err(in_words(&errors)) }
}

/// A value as a form would have it; a null is none.
fn text_of<'v>(name: &str, value: &'v Value, errors: &mut FieldErrors) -> Option<Cow<'v, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) => Some(Cow::Owned(value.to_string())),
        Value::Array(_) | Value::Object(_) => {
            errors.push(FieldError::new(name, "", "is a text, a number, or true or false"));
            None
        }
    }
}

/// Errors as the reason of a nack.
fn in_words(errors: &FieldErrors) -> String {
    let each: Vec<_> =
        errors.iter().map(|wrong| format!("`helper_metadata.sms.{}` {}", wrong.field, wrong.detail)).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use vumi_kit::{
        message::{TransportType, UserMessage},
        name::Name,
        sms_fields::SmsTimes,
        sms_options::Priority,
        testing::moment,
    };

    use super::asked_options;

    fn message(asked: Value) -> UserMessage {
        let transport = Name::parse("clickatell").unwrap();
        let mut message = UserMessage::from_person(&transport, TransportType::Sms, "38080", "27831234567", moment());
        message.helper_metadata.insert("sms".to_owned(), asked);
        message
    }

    #[test]
    fn what_is_asked_is_read_from_the_helper_metadata() {
        let asked = json!({"validity": 600, "priority": "high", "reference": null, "flash": false});
        let asked = asked_options(&message(asked), true, &SmsTimes::default(), moment()).unwrap();
        assert_eq!((asked.options.validity, asked.options.priority), (Some(Duration::from_secs(600)), Priority::High));
        for nothing in [json!(null), json!({})] {
            let asked = asked_options(&message(nothing), true, &SmsTimes::default(), moment()).unwrap();
            assert_eq!((asked.options, asked.data), (vumi_kit::sms_options::SmsOptions::default(), None));
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_in_the_nack() {
        let asked = json!({"validity": "never", "priority": ["high"], "urgent": true, "data": "00"});
        let wrong = asked_options(&message(asked), true, &SmsTimes::default(), moment()).unwrap_err();
        for field in ["validity", "priority", "urgent", "data"] {
            assert!(wrong.contains(&format!("`helper_metadata.sms.{field}`")), "{wrong}");
        }
        let wrong = asked_options(&message(json!("high")), true, &SmsTimes::default(), moment()).unwrap_err();
        assert!(wrong.contains("is an object"), "{wrong}");
    }
}
