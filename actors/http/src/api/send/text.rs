//! The text of a call.

use vumi_front_kit::sms_text::text_error;

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
