//! What is posted of an event, in either format.

use form_urlencoded::Serializer;
use serde::Serializer as _;
use vumi_kit::callback::CallbackFormat;

/// Writes the fields of an event, each of a name of its own.
pub(crate) fn event_body(format: CallbackFormat, fields: &[(String, String)]) -> String {
    match format {
        CallbackFormat::Form => Serializer::new(String::new()).extend_pairs(fields).finish(),
        CallbackFormat::Json => json(fields),
    }
}

/// An object whose values are texts, in the order of the fields.
fn json(fields: &[(String, String)]) -> String {
    let mut body = Vec::new();
    let written = serde_json::Serializer::new(&mut body).collect_map(fields.iter().map(|(name, value)| (name, value)));
    debug_assert!(written.is_ok(), "texts are written to memory");
    String::from_utf8(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use vumi_kit::callback::CallbackFormat;

    use super::event_body;

    #[test]
    fn both_formats_have_the_same_fields_in_the_same_order() {
        let fields = [("id", "1"), ("message", "crème & \"br\u{fb}lée\"\n"), ("at", "")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let form = event_body(CallbackFormat::Form, &fields);
        assert_eq!(form, "id=1&message=cr%C3%A8me+%26+%22br%C3%BBl%C3%A9e%22%0A&at=");
        let json = event_body(CallbackFormat::Json, &fields);
        assert_eq!(json, r#"{"id":"1","message":"crème & \"brûlée\"\n","at":""}"#);
        assert_eq!(event_body(CallbackFormat::Json, &[]), "{}");
    }
}
