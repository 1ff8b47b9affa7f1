//! Counts of one thread.

use std::cell::Cell;

/// A count that stays at its bounds instead of wrapping.
#[derive(Debug, Default)]
pub(super) struct Counter(Cell<u64>);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }

    pub(super) fn add(&self, more: u64) {
        self.0.set(self.0.get().saturating_add(more));
    }

    pub(super) fn increment(&self) {
        self.add(1);
    }

    pub(super) fn decrement(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
