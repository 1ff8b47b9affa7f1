//! The SMS that a provider took: tests compare them with the router's ledger.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::Value;

/// The id of an SMS: the router's, else recipient and text. Numbers are the common case and take no heap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SeenId {
    Number(u64),
    Text(Box<str>),
}

impl SeenId {
    fn of(text: &str) -> Self {
        match text.parse::<u64>() {
            Ok(number) if !text.starts_with(['0', '+']) => Self::Number(number),
            _ => Self::Text(text.into()),
        }
    }
}

/// One SMS that the provider took: when it came first, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// The provider's own number for it.
    pub(crate) number: u64,
}

/// The counts that `/seen/{provider}` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SmsCounts {
    /// SMS taken, whether or not the answer reached the router.
    pub(crate) submissions: u64,
    /// Of those, how many different ids.
    pub(crate) distinct: u64,
    /// Of those, how many came with an id that had come before.
    pub(crate) duplicates: u64,
    /// Of those, how many came when no more ids could be remembered.
    pub(crate) untracked: u64,
    /// Submissions refused.
    pub(crate) refused: u64,
    /// Connections closed without an answer.
    pub(crate) dropped: u64,
    /// Receipts the router answered with 2xx (TruTeq: sent).
    pub(crate) receipts_posted: u64,
    /// Attempts to post a receipt that failed.
    pub(crate) receipts_failed: u64,
    /// Receipts given up, after all attempts or because the queue was full.
    pub(crate) receipts_given_up: u64,
}

#[derive(Debug, Default)]
pub(crate) struct SeenRecord {
    pub(crate) counts: SmsCounts,
    ids: HashMap<SeenId, (Taken, u32)>,
}

/// The SMS that a provider took since its start or the last reset.
#[derive(Debug)]
pub(crate) struct Seen {
    max_ids: usize,
    record: Mutex<SeenRecord>,
}

impl Seen {
    pub(crate) fn new(max_ids: usize) -> Self {
        Self { max_ids, record: Mutex::default() }
    }

    /// The counts, to read or to add to.
    pub(crate) fn record(&self) -> MutexGuard<'_, SeenRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an SMS.
    pub(crate) fn take(&self, id: &str, taken: Taken) {
        let mut record = self.record();
        let has_capacity = record.ids.len() < self.max_ids;
        record.counts.submissions += 1;
        let id = SeenId::of(id);
        if let Some((_, count)) = record.ids.get_mut(&id) {
            *count = count.saturating_add(1);
            record.counts.duplicates += 1;
        } else if has_capacity {
            record.ids.insert(id, (taken, 1));
            record.counts.distinct += 1;
        } else {
            record.counts.untracked += 1;
        }
    }

    /// The first SMS with that id.
    pub(crate) fn find(&self, id: &str) -> Option<Taken> {
        self.record().ids.get(&SeenId::of(id)).map(|(taken, _)| *taken)
    }

    pub(crate) fn refused(&self) {
        self.record().counts.refused += 1;
    }

    pub(crate) fn dropped(&self) {
        self.record().counts.dropped += 1;
    }

    /// Counts a receipt that is given up, and logs the 1st, 2nd, 4th ...: a router that is away must not flood the log.
    pub(crate) fn give_up_receipt(&self, provider: &str, why: &str) {
        let mut record = self.record();
        record.counts.receipts_given_up += 1;
        let so_far = record.counts.receipts_given_up;
        drop(record);
        if so_far.is_power_of_two() {
            tracing::warn!(provider, so_far, why, "a receipt was given up");
        }
    }

    pub(crate) fn reset(&self) {
        *self.record() = SeenRecord::default();
    }

    /// How often each id came.
    pub(crate) fn ids(&self) -> serde_json::Map<String, Value> {
        let id_text = |id: &SeenId| match id {
            SeenId::Number(number) => number.to_string(),
            SeenId::Text(text) => text.to_string(),
        };
        self.record().ids.iter().map(|(id, (_, count))| (id_text(id), Value::from(*count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Taken};

    #[test]
    fn an_id_that_comes_again_is_a_duplicate_and_memory_is_bounded() {
        let seen = Seen::new(2);
        let taken = |number| Taken { at: 0, number };
        for (number, id) in (1..).zip(["7", "007", "7", "8"]) {
            seen.take(id, taken(number));
        }
        let counts = seen.record().counts.clone();
        assert_eq!((counts.submissions, counts.distinct, counts.duplicates, counts.untracked), (4, 2, 1, 1));
        assert_eq!(seen.find("7"), Some(taken(1)), "an id keeps its first submission");
        assert_eq!(seen.find("8"), None);
        assert_eq!(serde_json::json!(seen.ids()), serde_json::json!({"7": 2, "007": 1}));
        seen.reset();
        assert_eq!(seen.record().counts.submissions, 0);
    }
}
