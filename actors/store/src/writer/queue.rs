//! The writer's queue: requests of any command, in lanes, so that a session never waits behind a row of batches.
//!
//! A transaction takes what is urgent first, and of the rest what still fits. What did not fit goes first in the next one: so
//! each lane gets on, and an urgent request waits for one other transaction at the most.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vumi_kit::store::{Command, Operation, Request, StoreError, Writes};

use crate::dialect::{postgres, sqlite};

/// Makes due again what an earlier process of this name had claimed and no transport will ask for: done at every start.
#[derive(Clone, Debug)]
pub(crate) struct TakeOver;
impl Operation for TakeOver {
    type Access = Writes;
    type Answer = ();
}

/// Removes a bounded number of rows that have expired. Answers whether there may be many more.
#[derive(Clone, Debug)]
pub(crate) struct Sweep;
impl Operation for Sweep {
    type Access = Writes;
    type Answer = bool;
}

/// Takes a step of retention: removes a bounded number of old texts and rows. See `queries/retention.rs`.
#[derive(Clone, Debug)]
pub(crate) struct RetainStep;
impl Operation for RetainStep {
    type Access = Writes;
    type Answer = RetainedStep;
}

/// What a step of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetainedStep {
    /// Texts that were removed or masked.
    pub(crate) texts: usize,
    /// SMS and callback deliveries that were removed.
    pub(crate) rows: usize,
    /// Whether everything has been looked at once since the run began.
    pub(crate) whole: bool,
}

/// Writes what needs room, to find out whether a database that refused keeps it again.
#[derive(Clone, Debug)]
pub(crate) struct Probe;
impl Operation for Probe {
    type Access = Writes;
    type Answer = ();
}

/// Panics in the writer's thread.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) struct Panic;
#[cfg(test)]
impl Operation for Panic {
    type Access = Writes;
    type Answer = ();
}

/// A command that every dialect carries out.
pub(crate) trait WriteAnywhere: Command + sqlite::queries::Write + postgres::queries::Write {}
impl<C: Command + sqlite::queries::Write + postgres::queries::Write> WriteAnywhere for C {}

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
    const ALL: [Self; 3] = [Self::Urgent, Self::Upkeep, Self::Batch];
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

/// A request in its lane.
struct QueuedAt {
    job: Queued,
    rows: usize,
    since: Instant,
    _place: OwnedSemaphorePermit,
}

#[derive(Default)]
struct WaitingByLane {
    waiting: [VecDeque<QueuedAt>; 3],
    /// Whose turn it is, since it was left out of the transaction before.
    left_out: Option<Lane>,
    /// Which of the others was served last.
    served: Option<Lane>,
    closed: bool,
}

impl WaitingByLane {
    fn of(&mut self, lane: Lane) -> &mut VecDeque<QueuedAt> {
        let [urgent, upkeep, batch] = &mut self.waiting;
        match lane {
            Lane::Urgent => urgent,
            Lane::Upkeep => upkeep,
            Lane::Batch => batch,
        }
    }

    /// Whether the first of a lane has waited for so long.
    fn is_behind(&mut self, lane: Lane, by: Duration) -> bool {
        self.of(lane).front().is_some_and(|first| first.since.elapsed() >= by)
    }

    /// What the next transaction does: bounded by its rows, except that one request is always taken whole.
    fn take(&mut self, most: usize) -> Vec<Queued> {
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
        let (shared, lane) = (&self.0.0, job.0.lane());
        let Ok(place) = shared.places(lane).try_acquire_owned() else {
            return Err(if self.is_closed() { NotQueued::Closed(job) } else { NotQueued::Full(job) });
        };
        let behind_by = (!job.is_patient()).then_some(shared.limits.max_wait / 2);
        self.push(job, lane, place, behind_by)
    }

    /// Queues a request as soon as there is room for it; gives it back if the queue is closed meanwhile.
    pub(crate) async fn send(&self, job: Queued) -> Result<(), Queued> {
        let lane = job.0.lane();
        let Ok(place) = self.0.0.places(lane).acquire_owned().await else { return Err(job) };
        self.push(job, lane, place, None).map_err(|refused| match refused {
            NotQueued::Full(job) | NotQueued::Closed(job) => job,
        })
    }

    /// Puts a request behind the others of its lane, unless the first of them has waited for so long. One lock for both: the
    /// writer takes it, too.
    fn push(
        &self,
        job: Queued,
        lane: Lane,
        place: OwnedSemaphorePermit,
        behind_by: Option<Duration>,
    ) -> Result<(), NotQueued> {
        let shared = &self.0.0;
        let (rows, since) = (job.0.rows(), Instant::now());
        let mut lanes = shared.lock();
        if lanes.closed {
            return Err(NotQueued::Closed(job));
        }
        if behind_by.is_some_and(|by| lanes.is_behind(lane, by)) {
            return Err(NotQueued::Full(job));
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
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use vumi_kit::{
        ledger::{AcceptSms, Accepted, ClaimSms},
        name::Name,
        session::CloseSession,
        store::{Request, StoreError},
    };

    use super::{NotQueued, QueueLimits, QueueReceiver, Queued, WriteQueue};
    use crate::tests::one_sms;

    const LIMITS: QueueLimits = QueueLimits { places: 100, most_per_commit: 512, max_wait: Duration::from_secs(60) };

    fn name(name: &str) -> Name {
        Name::parse(name).unwrap()
    }

    fn batch(rows: usize, patient: bool) -> (Queued, oneshot::Receiver<Result<Accepted, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let operation = AcceptSms { batch: vec![one_sms("x"); rows], idempotency: None };
        (Request { patient, ..Request::new(operation, reply) }.into(), answer)
    }

    fn accept(rows: usize) -> Queued {
        batch(rows, false).0
    }

    fn session() -> Queued {
        let (owner, person) = (name("quiz"), "a".to_owned());
        let operation = CloseSession { owner, person, after: None, answers: Vec::new() };
        Request::new(operation, oneshot::channel().0).into()
    }

    fn claim(limit: usize) -> Queued {
        let operation = ClaimSms { transport: name("opera"), limit, capacity: limit };
        Request::new(operation, oneshot::channel().0).into()
    }

    fn send(queue: &WriteQueue, job: Queued) {
        assert!(queue.try_send(job).is_ok());
    }

    /// The rows of what the next transaction does.
    fn next(receiver: &QueueReceiver) -> Vec<usize> {
        receiver.next().unwrap().into_iter().map(|job| job.0.rows()).collect()
    }

    #[test]
    fn a_session_waits_for_one_transaction_at_the_most_and_batches_get_on_all_the_same() {
        let (queue, receiver) = WriteQueue::new(LIMITS);
        for _ in 0..3 {
            send(&queue, accept(2_000));
        }
        assert_eq!(next(&receiver), [2_000], "nothing else waits");
        send(&queue, session());
        send(&queue, session());
        assert_eq!(next(&receiver), [1, 1], "sessions before batches, and none beside them");
        send(&queue, session());
        assert_eq!(next(&receiver), [2_000], "then it is the batch's turn");
        send(&queue, session());
        assert_eq!(next(&receiver), [1, 1], "and the sessions' again");
        assert_eq!(next(&receiver), [2_000]);
    }

    #[test]
    fn what_is_small_shares_a_transaction_up_to_its_bound() {
        let (queue, receiver) = WriteQueue::new(LIMITS);
        send(&queue, accept(300));
        send(&queue, claim(200));
        send(&queue, accept(300));
        send(&queue, session());
        assert_eq!(next(&receiver), [1, 200, 300]);
        assert_eq!(next(&receiver), [300]);
    }

    #[test]
    fn batches_and_the_outboxes_take_turns() {
        let (queue, receiver) = WriteQueue::new(LIMITS);
        for _ in 0..2 {
            send(&queue, accept(2_000));
            send(&queue, claim(1_000));
        }
        let order: Vec<_> = (0..4).flat_map(|_| next(&receiver)).collect();
        assert_eq!(order, [1_000, 2_000, 1_000, 2_000]);
    }

    #[test]
    fn a_closed_queue_is_emptied_and_then_ends() {
        let (queue, receiver) = WriteQueue::new(LIMITS);
        send(&queue, accept(2_000));
        send(&queue, session());
        queue.close();
        assert!(matches!(queue.try_send(session()), Err(NotQueued::Closed(_))));
        assert_eq!((next(&receiver), next(&receiver)), (vec![1], vec![2_000]));
        assert!(receiver.next().is_none());
        let (queue, receiver) = WriteQueue::new(LIMITS);
        drop(queue);
        assert!(receiver.next().is_none(), "nobody can ask any more");
    }

    #[test]
    fn who_can_be_refused_is_once_the_first_has_waited_for_half_of_the_bound() {
        let (queue, _receiver) = WriteQueue::new(QueueLimits { max_wait: Duration::from_secs(10), ..LIMITS });
        send(&queue, accept(100));
        send(&queue, accept(100));
        let (queue, _receiver) = WriteQueue::new(QueueLimits { max_wait: Duration::ZERO, ..LIMITS });
        send(&queue, accept(100));
        assert!(matches!(queue.try_send(accept(100)), Err(NotQueued::Full(_))));
        send(&queue, batch(100, true).0);
        send(&queue, session());
    }

    #[test]
    fn who_waits_for_too_long_is_told_and_who_is_patient_stays_in_order() {
        let (queue, receiver) = WriteQueue::new(QueueLimits { max_wait: Duration::ZERO, ..LIMITS });
        let (refusable, mut told) = batch(100, false);
        send(&queue, refusable);
        for rows in [101, 102] {
            send(&queue, batch(rows, true).0);
        }
        queue.refuse_overdue();
        assert!(matches!(told.try_recv(), Ok(Err(StoreError::Busy))));
        assert_eq!(next(&receiver), [101, 102]);
    }
}
