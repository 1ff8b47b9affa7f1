//! The words of conditions, dates and times of day: what `branch`, `expect`, `at`, `every` and `unless` are written in.

use chrono::{NaiveDate, NaiveTime};

/// The longest expression, in characters.
pub(crate) const MAX_EXPRESSION: usize = 500;

/// Why an expression can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAnExpression {
    /// In characters from the beginning of the expression.
    pub(crate) at: usize,
    pub(crate) what: String,
    pub(crate) meant: Option<String>,
}

impl NotAnExpression {
    pub(crate) fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), meant: None }
    }

    pub(crate) fn suggesting(self, meant: Option<String>) -> Self {
        Self { meant, ..self }
    }
}

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// `age`, `clinic.name`, `za-id`, `and`.
    Name(String),
    /// With whether it has a decimal point.
    Number(f64, bool),
    /// What stood between quotes.
    Text(String),
    Date(NaiveDate),
    Time(NaiveTime),
    Symbol(&'static str),
}

impl Word {
    fn shown(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Number(number, _) => format!("`{number}`"),
            Self::Text(text) => format!("\"{text}\""),
            Self::Date(date) => format!("`{date}`"),
            Self::Time(time) => format!("`{}`", time.format("%H:%M")),
            Self::Symbol(symbol) => format!("`{symbol}`"),
        }
    }
}

const SYMBOLS: [&str; 16] = ["!=", "<=", ">=", "==", "<>", "=", "<", ">", "(", ")", "[", "]", ",", "+", "-", "–"];

/// Reads an expression word by word.
#[derive(Debug)]
pub(crate) struct WordReader {
    words: Vec<(usize, Word)>,
    next: usize,
    end: usize,
}

impl WordReader {
    pub(crate) fn new(text: &str) -> Result<Self, NotAnExpression> {
        let characters: Vec<char> = text.chars().collect();
        if characters.len() > MAX_EXPRESSION {
            let what = format!("it is longer than {MAX_EXPRESSION} characters: split it into several steps");
            return Err(NotAnExpression::new(0, what));
        }
        let (mut words, mut at) = (Vec::new(), 0);
        while let Some(&c) = characters.get(at) {
            if c.is_whitespace() {
                at += 1;
                continue;
            }
            let rest = characters.get(at..).unwrap_or_default();
            let (word, length) = read_word(rest).map_err(|what| NotAnExpression::new(at, what))?;
            words.push((at, word));
            at += length;
        }
        Ok(Self { words, next: 0, end: characters.len() })
    }

    pub(crate) fn peek(&self) -> Option<&Word> {
        self.words.get(self.next).map(|(_, word)| word)
    }

    fn peek_after(&self) -> Option<&Word> {
        self.words.get(self.next + 1).map(|(_, word)| word)
    }

    /// Where the next word is.
    pub(crate) fn at(&self) -> usize {
        self.words.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    pub(crate) fn take(&mut self) -> Option<Word> {
        let word = self.peek().cloned();
        self.next += usize::from(word.is_some());
        word
    }

    /// Takes the next word if it is this name.
    pub(crate) fn takes(&mut self, name: &str) -> bool {
        let is = self.is(name);
        self.next += usize::from(is);
        is
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Word::Name(next)) if next == name)
    }

    /// Whether the word after the next one is this name.
    pub(crate) fn is_after(&self, name: &str) -> bool {
        matches!(self.peek_after(), Some(Word::Name(next)) if next == name)
    }

    /// Takes the next word if it is one of these symbols.
    pub(crate) fn takes_symbol(&mut self, symbols: &[&'static str]) -> Option<&'static str> {
        let found = match self.peek() {
            Some(Word::Symbol(next)) => symbols.iter().find(|symbol| *symbol == next).copied(),
            _ => None,
        };
        self.next += usize::from(found.is_some());
        found
    }

    /// A whole number from `least` to `most`, or what was wanted.
    pub(crate) fn whole(&mut self, least: u32, most: u32, wanted: &str) -> Result<u32, NotAnExpression> {
        let error = self.wanted(wanted);
        match self.peek() {
            Some(Word::Number(number, false)) if *number >= f64::from(least) && *number <= f64::from(most) => {
                let whole = format!("{number}").parse().map_err(|_| error)?;
                self.next += 1;
                Ok(whole)
            }
            _ => Err(error),
        }
    }

    /// The error that something else was expected at the next word.
    pub(crate) fn wanted(&self, wanted: &str) -> NotAnExpression {
        let found = self.peek().map_or("nothing".to_owned(), Word::shown);
        NotAnExpression::new(self.at(), format!("expected {wanted}, found {found}"))
    }

    /// Checks that the text ends here; the error says what else could have stood.
    pub(crate) fn finish(&self, wanted: &str) -> Result<(), NotAnExpression> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wanted(wanted)) }
    }
}

/// The word at the beginning of a text, and its length in characters.
fn read_word(rest: &[char]) -> Result<(Word, usize), String> {
    let first = rest.first().copied().unwrap_or_default();
    if first.is_ascii_digit() {
        return read_digits(rest);
    }
    if first.is_alphabetic() || first == '_' {
        return Ok(read_name(rest));
    }
    if matches!(first, '"' | '\'') {
        let inner: String = rest.iter().skip(1).take_while(|&&c| c != first).collect();
        let length = inner.chars().count() + 2;
        return if length > rest.len() {
            Err("a text is not closed: a quotation mark is missing".to_owned())
        } else {
            Ok((Word::Text(inner), length))
        };
    }
    let starts = |symbol: &&&str| symbol.chars().eq(rest.iter().copied().take(symbol.chars().count()));
    match SYMBOLS.iter().find(starts) {
        Some(&"==") => Ok((Word::Symbol("="), 2)),
        Some(&"<>") => Ok((Word::Symbol("!="), 2)),
        Some(&"–") => Ok((Word::Symbol("-"), 1)),
        Some(symbol) => Ok((Word::Symbol(symbol), symbol.len())),
        None => Err(format!("`{first}` means nothing here")),
    }
}

/// A `.` or `-` belongs to a name where a letter follows it.
fn read_name(rest: &[char]) -> (Word, usize) {
    let mut length = 0;
    while let Some(&c) = rest.get(length) {
        let joins = matches!(c, '.' | '-') && rest.get(length + 1).is_some_and(|c| c.is_alphabetic() || *c == '_');
        if !(c.is_alphanumeric() || c == '_' || joins) {
            break;
        }
        length += 1;
    }
    (Word::Name(rest.iter().take(length).collect()), length)
}

/// A date, a time of day or a number.
fn read_digits(rest: &[char]) -> Result<(Word, usize), String> {
    let mut length = 0;
    while let Some(&c) = rest.get(length) {
        let joins = matches!(c, '.' | '-' | '/' | ':') && rest.get(length + 1).is_some_and(char::is_ascii_digit);
        if !(c.is_ascii_digit() || joins) {
            break;
        }
        length += 1;
    }
    let written: String = rest.iter().take(length).collect();
    let date =
        NaiveDate::parse_from_str(&written, "%Y-%m-%d").or_else(|_| NaiveDate::parse_from_str(&written, "%d/%m/%Y"));
    let word = if let Ok(date) = date {
        Word::Date(date)
    } else if let Ok(time) = NaiveTime::parse_from_str(&written, "%H:%M") {
        Word::Time(time)
    } else if let Ok(number) = written.parse::<f64>() {
        Word::Number(number, written.contains('.'))
    } else {
        return Err(format!("`{written}` is no number, no date like 2026-12-25 and no time like 09:00"));
    };
    Ok((word, length))
}
