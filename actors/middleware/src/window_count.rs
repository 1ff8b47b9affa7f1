//! Counts what happens to each of many, within a time that has passed since the first of a run.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use vumi_kit::clock::Timestamp;

/// Of so many the counts are kept; then those whose time is over are dropped, and the counts of all if there are none.
const MAX_KEPT: usize = 100_000;

/// Counts for each key, [`MAX_KEPT`] of them at the most.
pub(crate) struct WindowCount<K> {
    within: Duration,
    counts: Mutex<HashMap<K, (Timestamp, u32)>>,
}

impl<K: Eq + Hash> WindowCount<K> {
    pub(crate) fn new(within: Duration) -> Self {
        Self { within, counts: Mutex::new(HashMap::new()) }
    }

    /// Counts one more. Answers how many there were within the time, this one included.
    pub(crate) fn count(&self, key: K, now: Timestamp) -> u32 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_KEPT && !counts.contains_key(&key) {
            counts.retain(|_, (since, _)| now.since(*since) < self.within);
            if counts.len() >= MAX_KEPT {
                counts.clear();
            }
        }
        let (since, count) = counts.entry(key).or_insert((now, 0));
        if now.since(*since) >= self.within {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vumi_kit::clock::Timestamp;

    use super::{MAX_KEPT, WindowCount};

    #[test]
    fn a_count_begins_anew_when_its_time_is_over_and_all_are_bounded() {
        let counts = WindowCount::new(Duration::from_secs(10));
        let at = Timestamp::from_seconds;
        assert_eq!([counts.count(0, at(0)), counts.count(0, at(9)), counts.count(1, at(9))], [1, 2, 1]);
        assert_eq!([counts.count(0, at(10)), counts.count(1, at(10))], [1, 2]);
        for key in 2..=MAX_KEPT {
            counts.count(key, at(11));
        }
        assert!(counts.counts.lock().unwrap().len() <= MAX_KEPT);
    }
}
