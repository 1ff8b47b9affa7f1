//! The fields of a request, whether they came in a form, a query or JSON.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use serde_json::Value;

use crate::response::error::{ApiError, FieldError};

/// The fields of a body or query, in their order; a name may be repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestFields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> RequestFields<'a> {
    /// Reads a body by its media type. An empty body has no fields, whatever its type.
    pub(crate) fn of_body(media_type: &str, body: &'a [u8]) -> Result<Self, ApiError> {
        match media_type {
            "application/x-www-form-urlencoded" => Self::of_form(body),
            "application/json" => Self::of_json(body),
            _ if body.is_empty() => Ok(Self::default()),
            other => Err(ApiError::UnsupportedMediaType(other.chars().take(100).collect())),
        }
    }

    /// Reads a form-encoded body or a query.
    pub(crate) fn of_form(body: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Vec::with_capacity(4);
        let mut errors = Vec::new();
        for pair in body.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&b| b == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => fields.push((name, value)),
                (name, _) => errors.push(FieldError::new(
                    name.unwrap_or_else(|| String::from_utf8_lossy(name_or_empty(pair))),
                    &String::from_utf8_lossy(value),
                    "is not UTF-8 once decoded",
                )),
            }
        }
        if errors.is_empty() { Ok(Self(fields)) } else { Err(ApiError::InvalidFields(errors)) }
    }

    /// Reads a JSON object of strings, whole numbers and lists of them into the fields that a form would have.
    fn of_json(body: &[u8]) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| ApiError::Unreadable(format!("the body is not JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(ApiError::Unreadable("the body must be a JSON object".to_owned()));
        };
        let mut fields = Vec::with_capacity(object.len());
        let mut errors = Vec::new();
        for (name, value) in object {
            let values = if let Value::Array(values) = value { values } else { vec![value] };
            for value in values {
                match value {
                    Value::String(text) => fields.push((Cow::Owned(name.clone()), Cow::Owned(text))),
                    Value::Number(number) if number.is_i64() || number.is_u64() => {
                        fields.push((Cow::Owned(name.clone()), Cow::Owned(number.to_string())));
                    }
                    other => errors.push(FieldError::new(
                        name.as_str(),
                        &other.to_string(),
                        "must be a text, a whole number, or a list of them",
                    )),
                }
            }
        }
        if errors.is_empty() { Ok(Self(fields)) } else { Err(ApiError::InvalidFields(errors)) }
    }

    /// All fields, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value)
    }

    /// The value of a field that may be given once.
    pub(crate) fn one(&self, name: &str, errors: &mut Vec<FieldError>) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next()?;
        if let Some(second) = values.next() {
            errors.push(FieldError::new(name, second, "is given more than once"));
        }
        Some(value)
    }

    /// The value of a field that must be given once.
    pub(crate) fn required(&self, name: &str, errors: &mut Vec<FieldError>) -> Option<&str> {
        let value = self.one(name, errors);
        if value.is_none() {
            errors.push(FieldError::new(name, "", "is required"));
        }
        value
    }
}

fn name_or_empty(pair: &[u8]) -> &[u8] {
    pair.split(|&b| b == b'=').next().unwrap_or_default()
}

/// Decodes a name or value of a form; `None` where it is not UTF-8.
fn decoded(part: &[u8]) -> Option<Cow<'_, str>> {
    if !part.iter().any(|&b| b == b'+' || b == b'%') {
        return std::str::from_utf8(part).ok().map(Cow::Borrowed);
    }
    let spaced: Vec<u8> = part.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RequestFields;
    use crate::response::error::ApiError;

    fn pairs(fields: &RequestFields<'_>) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_form_keeps_the_order_of_repeated_fields() {
        let fields = RequestFields::of_form(b"to_msisdn=1%2B&message=hello+w%C3%B6rld&to_msisdn=2&&flag").unwrap();
        assert_eq!(fields.all("to_msisdn").collect::<Vec<_>>(), ["1+", "2"]);
        assert_eq!(fields.all("message").collect::<Vec<_>>(), ["hello wörld"]);
        assert_eq!(fields.all("flag").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn json_of_the_same_names_gives_the_same_fields() {
        let json = br#"{"to_msisdn": ["1", 27], "message": "hi"}"#;
        let fields = RequestFields::of_body("application/json", json).unwrap();
        assert_eq!(fields.all("to_msisdn").collect::<Vec<_>>(), ["1", "27"]);
        assert_eq!(fields.all("message").collect::<Vec<_>>(), ["hi"]);
    }

    #[test]
    fn what_is_not_text_is_named() {
        let refused =
            RequestFields::of_body("application/json", br#"{"message": {"a": 1}, "x": [null, 1.5]}"#).unwrap_err();
        let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
        let named: Vec<_> = errors.iter().map(|w| (w.field.as_str(), w.value.as_str())).collect();
        assert_eq!(named, [("message", r#"{"a":1}"#), ("x", "null"), ("x", "1.5")]);
        let refused = RequestFields::of_form(b"message=%ff%fe").unwrap_err();
        assert!(matches!(&refused, ApiError::InvalidFields(errors) if errors[0].field == "message"), "{refused:?}");
    }

    #[test]
    fn a_body_of_another_type_is_refused_and_an_empty_one_has_no_fields() {
        assert!(matches!(RequestFields::of_body("text/xml", b"<a/>"), Err(ApiError::UnsupportedMediaType(_))));
        assert!(matches!(RequestFields::of_body("application/json", b"[1]"), Err(ApiError::Unreadable(_))));
        assert!(matches!(RequestFields::of_body("application/json", b"{"), Err(ApiError::Unreadable(_))));
        assert_eq!(RequestFields::of_body("", b"").unwrap(), RequestFields::default());
    }

    #[test]
    fn a_field_that_may_be_given_once_is_refused_twice() {
        let fields = RequestFields::of_form(b"message=a&message=b").unwrap();
        let mut errors = vec![];
        assert_eq!(fields.one("message", &mut errors), Some("a"));
        assert_eq!(errors.len(), 1);
        assert_eq!(fields.required("from_msisdn", &mut errors), None);
        assert_eq!(errors[1].field, "from_msisdn");
    }

    proptest! {
        #[test]
        fn no_form_makes_the_reader_panic(body in any::<Vec<u8>>()) {
            let _read = RequestFields::of_form(&body);
        }

        #[test]
        fn no_json_makes_the_reader_panic(body in "[\\[\\]{}\",:0-9a-z\\\\. \u{0}-\u{ff}]{0,60}") {
            let _read = RequestFields::of_body("application/json", body.as_bytes());
        }

        #[test]
        fn what_is_encoded_is_read_back(fields in prop::collection::vec((".{1,8}", ".{0,20}"), 0..6)) {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            prop_assert_eq!(pairs(&RequestFields::of_form(form.as_bytes()).unwrap()), fields);
        }
    }
}
