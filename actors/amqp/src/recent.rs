//! A map of the latest entries.

use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A map that holds at most `capacity` entries: one more removes the one that was inserted first.
pub(super) struct RecentMap<K, V> {
    capacity: usize,
    next: u64,
    entries: HashMap<K, (u64, V)>,
    order: VecDeque<(u64, K)>,
}

impl<K: Clone + Eq + Hash, V> RecentMap<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, entries: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let number = self.next;
        self.next += 1;
        self.entries.insert(key.clone(), (number, value));
        self.order.push_back((number, key));
        while self.order.len() > self.capacity {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            // A key that was inserted again has a later position in the order.
            if self.entries.get(&oldest).is_some_and(|(current, _)| *current == number) {
                self.entries.remove(&oldest);
            }
        }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Its place in the order stays until its turn comes.
    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::RecentMap;

    #[test]
    fn one_entry_too_many_removes_the_oldest() {
        let mut recent = RecentMap::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        assert_eq!((recent.get("a"), recent.get("b")), (Some(&3), Some(&2)));
        recent.insert("c", 4);
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (Some(&3), None, Some(&4)));
    }
}
