//! Time, passed in: components ask a [`Clock`], so that a test can hold it still.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// A moment in UTC, in microseconds since 1970: the ledger's and the messages' time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since 1970, as Clickatell's `timestamp` is.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads `YYYY-MM-DD`, or `YYYY-MM-DD HH:MM:SS` with `T` or a space, fractions and `Z` allowed; UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('Z').replace('T', " ");
        let moment = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f")
            .ok()
            .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
        Some(Self(moment.and_utc().timestamp_micros()))
    }

    /// `YYYY-MM-DD HH:MM:SS`: the HTTP API's form.
    #[must_use]
    pub fn to_seconds_text(self) -> String {
        self.format("%Y-%m-%d %H:%M:%S")
    }

    /// `YYYY-MM-DD HH:MM:SS.ffffff`: the form of messages on the broker.
    #[must_use]
    pub fn to_micros_text(self) -> String {
        self.format("%Y-%m-%d %H:%M:%S%.6f")
    }

    /// In a format of chrono's.
    #[must_use]
    pub fn format(self, format: &str) -> String {
        DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default().format(format).to_string()
    }

    /// This moment and `by` more.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment less `by`.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_micros_text())
    }
}

/// Where a component reads the time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Held(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `at` until [`Clock::advance`].
    #[must_use]
    pub fn held(at: Timestamp) -> Self {
        Self(Source::Held(Arc::new(AtomicI64::new(at.micros()))))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Source::System => Timestamp(Utc::now().timestamp_micros()),
            Source::Held(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a held clock on; a system clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Held(at) = &self.0 {
            at.store(self.now().plus(by).micros(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn times_are_read_and_written_as_the_api_shows_them() {
        let at = Timestamp::parse("2010-05-13 11:34:34").unwrap();
        assert_eq!(at.to_seconds_text(), "2010-05-13 11:34:34");
        assert_eq!(at.to_micros_text(), "2010-05-13 11:34:34.000000");
        assert_eq!(Timestamp::parse("2010-05-13T11:34:34.000000Z"), Some(at));
        assert_eq!(Timestamp::parse("2009-01-01").unwrap().to_seconds_text(), "2009-01-01 00:00:00");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
