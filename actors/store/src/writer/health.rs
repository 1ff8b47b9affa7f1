//! The writer's health: whether it lives, whether its commits succeed, for how long it has been busy.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{error, info};
use vumi_kit::{
    component::{Lifeline, Terminated, lifeline},
    store::StoreError,
};

/// The writer's commits, as others may know of them.
#[derive(Debug, Default)]
pub(crate) struct WriterHealth {
    commits: AtomicU64,
    failing: Mutex<Option<Failing>>,
    busy_since: Mutex<Option<Instant>>,
}

/// Since when commits have failed, how many have, and the error of the last one.
#[derive(Debug)]
struct Failing {
    since: Instant,
    count: u64,
    why: String,
}

/// Held while the writer works on a batch.
pub(crate) struct Busy<'a>(&'a WriterHealth);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *held(&self.0.busy_since) = None;
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WriterHealth {
    /// The writer begins a batch.
    pub(crate) fn busy(&self) -> Busy<'_> {
        *held(&self.busy_since) = Some(Instant::now());
        Busy(self)
    }

    /// For how long the writer has worked on the same batch.
    pub(crate) fn busy_for(&self) -> Option<Duration> {
        held(&self.busy_since).map(|since| since.elapsed())
    }

    /// A transaction has ended. Logged when the health changes.
    pub(crate) fn committed(&self, failed: Option<&StoreError>) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let mut failing = held(&self.failing);
        match (failed, failing.as_mut()) {
            (None, None) => {}
            (None, Some(before)) => {
                let (failed, seconds) = (before.count, before.since.elapsed().as_secs());
                info!(failed, seconds, "the database commits again");
                *failing = None;
            }
            (Some(error), None) => {
                error!(%error, "the database commits nothing: nothing is accepted until it does");
                *failing = Some(Failing { since: Instant::now(), count: 1, why: error.to_string() });
            }
            (Some(error), Some(before)) => {
                before.count += 1;
                before.why = error.to_string();
            }
        }
    }

    /// Transactions so far.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// If the last one failed: how many have, for how long, and the last error.
    pub(crate) fn failing(&self) -> Option<String> {
        held(&self.failing).as_ref().map(|failing| {
            let seconds = failing.since.elapsed().as_secs();
            format!("{} commits failed in {seconds} s, the last one: {}", failing.count, failing.why)
        })
    }
}

/// The writer's life lines: all drop when the writer does.
#[derive(Debug)]
pub(crate) struct Lifelines(Watchers);

/// Makes watchers of the writer's end.
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
        *held(&self.0.0) = None;
    }
}

impl Watchers {
    /// Resolves when the writer has ended; at once if it has already.
    pub(crate) fn watch(&self) -> Terminated {
        let (line, ended) = lifeline();
        if let Some(lines) = held(&self.0).as_mut() {
            lines.push(line);
        }
        ended
    }
}
