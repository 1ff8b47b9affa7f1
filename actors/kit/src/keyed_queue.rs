//! Order within a key, in parallel across keys: one person's messages one after the other, different people's at the
//! same time.
//!
//! The queue holds the waiting jobs, and its owner does the work. The owner begins a job that [`KeyedQueue::arrive`] returns at
//! once. When it is done, [`KeyedQueue::next`] returns the one that waits behind it.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
};

/// Jobs by key. Of each key one job is in work at the most; the others wait behind it.
#[derive(Debug)]
pub struct KeyedQueue<K, J> {
    /// An entry for each key with a job in work.
    waiting: HashMap<K, VecDeque<J>>,
    /// Jobs in work and waiting.
    len: usize,
    most: usize,
    most_waiting: usize,
}

/// What the owner does with a job that arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<J> {
    /// No other job of its key is in work: begin with it.
    Begin(J),
    /// It waits behind others of its key.
    Waits,
    /// The queue, or that of its key, is full.
    Full(J),
}

impl<K: Eq + Hash, J> KeyedQueue<K, J> {
    /// Holds at most `most` jobs of all keys, in work or waiting, and `most_waiting` behind the one in work of each key.
    #[must_use]
    pub fn new(most: usize, most_waiting: usize) -> Self {
        Self { waiting: HashMap::new(), len: 0, most, most_waiting }
    }

    /// Takes a job, or returns it.
    pub fn arrive(&mut self, key: K, job: J) -> Arrival<J> {
        if self.len >= self.most {
            return Arrival::Full(job);
        }
        match self.waiting.entry(key) {
            Entry::Occupied(waiting) if waiting.get().len() >= self.most_waiting => Arrival::Full(job),
            Entry::Occupied(mut waiting) => {
                waiting.get_mut().push_back(job);
                self.len += 1;
                Arrival::Waits
            }
            Entry::Vacant(idle) => {
                idle.insert(VecDeque::new());
                self.len += 1;
                Arrival::Begin(job)
            }
        }
    }

    /// The job in work of this key is done. Returns the next one, which is in work from now on.
    pub fn next(&mut self, key: &K) -> Option<J> {
        let waiting = self.waiting.get_mut(key)?;
        self.len -= 1;
        let next = waiting.pop_front();
        if next.is_none() {
            self.waiting.remove(key);
        }
        next
    }

    /// Gives up a key: the job in work counts as done, and those behind it are returned in their order.
    pub fn clear(&mut self, key: &K) -> VecDeque<J> {
        let Some(waiting) = self.waiting.remove(key) else { return VecDeque::new() };
        self.len -= waiting.len() + 1;
        waiting
    }

    /// The jobs behind the one in work of this key, the next one first.
    pub fn behind(&self, key: &K) -> impl Iterator<Item = &J> {
        self.waiting.get(key).into_iter().flatten()
    }

    /// Jobs in work and waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in work.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{Arrival, KeyedQueue};

    #[test]
    fn a_full_queue_hands_the_job_back() {
        let mut queue = KeyedQueue::new(3, 1);
        assert_eq!(queue.arrive("ann", 1), Arrival::Begin(1));
        assert_eq!(queue.arrive("ann", 2), Arrival::Waits);
        assert_eq!(queue.arrive("ann", 3), Arrival::Full(3), "as many wait behind Ann's as may");
        assert_eq!(queue.arrive("bob", 4), Arrival::Begin(4));
        assert_eq!(queue.arrive("eve", 5), Arrival::Full(5), "as many of all as there may be");
        assert_eq!(queue.next(&"ann"), Some(2));
        assert_eq!(queue.arrive("eve", 5), Arrival::Begin(5));
    }

    #[test]
    fn a_key_that_is_cleared_is_idle_again() {
        let mut queue = KeyedQueue::new(10, 10);
        for job in 1..=3 {
            queue.arrive("ann", job);
        }
        assert_eq!(queue.behind(&"ann").copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(queue.clear(&"ann"), [2, 3]);
        assert!(queue.is_empty());
        assert_eq!(queue.arrive("ann", 4), Arrival::Begin(4));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arrive(u8),
        Finish(u8),
        Clear(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0..4_u8;
        let step = prop_oneof![
            3 => key.clone().prop_map(Step::Arrive),
            2 => key.clone().prop_map(Step::Finish),
            1 => key.prop_map(Step::Clear),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever happens: one job of a key at a time, in the order of arrival, none lost, none twice, within the bounds.
        #[test]
        fn jobs_of_a_key_come_in_their_order_one_at_a_time(steps in steps(), most in 1..12_usize, behind in 0..5_usize) {
            let mut queue = KeyedQueue::new(most, behind);
            // By key: the job in work first, then those that wait.
            let mut model: HashMap<u8, Vec<usize>> = HashMap::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Arrive(key) => {
                        let all: usize = model.values().map(Vec::len).sum();
                        let of_key = model.entry(key).or_default();
                        let expected = if all >= most || of_key.len() > behind {
                            Arrival::Full(number)
                        } else {
                            of_key.push(number);
                            if of_key.len() == 1 { Arrival::Begin(number) } else { Arrival::Waits }
                        };
                        prop_assert_eq!(queue.arrive(key, number), expected);
                    }
                    Step::Finish(key) => {
                        let of_key = model.entry(key).or_default();
                        if !of_key.is_empty() {
                            of_key.remove(0);
                        }
                        prop_assert_eq!(queue.next(&key), of_key.first().copied());
                    }
                    Step::Clear(key) => {
                        let cleared: Vec<usize> = model.remove(&key).unwrap_or_default().into_iter().skip(1).collect();
                        prop_assert_eq!(queue.clear(&key), cleared);
                    }
                }
                prop_assert_eq!(queue.len(), model.values().map(Vec::len).sum::<usize>());
            }
        }
    }
}
