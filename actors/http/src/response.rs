//! Answers: errors, and the JSON of what succeeded.

pub(crate) mod error;
pub(crate) mod field_errors;
pub(crate) mod views;
