//! What is wrong with a test file.

use std::fmt;

/// Something in a test file that can't be read, at a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFileProblem {
    /// The first line is 1.
    pub line: usize,
    /// The first character of a line is 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// As `LINE:COLUMN: MESSAGE`; the file's name goes before it.
impl fmt::Display for TestFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// The word of `words` that was probably meant by `written`; none where nothing is close.
#[must_use]
pub fn closest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = written.chars().count().max(3) / 2;
    let near = words.into_iter().map(|word| (edits(written, word), word)).filter(|(edits, _)| *edits <= far);
    near.min_by_key(|(edits, _)| *edits).map(|(_, word)| word)
}

/// How many characters must be added, left out or changed to make one word of the other. Of long words only the first 64
/// characters count.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, a) in one.chars().take(64).enumerate() {
        let mut corner = number;
        let mut left = number + 1;
        for (b, above) in other.iter().zip(row.iter_mut().skip(1)) {
            let cost = (corner + usize::from(a != *b)).min(left + 1).min(*above + 1);
            corner = *above;
            *above = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = number + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_word_that_was_meant_is_the_one_with_the_fewest_changes() {
        let words = ["see", "see_part", "send", "end"];
        for (written, meant) in [
            ("seen", Some("see")),
            ("see-part", Some("see_part")),
            ("snd", Some("send")),
            ("send", Some("send")),
            ("xyzzy", None),
            ("", None),
        ] {
            assert_eq!(closest(written, words), meant, "{written}");
        }
    }
}
