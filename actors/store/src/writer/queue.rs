//! The writer's queue: requests of any command, in lanes, so that a session never waits behind a row of batches.
//!
//! A transaction takes what is urgent first, and of the rest what still fits. What did not fit goes first in the next one: so
//! each lane gets on, and an urgent request waits for one other transaction at the most.

mod waiting_by_lane;

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vumi_kit::store::{Command, Request, StoreError};

use self::waiting_by_lane::{QueuedAt, WaitingByLane};

pub(crate) use self::waiting_by_lane::Lane;
use crate::dialect::{postgres, sqlite};

/// A command that every dialect carries out.
pub(crate) trait WriteAnywhere: Command + sqlite::queries::Write + postgres::queries::Write {}
impl<C: Command + sqlite::queries::Write + postgres::queries::Write> WriteAnywhere for C {}

/// What is on its way to the writer.
pub(crate) struct Queued(Box<dyn QueuedCommand>);

impl<C: WriteAnywhere> From<Request<C>> for Queued {
    fn from(request: Request<C>) -> Self {
        Self(Box::new(request))
    }
}

impl Queued {
    /// Answers it without having done it.
    pub(crate) fn refuse(self, why: &StoreError) {
        self.0.refuse(why);
    }

    /// Whether it brings new work.
    pub(crate) fn grows(&self) -> bool {
        self.0.grows()
    }

    /// Whether who asked waits for as long as it takes.
    pub(crate) fn is_patient(&self) -> bool {
        self.0.is_patient()
    }

    pub(crate) fn into_command(self) -> Box<dyn QueuedCommand> {
        self.0
    }
}

/// A request of any command.
pub(crate) trait QueuedCommand: Send {
    /// Answers it without having done it.
    fn refuse(self: Box<Self>, why: &StoreError);

    /// See [`Request::patient`].
    fn is_patient(&self) -> bool;

    /// Whether it brings new work.
    fn grows(&self) -> bool;

    /// How many rows it may write, about; one at the least.
    fn rows(&self) -> usize;

    /// Which lane it waits in.
    fn lane(&self) -> Lane;

    /// As SQLite's writer carries it out.
    fn on_sqlite(self: Box<Self>) -> Box<dyn sqlite::queries::Work>;

    /// As PostgreSQL's writer carries it out.
    fn on_postgres(self: Box<Self>) -> Box<dyn postgres::queries::Work>;
}

impl<C: WriteAnywhere> QueuedCommand for Request<C> {
    fn refuse(self: Box<Self>, why: &StoreError) {
        let _nobody_waits = self.reply.send(Err(why.clone()));
    }

    fn is_patient(&self) -> bool {
        self.patient
    }

    fn grows(&self) -> bool {
        <C as sqlite::queries::Write>::GROWS
    }

    fn rows(&self) -> usize {
        sqlite::queries::Write::rows(&self.operation).max(1)
    }

    fn lane(&self) -> Lane {
        sqlite::queries::Write::lane(&self.operation)
    }

    fn on_sqlite(self: Box<Self>) -> Box<dyn sqlite::queries::Work> {
        sqlite::queries::underway(*self)
    }

    fn on_postgres(self: Box<Self>) -> Box<dyn postgres::queries::Work> {
        postgres::queries::underway(*self)
    }
}

/// The queue's bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    /// Requests that may wait in each lane.
    pub(crate) places: usize,
    /// Rows that share a transaction; a larger request has one of its own.
    pub(crate) most_per_commit: usize,
    /// For how long a request may wait that can be refused.
    pub(crate) max_wait: Duration,
}

struct Shared {
    limits: QueueLimits,
    lanes: Mutex<WaitingByLane>,
    arrived: Condvar,
    places: [Arc<Semaphore>; 3],
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, WaitingByLane> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self, lane: Lane) -> Arc<Semaphore> {
        let [urgent, upkeep, batch] = &self.places;
        Arc::clone(match lane {
            Lane::Urgent => urgent,
            Lane::Upkeep => upkeep,
            Lane::Batch => batch,
        })
    }

    fn close(&self) {
        self.lock().closed = true;
        self.places.iter().for_each(|places| places.close());
        self.arrived.notify_one();
    }
}

/// Puts requests into the queue. The writer ends once all of these are gone, as it does after [`WriteQueue::close`].
#[derive(Clone)]
pub(crate) struct WriteQueue(Arc<Senders>);

struct Senders(Arc<Shared>);

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why a request was not queued; with the request.
pub(crate) enum NotQueued {
    /// Its lane is full, or those before it wait for too long already.
    Full(Queued),
    /// The writer has ended, or is about to.
    Closed(Queued),
}

impl WriteQueue {
    /// A queue, and the writer's end of it.
    pub(crate) fn new(limits: QueueLimits) -> (Self, QueueReceiver) {
        let places = Lane::ALL.map(|_| Arc::new(Semaphore::new(limits.places)));
        let shared = Arc::new(Shared { limits, lanes: Mutex::default(), arrived: Condvar::new(), places });
        (Self(Arc::new(Senders(Arc::clone(&shared)))), QueueReceiver(shared))
    }

    /// Queues a request, if there is room for it now. One that can be refused is, where those before it have waited for half
    /// of what it may wait: it would wait for longer than that.
    pub(crate) fn try_send(&self, job: Queued) -> Result<(), NotQueued> {
        let shared = &self.0.0;
        let lane = job.0.lane();
        let Ok(place) = shared.places(lane).try_acquire_owned() else {
            return Err(if self.is_closed() { NotQueued::Closed(job) } else { NotQueued::Full(job) });
        };
        if !job.is_patient() && shared.lock().is_behind(lane, shared.limits.max_wait / 2) {
            return Err(NotQueued::Full(job));
        }
        self.push(job, place).map_err(NotQueued::Closed)
    }

    /// Queues a request as soon as there is room for it; gives it back if the queue is closed meanwhile.
    pub(crate) async fn send(&self, job: Queued) -> Result<(), Queued> {
        match self.0.0.places(job.0.lane()).acquire_owned().await {
            Ok(place) => self.push(job, place),
            Err(_) => Err(job),
        }
    }

    fn push(&self, job: Queued, place: OwnedSemaphorePermit) -> Result<(), Queued> {
        let shared = &self.0.0;
        let (lane, rows, since) = (job.0.lane(), job.0.rows(), Instant::now());
        let mut lanes = shared.lock();
        if lanes.closed {
            return Err(job);
        }
        lanes.of(lane).push_back(QueuedAt { job, rows, since, _place: place });
        drop(lanes);
        shared.arrived.notify_one();
        Ok(())
    }

    /// Takes no more requests; the writer ends when it has done those that wait.
    pub(crate) fn close(&self) {
        self.0.0.close();
    }

    fn is_closed(&self) -> bool {
        self.0.0.lock().closed
    }

    /// The same queue, which does not keep the writer from ending.
    pub(crate) fn downgrade(&self) -> WeakQueue {
        WeakQueue(Arc::downgrade(&self.0))
    }
}

/// A queue as long as others use it.
#[derive(Clone)]
pub(crate) struct WeakQueue(Weak<Senders>);

impl WeakQueue {
    /// The queue, while it takes requests.
    pub(crate) fn upgrade(&self) -> Option<WriteQueue> {
        self.0.upgrade().map(WriteQueue).filter(|queue| !queue.is_closed())
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueState {
    pub(crate) waiting: usize,
    /// For how long the oldest has waited.
    pub(crate) oldest: Duration,
}

impl WriteQueue {
    /// How much waits now.
    pub(crate) fn state(&self) -> QueueState {
        let lanes = self.0.0.lock();
        let oldest = lanes.waiting.iter().filter_map(|lane| lane.front()).map(|first| first.since.elapsed()).max();
        QueueState { waiting: lanes.waiting.iter().map(VecDeque::len).sum(), oldest: oldest.unwrap_or_default() }
    }

    /// Refuses those that can be refused and have waited for as long as they may.
    pub(crate) fn refuse_overdue(&self) {
        let overdue = self.take_overdue();
        for job in overdue {
            job.refuse(&StoreError::Busy);
        }
    }

    fn take_overdue(&self) -> Vec<Queued> {
        let (shared, mut overdue) = (&self.0.0, Vec::new());
        let mut lanes = shared.lock();
        for lane in &mut lanes.waiting {
            let old = lane.iter().take_while(|one| one.since.elapsed() >= shared.limits.max_wait).count();
            let (patient, others): (Vec<_>, Vec<_>) = lane.drain(..old).partition(|one| one.job.is_patient());
            overdue.extend(others.into_iter().map(|one| one.job));
            for one in patient.into_iter().rev() {
                lane.push_front(one);
            }
        }
        overdue
    }
}

/// The writer's end of the queue. With it what still waits is dropped, and who asked for it learns that the store has stopped.
pub(crate) struct QueueReceiver(Arc<Shared>);

impl QueueReceiver {
    /// What the next transaction does, once there is something; none: the queue is closed and empty.
    pub(crate) fn next(&self) -> Option<Vec<Queued>> {
        let mut lanes = self.0.lock();
        loop {
            let taken = lanes.take(self.0.limits.most_per_commit);
            if !taken.is_empty() {
                return Some(taken);
            }
            if lanes.closed {
                return None;
            }
            lanes = self.0.arrived.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for QueueReceiver {
    fn drop(&mut self) {
        self.0.close();
        let dropped = std::mem::take(&mut self.0.lock().waiting);
        drop(dropped);
    }
}

#[cfg(test)]
mod tests;
