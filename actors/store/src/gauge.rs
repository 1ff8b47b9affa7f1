//! What others may know of the writer: whether it lives, whether its commits succeed.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use vumi_kit::{
    room::{Ended, Lifeline, lifeline},
    store::StoreError,
};

/// How the writer's commits go.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    commits: AtomicU64,
    failing: Mutex<Option<String>>,
}

impl Gauge {
    pub(crate) fn committed(&self, failed: Option<&StoreError>) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failed.map(ToString::to_string);
    }

    /// Transactions so far.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Why the last one failed, if it did.
    pub(crate) fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The writer's life lines: all drop when the writer does.
#[derive(Debug)]
pub(crate) struct Lifelines(Watchers);

/// Where to get another end of one.
#[derive(Clone, Debug)]
pub(crate) struct Watchers(Arc<Mutex<Option<Vec<Lifeline>>>>);

impl Lifelines {
    pub(crate) fn new() -> (Self, Watchers) {
        let watchers = Watchers(Arc::new(Mutex::new(Some(Vec::new()))));
        (Self(watchers.clone()), watchers)
    }
}

impl Drop for Lifelines {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Watchers {
    /// Resolves when the writer has ended; at once if it has already.
    pub(crate) fn watch(&self) -> Ended {
        let (held, ended) = lifeline();
        if let Some(lines) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            lines.push(held);
        }
        ended
    }
}
