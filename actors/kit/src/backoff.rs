//! How long to wait before the next try.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings_schema::HumanDuration;

/// Exponential back-off with full jitter on its upper half.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The wait after the first failure, such as `1s`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub first: Duration,
    /// The longest wait, such as `5m`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// A back-off from `first` to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// The wait after the `failures`-th failure in a row (1 is the first): between half of
    /// `first × 2^(failures-1)` and the whole of it, `most` at the most.
    #[must_use]
    pub fn wait(&self, failures: u32) -> Duration {
        let doubled =
            self.first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1).min(31)).unwrap_or(u32::MAX));
        let whole = doubled.min(self.most);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn waits_double_and_stay_below_the_most() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for (failures, whole) in [(1, 1), (2, 2), (4, 8), (6, 30), (400, 30)] {
            let wait = backoff.wait(failures);
            let whole = Duration::from_secs(whole);
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
        }
    }
}
