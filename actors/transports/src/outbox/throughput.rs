//! How many submissions a provider takes, computed from how long its calls last: so it is known also while few are sent.

use std::time::Duration;

/// The weight of the past: a call moves the mean by an eighth of its difference.
const WEIGHT: u32 = 8;

/// The moving mean of how long calls last.
#[derive(Default)]
pub(super) struct Throughput {
    call: Option<Duration>,
}

impl Throughput {
    pub(super) fn record(&mut self, call: Duration) {
        self.call = Some(self.call.map_or(call, |mean| mean - mean / WEIGHT + call / WEIGHT));
    }

    /// How long a call lasts on average; zero before the first.
    pub(super) fn usual_call(&self) -> Duration {
        self.call.unwrap_or_default()
    }

    /// How many submissions the provider takes in `time`, at most `window` at once and `rate` a second; without a bound
    /// before the first call.
    pub(super) fn within(&self, time: Duration, window: usize, rate: Option<f64>) -> usize {
        let measured = self.call.map_or(f64::INFINITY, |call| lossy(window) / call.as_secs_f64());
        let a_second = rate.map_or(measured, |rate| rate.min(measured));
        many(a_second * time.as_secs_f64())
    }

    /// How many submissions are in flight at once at the most, with this window and rate.
    pub(super) fn in_flight(&self, window: usize, rate: Option<f64>) -> usize {
        match (rate, self.call) {
            (Some(rate), Some(call)) => many(rate * call.as_secs_f64()).clamp(1, window),
            _ => window,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; what is too large is cut")]
fn many(count: f64) -> usize {
    count.ceil() as usize
}

#[expect(clippy::cast_precision_loss, reason = "counts of submissions are far below 2^52")]
fn lossy(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Throughput;

    const FORTY: Duration = Duration::from_secs(40);

    #[test]
    fn before_the_first_call_only_the_rate_is_a_bound() {
        assert_eq!(Throughput::default().within(FORTY, 64, None), usize::MAX);
        assert_eq!(Throughput::default().within(FORTY, 64, Some(0.5)), 20);
    }

    #[test]
    fn at_a_rate_no_more_are_in_flight_than_the_provider_is_at() {
        let mut throughput = Throughput::default();
        assert_eq!(
            (throughput.in_flight(64, None), throughput.in_flight(64, Some(50.0))),
            (64, 64),
            "nobody knows yet"
        );
        throughput.record(Duration::from_millis(100));
        assert_eq!((throughput.in_flight(64, None), throughput.in_flight(64, Some(50.0))), (64, 5));
        throughput.record(Duration::from_secs(100));
        assert_eq!(throughput.in_flight(64, Some(50.0)), 64);
    }

    #[test]
    fn it_follows_the_provider_and_one_odd_call_does_not_sway_it() {
        let mut throughput = Throughput::default();
        throughput.record(Duration::from_secs(2));
        assert_eq!(throughput.within(FORTY, 4, None), 80);
        throughput.record(Duration::from_secs(10));
        assert!((50..80).contains(&throughput.within(FORTY, 4, None)));
        for _ in 0..100 {
            throughput.record(Duration::from_millis(100));
        }
        assert!((1500..=1600).contains(&throughput.within(FORTY, 4, None)));
        assert_eq!(throughput.within(FORTY, 4, Some(10.0)), 400);
    }
}
