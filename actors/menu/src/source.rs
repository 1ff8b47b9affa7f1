//! A menu's text, the places in it, and what is wrong at them.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{fmt, ops::Deref};

/// A place in a text: line and column, both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePlace {
    /// The line, counted from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl SourcePlace {
    /// The beginning of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// So many characters to the right.
    #[must_use]
    pub fn right(self, characters: usize) -> Self {
        let more = u32::try_from(characters).unwrap_or(u32::MAX);
        Self { column: self.column.saturating_add(more), ..self }
    }
}

/// A value and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    pub value: T,
    pub place: SourcePlace,
}

impl<T> Placed<T> {
    /// A value written there.
    pub const fn new(value: T, place: SourcePlace) -> Self {
        Self { value, place }
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A menu's text and the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuSource {
    /// As errors name it.
    pub file: String,
    pub text: String,
}

/// The longest line that an error shows, in characters.
const SHOWN_LINE: usize = 200;

impl MenuSource {
    /// A problem at a place of this text.
    #[must_use]
    pub fn problem(&self, place: SourcePlace, what: impl Into<String>) -> MenuProblem {
        let number = usize::try_from(place.line).unwrap_or(usize::MAX).saturating_sub(1);
        let source_line = self.text.lines().nth(number).unwrap_or_default();
        MenuProblem {
            file: self.file.clone(),
            place,
            source_line: source_line.chars().take(SHOWN_LINE).collect(),
            what: what.into(),
            suggestion: None,
        }
    }
}

/// Something wrong in a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuProblem {
    /// The file's name as it was given.
    pub file: String,
    pub place: SourcePlace,
    /// The line there, 200 characters of it at the most.
    pub source_line: String,
    /// What is wrong, and what was expected.
    pub what: String,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

impl MenuProblem {
    /// This problem with what may have been meant.
    #[must_use]
    pub fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// As [`fmt::Display`], and under it the line with a mark at the place.
    #[must_use]
    pub fn with_line(&self) -> String {
        let line = self.source_line.replace('\t', " ");
        let before = usize::try_from(self.place.column).unwrap_or(1).saturating_sub(1);
        if line.trim().is_empty() || before > line.chars().count() {
            return self.to_string();
        }
        format!("{self}\n    {line}\n    {}^", " ".repeat(before))
    }
}

/// `FILE:LINE:COLUMN: what: did you mean ...?`
impl fmt::Display for MenuProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.what)?;
        match &self.suggestion {
            Some(meant) => write!(f, ": did you mean `{meant}`?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MenuSource, SourcePlace};

    #[test]
    fn a_problem_names_its_place_and_shows_the_line() {
        let source = MenuSource { file: "a.yaml".to_owned(), text: "one\n  two: three\n".to_owned() };
        let problem = source.problem(SourcePlace { line: 2, column: 8 }, "`three` is no step");
        let problem = problem.suggesting(Some("tree".to_owned()));
        assert_eq!(
            problem.with_line(),
            "a.yaml:2:8: `three` is no step: did you mean `tree`?\n      two: three\n           ^"
        );
        assert_eq!(source.problem(SourcePlace { line: 9, column: 1 }, "gone").with_line(), "a.yaml:9:1: gone");
    }
}
