//! The JSON that a provider posts.

use serde::de::DeserializeOwned;
use serde_json::Value;
use vumi_kit::webhook::{Unreadable, WebhookRequest};

/// Reads a body that is JSON, in the character set of the call.
pub(crate) fn json_body<T: DeserializeOwned>(request: &WebhookRequest) -> Result<T, Unreadable> {
    serde_json::from_str(&request.body_text()?).map_err(|error| Unreadable::new("body", error.to_string()))
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
        ] {
            let charset = charset.map(Charset::of_label);
            let request = WebhookRequest { charset, body: body.to_vec().into(), ..WebhookRequest::default() };
            assert_eq!(json_body::<Value>(&request).unwrap()["text"], "très", "{charset:?}", charset = request.charset);
        }
    }
}
