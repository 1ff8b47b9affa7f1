//! The JSON that a provider posts.

use serde::de::DeserializeOwned;
use serde_json::Value;
use vumi_kit::{
    json,
    webhook::{Unreadable, WebhookRequest},
};

/// Reads a body that is JSON, in UTF-16 or UTF-32 where it shows that itself, else in the character set of the call.
pub(crate) fn json_body<T: DeserializeOwned>(request: &WebhookRequest) -> Result<T, Unreadable> {
    let text = json::wide_text(&request.body).map_or_else(|| request.body_text(), |text| Ok(text.into()))?;
    json::read(text.as_bytes()).map_err(|error| Unreadable::new("body", error.to_string()))
}

/// A text, number or truth value as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vumi_kit::{charset::Charset, webhook::WebhookRequest};

    use super::json_body;

    #[test]
    fn a_body_is_read_in_the_character_set_of_the_call() {
        for (charset, body) in [
            (None, "{\"text\": \"très\"}".as_bytes()),
            (Some("ISO-8859-1"), b"{\"text\": \"tr\xe8s\"}"),
            (None, b"\xef\xbb\xbf{\"text\": \"tr\xe8s\"}".get(3..).unwrap()),
            (None, "\u{feff}{\"text\": \"très\"}".as_bytes()),
            (Some("UTF-8"), b"\xff\xfe{\0\"\0t\0e\0x\0t\0\"\0:\0\"\0t\0r\0\xe8\0s\0\"\0}\0"),
        ] {
            let charset = charset.map(Charset::of_label);
            let request = WebhookRequest { charset, body: body.to_vec().into(), ..WebhookRequest::default() };
            assert_eq!(json_body::<Value>(&request).unwrap()["text"], "très", "{charset:?}", charset = request.charset);
        }
    }

    #[test]
    fn half_a_surrogate_and_what_is_no_number_lose_no_report() {
        let body = br#"{"text": "a\ud83db", "price": NaN, "id": 7}"#;
        let request = WebhookRequest { body: body.to_vec().into(), ..WebhookRequest::default() };
        let read = json_body::<Value>(&request).unwrap();
        assert_eq!(read, serde_json::json!({"text": "a\u{fffd}b", "price": null, "id": 7}));
    }
}
