//! Times as operators write them on the command line.

use std::{str::FromStr, time::Duration};

use vumi_kit::clock::{Clock, Timestamp};

/// Nothing is said of a time further ahead: ten years.
pub(super) const MOST_AHEAD: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// When something expires; none: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ExpiryTime(pub(super) Option<Timestamp>);

impl FromStr for ExpiryTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, Clock::system().wall())
    }
}

impl ExpiryTime {
    fn read(text: &str, now: Timestamp) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let from_now = || duration(text).ok().map(|time| now.plus(time));
        let at = Timestamp::parse(text).or_else(from_now).ok_or_else(|| {
            format!("`{text}` is no time: a date (2027-01-31), a moment in UTC (2027-01-31T18:00:00Z), a time from now (90d), or never")
        })?;
        if at <= now {
            return Err(format!("`{text}` has passed already: it is {} UTC now", now.to_seconds_text()));
        }
        if at > now.plus(MOST_AHEAD) {
            return Err(format!("`{text}` is more than ten years ahead: write `never`"));
        }
        Ok(Self(Some(at)))
    }
}

/// Reads a time such as `7d` or `12h`.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text)
        .map_err(|wrong| format!("{wrong}: write a time such as 7d or 12h"))
}

#[cfg(test)]
mod tests {
    use vumi_kit::clock::Timestamp;

    use super::ExpiryTime;

    #[test]
    fn an_expiry_is_a_date_a_moment_a_time_from_now_or_never() {
        let now = Timestamp::parse("2026-11-28 12:00:00").unwrap();
        for (text, at) in [
            ("never", None),
            ("2027-01-31", Some("2027-01-31 00:00:00")),
            ("2027-01-31T18:00:00Z", Some("2027-01-31 18:00:00")),
            ("90d", Some("2027-02-26 12:00:00")),
        ] {
            let read = ExpiryTime::read(text, now).unwrap().0.map(Timestamp::to_seconds_text);
            assert_eq!(read.as_deref(), at, "{text}");
        }
        for (bad, why) in [
            ("soon", "a time from now (90d)"),
            ("2026-11-28", "it is 2026-11-28 12:00:00 UTC now"),
            ("0s", "has passed"),
            ("2050-01-01", "write `never`"),
            ("999999999999d", "write `never`"),
        ] {
            let refused = ExpiryTime::read(bad, now).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }
}
