//! The fields of a request, whether they came in a form, a query or JSON.
//!
//! What reading makes is bounded, not only the bytes that are read: fields that a call does not know are skipped and
//! counted, and of a list so many values are kept as the call may have.

use std::{borrow::Cow, collections::BTreeMap};

use percent_encoding::percent_decode;

use super::{body::FORM, json_fields};
use crate::response::{
    error::ApiError,
    field_errors::{FieldError, FieldErrors},
};

/// The most fields of a request, beside the values of its lists.
const MAX_FIELDS: usize = 1000;
/// The longest name of a variable, in bytes, its prefix included.
const MAX_NAME: usize = 64;
/// The most variables.
const MAX_VARIABLES: usize = 100;
/// Of a field that may be given once, the second value is kept for the error.
const MAX_SINGLE: usize = 2;

/// The fields that a call knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownFields {
    /// Fields that may be given once, in groups.
    pub(crate) single: &'static [&'static [&'static str]],
    /// Fields that may be repeated.
    pub(crate) lists: &'static [&'static str],
    /// Fields that may be whole numbers in JSON, as may all variables; a text may not.
    pub(crate) numbers: &'static [&'static str],
    /// Fields that may be `true` or `false` in JSON.
    pub(crate) flags: &'static [&'static str],
    /// The prefix of fields that clients name, which may be repeated.
    pub(crate) variables: Option<&'static str>,
    /// The most values of a list or variable that are kept; the others are counted.
    pub(crate) max_values: usize,
}

/// The values of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FieldValues<'a> {
    given: usize,
    kept: Vec<Cow<'a, str>>,
}

/// The fields of a body or query that the call knows, each with its values in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestFields<'a>(BTreeMap<Cow<'a, str>, FieldValues<'a>>);

impl<'a> RequestFields<'a> {
    /// Reads a body by its media type. An empty body has no fields, whatever its type.
    pub(crate) fn of_body(media_type: &str, body: &'a [u8], known: KnownFields) -> Result<Self, ApiError> {
        match media_type {
            FORM => Self::of_form(body, known),
            "application/json" => json_fields::read(body, FieldCollector::new(known)),
            _ if body.is_empty() => Ok(Self::default()),
            other => Err(ApiError::UnsupportedMediaType(other.chars().take(100).collect())),
        }
    }

    /// Reads a form-encoded body or a query.
    pub(crate) fn of_form(body: &'a [u8], known: KnownFields) -> Result<Self, ApiError> {
        let mut collector = FieldCollector::new(known);
        for pair in body.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&b| b == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            let Some(name) = decoded(name) else {
                collector.error(&String::from_utf8_lossy(name), "", "the name is not UTF-8 once decoded");
                collector.count_field()?;
                continue;
            };
            match collector.slot(&name)? {
                Slot::Keep => match decoded(value) {
                    Some(value) => collector.keep(name, value),
                    None => collector.error(&name, &String::from_utf8_lossy(value), "is not UTF-8 once decoded"),
                },
                Slot::Count => collector.count(name),
                Slot::Skip => {}
            }
        }
        collector.finish()
    }

    /// How many values a field was given.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |values| values.given)
    }

    /// The values of a field, up to those that are kept.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flat_map(|values| &values.kept).map(Cow::as_ref)
    }

    /// The names of the variables, without their prefix.
    pub(crate) fn variables<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    /// The value of a field that may be given once.
    pub(crate) fn one(&self, name: &str, errors: &mut FieldErrors) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next()?;
        if let Some(second) = values.next() {
            errors.push(FieldError::new(name, second, "is given more than once"));
        }
        Some(value)
    }

    /// The value of a field that must be given once.
    pub(crate) fn required(&self, name: &str, errors: &mut FieldErrors) -> Option<&str> {
        let value = self.one(name, errors);
        if value.is_none() {
            errors.push(FieldError::new(name, "", "is required"));
        }
        value
    }
}

/// What is to be done with a value.
pub(super) enum Slot {
    Keep,
    /// Count it: the field has enough values.
    Count,
    /// The call does not know the field.
    Skip,
}

/// Collects the fields that a call knows, within the bounds.
pub(super) struct FieldCollector<'a> {
    known: KnownFields,
    fields: RequestFields<'a>,
    errors: FieldErrors,
    /// Fields beside the values of lists and variables.
    counted: usize,
    variables: usize,
}

impl<'a> FieldCollector<'a> {
    fn new(known: KnownFields) -> Self {
        Self { known, fields: RequestFields::default(), errors: FieldErrors::default(), counted: 0, variables: 0 }
    }

    /// Where a value of a field goes. The value need not be read unless it is kept.
    pub(super) fn slot(&mut self, name: &str) -> Result<Slot, ApiError> {
        let is_list = self.takes_lists(name);
        if !is_list {
            self.count_field()?;
        }
        if !self.knows(name) {
            return Ok(Slot::Skip);
        }
        let given = self.fields.count(name);
        if given == 0 && self.is_variable(name) {
            self.begin_variable(name)?;
        }
        let max = if is_list { self.known.max_values } else { MAX_SINGLE };
        Ok(if given < max { Slot::Keep } else { Slot::Count })
    }

    /// Whether the call knows a field.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.single.iter().any(|group| group.contains(&name))
            || self.known.lists.contains(&name)
            || self.is_variable(name)
    }

    /// Whether a field may be a whole number in JSON.
    pub(super) fn takes_numbers(&self, name: &str) -> bool {
        self.known.numbers.contains(&name) || self.is_variable(name)
    }

    /// Whether a field may be `true` or `false` in JSON.
    pub(super) fn takes_flags(&self, name: &str) -> bool {
        self.known.flags.contains(&name)
    }

    /// Whether a field may be a list in JSON.
    pub(super) fn takes_lists(&self, name: &str) -> bool {
        self.known.lists.contains(&name) || self.is_variable(name)
    }

    fn is_variable(&self, name: &str) -> bool {
        self.known.variables.is_some_and(|prefix| name.starts_with(prefix))
    }

    fn begin_variable(&mut self, name: &str) -> Result<(), ApiError> {
        if name.len() > MAX_NAME {
            return Err(ApiError::field(name, "", format!("a name has {MAX_NAME} bytes at most")));
        }
        self.variables += 1;
        if self.variables > MAX_VARIABLES {
            let prefix = self.known.variables.unwrap_or_default();
            let detail = format!("{MAX_VARIABLES} are allowed");
            return Err(ApiError::field(&format!("{prefix}*"), &self.variables.to_string(), detail));
        }
        Ok(())
    }

    pub(super) fn count_field(&mut self) -> Result<(), ApiError> {
        self.counted += 1;
        let refused =
            || ApiError::Unreadable(format!("a request may have {MAX_FIELDS} fields, beside recipients and values"));
        if self.counted > MAX_FIELDS { Err(refused()) } else { Ok(()) }
    }

    pub(super) fn keep(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let values = self.fields.0.entry(name).or_default();
        values.given += 1;
        values.kept.push(value);
    }

    pub(super) fn count(&mut self, name: Cow<'a, str>) {
        self.fields.0.entry(name).or_default().given += 1;
    }

    pub(super) fn error(&mut self, name: &str, value: &str, detail: &str) {
        self.errors.push(FieldError::new(name, value, detail));
    }

    pub(super) fn finish(self) -> Result<RequestFields<'a>, ApiError> {
        if self.errors.is_empty() { Ok(self.fields) } else { Err(ApiError::InvalidFields(self.errors)) }
    }
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

    use super::{KnownFields, RequestFields};
    use crate::response::{error::ApiError, field_errors::FieldErrors};

    const KNOWN: KnownFields = KnownFields {
        single: &[&["message", "from_msisdn", "flag"]],
        lists: &["to_msisdn"],
        numbers: &["to_msisdn", "from_msisdn"],
        flags: &["flag"],
        variables: Some("template_"),
        max_values: 6,
    };

    fn of_json(body: &[u8]) -> Result<RequestFields<'_>, ApiError> {
        RequestFields::of_body("application/json", body, KNOWN)
    }

    #[test]
    fn a_form_keeps_the_order_of_repeated_fields() {
        let form = b"to_msisdn=1%2B&message=hello+w%C3%B6rld&to_msisdn=2&&flag";
        let fields = RequestFields::of_form(form, KNOWN).unwrap();
        assert_eq!(fields.all("to_msisdn").collect::<Vec<_>>(), ["1+", "2"]);
        assert_eq!(fields.all("message").collect::<Vec<_>>(), ["hello wörld"]);
        assert_eq!(fields.all("flag").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn json_of_the_same_names_gives_the_same_fields() {
        let fields = of_json(br#"{"to_msisdn": ["1", 27], "message": "hi \u0041", "to_msisdn": "3"}"#).unwrap();
        assert_eq!(fields.all("to_msisdn").collect::<Vec<_>>(), ["1", "27", "3"]);
        assert_eq!(fields.all("message").collect::<Vec<_>>(), ["hi A"]);
    }

    #[test]
    fn unknown_fields_are_skipped_and_of_a_list_so_many_values_are_kept_as_are_allowed() {
        let form = b"to_msisdn=1&to_msisdn=1&to_msisdn=1&to_msisdn=1&to_msisdn=1&to_msisdn=1&to_msisdn=1&other=1";
        let json = br#"{"to_msisdn": [1, 1, 1, 1, 1, 1], "other": {"a": [null]}, "to_msisdn": [1]}"#;
        for fields in [RequestFields::of_form(form, KNOWN).unwrap(), of_json(json).unwrap()] {
            assert_eq!((fields.count("to_msisdn"), fields.all("to_msisdn").count()), (7, 6));
            assert_eq!(fields.0.len(), 1);
        }
    }

    #[test]
    fn what_is_not_text_is_named() {
        let json = br#"{"message": {"a": 1}, "to_msisdn": [null, 1.5, ["1"], true], "template_a": -3}"#;
        let refused = of_json(json).unwrap_err();
        let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
        let named: Vec<_> = errors.iter().map(|w| (w.field.as_str(), w.value.as_str())).collect();
        let list = "to_msisdn";
        assert_eq!(named, [("message", "{…}"), (list, "null"), (list, "1.5"), (list, "[…]"), (list, "true")]);
        let refused = RequestFields::of_form(b"message=%ff%fe", KNOWN).unwrap_err();
        assert!(matches!(&refused, ApiError::InvalidFields(errors) if errors[0].field == "message"), "{refused:?}");
    }

    #[test]
    fn a_text_is_no_number_and_no_list_and_an_address_may_be_a_number() {
        let fields = of_json(br#"{"from_msisdn": 27123, "to_msisdn": 27124, "template_a": 1}"#).unwrap();
        assert_eq!(fields.all("from_msisdn").chain(fields.all("to_msisdn")).collect::<Vec<_>>(), ["27123", "27124"]);
        for (json, field) in [
            (r#"{"message": 0}"#, "message"),
            (r#"{"message": -1}"#, "message"),
            (r#"{"message": ["hi"]}"#, "message"),
            (r#"{"from_msisdn": ["27123"]}"#, "from_msisdn"),
        ] {
            let refused = of_json(json.as_bytes()).unwrap_err();
            let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
            assert_eq!((errors.len(), errors[0].field.as_str()), (1, field), "{json}");
        }
    }

    #[test]
    fn a_flag_may_be_true_or_false_in_json_and_no_other_field_may() {
        let fields = of_json(br#"{"flag": true, "from_msisdn": "27123"}"#).unwrap();
        assert_eq!(fields.all("flag").collect::<Vec<_>>(), ["true"]);
        let refused = of_json(br#"{"flag": 1, "message": false}"#).unwrap_err();
        let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
        let named: Vec<_> = errors.iter().map(|w| (w.field.as_str(), w.detail.as_str())).collect();
        assert_eq!(named, [("flag", "must be true or false"), ("message", "must be a text")]);
    }

    #[test]
    fn a_body_of_another_type_is_refused_and_an_empty_one_has_no_fields() {
        let text = RequestFields::of_body("text/xml", b"<a/>", KNOWN);
        assert!(matches!(text, Err(ApiError::UnsupportedMediaType(_))));
        for json in [b"[1]".as_slice(), b"{", b"{}x", b"\"a\"", b""] {
            assert!(matches!(of_json(json), Err(ApiError::Unreadable(_))), "{json:?}");
        }
        assert_eq!(RequestFields::of_body("", b"", KNOWN).unwrap(), RequestFields::default());
    }

    #[test]
    fn a_field_that_may_be_given_once_is_refused_twice() {
        let fields = RequestFields::of_form(b"message=a&message=b", KNOWN).unwrap();
        let mut errors = FieldErrors::default();
        assert_eq!(fields.one("message", &mut errors), Some("a"));
        assert_eq!(errors.len(), 1);
        assert_eq!(fields.required("from_msisdn", &mut errors), None);
        assert_eq!(errors[1].field, "from_msisdn");
    }

    proptest! {
        #[test]
        fn no_form_makes_the_reader_panic(body in any::<Vec<u8>>()) {
            let _read = RequestFields::of_form(&body, KNOWN);
        }

        #[test]
        fn no_json_makes_the_reader_panic(body in "[\\[\\]{}\",:0-9a-z\\\\. \u{0}-\u{ff}]{0,60}") {
            let _read = of_json(body.as_bytes());
        }

        #[test]
        fn what_is_encoded_is_read_back(name in "template_\\PC{0,8}", values in prop::collection::vec(".{0,20}", 0..6)) {
            let pairs = values.iter().map(|value| (&name, value));
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let json = serde_json::json!({ &name: values }).to_string();
            for fields in [RequestFields::of_form(form.as_bytes(), KNOWN).unwrap(), of_json(json.as_bytes()).unwrap()] {
                prop_assert_eq!(fields.all(&name).collect::<Vec<_>>(), values.iter().collect::<Vec<_>>());
            }
        }
    }
}
