//! Pacing: a bound on the parts of SMS a second, shared by the processes that run the transport.

use std::time::Duration;

use tokio::time::Instant;

use super::adaptive_pace::AdaptivePace;

/// A timer wakes about a millisecond late. Submissions missed by that may follow at once, but no more than this.
const SLACK: Duration = Duration::from_millis(10);

/// Spaces submissions evenly, each by its parts.
pub(super) struct Pace {
    /// Of one part, for a process alone.
    interval: Duration,
    next: Instant,
    adaptive: AdaptivePace,
}

impl Pace {
    pub(super) fn new(rate: Option<f64>) -> Self {
        let interval = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        Self { interval, next: Instant::now(), adaptive: AdaptivePace::default() }
    }

    /// When the next submission may begin.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// The provider asks for a slower pace.
    pub(super) fn slow_down(&mut self, now: Instant) {
        self.adaptive.slow_down(now);
    }

    /// The parts a second that were found to be taken, where the provider asked for a slower pace.
    pub(super) fn found(&self) -> Option<f64> {
        self.adaptive.rate()
    }

    /// Counts one that begins now and has so many parts, while so many processes share the rate.
    pub(super) fn take(&mut self, now: Instant, parts: u32, processes: u32) {
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        self.adaptive.count(parts, now);
        // What the provider refused was this process's share.
        let found = self.adaptive.interval(now).unwrap_or_default();
        let interval = self.interval.saturating_mul(processes.max(1)).max(found).saturating_mul(parts.max(1));
        self.next = self.next.max(earliest) + interval;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_over_a_second_whatever_the_timer_does() {
        let mut pace = Pace::new(Some(1000.0));
        let begin = tokio::time::Instant::now();
        let mut gone = 0;
        while begin.elapsed() < Duration::from_secs(1) {
            tokio::time::sleep(Duration::from_millis(7)).await;
            let now = tokio::time::Instant::now();
            while pace.next() <= now {
                pace.take(now, 1, 1);
                gone += 1;
            }
        }
        assert!((950..=1050).contains(&gone), "{gone}");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up() {
        let mut pace = Pace::new(Some(10.0));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let now = tokio::time::Instant::now();
        pace.take(now, 1, 1);
        assert!(pace.next() > now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_text_takes_the_time_of_its_parts_and_each_process_its_share() {
        let now = tokio::time::Instant::now();
        for (parts, processes, ms) in [(1, 1, 100), (3, 1, 300), (1, 4, 400), (3, 2, 600), (0, 0, 100)] {
            let mut pace = Pace::new(Some(10.0));
            pace.take(now, parts, processes);
            assert_eq!(pace.next() - now, Duration::from_millis(ms), "{parts} {processes}");
        }
    }
}
