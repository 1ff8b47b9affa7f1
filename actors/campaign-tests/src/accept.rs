//! Writes what was seen into a test file; everything else stays as it is, byte for byte.

use std::ops::Range;

use crate::{
    rendering,
    runner::FileOutcome,
    test_file::{Expectation, TestFile},
};

/// The file in which every expectation that differs is what was seen. A step that could not be taken stays as it is.
#[must_use]
pub fn accepted(file: &TestFile, outcome: &FileOutcome) -> String {
    let mut changes = Vec::new();
    for (test, done) in file.tests.iter().zip(&outcome.tests) {
        for (step, seen) in test.steps.iter().zip(&done.observed) {
            let differing = step.expectations.iter().filter(|one| seen.failure.is_none() && !seen.is(&one.expected));
            changes.extend(differing.map(|one| change(&file.text, one, &seen.instead_of(&one.expected))));
        }
    }
    changes.sort_by_key(|(bytes, _)| bytes.start);
    let mut text = file.text.clone();
    for (bytes, new) in changes.into_iter().rev() {
        text.replace_range(bytes, &new);
    }
    text
}

/// The bytes from the key to the end of its value, and what stands there instead.
fn change(text: &str, old: &Expectation, new: &crate::test_file::Expected) -> (Range<usize>, String) {
    let whole = text.get(old.key.bytes.start..old.value.bytes.end).unwrap_or_default();
    let end = old.key.bytes.start + whole.trim_end().len();
    let key =
        if new.key() == old.expected.key() { text.get(old.key.bytes.clone()).unwrap_or_default() } else { new.key() };
    let value = rendering::value(new, old.key.column.saturating_sub(1), old.key.flow);
    let end = end.max(old.key.bytes.end);
    let Some((first, rest)) = value.split_once('\n') else {
        return (old.key.bytes.start..end, format!("{key}:{value}"));
    };
    // A comment behind the old value would become a part of a block: it moves behind the block's first sign.
    let behind = text.get(end..).and_then(|behind| behind.lines().next()).unwrap_or_default();
    let comment = if behind.trim_start().starts_with('#') { behind } else { "" };
    (old.key.bytes.start..end + comment.len(), format!("{key}:{first}{comment}\n{rest}"))
}
