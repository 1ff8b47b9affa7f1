//! The writer's health: whether it lives, whether its commits succeed, for how long it has been busy.

use std::{
    any::type_name,
    collections::BTreeSet,
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

use super::commands::Probe;

/// What stands for commands of every kind.
fn probe() -> &'static str {
    type_name::<Probe>()
}

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
    /// The kinds of commands that were refused and have not been kept since: a full disk may keep small ones.
    refused: BTreeSet<&'static str>,
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

    /// A transaction has ended, of these kinds of commands; with each, whether it was done. Logged when the health changes.
    ///
    /// What failed heals by commits like those that were refused.
    pub(crate) fn committed(&self, failed: Option<&StoreError>, kinds: impl Iterator<Item = (&'static str, bool)>) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let mut failing = held(&self.failing);
        match failed {
            Some(error) => {
                let failing = failing.get_or_insert_with(|| {
                    error!(%error, "the database commits nothing: nothing is accepted until it does");
                    Failing { since: Instant::now(), count: 0, why: String::new(), refused: BTreeSet::new() }
                });
                failing.count += 1;
                failing.why = error.to_string();
                failing.refused.extend(kinds.map(|(kind, _)| kind).filter(|kind| *kind != probe()));
            }
            None => {
                let Some(before) = failing.as_mut() else { return };
                for (kind, _) in kinds.filter(|(_, done)| *done) {
                    if kind == probe() {
                        before.refused.clear();
                    }
                    before.refused.remove(kind);
                }
                if before.refused.is_empty() {
                    let (failed, seconds) = (before.count, before.since.elapsed().as_secs());
                    info!(failed, seconds, "the database commits again");
                    *failing = None;
                }
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

#[cfg(test)]
mod tests {
    use vumi_kit::store::StoreError;

    use super::{WriterHealth, probe};

    fn full() -> StoreError {
        StoreError::Unavailable("the disk is full".into())
    }

    #[test]
    fn health_comes_back_with_a_commit_like_those_refused_and_not_with_a_smaller_one() {
        let health = WriterHealth::default();
        health.committed(Some(&full()), [("accept", false), ("save", false)].into_iter());
        for (kind, done) in [("sweep", true), ("save", true), ("accept", false)] {
            health.committed(None, [(kind, done)].into_iter());
            assert!(health.failing().is_some(), "{kind}");
        }
        health.committed(None, [("accept", true)].into_iter());
        assert_eq!(health.failing(), None);
    }

    #[test]
    fn health_comes_back_with_a_probe_when_nobody_asks_any_more() {
        let health = WriterHealth::default();
        health.committed(Some(&full()), [("accept", false)].into_iter());
        health.committed(Some(&full()), [(probe(), false)].into_iter());
        assert!(health.failing().unwrap().starts_with("2 commits failed"));
        health.committed(None, [(probe(), true)].into_iter());
        assert_eq!(health.failing(), None);
    }
}
