//! Which request waits behind which, and what of them a transaction takes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;

use super::Queued;

/// The most rows of a command that counts as urgent.
const URGENT_ROWS: usize = 20;

/// What waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Sessions, single SMS, whatever is small.
    Urgent,
    /// The outboxes' claims, their outcomes where many wait, sweeps, and what else has many rows.
    Upkeep,
    /// Batches of clients.
    Batch,
}

impl Lane {
    pub(super) const ALL: [Self; 3] = [Self::Urgent, Self::Upkeep, Self::Batch];
    const OTHERS: [Self; 2] = [Self::Upkeep, Self::Batch];

    /// That of a command with so many rows which is no batch of a client's.
    pub(crate) const fn of_rows(rows: usize) -> Self {
        if rows <= URGENT_ROWS { Self::Urgent } else { Self::Upkeep }
    }

    /// That of a client's batch.
    pub(crate) const fn of_batch(rows: usize) -> Self {
        if rows <= URGENT_ROWS { Self::Urgent } else { Self::Batch }
    }
}

/// A request in its lane.
pub(super) struct QueuedAt {
    pub(super) job: Queued,
    pub(super) rows: usize,
    pub(super) since: Instant,
    pub(super) _place: OwnedSemaphorePermit,
}

#[derive(Default)]
pub(super) struct WaitingByLane {
    pub(super) waiting: [VecDeque<QueuedAt>; 3],
    /// Whose turn it is, since it was left out of the transaction before.
    left_out: Option<Lane>,
    /// Which of the others was served last.
    served: Option<Lane>,
    pub(super) closed: bool,
}

impl WaitingByLane {
    pub(super) fn of(&mut self, lane: Lane) -> &mut VecDeque<QueuedAt> {
        let [urgent, upkeep, batch] = &mut self.waiting;
        match lane {
            Lane::Urgent => urgent,
            Lane::Upkeep => upkeep,
            Lane::Batch => batch,
        }
    }

    /// Whether the first of a lane has waited for so long.
    pub(super) fn is_behind(&mut self, lane: Lane, by: Duration) -> bool {
        self.of(lane).front().is_some_and(|first| first.since.elapsed() >= by)
    }

    /// What the next transaction does: bounded by its rows, except that one request is always taken whole.
    pub(super) fn take(&mut self, most: usize) -> Vec<Queued> {
        let mut taken = TransactionContent { jobs: Vec::new(), rows: 0, most };
        let due = self.left_out.take();
        if let Some(lane) = due {
            self.serve(lane, &mut taken);
        }
        let before = taken.jobs.len();
        while taken.admits_first(self.of(Lane::Urgent)) {}
        let was_urgent = due.is_none() && taken.jobs.len() > before;
        for lane in self.others() {
            self.serve(lane, &mut taken);
        }
        if was_urgent {
            self.left_out = self.others().into_iter().find(|lane| !self.of(*lane).is_empty());
        }
        taken.jobs
    }

    fn serve(&mut self, lane: Lane, taken: &mut TransactionContent) {
        while taken.admits_first(self.of(lane)) {
            self.served = Some(lane);
        }
    }

    /// The lanes that are not urgent, the one that was served last behind the other.
    fn others(&self) -> [Lane; 2] {
        let [first, second] = Lane::OTHERS;
        if self.served == Some(first) { [second, first] } else { [first, second] }
    }
}

/// What a transaction is made of.
struct TransactionContent {
    jobs: Vec<Queued>,
    rows: usize,
    most: usize,
}

impl TransactionContent {
    /// Takes a lane's first request where there is room for it; says whether it did.
    fn admits_first(&mut self, lane: &mut VecDeque<QueuedAt>) -> bool {
        let fits = |first: &QueuedAt| self.jobs.is_empty() || self.rows + first.rows <= self.most;
        if !lane.front().is_some_and(fits) {
            return false;
        }
        let Some(first) = lane.pop_front() else { return false };
        self.rows += first.rows;
        self.jobs.push(first.job);
        true
    }
}
