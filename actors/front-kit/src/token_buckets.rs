//! Token buckets by a key that any client can choose, such as its address: refilled each minute, bounded in number.

use std::{hash::Hash, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use moka::sync::Cache;

/// The most keys that are counted; the least used are evicted.
const MAX_KEYS: u64 = 20_000;
/// An unused bucket is full again after a minute, and need not be kept longer.
const FULL_AFTER: Duration = Duration::from_secs(60);

/// A token bucket for each key.
pub struct TokenBuckets<K> {
    buckets: Cache<K, Arc<DefaultDirectRateLimiter>>,
    quota: Quota,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Send + Sync + 'static> TokenBuckets<K> {
    /// Buckets of so many tokens a minute, one at the least.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self {
            buckets: Cache::builder().max_capacity(MAX_KEYS).time_to_idle(FULL_AFTER).build(),
            quota: Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN)),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a token; `Err` has the seconds until there is one.
    pub fn take(&self, key: K) -> Result<(), u64> {
        let bucket = self.buckets.get_with(key, || Arc::new(RateLimiter::direct(self.quota)));
        bucket.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}
