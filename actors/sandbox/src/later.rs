//! Things that are due at a moment, earliest first; of two due at once, the one put in first.

use std::{cmp::Reverse, collections::BinaryHeap};

use tokio::time::Instant;

#[derive(Debug)]
struct Entry<T> {
    due: Instant,
    order: u64,
    thing: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// See the file's head. Its bound is its owner's business: ask `len` before `put`.
#[derive(Debug)]
pub(crate) struct Later<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    order: u64,
}

impl<T> Default for Later<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), order: 0 }
    }
}

impl<T> Later<T> {
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn put(&mut self, due: Instant, thing: T) {
        self.order += 1;
        self.heap.push(Reverse(Entry { due, order: self.order, thing }));
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.0.due)
    }

    /// Takes out the next one, if it is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.0.thing)
    }

    /// All of them, in order, due or not.
    pub(crate) fn into_things(self) -> impl Iterator<Item = T> {
        // Sorted by `Reverse`, the earliest stands last.
        self.heap.into_sorted_vec().into_iter().rev().map(|entry| entry.0.thing)
    }

    /// Waits until the next one is due; for ever while there is none.
    pub(crate) async fn wait(&self) {
        match self.next_due() {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Later;

    #[test]
    fn what_is_due_comes_out_in_order_and_the_rest_stays() {
        let now = Instant::now();
        let mut later = Later::default();
        later.put(now + Duration::from_secs(1), "second");
        later.put(now, "a");
        later.put(now, "b");
        assert_eq!([later.take_due(now), later.take_due(now), later.take_due(now)], [Some("a"), Some("b"), None]);
        assert_eq!(later.len(), 1);
        assert_eq!(later.next_due(), Some(now + Duration::from_secs(1)));
    }
}
