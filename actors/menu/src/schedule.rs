//! When an SMS goes: `at: due - 2 weeks, 09:00`, `at: now + 3 hours`, `every: Monday 09:00 until due`.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::time::Duration;

use chrono::{NaiveTime, Weekday};

use crate::{
    dates::{DateExpression, DateShift, DateUnit, read_date},
    suggest::meant,
    words::{NotAnExpression, Word, WordReader},
};

/// The most SMS that one `every` sends.
pub(crate) const MOST_REPEATS: u32 = 60;
/// How many it sends where it names no end.
pub(crate) const DEFAULT_REPEATS: u32 = 12;
/// The time of day where `at` names none.
const DEFAULT_HOUR: u32 = 9;

/// When an SMS goes.
#[derive(Clone, Debug, PartialEq)]
pub enum SmsTime {
    /// At once: it answers the person.
    Now,
    /// On a day, at a time of day in the menu's time zone; not at all where that is past.
    At {
        day: DateExpression,
        /// In the menu's time zone.
        time: NaiveTime,
    },
    /// So long after the step.
    After(Duration),
    /// Again and again, from the next such day on.
    Every {
        day: RepeatDay,
        /// In the menu's time zone.
        time: NaiveTime,
        end: RepeatEnd,
    },
}

/// The days of an `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatDay {
    Daily,
    /// One day of the week.
    Weekly(Weekday),
}

/// When an `every` ends; `for N times` is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepeatEnd {
    /// After so many SMS.
    Times(u32),
    /// After this time from the step.
    For(DateShift),
    /// On this day, itself included.
    Until(DateExpression),
}

/// Reads what `at` says.
pub(crate) fn read_at(text: &str) -> Result<SmsTime, NotAnExpression> {
    let mut words = WordReader::new(text)?;
    if words.takes("now") {
        let after = read_after(&mut words)?;
        words.finish("the end")?;
        return Ok(after);
    }
    let day = read_date(&mut words)?;
    let comma = words.takes_symbol(&[","]).is_some();
    let time = match words.peek() {
        Some(Word::Time(_)) => time(&mut words)?,
        _ if comma => return Err(words.wanted("a time of day like 09:00")),
        _ => NaiveTime::from_hms_opt(DEFAULT_HOUR, 0, 0).unwrap_or_default(),
    };
    words.finish("`,` and a time of day like 09:00, or the end")?;
    Ok(SmsTime::At { day, time })
}

fn read_after(words: &mut WordReader) -> Result<SmsTime, NotAnExpression> {
    if words.takes_symbol(&["+"]).is_none() {
        return Err(words.wanted("`+`, as in `now + 3 hours`"));
    }
    let count = words.whole(1, 10_000, "a whole number up to 10000")?;
    let wanted = words.wanted("`minutes`, `hours`, `days` or `weeks`");
    let seconds = match words.take() {
        Some(Word::Name(unit)) => match unit.as_str() {
            "minute" | "minutes" => 60,
            "hour" | "hours" => 3_600,
            "day" | "days" => 86_400,
            "week" | "weeks" => 604_800,
            _ => return Err(wanted),
        },
        _ => return Err(wanted),
    };
    Ok(SmsTime::After(Duration::from_secs(u64::from(count) * seconds)))
}

/// Reads what `every` says.
pub(crate) fn read_every(text: &str) -> Result<SmsTime, NotAnExpression> {
    let mut words = WordReader::new(text)?;
    let wanted = words.wanted("`day` or a day of the week");
    let Some(Word::Name(name)) = words.take() else { return Err(wanted) };
    let day = match (name.as_str(), name.parse::<Weekday>()) {
        ("day", _) => RepeatDay::Daily,
        (_, Ok(weekday)) => RepeatDay::Weekly(weekday),
        _ => {
            let days = ["day", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
            return Err(wanted.suggesting(meant(&name, days)));
        }
    };
    let time = time(&mut words)?;
    let end = read_end(&mut words)?;
    words.finish("`for` and how long, `until` and a day, or the end")?;
    Ok(SmsTime::Every { day, time, end })
}

fn read_end(words: &mut WordReader) -> Result<RepeatEnd, NotAnExpression> {
    if words.takes("until") {
        return read_date(words).map(RepeatEnd::Until);
    }
    if !words.takes("for") {
        return Ok(RepeatEnd::Times(DEFAULT_REPEATS));
    }
    let at = words.at();
    let count = words.whole(1, 3_650, "a whole number")?;
    let wanted = words.wanted("`times`, `days`, `weeks`, `months` or `years`");
    let Some(Word::Name(unit)) = words.take() else { return Err(wanted) };
    if matches!(unit.as_str(), "time" | "times") {
        let most = || NotAnExpression::new(at, format!("at most {MOST_REPEATS} SMS go by one `every`"));
        return if count > MOST_REPEATS { Err(most()) } else { Ok(RepeatEnd::Times(count)) };
    }
    let unit = DateUnit::parse(&unit).ok_or(wanted)?;
    Ok(RepeatEnd::For(DateShift { amount: i32::try_from(count).unwrap_or(i32::MAX), unit }))
}

fn time(words: &mut WordReader) -> Result<NaiveTime, NotAnExpression> {
    let wanted = words.wanted("a time of day like 09:00");
    match words.take() {
        Some(Word::Time(time)) => Ok(time),
        _ => Err(wanted),
    }
}

impl SmsTime {
    /// The answers it reckons with, and where they stand in the expression, in characters.
    #[must_use]
    pub fn names(&self) -> Vec<(&str, usize)> {
        use crate::dates::DateBase;
        let day = match self {
            Self::At { day, .. } | Self::Every { end: RepeatEnd::Until(day), .. } => Some(&day.base),
            _ => None,
        };
        match day {
            Some(DateBase::Answer(name, at)) => vec![(name, *at)],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{read_at, read_every};

    #[test]
    fn times_are_read() {
        for at in ["due - 2 weeks, 09:00", "today + 1 day", "2026-12-25 10:30", "now + 3 hours", "tomorrow, 7:05"] {
            assert!(read_at(at).is_ok(), "{at}: {:?}", read_at(at));
        }
        for every in [
            "Monday 09:00",
            "day 18:30 for 7 days",
            "wed 9:00 until due",
            "Sunday 09:00 for 8 weeks",
            "Friday 12:00 for 3 times",
        ] {
            assert!(read_every(every).is_ok(), "{every}: {:?}", read_every(every));
        }
    }

    #[test]
    fn what_is_no_time_is_said_at_its_place() {
        for (text, at, what) in [
            ("due -", 5, "expected a whole number up to 10000, found nothing"),
            ("due, noon", 5, "expected a time of day like 09:00, found `noon`"),
            ("due 25:00", 4, "`25:00` is no number, no date like 2026-12-25 and no time like 09:00"),
            ("now", 3, "expected `+`, as in `now + 3 hours`, found nothing"),
            ("now + 3 years", 8, "expected `minutes`, `hours`, `days` or `weeks`, found `years`"),
        ] {
            let wrong = read_at(text).unwrap_err();
            assert_eq!((wrong.at, wrong.what.as_str()), (at, what), "{text}");
        }
        for (text, at, what) in [
            ("Monday", 6, "expected a time of day like 09:00, found nothing"),
            ("Mnday 09:00", 0, "expected `day` or a day of the week, found `Mnday`"),
            ("Monday 09:00 for 90 times", 17, "at most 60 SMS go by one `every`"),
            ("Monday 09:00 then", 13, "expected `for` and how long, `until` and a day, or the end, found `then`"),
        ] {
            let wrong = read_every(text).unwrap_err();
            assert_eq!((wrong.at, wrong.what.as_str()), (at, what), "{text}");
        }
        assert_eq!(read_every("Mnday 09:00").unwrap_err().meant.as_deref(), Some("Monday"));
    }
}
