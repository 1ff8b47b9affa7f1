//! The times that providers write: by a declared format, or by their looks. A time that cannot be is left out.

use chrono::{
    DateTime, NaiveDate, NaiveDateTime, NaiveTime,
    format::{Item, StrftimeItems},
};
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{clock::Timestamp, webhook::WebhookRequest};

/// No carrier speaks of an earlier moment: 2000-01-01.
const EARLIEST: Timestamp = Timestamp::from_seconds(946_684_800);
/// How far a moment may lie ahead: a day, for local times that name no zone.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Formats by name, each with its pattern.
const NAMED: [(&str, &str); 5] = [
    ("yymmddhhmm", "%y%m%d%H%M"),
    ("yymmddhhmmss", "%y%m%d%H%M%S"),
    ("yyyymmddhhmm", "%Y%m%d%H%M"),
    ("yyyymmddhhmmss", "%Y%m%d%H%M%S"),
    ("yyyymmdd", "%Y%m%d"),
];

/// How a provider writes times.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct TimeFormat(Format);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    Seconds,
    Milliseconds,
    Rfc3339,
    Rfc2822,
    /// A pattern of chrono's.
    Pattern(String),
}

/// Why a text names no format.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no format of times: expected seconds, milliseconds, rfc3339, rfc2822, yymmddhhmm, yymmddhhmmss, yyyymmddhhmm, \
     yyyymmddhhmmss, yyyymmdd, or a pattern such as %d/%m/%Y %H:%M"
)]
pub(crate) struct NotATimeFormat(String);

impl TryFrom<String> for TimeFormat {
    type Error = NotATimeFormat;
    fn try_from(text: String) -> Result<Self, NotATimeFormat> {
        let name = text.trim().to_ascii_lowercase();
        let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, pattern)| (*pattern).to_owned());
        let is_pattern = text.contains('%') && !StrftimeItems::new(&text).any(|item| item == Item::Error);
        Ok(Self(match name.as_str() {
            "seconds" => Format::Seconds,
            "milliseconds" => Format::Milliseconds,
            "rfc3339" => Format::Rfc3339,
            "rfc2822" => Format::Rfc2822,
            _ => match named {
                Some(pattern) => Format::Pattern(pattern),
                None if is_pattern => Format::Pattern(text),
                None => return Err(NotATimeFormat(text)),
            },
        }))
    }
}

impl TimeFormat {
    pub(crate) const SECONDS: Self = Self(Format::Seconds);
    pub(crate) const MILLISECONDS: Self = Self(Format::Milliseconds);

    fn read(&self, text: &str) -> Option<Timestamp> {
        match &self.0 {
            Format::Seconds => since_1970(text, 1_000_000),
            Format::Milliseconds => since_1970(text, 1000),
            Format::Rfc3339 => DateTime::parse_from_rfc3339(text).ok().map(moment),
            Format::Rfc2822 => DateTime::parse_from_rfc2822(text).ok().map(moment),
            Format::Pattern(pattern) => by_pattern(text, pattern),
        }
    }
}

/// The moment that a call names: in the format that was declared, else by its looks. `None`: it can't be read, lies before
/// the year 2000, or more than a day ahead. Where digits can be read in several ways, the moment next to the call's counts.
pub(crate) fn read_time(text: &str, format: Option<&TimeFormat>, request: &WebhookRequest) -> Option<Timestamp> {
    let (text, now) = (text.trim(), request.received_at);
    let read = match format {
        Some(format) => vec![format.read(text)],
        None => by_looks(text),
    };
    let can_be = |at: &Timestamp| (EARLIEST..=now.plus(AHEAD)).contains(at);
    read.into_iter().flatten().filter(can_be).min_by_key(|at| at.since(now).max(now.since(*at)))
}

fn by_looks(text: &str) -> Vec<Option<Timestamp>> {
    let digits = |pattern: &str| by_pattern(text, pattern);
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number, text.len()) {
        (true, 8) => vec![digits("%Y%m%d")],
        (true, 9) => vec![since_1970(text, 1_000_000)],
        (true, 10) => vec![since_1970(text, 1_000_000), digits("%y%m%d%H%M")],
        (true, 12) => vec![digits("%y%m%d%H%M%S"), digits("%Y%m%d%H%M")],
        (true, 13) => vec![since_1970(text, 1000)],
        (true, 14) => vec![digits("%Y%m%d%H%M%S")],
        (true, 16) => vec![since_1970(text, 1)],
        (true, _) => Vec::new(),
        (false, _) => vec![in_words(text)],
    }
}

/// A moment with its separators: most providers write one of these.
fn in_words(text: &str) -> Option<Timestamp> {
    const PATTERNS: [&str; 3] = ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y%m%dT%H:%M:%S"];
    Timestamp::parse(text)
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(moment))
        .or_else(|| DateTime::parse_from_rfc2822(text).ok().map(moment))
        .or_else(|| PATTERNS.iter().find_map(|pattern| by_pattern(text, pattern)))
        .or_else(|| {
            text.split_once('.').filter(|(_, part)| is_fraction(part)).and_then(|(s, _)| since_1970(s, 1_000_000))
        })
        .or_else(|| smpp(text))
}

fn is_fraction(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `YYMMDDhhmmsstnnp`: tenths of a second, and the difference to UTC in quarters of an hour (SMPP 3.4, 7.1.1).
fn smpp(text: &str) -> Option<Timestamp> {
    let (time, rest) = text.split_at_checked(12).filter(|_| text.len() == 16)?;
    let (tenth, sign) = (rest.get(..1)?, rest.get(3..)?);
    let quarters: i64 = rest.get(1..3).filter(|_| tenth.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    let local = by_pattern(time, "%y%m%d%H%M%S")?;
    let ahead_micros = quarters * 15 * 60 * 1_000_000;
    match sign {
        "+" => Some(Timestamp::from_micros(local.micros() - ahead_micros)),
        "-" => Some(Timestamp::from_micros(local.micros() + ahead_micros)),
        _ => None,
    }
}

fn since_1970(text: &str, unit_micros: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(text.parse::<i64>().ok()?.checked_mul(unit_micros)?))
}

/// In UTC, where the pattern names no zone.
fn by_pattern(text: &str, pattern: &str) -> Option<Timestamp> {
    let day = || NaiveDate::parse_from_str(text, pattern).ok().map(|day| day.and_time(NaiveTime::MIN));
    DateTime::parse_from_str(text, pattern).ok().map(moment).or_else(|| {
        let local = NaiveDateTime::parse_from_str(text, pattern).ok().or_else(day)?;
        Some(Timestamp::from_micros(local.and_utc().timestamp_micros()))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map wants")]
fn moment<Z: chrono::TimeZone>(time: DateTime<Z>) -> Timestamp {
    Timestamp::from_micros(time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TimeFormat, read_time};
    use crate::tests::webhooks::get;

    fn read(text: &str, format: Option<&str>) -> Option<String> {
        let format = format.map(|format| TimeFormat::try_from(format.to_owned()).unwrap());
        read_time(text, format.as_ref(), &get("")).map(vumi_kit::clock::Timestamp::to_seconds_text)
    }

    #[test]
    fn a_time_is_read_by_its_looks() {
        for (text, at) in [
            ("2001011400", "2020-01-01 14:00:00"),
            ("2611271430", "2026-11-27 14:30:00"),
            ("200101140000", "2020-01-01 14:00:00"),
            ("202001011400", "2020-01-01 14:00:00"),
            ("20200101140000", "2020-01-01 14:00:00"),
            ("20200101", "2020-01-01 00:00:00"),
            ("1275666685", "2010-06-04 15:51:25"),
            (" 1275666685 ", "2010-06-04 15:51:25"),
            // As digits of a date, it would be 2018.
            ("1801011200", "2018-01-01 12:00:00"),
            ("1275666685000", "2010-06-04 15:51:25"),
            ("1275666685000000", "2010-06-04 15:51:25"),
            ("1275666685.5", "2010-06-04 15:51:25"),
            ("2010-06-04 15:51:25", "2010-06-04 15:51:25"),
            ("2010-06-04T15:51:25Z", "2010-06-04 15:51:25"),
            ("2010-06-04T17:51:25.120+02:00", "2010-06-04 15:51:25"),
            ("2010-06-04T17:51:25.120+0200", "2010-06-04 15:51:25"),
            ("2010-06-04 17:51:25 +0200", "2010-06-04 15:51:25"),
            ("20100604T15:51:25", "2010-06-04 15:51:25"),
            ("Fri, 04 Jun 2010 17:51:25 +0200", "2010-06-04 15:51:25"),
            ("Fri, 4 Jun 2010 15:51:25 GMT", "2010-06-04 15:51:25"),
            ("100604175125008+", "2010-06-04 15:51:25"),
            ("100604135125008-", "2010-06-04 15:51:25"),
        ] {
            assert_eq!(read(text, None).as_deref(), Some(at), "{text}");
        }
    }

    #[test]
    fn a_moment_that_cannot_be_is_left_out() {
        for text in [
            "",
            "0",
            "-1",
            "now",
            "2613271430",
            "2602301430",
            "4102444800",
            "99999999999999999999",
            "20261399140000",
            "2033-05-29 02:43:20",
            "1999-12-31 23:59:59",
            "20260229",
            "202602291200",
            "1700000000000000000",
            "999999999999",
            "100604175125008x",
            "10060417512500é",
            "1e9",
            "Mon, 04 Jun 2010 17:51:25 +0200",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }

    #[test]
    fn digits_that_can_be_read_in_two_ways_mean_the_moment_next_to_the_call() {
        // 2023-11-26 in seconds, 2017-01-01 as a date: the call comes in 2026.
        assert_eq!(read("1701011400", None).as_deref(), Some("2023-11-26 15:10:00"));
        assert_eq!(read("1701011400", Some("yymmddhhmm")).as_deref(), Some("2017-01-01 14:00:00"));
    }

    #[test]
    fn a_declared_format_decides() {
        for (text, format, at) in [
            ("2001011400", "yymmddhhmm", Some("2020-01-01 14:00:00")),
            ("200101140000", "YYMMDDhhmmss", Some("2020-01-01 14:00:00")),
            ("2001011400", "seconds", None),
            ("1275666685", "seconds", Some("2010-06-04 15:51:25")),
            ("1275666685000", "milliseconds", Some("2010-06-04 15:51:25")),
            ("04/06/2010 15:51", "%d/%m/%Y %H:%M", Some("2010-06-04 15:51:00")),
            ("04/06/2010 17:51 +0200", "%d/%m/%Y %H:%M %z", Some("2010-06-04 15:51:00")),
            ("04.06.10", "%d.%m.%y", Some("2010-06-04 00:00:00")),
            ("2010-06-04T15:51:25Z", "rfc3339", Some("2010-06-04 15:51:25")),
            ("Fri, 04 Jun 2010 17:51:25 +0200", "rfc2822", Some("2010-06-04 15:51:25")),
            ("2010-06-04 15:51:25", "seconds", None),
        ] {
            assert_eq!(read(text, Some(format)).as_deref(), at, "{text} as {format}");
        }
        for bad in ["", "iso", "%!", "yy"] {
            assert!(TimeFormat::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_time_makes_the_reader_panic(text in "\\PC{0,20}|[0-9]{0,20}|[0-9T:. +-]{0,30}") {
            let _read = read(&text, None);
        }
    }
}
