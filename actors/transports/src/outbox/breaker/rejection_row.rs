//! Rejections in a row that say the same, but for ids and numbers.

/// Digits of ids and numbers, which differ from SMS to SMS: shorter runs are a provider's codes.
const LONG_NUMBER: usize = 5;

/// How many of the last answers were one rejection like the other.
#[derive(Default)]
pub(super) struct RejectionRow {
    /// Without ids and numbers.
    words: String,
    count: u32,
}

impl RejectionRow {
    /// The row with one more rejection; one of other words begins a new row.
    pub(super) fn with(self, provider_response: &str) -> Self {
        let words = without_numbers(provider_response);
        let before = if self.words == words { self.count } else { 0 };
        Self { words, count: before.saturating_add(1) }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }
}

/// The words of a rejection, without ids and numbers.
fn without_numbers(text: &str) -> String {
    let (mut words, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(begin);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        words.push_str(before);
        words.push_str(if number.len() < LONG_NUMBER { number } else { "#" });
        rest = after;
    }
    words + rest
}
