//! Answers: errors, and the JSON of what succeeded.

pub(crate) mod error;
pub(crate) mod views;

pub(crate) use vumi_kit::field_errors;
