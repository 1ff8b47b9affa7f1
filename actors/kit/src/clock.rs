//! Time, passed in: components ask a [`Clock`], so that a test can hold it still.
//!
//! A clock tells two times. [`Clock::now`] moves evenly: whoever sets the machine's clock does not move it, so a lease, a
//! retry and a deadline last as long as they say. [`Clock::wall`] is the machine's clock as it is, for what others compare
//! with theirs. They are the same until the machine's clock is set; the difference is noticed by a [`ClockWatch`].

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
#[derive(Clone, Debug)]
pub struct Clock(Arc<Times>);

#[derive(Debug)]
struct Times {
    source: Source,
    /// From the source's elapsed time to [`Clock::now`], in microseconds.
    begin: AtomicI64,
}

#[derive(Debug)]
enum Source {
    System,
    /// Elapsed, and the machine's clock.
    Held(AtomicI64, AtomicI64),
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    fn of(source: Source) -> Self {
        let clock = Self(Arc::new(Times { source, begin: AtomicI64::new(0) }));
        clock.begin_at(clock.wall());
        clock
    }

    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// A clock that shows `at` until [`Clock::advance`].
    #[must_use]
    pub fn held(at: Timestamp) -> Self {
        Self::of(Source::Held(AtomicI64::new(0), AtomicI64::new(at.micros())))
    }

    /// That of a process which starts now on the same machine: where this one is held, the other is held, too.
    #[must_use]
    pub fn of_another_process(&self) -> Self {
        let now = |time: &AtomicI64| AtomicI64::new(time.load(Ordering::SeqCst));
        match &self.0.source {
            Source::System => Self::system(),
            Source::Held(elapsed, wall) => Self::of(Source::Held(now(elapsed), now(wall))),
        }
    }

    /// The present moment, for deadlines and the ledger. It moves evenly.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.begin.load(Ordering::SeqCst).saturating_add(self.elapsed()))
    }

    /// The present moment by the machine's clock, which may be set at any time.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match &self.0.source {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Source::System => Timestamp(Utc::now().timestamp_micros()),
            Source::Held(_, wall) => Timestamp(wall.load(Ordering::SeqCst)),
        }
    }

    /// The time since the machine was started, in microseconds, the time it slept included; nobody can set it.
    #[must_use]
    pub fn elapsed(&self) -> i64 {
        match &self.0.source {
            Source::System => since_boot(),
            Source::Held(elapsed, _) => elapsed.load(Ordering::SeqCst),
        }
    }

    /// From now on [`Clock::now`] goes on from `at`.
    pub fn begin_at(&self, at: Timestamp) {
        self.0.begin.store(at.micros().saturating_sub(self.elapsed()), Ordering::SeqCst);
    }

    /// As [`Self::begin_at`], where the time is not held: several machines keep the time of what they share.
    pub fn keep_time_of(&self, at: Timestamp) {
        if let Source::System = self.0.source {
            self.begin_at(at);
        }
    }

    /// Lets time pass on a held clock; a system clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Held(elapsed, wall) = &self.0.source {
            let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            elapsed.fetch_add(micros, Ordering::SeqCst);
            wall.fetch_add(micros, Ordering::SeqCst);
        }
    }

    /// Sets the machine's clock of a held clock forward, or back; no time passes.
    pub fn jump(&self, seconds: i64) {
        if let Source::Held(_, wall) = &self.0.source {
            wall.fetch_add(seconds.saturating_mul(1_000_000), Ordering::SeqCst);
        }
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> i64 {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    since.tv_sec.saturating_mul(1_000_000).saturating_add(since.tv_nsec / 1_000)
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> i64 {
    use std::{sync::OnceLock, time::Instant};
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    i64::try_from(BEGUN.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// Which start of the machine [`Clock::elapsed`] counts from; none: the system does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// A smaller difference is that of two readings.
const JUMP: Duration = Duration::from_secs(1);

/// Notices that the machine's clock was set.
#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    ahead: i64,
}

impl ClockWatch {
    /// Watches from now on.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let ahead = ahead(&clock);
        Self { clock, ahead }
    }

    /// By how much the machine's clock was set since the last time, if it was.
    pub fn noticed(&mut self) -> Option<ClockJump> {
        let before = std::mem::replace(&mut self.ahead, ahead(&self.clock));
        ClockJump::of(self.ahead.saturating_sub(before))
    }
}

/// By how much the machine's clock is ahead of the even time, in microseconds.
fn ahead(clock: &Clock) -> i64 {
    clock.wall().micros().saturating_sub(clock.now().micros())
}

/// How far the machine's clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump(i64);

impl ClockJump {
    /// Of so many microseconds, forward or back; none: too few to have been set.
    #[must_use]
    pub fn of(micros: i64) -> Option<Self> {
        (u128::from(micros.unsigned_abs()) > JUMP.as_micros()).then_some(Self(micros))
    }

    /// Microseconds, forward or back.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_secs(self.0.unsigned_abs().div_ceil(1_000_000));
        let direction = if self.0 < 0 { "back" } else { "forward" };
        write!(f, "{direction} by {}", humantime_serde::re::humantime::format_duration(seconds))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, ClockJump, ClockWatch, Timestamp};

    #[test]
    fn times_are_read_and_written_as_the_api_shows_them() {
        let at = Timestamp::parse("2010-05-13 11:34:34").unwrap();
        assert_eq!(at.to_seconds_text(), "2010-05-13 11:34:34");
        assert_eq!(at.to_micros_text(), "2010-05-13 11:34:34.000000");
        assert_eq!(Timestamp::parse("2010-05-13T11:34:34.000000Z"), Some(at));
        assert_eq!(Timestamp::parse("2009-01-01").unwrap().to_seconds_text(), "2009-01-01 00:00:00");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn whoever_sets_the_clock_moves_no_deadline() {
        let clock = Clock::held(Timestamp::from_seconds(1_000_000));
        for seconds in [25 * 3600, -3600, 120] {
            let before = (clock.now(), clock.wall());
            clock.jump(seconds);
            assert_eq!(clock.now(), before.0);
            assert_eq!(clock.wall().micros() - before.1.micros(), seconds * 1_000_000);
        }
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.now(), Timestamp::from_seconds(1_000_007));
    }

    #[test]
    fn a_jump_is_noticed_once_and_said_in_words() {
        let clock = Clock::held(Timestamp::from_seconds(1_000_000));
        let mut watch = ClockWatch::new(clock.clone());
        clock.advance(Duration::from_secs(3600));
        assert_eq!(watch.noticed(), None, "time passed");
        clock.jump(25 * 3600);
        assert_eq!(watch.noticed().unwrap().to_string(), "forward by 1day 1h");
        assert_eq!(watch.noticed(), None);
        clock.jump(-3600);
        assert_eq!(watch.noticed().unwrap().to_string(), "back by 1h");
        assert_eq!(ClockJump::of(500_000), None, "two readings");
    }

    #[test]
    fn the_systems_clock_begins_with_the_machines_and_moves() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(clock.wall().since(first) < Duration::from_secs(60));
        assert!(clock.now() >= first);
        clock.keep_time_of(Timestamp::from_seconds(5));
        assert!(clock.now().since(Timestamp::from_seconds(5)) < Duration::from_secs(60));
    }
}
