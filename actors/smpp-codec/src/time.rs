//! Times of SMPP: absolute ones with a zone, relative ones, and the shorter forms that receipts hold.

use std::time::Duration;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Timelike, Utc};
use thiserror::Error;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Months and years of a relative time have no length of their own; these are taken.
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// A time of 10 to 16 digits that has none of the known forms, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a time of SMPP")]
pub struct BadTime;

/// scheduled_delivery_time, validity_period, final_date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmppTime {
    /// `YYMMDDhhmmsstnn+`: tenths of a second, quarter hours off UTC. Years are 2000 to 2099.
    Absolute(DateTime<FixedOffset>),
    /// `YYMMDDhhmmss000R`, from now; a month has 30 days, a year 365.
    Relative(Duration),
}

impl SmppTime {
    /// Reads a field of a PDU. `None` where it is empty, which means the default. The forms of 10 and 12 digits
    /// are absolute and UTC.
    pub fn read(octets: &[u8]) -> Result<Option<Self>, BadTime> {
        if octets.is_empty() {
            return Ok(None);
        }
        let text = str::from_utf8(octets).map_err(|_| BadTime)?;
        match text.strip_suffix(['R', 'r']) {
            Some(digits) => relative(digits).map(|duration| Some(Self::Relative(duration))).ok_or(BadTime),
            None => read_date(text).map(|date| Some(Self::Absolute(date))).ok_or(BadTime),
        }
    }

    /// The 16 characters of the field, seconds at the finest for a relative time. `None` for an absolute time outside
    /// 2000 to 2099 or with a zone that is not quarter hours, and for a relative one of 100 years or more.
    #[must_use]
    pub fn write(&self) -> Option<String> {
        match self {
            Self::Absolute(date) => write_absolute(date),
            Self::Relative(duration) => write_relative(duration.as_secs()),
        }
    }
}

impl From<DateTime<Utc>> for SmppTime {
    fn from(date: DateTime<Utc>) -> Self {
        Self::Absolute(date.fixed_offset())
    }
}

fn write_absolute(date: &DateTime<FixedOffset>) -> Option<String> {
    let year = u32::try_from(date.year()).ok()?.checked_sub(2000).filter(|year| *year < 100)?;
    let offset = date.offset().local_minus_utc();
    if offset % 900 != 0 {
        return None;
    }
    let (quarters, sign) = (offset.unsigned_abs() / 900, if offset < 0 { '-' } else { '+' });
    let (month, day, hour) = (date.month(), date.day(), date.hour());
    let (minute, second, tenth) = (date.minute(), date.second(), date.nanosecond() / 100_000_000 % 10);
    Some(format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}{tenth}{quarters:02}{sign}"))
}

fn write_relative(seconds: u64) -> Option<String> {
    let (years, rest) = (seconds / YEAR, seconds % YEAR);
    if years > 99 {
        return None;
    }
    let (mut months, mut rest) = (rest / MONTH, rest % MONTH);
    if months == 12 {
        // The last 5 days of a year: there is no month 12.
        (months, rest) = (11, rest + MONTH);
    }
    let (days, hours) = (rest / DAY, rest % DAY / HOUR);
    let (minutes, seconds) = (rest % HOUR / MINUTE, rest % MINUTE);
    Some(format!("{years:02}{months:02}{days:02}{hours:02}{minutes:02}{seconds:02}000R"))
}

fn relative(digits: &str) -> Option<Duration> {
    if digits.len() != 15 || !is_digits(digits) {
        return None;
    }
    let units = [YEAR, MONTH, DAY, HOUR, MINUTE, 1];
    let seconds = units.iter().enumerate().map(|(place, unit)| Some(u64::from(number(digits, place * 2, 2)?) * unit));
    Some(Duration::from_secs(seconds.sum::<Option<u64>>()?))
}

/// Reads an absolute date as receipts hold it: `YYMMDDhhmm`, `YYMMDDhhmmss`, `YYYYMMDDhhmm`, `YYYYMMDDhhmmss` or
/// `YYMMDDhhmmsstnn+`. UTC where it has no zone. Of 12 digits that read both ways the year has 2. `None` for other
/// texts, and for dates that do not exist, as one of zeros.
#[must_use]
pub fn read_date(text: &str) -> Option<DateTime<FixedOffset>> {
    let utc = |date: NaiveDateTime| date.and_utc().fixed_offset();
    match text.len() {
        16 => zoned(text),
        _ if !is_digits(text) => None,
        10 | 12 => date(text, 2).or_else(|| date(text, 4)).map(utc),
        14 => date(text, 4).map(utc),
        _ => None,
    }
}

/// `YYMMDDhhmm`, in UTC: the dates that a receipt's text holds.
#[must_use]
pub fn write_date(date: DateTime<Utc>) -> String {
    let year = date.year().rem_euclid(100);
    format!("{year:02}{:02}{:02}{:02}{:02}", date.month(), date.day(), date.hour(), date.minute())
}

fn zoned(text: &str) -> Option<DateTime<FixedOffset>> {
    let digits = text.get(..15).filter(|digits| is_digits(digits))?;
    let quarters = i32::try_from(number(digits, 13, 2)?).ok()?;
    let offset = match text.get(15..)? {
        "+" => FixedOffset::east_opt(quarters * 900)?,
        "-" => FixedOffset::west_opt(quarters * 900)?,
        _ => return None,
    };
    let local = date(digits.get(..12)?, 2)?.with_nanosecond(number(digits, 12, 1)? * 100_000_000)?;
    offset.from_local_datetime(&local).single()
}

/// Digits of a date whose year has `year` of them, down to minutes or seconds.
fn date(digits: &str, year: usize) -> Option<NaiveDateTime> {
    let century = if year == 2 { 2000 } else { 0 };
    let part = |place: usize| number(digits, year + place * 2, 2);
    let second = match digits.len() - year {
        8 => 0,
        10 => part(4)?,
        _ => return None,
    };
    let full_year = i32::try_from(number(digits, 0, year)? + century).ok()?;
    NaiveDate::from_ymd_opt(full_year, part(0)?, part(1)?)?.and_hms_opt(part(2)?, part(3)?, second)
}

fn number(digits: &str, from: usize, length: usize) -> Option<u32> {
    digits.get(from..from + length)?.parse().ok()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::{BadTime, SmppTime, read_date, write_date};

    #[test]
    fn absolute_times_are_written_as_they_are_read() {
        for (text, date) in [
            ("261127120000000+", "2026-11-27T12:00:00+00:00"),
            ("180711070003912+", "2018-07-11T07:00:03.9+03:00"),
            ("180711070003920-", "2018-07-11T07:00:03.9-05:00"),
        ] {
            let time = SmppTime::Absolute(DateTime::parse_from_rfc3339(date).unwrap());
            assert_eq!(SmppTime::read(text.as_bytes()), Ok(Some(time)));
            assert_eq!(time.write().as_deref(), Some(text));
        }
    }

    #[test]
    fn relative_times_are_written_as_they_are_read() {
        let day = 86_400;
        for (text, seconds) in [
            ("000000000000000R", 0),
            ("000002000000000R", 2 * day),
            ("000000233005000R", 23 * 3600 + 30 * 60 + 5),
            ("000101000000000R", 31 * day),
            ("001134000000000R", 364 * day),
            ("010000000000000R", 365 * day),
        ] {
            let time = SmppTime::Relative(Duration::from_secs(seconds));
            assert_eq!(SmppTime::read(text.as_bytes()), Ok(Some(time)), "{text}");
            assert_eq!(time.write().as_deref(), Some(text));
        }
        assert_eq!(SmppTime::Relative(Duration::from_secs(100 * 365 * day)).write(), None);
    }

    #[test]
    fn shorter_dates_are_read() {
        for (text, date) in [
            ("2611271200", "2026-11-27T12:00:00Z"),
            ("261127120059", "2026-11-27T12:00:59Z"),
            ("201506201641", "2015-06-20T16:41:00Z"),
            ("20150620164130", "2015-06-20T16:41:30Z"),
        ] {
            assert_eq!(read_date(text), Some(DateTime::parse_from_rfc3339(date).unwrap()), "{text}");
        }
        assert_eq!(SmppTime::read(b""), Ok(None));
        for bad in ["0000000000", "000000000000", "26112712", "2613271200", "x611271200", "261127120000000*", "é0"] {
            assert_eq!(SmppTime::read(bad.as_bytes()), Err(BadTime), "{bad}");
        }
        let date = DateTime::parse_from_rfc3339("2026-11-27T12:05:59Z").unwrap().to_utc();
        assert_eq!(write_date(date), "2611271205");
    }
}
