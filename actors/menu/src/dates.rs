//! Days that are reckoned: `today + 42 weeks`, `due - 2 weeks`, `2026-12-25`.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use chrono::{Days, Months, NaiveDate};

use crate::words::{NotAnExpression, Word, WordReader};

/// The farthest shift, in any unit.
const MAX_SHIFT: u32 = 10_000;
/// The most shifts of one day.
const MAX_SHIFTS: usize = 4;

/// A day that is reckoned from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateExpression {
    pub base: DateBase,
    /// What is added, in order.
    pub shifts: Vec<DateShift>,
}

/// The day from which another is reckoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DateBase {
    /// The day on which the person is answered, in the menu's time zone.
    Today,
    Day(NaiveDate),
    /// An answer, by its name, and where the name stands in the expression, in characters.
    Answer(String, usize),
}

/// So much later, or earlier where it is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateShift {
    pub amount: i32,
    pub unit: DateUnit,
}

/// A unit of calendars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateUnit {
    Days,
    Weeks,
    /// The 31st becomes the last day of a shorter month.
    Months,
    Years,
}

impl DateUnit {
    /// The unit that a word names.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "day" | "days" => Self::Days,
            "week" | "weeks" => Self::Weeks,
            "month" | "months" => Self::Months,
            "year" | "years" => Self::Years,
            _ => return None,
        })
    }
}

impl DateExpression {
    /// The day; `None` where an answer is missing or the calendar ends. `answer` finds an answer by its name.
    #[must_use]
    pub fn resolve(&self, today: NaiveDate, answer: impl Fn(&str) -> Option<NaiveDate>) -> Option<NaiveDate> {
        let base = match &self.base {
            DateBase::Today => today,
            DateBase::Day(day) => *day,
            DateBase::Answer(name, _) => answer(name)?,
        };
        self.shifts.iter().try_fold(base, |day, shift| shift.apply(day))
    }
}

impl DateShift {
    pub(crate) fn apply(self, day: NaiveDate) -> Option<NaiveDate> {
        let amount = self.amount.unsigned_abs();
        let later = self.amount >= 0;
        let days = |count: u32| Days::new(u64::from(count));
        let months = |count: u32| Some(Months::new(count));
        match (self.unit, later) {
            (DateUnit::Days, true) => day.checked_add_days(days(amount)),
            (DateUnit::Days, false) => day.checked_sub_days(days(amount)),
            (DateUnit::Weeks, true) => day.checked_add_days(days(amount.checked_mul(7)?)),
            (DateUnit::Weeks, false) => day.checked_sub_days(days(amount.checked_mul(7)?)),
            (DateUnit::Months, true) => day.checked_add_months(months(amount)?),
            (DateUnit::Months, false) => day.checked_sub_months(months(amount)?),
            (DateUnit::Years, true) => day.checked_add_months(months(amount.checked_mul(12)?)?),
            (DateUnit::Years, false) => day.checked_sub_months(months(amount.checked_mul(12)?)?),
        }
    }
}

/// Reads a day. A name that is not `today` is an answer's.
pub(crate) fn read_date(words: &mut WordReader) -> Result<DateExpression, NotAnExpression> {
    let (at, wanted) = (words.at(), words.wanted("a day: `today`, 2026-12-25 or the name of a date"));
    let shift = |amount| vec![DateShift { amount, unit: DateUnit::Days }];
    let (base, mut shifts) = match words.take() {
        Some(Word::Date(day)) => (DateBase::Day(day), Vec::new()),
        Some(Word::Name(name)) => match name.as_str() {
            "today" => (DateBase::Today, Vec::new()),
            "tomorrow" => (DateBase::Today, shift(1)),
            "yesterday" => (DateBase::Today, shift(-1)),
            _ => (DateBase::Answer(name, at), Vec::new()),
        },
        _ => return Err(wanted),
    };
    while let Some(sign) = words.takes_symbol(&["+", "-"]) {
        if shifts.len() == MAX_SHIFTS {
            return Err(NotAnExpression::new(words.at(), format!("more than {MAX_SHIFTS} times are added")));
        }
        let count = words.whole(0, MAX_SHIFT, &format!("a whole number up to {MAX_SHIFT}"))?;
        let wanted = words.wanted("`days`, `weeks`, `months` or `years`");
        let unit = match words.take() {
            Some(Word::Name(unit)) => DateUnit::parse(&unit).ok_or(wanted)?,
            _ => return Err(wanted),
        };
        let amount = i32::try_from(count).unwrap_or(i32::MAX);
        shifts.push(DateShift { amount: if sign == "-" { -amount } else { amount }, unit });
    }
    Ok(DateExpression { base, shifts })
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::read_date;
    use crate::words::WordReader;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_reckoned_by_the_calendar() {
        for (text, expected) in [
            ("today", "2026-03-02"),
            ("tomorrow", "2026-03-03"),
            ("today + 42 weeks", "2026-12-21"),
            ("due - 2 weeks", "2026-09-11"),
            ("due - 2 weeks + 1 day", "2026-09-12"),
            ("2026-01-31 + 1 month", "2026-02-28"),
            ("29/02/2024 + 1 year", "2025-02-28"),
        ] {
            let read = read_date(&mut WordReader::new(text).unwrap()).unwrap();
            let found = read.resolve(day("2026-03-02"), |name| (name == "due").then(|| day("2026-09-25")));
            assert_eq!(found, Some(day(expected)), "{text}");
        }
    }

    #[test]
    fn a_day_that_no_calendar_has_is_none_and_never_a_panic() {
        let far = read_date(&mut WordReader::new("today + 10000 years + 10000 years").unwrap()).unwrap();
        for shifts in 0..3 {
            let _end = far.resolve(NaiveDate::MAX, |_| None).is_none() && shifts > 0;
        }
        assert_eq!(far.resolve(NaiveDate::MAX, |_| None), None);
        let unknown = read_date(&mut WordReader::new("due").unwrap()).unwrap();
        assert_eq!(unknown.resolve(NaiveDate::MIN, |_| None), None);
    }

    #[test]
    fn what_is_no_day_is_said_at_its_place() {
        for (text, at, what) in [
            ("", 0, "expected a day: `today`, 2026-12-25 or the name of a date, found nothing"),
            ("today + weeks", 8, "expected a whole number up to 10000, found `weeks`"),
            ("today + 2 wks", 10, "expected `days`, `weeks`, `months` or `years`, found `wks`"),
            ("today + 1.5 days", 8, "expected a whole number up to 10000, found `1.5`"),
        ] {
            let wrong = read_date(&mut WordReader::new(text).unwrap()).unwrap_err();
            assert_eq!((wrong.at, wrong.what.as_str()), (at, what), "{text}");
        }
        assert_eq!(WordReader::new("31/02/2026").unwrap_err().at, 0);
    }
}
