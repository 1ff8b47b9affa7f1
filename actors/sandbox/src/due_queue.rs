//! A queue of items that are due at a moment: the earliest first; of two due at once, the one put in first.

use std::{cmp::Reverse, collections::BinaryHeap};

use tokio::time::Instant;

#[derive(Debug)]
struct DueItem<T> {
    due: Instant,
    order: u64,
    item: T,
}

impl<T> PartialEq for DueItem<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl<T> Eq for DueItem<T> {}
impl<T> PartialOrd for DueItem<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for DueItem<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// The queue. It has no bound of its own: its owner checks `len` before `put`.
#[derive(Debug)]
pub(crate) struct DueQueue<T> {
    heap: BinaryHeap<Reverse<DueItem<T>>>,
    order: u64,
}

impl<T> Default for DueQueue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), order: 0 }
    }
}

impl<T> DueQueue<T> {
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn put(&mut self, due: Instant, item: T) {
        self.order += 1;
        self.heap.push(Reverse(DueItem { due, order: self.order, item }));
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|first| first.0.due)
    }

    /// Takes out the first item, if it is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|first| first.0.item)
    }

    /// All items in order, due or not.
    pub(crate) fn into_items(self) -> impl Iterator<Item = T> {
        // The heap sorts by `Reverse`: the earliest item comes last.
        self.heap.into_sorted_vec().into_iter().rev().map(|entry| entry.0.item)
    }

    /// Waits until the first item is due; for ever if there is none.
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

    use super::DueQueue;

    #[test]
    fn due_items_come_out_in_order_and_the_others_stay() {
        let now = Instant::now();
        let mut queue = DueQueue::default();
        queue.put(now + Duration::from_secs(1), "second");
        queue.put(now, "a");
        queue.put(now, "b");
        assert_eq!([queue.take_due(now), queue.take_due(now), queue.take_due(now)], [Some("a"), Some("b"), None]);
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.next_due(), Some(now + Duration::from_secs(1)));
    }
}
