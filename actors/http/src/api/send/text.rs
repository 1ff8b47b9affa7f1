//! The text of an SMS: what may be sent.

use vumi_kit::text::{is_writable, measure};

use crate::{
    request::fields::RequestFields,
    response::field_errors::{FieldError, FieldErrors},
};

/// The `message` of a call, which is required; what is wrong with it is added to the errors.
pub(crate) fn message<'f>(
    fields: &'f RequestFields<'_>,
    max_segments: u32,
    errors: &mut FieldErrors,
) -> Option<&'f str> {
    let text = fields.required("message", errors)?;
    if let Some(detail) = text_error(text, max_segments) {
        errors.push(FieldError::new("message", text, detail));
    }
    Some(text)
}

/// Says what is wrong with a text, if anything.
pub(crate) fn text_error(text: &str, max_segments: u32) -> Option<String> {
    if text.trim().is_empty() {
        return Some("the text is empty".to_owned());
    }
    if let Some(c) = text.chars().find(|&c| !is_writable(c)) {
        return Some(format!("the text holds U+{:04X}, which no carrier takes", u32::from(c)));
    }
    let measured = measure(text);
    (measured.segments > max_segments).then(|| {
        format!("the text takes {} parts in {}, {max_segments} are allowed", measured.segments, measured.encoding)
    })
}
