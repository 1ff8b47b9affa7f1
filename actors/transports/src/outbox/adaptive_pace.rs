//! A pace below the configured one, found from the answers of a provider that asks for a slower one: less than what it
//! refused, and then a little more each second.

use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// Of the pace that was too fast.
const SLOWER: f64 = 0.7;
/// Each second that nothing was refused in.
const FASTER: f64 = 1.15;
/// The slowest, in parts a second.
const SLOWEST: f64 = 1.0;
/// At so many times the pace that was refused first, nothing is limited any more.
const FORGOTTEN_AT: f64 = 4.0;

/// See the module.
#[derive(Default)]
pub(super) struct AdaptivePace {
    limit: Option<FoundPace>,
    counted: Option<PartsInSecond>,
}

/// Parts a second.
struct FoundPace {
    rate: f64,
    refused_at: f64,
    changed: Instant,
}

/// Parts that went out in a second.
struct PartsInSecond {
    since: Instant,
    now: f64,
    before: f64,
}

impl AdaptivePace {
    /// So many parts go out now.
    pub(super) fn count(&mut self, parts: u32, now: Instant) {
        let counted = self.counted.get_or_insert(PartsInSecond { since: now, now: 0.0, before: 0.0 });
        let passed = now.saturating_duration_since(counted.since);
        if passed >= SECOND {
            let before = if passed < SECOND * 2 { counted.now } else { 0.0 };
            *counted = PartsInSecond { since: now, now: 0.0, before };
        }
        counted.now += f64::from(parts.max(1));
    }

    /// The provider asks for a slower pace; heard once a second.
    pub(super) fn slow_down(&mut self, now: Instant) {
        let used = self.counted.as_ref().map_or(SLOWEST, |counted| counted.now.max(counted.before));
        match &mut self.limit {
            Some(limit) if now.saturating_duration_since(limit.changed) < SECOND => {}
            Some(limit) => {
                limit.rate = (limit.rate * SLOWER).max(SLOWEST);
                limit.changed = now;
            }
            None => {
                let refused_at = used.max(SLOWEST);
                self.limit = Some(FoundPace { rate: (refused_at * SLOWER).max(SLOWEST), refused_at, changed: now });
            }
        }
    }

    /// The time that a part takes; none: no limit.
    pub(super) fn interval(&mut self, now: Instant) -> Option<Duration> {
        let limit = self.limit.as_mut()?;
        let seconds = now.saturating_duration_since(limit.changed).as_secs();
        if seconds > 0 {
            let steps = i32::try_from(seconds.min(60)).unwrap_or(60);
            limit.rate *= FASTER.powi(steps);
            limit.changed = now;
            if limit.rate > limit.refused_at * FORGOTTEN_AT {
                self.limit = None;
                return None;
            }
        }
        Some(Duration::from_secs_f64(1.0 / limit.rate))
    }

    /// Parts a second, for the operator.
    pub(super) fn rate(&self) -> Option<f64> {
        self.limit.as_ref().map(|limit| limit.rate)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{AdaptivePace, SECOND};

    #[test]
    fn it_slows_down_below_what_was_refused_and_recovers_step_by_step() {
        let (mut pace, start) = (AdaptivePace::default(), Instant::now());
        assert_eq!(pace.interval(start), None);
        pace.count(100, start);
        pace.slow_down(start + SECOND / 2);
        pace.slow_down(start + SECOND / 2);
        assert_eq!(pace.rate().map(f64::round), Some(70.0), "those in flight tell nothing new");
        pace.slow_down(start + SECOND * 2);
        assert_eq!(pace.rate().map(f64::round), Some(49.0));
        let mut last = 49.0;
        for second in 3..12 {
            let interval = pace.interval(start + SECOND * second).unwrap();
            let rate = 1.0 / interval.as_secs_f64();
            assert!(rate > last && rate < last * 1.2, "{second}: {rate}");
            last = rate;
        }
        assert_eq!(pace.interval(start + SECOND * 60), None);
    }

    #[test]
    fn it_never_stops() {
        let (mut pace, start) = (AdaptivePace::default(), Instant::now());
        for second in 0..50 {
            pace.slow_down(start + SECOND * second);
        }
        assert_eq!(pace.interval(start + SECOND * 49), Some(Duration::from_secs(1)));
    }
}
