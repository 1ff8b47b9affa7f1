//! `expect`: what an answer must look like. How an answer is read by it is in `typed_answer`.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use regex::{Regex, RegexBuilder};

use crate::{
    dates::{DateExpression, read_date},
    suggest::meant,
    words::{NotAnExpression, Word, WordReader},
};

/// The longest text that may be expected, in characters.
pub(crate) const MAX_ANSWER: u32 = 500;
/// How long an answer may be where `text` says nothing, in characters.
pub(crate) const DEFAULT_ANSWER: u32 = 30;
/// The most memory of a compiled `pattern`, in bytes.
const MAX_PATTERN_SIZE: usize = 256 * 1024;

/// What an answer must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerFormat {
    /// Any text up to `most` characters.
    Text { most: u32 },
    Number {
        /// The least that is taken.
        least: Option<f64>,
        /// The most that is taken.
        most: Option<f64>,
        /// Whether it may have decimals: where a bound has some.
        decimals: bool,
    },
    Date {
        /// The first day that is taken.
        from: Option<DateExpression>,
        /// The last day that is taken.
        to: Option<DateExpression>,
    },
    /// The number of a phone; kept as in an MSISDN, without `+`.
    Phone,
    /// Digits, kept as a text.
    Digits { least: u32, most: u32 },
    /// A South African identity number: 13 digits with a birthday and a check digit.
    ZaId,
    /// A text that the whole of an expression matches.
    Pattern(AnswerPattern),
}

/// A regular expression that a whole answer must match.
#[derive(Clone, Debug)]
pub struct AnswerPattern {
    /// As it is written.
    pub written: String,
    /// Bound to the answer's begin and end.
    pub regex: Regex,
}

impl PartialEq for AnswerPattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

const NAMES: [&str; 7] = ["text", "number", "date", "phone", "digits", "za-id", "pattern"];

/// Reads what `expect` says.
pub(crate) fn read_format(text: &str) -> Result<AnswerFormat, NotAnExpression> {
    let trimmed = text.trim_start();
    if let Some(rest) = trimmed.strip_prefix("pattern") {
        return read_pattern(rest, text.chars().count() - rest.chars().count());
    }
    let mut words = WordReader::new(text)?;
    let wanted = words.wanted("`text`, `number`, `date`, `phone`, `digits`, `za-id` or `pattern`");
    let Some(Word::Name(name)) = words.take() else { return Err(wanted) };
    let format = match name.as_str() {
        "text" => text_format(&mut words)?,
        "number" => number_format(&mut words)?,
        "date" => date_format(&mut words)?,
        "digits" => digits_format(&mut words)?,
        "phone" => AnswerFormat::Phone,
        "za-id" => AnswerFormat::ZaId,
        _ => return Err(wanted.suggesting(meant(&name, NAMES))),
    };
    words.finish("the end")?;
    Ok(format)
}

fn text_format(words: &mut WordReader) -> Result<AnswerFormat, NotAnExpression> {
    if words.peek().is_none() {
        return Ok(AnswerFormat::Text { most: DEFAULT_ANSWER });
    }
    if !(words.takes("up") && words.takes("to")) {
        return Err(words.wanted("`up to` and a number of characters"));
    }
    let most = words.whole(1, MAX_ANSWER, &format!("a number of characters from 1 to {MAX_ANSWER}"))?;
    Ok(AnswerFormat::Text { most })
}

fn number_format(words: &mut WordReader) -> Result<AnswerFormat, NotAnExpression> {
    let (mut least, mut most) = (None, None);
    if words.takes("up") {
        if !words.takes("to") {
            return Err(words.wanted("`to`"));
        }
        most = Some(number(words)?);
    } else if words.takes("from") {
        least = Some(number(words)?);
        if words.takes("to") {
            most = Some(number(words)?);
        }
    } else if words.peek().is_some() {
        least = Some(number(words)?);
        if !words.takes("to") {
            return Err(words.wanted("`to` and the greatest number"));
        }
        let at = words.at();
        most = Some(number(words)?);
        if least.map(|(least, _)| least) > most.map(|(most, _)| most) {
            return Err(NotAnExpression::new(at, "the greatest number is less than the least"));
        }
    }
    let decimals = [least, most].into_iter().flatten().any(|(_, decimals)| decimals);
    let value = |bound: Option<(f64, bool)>| bound.map(|(value, _)| value);
    Ok(AnswerFormat::Number { least: value(least), most: value(most), decimals })
}

fn number(words: &mut WordReader) -> Result<(f64, bool), NotAnExpression> {
    let negative = words.takes_symbol(&["-"]).is_some();
    match words.peek() {
        Some(Word::Number(value, decimals)) => {
            let found = (if negative { -value } else { *value }, *decimals);
            words.take();
            Ok(found)
        }
        _ => Err(words.wanted("a number")),
    }
}

fn date_format(words: &mut WordReader) -> Result<AnswerFormat, NotAnExpression> {
    let (mut from, mut to) = (None, None);
    if words.takes("up") {
        if !words.takes("to") {
            return Err(words.wanted("`to`"));
        }
        to = Some(read_date(words)?);
    } else if words.peek().is_some() {
        let open = words.takes("from");
        from = Some(read_date(words)?);
        if words.takes("to") {
            to = Some(read_date(words)?);
        } else if !open {
            return Err(words.wanted("`to` and the last day"));
        }
    }
    Ok(AnswerFormat::Date { from, to })
}

fn digits_format(words: &mut WordReader) -> Result<AnswerFormat, NotAnExpression> {
    let wanted = format!("how many digits: 1 to {MAX_ANSWER}");
    let least = words.whole(1, MAX_ANSWER, &wanted)?;
    if !words.takes("to") {
        return Ok(AnswerFormat::Digits { least, most: least });
    }
    let at = words.at();
    let most = words.whole(1, MAX_ANSWER, &wanted)?;
    if most < least {
        return Err(NotAnExpression::new(at, "the most digits are fewer than the fewest"));
    }
    Ok(AnswerFormat::Digits { least, most })
}

/// What follows `pattern`; `at` is where, in characters.
fn read_pattern(rest: &str, at: usize) -> Result<AnswerFormat, NotAnExpression> {
    let trimmed = rest.trim();
    let quoted = ['"', '\''].iter().find_map(|&quote| trimmed.strip_prefix(quote)?.strip_suffix(quote));
    let Some(written) = quoted.filter(|written| !written.is_empty()) else {
        return Err(NotAnExpression::new(
            at,
            "expected a regular expression in quotes, as in `pattern \"[A-Z]{3}[0-9]+\"`",
        ));
    };
    let built = RegexBuilder::new(&format!("^(?:{written})$")).size_limit(MAX_PATTERN_SIZE).build();
    let regex = built.map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        NotAnExpression::new(at, format!("the regular expression can't be read: {why}"))
    })?;
    Ok(AnswerFormat::Pattern(AnswerPattern { written: written.to_owned(), regex }))
}

#[cfg(test)]
mod tests {
    use super::{AnswerFormat, read_format};

    #[test]
    fn formats_are_read() {
        for (text, expected) in [
            ("text", AnswerFormat::Text { most: 30 }),
            ("text up to 160", AnswerFormat::Text { most: 160 }),
            ("number", AnswerFormat::Number { least: None, most: None, decimals: false }),
            ("number 10 to 55", AnswerFormat::Number { least: Some(10.0), most: Some(55.0), decimals: false }),
            ("number -5 to 4.5", AnswerFormat::Number { least: Some(-5.0), most: Some(4.5), decimals: true }),
            ("number from 1", AnswerFormat::Number { least: Some(1.0), most: None, decimals: false }),
            ("number up to 9", AnswerFormat::Number { least: None, most: Some(9.0), decimals: false }),
            ("date", AnswerFormat::Date { from: None, to: None }),
            ("phone", AnswerFormat::Phone),
            ("digits 4", AnswerFormat::Digits { least: 4, most: 4 }),
            ("digits 4 to 6", AnswerFormat::Digits { least: 4, most: 6 }),
            ("za-id", AnswerFormat::ZaId),
        ] {
            assert_eq!(read_format(text), Ok(expected), "{text}");
        }
        for dates in ["date today to today + 42 weeks", "date from 2020-01-01", "date up to today", "date due to today"]
        {
            assert!(matches!(read_format(dates), Ok(AnswerFormat::Date { .. })), "{dates}");
        }
        let AnswerFormat::Pattern(pattern) = read_format("pattern \"[A-Z]{3}|x\"").unwrap() else { panic!() };
        assert!(pattern.regex.is_match("ABC") && pattern.regex.is_match("x") && !pattern.regex.is_match("ABCD"));
    }

    #[test]
    fn what_is_no_format_is_said_at_its_place() {
        for (text, at, what) in [
            ("text upto 30", 5, "expected `up to` and a number of characters, found `upto`"),
            ("text up to 9000", 11, "expected a number of characters from 1 to 500, found `9000`"),
            ("number 10", 9, "expected `to` and the greatest number, found nothing"),
            ("number 10 to 5", 13, "the greatest number is less than the least"),
            ("date today", 10, "expected `to` and the last day, found nothing"),
            ("digits", 6, "expected how many digits: 1 to 500, found nothing"),
            ("digits 6 to 4", 12, "the most digits are fewer than the fewest"),
            ("phone 5", 6, "expected the end, found `5`"),
            ("pattern abc", 7, "expected a regular expression in quotes, as in `pattern \"[A-Z]{3}[0-9]+\"`"),
        ] {
            let wrong = read_format(text).unwrap_err();
            assert_eq!((wrong.at, wrong.what.as_str()), (at, what), "{text}");
        }
        assert_eq!(read_format("nubmer 1 to 2").unwrap_err().meant.as_deref(), Some("number"));
        assert!(read_format("pattern \"(\"").unwrap_err().what.contains("can't be read"));
        assert!(read_format("pattern \"\\w{1000}{1000}\"").unwrap_err().what.contains("can't be read"));
    }
}
