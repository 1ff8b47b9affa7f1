//! Log lines that a loop or a crowd of callers could repeat: one for each cause and interval, with the number of those left out.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The shortest time between two lines of one cause.
const INTERVAL: Duration = Duration::from_secs(10);

/// The most causes that are told apart at a time.
const MAX_CAUSES: usize = 256;

/// Says which lines are written. One for each place that logs:
///
/// ```
/// use vumi_kit::log_limiter::LogLimiter;
///
/// static REFUSED: LogLimiter = LogLimiter::new();
/// assert_eq!(REFUSED.due("the disk is full"), Some(0), "write it");
/// assert_eq!(REFUSED.due("the disk is full"), None, "leave it out");
/// assert_eq!(REFUSED.due("the disk is gone"), Some(0));
/// ```
#[derive(Debug)]
pub struct LogLimiter {
    interval: Duration,
    causes: Mutex<BTreeMap<String, LoggedCause>>,
}

/// A cause, and what was left out since its last line.
#[derive(Clone, Copy, Debug)]
struct LoggedCause {
    logged: Instant,
    left_out: u64,
}

impl LogLimiter {
    /// None has been written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self::every(INTERVAL)
    }

    /// As [`LogLimiter::new`], with another shortest time between two lines of one cause.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { interval, causes: Mutex::new(BTreeMap::new()) }
    }

    /// Whether a line is due: then the number of lines of this cause that were left out since the one before. The cause names
    /// what differs for an operator, such as a component and a kind of error: no ids, no words of others.
    pub fn due(&self, cause: &str) -> Option<u64> {
        let (now, mut causes) = (Instant::now(), self.causes.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = causes.get_mut(cause) {
            if now.duration_since(known.logged) < self.interval {
                known.left_out += 1;
                return None;
            }
            let left_out = known.left_out;
            *known = LoggedCause { logged: now, left_out: 0 };
            return Some(left_out);
        }
        if causes.len() >= MAX_CAUSES {
            causes.retain(|_, known| now.duration_since(known.logged) < self.interval);
        }
        if causes.len() >= MAX_CAUSES {
            return None;
        }
        causes.insert(cause.to_owned(), LoggedCause { logged: now, left_out: 0 });
        Some(0)
    }
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self::new()
    }
}

/// A warning that a loop could repeat: written once for each cause and interval, with the number of those left out. The first
/// argument is the cause, as for [`LogLimiter::due`]; the others are `tracing::warn!`'s.
///
/// ```
/// let transport = "opera";
/// vumi_kit::warn_limited!(transport, transport, "could not record outcomes");
/// ```
#[macro_export]
macro_rules! warn_limited {
    ($cause:expr, $($line:tt)+) => {{
        static LIMITER: $crate::log_limiter::LogLimiter = $crate::log_limiter::LogLimiter::new();
        if let Some(left_out) = LIMITER.due($cause) {
            tracing::warn!(left_out, $($line)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LogLimiter, MAX_CAUSES};

    #[test]
    fn a_cause_is_logged_once_in_an_interval_and_the_next_line_counts_the_others() {
        let mut limiter = LogLimiter::every(Duration::from_secs(3600));
        assert_eq!(limiter.due("full"), Some(0));
        for _ in 0..3 {
            assert_eq!(limiter.due("full"), None);
        }
        assert_eq!(limiter.due("gone"), Some(0), "another cause has a line of its own");
        limiter.interval = Duration::ZERO;
        assert_eq!(limiter.due("full"), Some(3));
        assert_eq!(limiter.due("full"), Some(0));
    }

    #[test]
    fn endless_causes_take_no_more_memory_and_no_more_lines() {
        let limiter = LogLimiter::every(Duration::from_secs(3600));
        let logged = (0..10_000).filter(|cause| limiter.due(&cause.to_string()).is_some()).count();
        assert_eq!(logged, MAX_CAUSES);
    }
}
