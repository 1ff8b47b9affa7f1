//! Conditions: `age < 18`, `town = "Durban" and not known clinic`, `town in (Durban, Umlazi)`.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use chrono::NaiveDate;

use crate::{
    dates::{DateBase, DateExpression, read_date},
    words::{NotAnExpression, Word, WordReader},
};

/// The deepest nesting of brackets and `not`.
const MAX_NESTING: usize = 16;

/// What is true of the answers, or not.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// One of them holds.
    Any(Vec<Condition>),
    /// All of them hold.
    All(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// There is a value of this name; and where the name stands, in characters.
    Known(String, usize),
    /// Two values compare so.
    Compare(Operand, ConditionOperator, Operand),
    /// A value equals one of these.
    In(Operand, Vec<Operand>),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionOperator {
    /// `=`: numbers and dates by value, texts in any case.
    Equal,
    /// `!=`, on two values of one type.
    Different,
    /// `<`, on numbers and dates.
    Less,
    /// `<=`, on numbers and dates.
    AtMost,
    /// `>`, on numbers and dates.
    More,
    /// `>=`, on numbers and dates.
    AtLeast,
}

impl ConditionOperator {
    const ALL: [(&'static str, Self); 6] = [
        ("=", Self::Equal),
        ("!=", Self::Different),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::More),
        (">=", Self::AtLeast),
    ];

    /// Whether it asks for an order, which texts do not have.
    #[must_use]
    pub const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Different)
    }
}

/// A value in a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The value of this name; a word without quotes that names an option is its text after the menu is read. And where it
    /// stands, in characters.
    Name(String, usize),
    Number(f64),
    /// A text, and where it stands, in characters.
    Text(String, usize),
    Date(DateExpression),
}

/// The value of a name while a condition is judged.
#[derive(Clone, Debug, PartialEq)]
pub enum OperandValue {
    Text(String),
    Number(f64),
    Date(NaiveDate),
}

impl Condition {
    /// Whether it holds on a day. `value` finds a value by its name; a comparison with one that is not there does not hold,
    /// except `!=`.
    #[must_use]
    pub fn holds(&self, today: NaiveDate, value: &dyn Fn(&str) -> Option<OperandValue>) -> bool {
        match self {
            Self::Any(of) => of.iter().any(|condition| condition.holds(today, value)),
            Self::All(of) => of.iter().all(|condition| condition.holds(today, value)),
            Self::Not(condition) => !condition.holds(today, value),
            Self::Known(name, _) => value(name).is_some(),
            Self::Compare(left, how, right) => compare(left.value(today, value), *how, right.value(today, value)),
            Self::In(one, of) => {
                let found = one.value(today, value);
                of.iter().any(|other| compare(found.clone(), ConditionOperator::Equal, other.value(today, value)))
            }
        }
    }

    /// The values that it compares.
    pub fn operands(&self) -> Vec<&Operand> {
        match self {
            Self::Any(of) | Self::All(of) => of.iter().flat_map(Self::operands).collect(),
            Self::Not(condition) => condition.operands(),
            Self::Known(..) => Vec::new(),
            Self::Compare(left, _, right) => vec![left, right],
            Self::In(one, of) => std::iter::once(one).chain(of).collect(),
        }
    }

    /// The names whose values it needs or asks for, and where they stand, in characters.
    #[must_use]
    pub fn names(&self) -> Vec<(&str, usize)> {
        let mut names: Vec<(&str, usize)> = self.operands().into_iter().filter_map(Operand::name).collect();
        names.extend(self.known());
        names
    }

    /// The names of which it asks whether they are known, and where they stand, in characters.
    #[must_use]
    pub fn known(&self) -> Vec<(&str, usize)> {
        match self {
            Self::Any(of) | Self::All(of) => of.iter().flat_map(Self::known).collect(),
            Self::Not(condition) => condition.known(),
            Self::Known(name, at) => vec![(name, *at)],
            Self::Compare(..) | Self::In(..) => Vec::new(),
        }
    }
}

impl Operand {
    /// The name whose value it needs, and where it stands, in characters.
    #[must_use]
    pub fn name(&self) -> Option<(&str, usize)> {
        match self {
            Self::Name(name, at) => Some((name, *at)),
            Self::Date(DateExpression { base: DateBase::Answer(name, at), .. }) => Some((name, *at)),
            _ => None,
        }
    }

    fn value(&self, today: NaiveDate, value: &dyn Fn(&str) -> Option<OperandValue>) -> Option<OperandValue> {
        let date = |name: &str| match value(name) {
            Some(OperandValue::Date(day)) => Some(day),
            _ => None,
        };
        match self {
            Self::Name(name, _) => value(name),
            Self::Number(number) => Some(OperandValue::Number(*number)),
            Self::Text(text, _) => Some(OperandValue::Text(text.clone())),
            Self::Date(expression) => expression.resolve(today, date).map(OperandValue::Date),
        }
    }
}

fn compare(left: Option<OperandValue>, how: ConditionOperator, right: Option<OperandValue>) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (left, right) {
        (Some(OperandValue::Number(left)), Some(OperandValue::Number(right))) => left.partial_cmp(&right),
        (Some(OperandValue::Date(left)), Some(OperandValue::Date(right))) => Some(left.cmp(&right)),
        (Some(left), Some(right)) => {
            // Texts have no order: they are the same or not.
            let same = left.as_text() == right.as_text();
            return if how == ConditionOperator::Different { !same } else { same && !how.is_order() };
        }
        _ => None,
    };
    match how {
        ConditionOperator::Equal => order == Some(Equal),
        ConditionOperator::Different => order != Some(Equal),
        ConditionOperator::Less => order == Some(Less),
        ConditionOperator::AtMost => matches!(order, Some(Less | Equal)),
        ConditionOperator::More => order == Some(Greater),
        ConditionOperator::AtLeast => matches!(order, Some(Greater | Equal)),
    }
}

impl OperandValue {
    fn as_text(&self) -> String {
        match self {
            Self::Text(text) => text.trim().to_lowercase(),
            Self::Number(number) => number.to_string(),
            Self::Date(day) => day.to_string(),
        }
    }
}

/// Reads a condition such as `age < 18 and known town`, the whole text or nothing. The error says where and what was expected.
pub(crate) fn read_condition(text: &str) -> Result<Condition, NotAnExpression> {
    let mut words = WordReader::new(text)?;
    let condition = any(&mut words, 0)?;
    words.finish("`and`, `or` or the end")?;
    Ok(condition)
}

fn any(words: &mut WordReader, depth: usize) -> Result<Condition, NotAnExpression> {
    if depth > MAX_NESTING {
        return Err(NotAnExpression::new(words.at(), format!("it is nested deeper than {MAX_NESTING} times")));
    }
    several(words, "or", Condition::Any, |words| several(words, "and", Condition::All, |words| not(words, depth)))
}

fn several(
    words: &mut WordReader,
    between: &str,
    join: fn(Vec<Condition>) -> Condition,
    mut read: impl FnMut(&mut WordReader) -> Result<Condition, NotAnExpression>,
) -> Result<Condition, NotAnExpression> {
    let first = read(words)?;
    if !words.is(between) {
        return Ok(first);
    }
    let mut of = vec![first];
    while words.takes(between) {
        of.push(read(words)?);
    }
    Ok(join(of))
}

fn not(words: &mut WordReader, depth: usize) -> Result<Condition, NotAnExpression> {
    if depth > MAX_NESTING {
        return Err(NotAnExpression::new(words.at(), format!("it is nested deeper than {MAX_NESTING} times")));
    }
    if words.takes("not") {
        return not(words, depth + 1).map(|condition| Condition::Not(Box::new(condition)));
    }
    if words.takes_symbol(&["("]).is_some() {
        let inner = any(words, depth + 1)?;
        return words.takes_symbol(&[")"]).map(|_| inner).ok_or_else(|| words.wanted("`)`"));
    }
    if words.takes("known") {
        let (at, wanted) = (words.at(), words.wanted("the name of an answer"));
        return match words.take() {
            Some(Word::Name(name)) => Ok(Condition::Known(name, at)),
            _ => Err(wanted),
        };
    }
    comparison(words)
}

fn comparison(words: &mut WordReader) -> Result<Condition, NotAnExpression> {
    let left = operand(words)?;
    let negated = words.is("not") && words.is_after("in") && words.takes("not");
    if words.takes("in") {
        let within = Condition::In(left, list(words)?);
        return Ok(if negated { Condition::Not(Box::new(within)) } else { within });
    }
    let symbols = ConditionOperator::ALL.map(|(symbol, _)| symbol);
    let symbol = words.takes_symbol(&symbols).ok_or_else(|| words.wanted("one of = != < <= > >= in"))?;
    let how = ConditionOperator::ALL.into_iter().find_map(|(known, how)| (known == symbol).then_some(how));
    Ok(Condition::Compare(left, how.unwrap_or(ConditionOperator::Equal), operand(words)?))
}

/// `(a, b)`, `[a, b]` or `a, b`.
fn list(words: &mut WordReader) -> Result<Vec<Operand>, NotAnExpression> {
    let open = words.takes_symbol(&["(", "["]);
    let mut of = vec![operand(words)?];
    while words.takes_symbol(&[","]).is_some() {
        of.push(operand(words)?);
    }
    let closed = match open {
        Some("(") => words.takes_symbol(&[")"]).ok_or_else(|| words.wanted("`,` or `)`")),
        Some(_) => words.takes_symbol(&["]"]).ok_or_else(|| words.wanted("`,` or `]`")),
        None => Ok(""),
    };
    closed.map(|_| of)
}

fn operand(words: &mut WordReader) -> Result<Operand, NotAnExpression> {
    let at = words.at();
    let wanted = words.wanted("a name, a number, a date or a text in quotes");
    match words.peek() {
        Some(Word::Name(name)) if !matches!(name.as_str(), "and" | "or" | "not" | "in" | "known") => {
            let date = read_date(words)?;
            Ok(match date.base {
                DateBase::Answer(name, at) if date.shifts.is_empty() => Operand::Name(name, at),
                base => Operand::Date(DateExpression { base, shifts: date.shifts }),
            })
        }
        Some(Word::Date(_)) => read_date(words).map(Operand::Date),
        Some(Word::Number(number, _)) => {
            let number = *number;
            words.take();
            Ok(Operand::Number(number))
        }
        Some(Word::Text(text)) => {
            let text = text.clone();
            words.take();
            Ok(Operand::Text(text, at))
        }
        Some(Word::Symbol("-")) => {
            words.take();
            match words.take() {
                Some(Word::Number(number, _)) => Ok(Operand::Number(-number)),
                _ => Err(wanted),
            }
        }
        _ => Err(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::{OperandValue, read_condition};

    fn holds(text: &str) -> bool {
        let day = |text: &str| text.parse().unwrap();
        read_condition(text).unwrap().holds(day("2026-03-02"), &|name| match name {
            "age" => Some(OperandValue::Number(17.0)),
            "town" => Some(OperandValue::Text("Durban".to_owned())),
            "due" => Some(OperandValue::Date(day("2026-09-25"))),
            _ => None,
        })
    }

    #[test]
    fn a_condition_holds_or_not() {
        for yes in [
            "age < 18",
            "age <= 17",
            "age >= 17",
            "age = 17",
            "age != 18",
            "town = \"durban\"",
            "town == 'Durban'",
            "town in (\"Umlazi\", \"Durban\")",
            "town in 'Umlazi', 'Durban'",
            "age in [16, 17]",
            "age not in [18, 19]",
            "known town",
            "not known clinic",
            "due > today",
            "due = 2026-09-25",
            "due - 30 weeks < today",
            "due < today + 1 year",
            "age > -1",
            "age < 10 or age < 18 and known town",
            "(age < 10 or age < 18) and not (town = 'Umlazi')",
            "clinic != 'x'",
            "not not known age",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "age < 17",
            "age > 17",
            "town != 'Durban'",
            "clinic = 'x'",
            "clinic < 3",
            "town < 'z'",
            "age in (1, 2)",
            "known clinic",
            "age < 10 and known town or known clinic",
            "due < today",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_condition_is_said_at_its_place() {
        for (text, at, what) in [
            ("age", 3, "expected one of = != < <= > >= in, found nothing"),
            ("age 18", 4, "expected one of = != < <= > >= in, found `18`"),
            ("age <", 5, "expected a name, a number, a date or a text in quotes, found nothing"),
            ("age < 18 town", 9, "expected `and`, `or` or the end, found `town`"),
            ("(age < 18", 9, "expected `)`, found nothing"),
            ("town = \"Durban", 7, "a text is not closed: a quotation mark is missing"),
            ("known 5", 6, "expected the name of an answer, found `5`"),
            ("age ? 3", 4, "`?` means nothing here"),
            ("", 0, "expected a name, a number, a date or a text in quotes, found nothing"),
        ] {
            let wrong = read_condition(text).unwrap_err();
            assert_eq!((wrong.at, wrong.what.as_str()), (at, what), "{text}");
        }
        for deep in ["not ".repeat(100), "(".repeat(100)] {
            assert!(read_condition(&format!("{deep}age < 18")).unwrap_err().what.contains("nested deeper"));
        }
        assert!(read_condition(&"age < 1 or ".repeat(100)).unwrap_err().what.contains("longer than"));
    }
}
