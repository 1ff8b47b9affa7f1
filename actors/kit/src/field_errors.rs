//! What is wrong with the fields of a request, over HTTP or the broker: every error up to a bound, and the number of those
//! beyond it.

use std::ops::Deref;

use serde::Serialize;

/// The most errors that are named.
const MAX_NAMED: usize = 100;
/// The most characters of a wrong value that are shown.
const MAX_VALUE_SHOWN: usize = 100;
/// The most characters of a field's name that are shown.
const MAX_NAME_SHOWN: usize = 64;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, as the client named it, shortened.
    pub field: String,
    /// Its value, shortened; empty where it was not given.
    pub value: String,
    /// What is wrong, and what was expected.
    pub detail: String,
}

impl FieldError {
    /// An error of a field with this value, both shortened.
    #[must_use]
    pub fn new(field: &str, value: &str, detail: impl Into<String>) -> Self {
        Self { field: shorten(field, MAX_NAME_SHOWN), value: shorten(value, MAX_VALUE_SHOWN), detail: detail.into() }
    }
}

fn shorten(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The errors of a request. As a slice: those that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors {
    named: Vec<FieldError>,
    more: usize,
}

impl FieldErrors {
    /// Adds an error; after the first hundred they are only counted.
    pub fn push(&mut self, error: FieldError) {
        if self.named.len() < MAX_NAMED {
            self.named.push(error);
        } else {
            self.more += 1;
        }
    }

    /// The errors that are not named.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }
}

impl From<FieldError> for FieldErrors {
    fn from(error: FieldError) -> Self {
        Self { named: vec![error], more: 0 }
    }
}

impl Deref for FieldErrors {
    type Target = [FieldError];

    fn deref(&self) -> &[FieldError] {
        &self.named
    }
}

#[cfg(test)]
mod tests {
    use super::FieldError;

    #[test]
    fn a_long_value_is_shortened() {
        assert_eq!(FieldError::new("message", &"ä".repeat(200), "too long").value.chars().count(), 101);
        assert_eq!(FieldError::new("message", "short", "x").value, "short");
        assert_eq!(FieldError::new(&"f".repeat(65), "", "x").field.chars().count(), 65);
    }
}
