//! The one writer: a thread that takes what is in its queue, commits once, then answers each.

mod probe;
mod work;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{connection::SimpleConnection, prelude::*, result::Error};
use tokio::sync::{mpsc::error::TrySendError, oneshot};
use tracing::{debug, warn};
use vumi_kit::{
    clock::Timestamp,
    ledger::{HandOver, ReleaseReceived, ReleaseSms},
    name::Name,
    sms::Submission,
    store::{Request, StoreError},
};

use self::{
    probe::write_and_take_back,
    work::{Care, detail},
};
use super::{BEGIN, Conn, Evidence, Tx, WriterState, alone, await_senders, finish, into_work, is_lost};
#[cfg(test)]
use super::{Failed, Write};
#[cfg(test)]
use crate::writer::commands::Panic;
use crate::{
    schema::{received_sms, sms},
    writer::{
        config::WriterParts,
        queue::{Queued, QueuedCommand},
    },
};

pub(crate) use self::work::{Work, underway};

/// How long the writer begins again while others hold what it needs.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// A statement that failed after this long had waited: for a lock, or for a database that does not answer. Neither
/// SQLite's codes nor most of PostgreSQL's reach us, and words depend on the server's language.
const WAITED: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Writer {
    conn: Conn,
    connect: Connect,
    /// When the database last did not let us in, and why.
    away: Option<(Instant, Arc<str>)>,
    parts: WriterParts,
}

/// A database that did not let us in is not tried again before this.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// How long the writer tries to reach the database again to learn what became of a commit.
const CONFIRM_FOR: Duration = Duration::from_secs(3);

/// So often is a transaction begun again in which a request failed after a wait. If it was no lock, a request that takes
/// long to fail is refused for itself then.
const CONFLICTS: usize = 3;

/// Opens the writer's connection, at the start and whenever it was lost.
pub(crate) type Connect = Box<dyn Fn() -> Result<Conn, String> + Send>;

/// Why a transaction was rolled back.
pub(crate) enum Undone {
    /// A request failed: each gets a savepoint of its own.
    Request,
    /// Another process may have been in the way: begun again.
    Conflict(Error),
    /// The database refused, whatever it was asked.
    Database(Error),
    /// It refused the commit, or went away at that moment: nobody knows what was kept.
    Commit(Error),
}

impl Writer {
    pub(crate) const fn new(conn: Conn, connect: Connect, parts: WriterParts) -> Self {
        Self { conn, connect, away: None, parts }
    }

    /// Works until it is told to stop. A request that panics ends the writer, and the process with it: the
    /// writer's state may be half changed, and only a fresh start from the committed rows is safe.
    pub(crate) fn run(mut self) {
        let mut state = WriterState::default();
        while let Some(jobs) = self.parts.queue.next() {
            let batch = self.admitted(jobs);
            if !batch.is_empty() {
                let health = self.parts.health.clone();
                let _busy = health.busy();
                self.commit(&mut state, batch);
            }
        }
        finish(&mut self.conn);
        drop(self.parts.lifelines);
    }

    /// What is to be done of these; the others are told why not.
    fn admitted(&self, jobs: Vec<Queued>) -> Vec<Box<dyn Work>> {
        let storage = self.parts.storage.as_ref();
        if let Some(storage) = storage {
            storage.look();
        }
        let refused = |grows| storage.and_then(|storage| storage.refuses(grows));
        let admitted = |job: Queued| match refused(job.grows()) {
            Some(why) => {
                job.refuse(&why);
                None
            }
            None => Some(into_work(job.into_command())),
        };
        jobs.into_iter().filter_map(admitted).collect()
    }

    /// One transaction, then what is to be handed over, then the answers. Says whether it was committed.
    fn commit(&mut self, state: &mut WriterState, mut batch: Vec<Box<dyn Work>>) -> bool {
        let failed = self.persist(state, &mut batch).err();
        self.parts.health.committed(failed.as_ref(), batch.iter().map(|work| (work.kind(), work.is_done())));
        if std::mem::take(&mut state.consent_changed) {
            self.await_senders();
        }
        let releases = self.hand_over(state);
        for work in batch {
            work.answer(failed.as_ref());
        }
        if !releases.is_empty() {
            debug!(batches = releases.len(), "the router's channel is full: released to the ledger");
            if !self.commit(state, releases) {
                vumi_kit::warn_limited!(
                    "not released",
                    "what the router's channel had no room for waits until its lease expires"
                );
            }
        }
        failed.is_none()
    }

    /// Waits for those who began before somebody's consent changed, and may not have seen it.
    fn await_senders(&mut self) {
        if let Err(error) = await_senders(&mut self.conn) {
            warn!(%error, "other processes were not waited for: an SMS may begin a moment after its person opted out");
        }
    }

    /// Gets the transaction done, as far as that can be. After a failed statement each request gets a savepoint, and what
    /// fails there at once is refused alone. What fails after a wait is begun again, for a bounded time. A connection
    /// that was lost before the commit is replaced, once.
    fn persist(&mut self, state: &mut WriterState, batch: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        let (before, started) = (state.mark(), Instant::now());
        let (mut care, mut reconnected) = (Care::None, false);
        loop {
            let undone = match self.transaction(state, batch, care) {
                Ok(()) => return Ok(()),
                Err(undone) => undone,
            };
            let kept = if let Undone::Commit(_) = &undone { self.find_out(batch, reconnected) } else { None };
            if kept == Some(true) {
                return Ok(());
            }
            state.restore(before.clone());
            let in_time = started.elapsed() < RETRY_FOR;
            match undone {
                Undone::Commit(_) if kept == Some(false) => reconnected = true,
                Undone::Commit(error) => return Err(StoreError::Unconfirmed(detail(&error.to_string()))),
                Undone::Database(_) | Undone::Conflict(_) | Undone::Request
                    if !reconnected && is_lost(&mut self.conn) =>
                {
                    self.reconnect()?;
                    reconnected = true;
                }
                Undone::Request if in_time => care = Care::Savepoints { conflicts: CONFLICTS },
                Undone::Conflict(error) if in_time => {
                    debug!(%error, "another process may have stood in the way: begun again");
                    care = care.less();
                }
                Undone::Request => {
                    return Err(StoreError::Unavailable(detail("it kept this process waiting too long")));
                }
                Undone::Database(error) | Undone::Conflict(error) => {
                    return Err(StoreError::Unavailable(detail(&error.to_string())));
                }
            }
        }
    }

    fn transaction(&mut self, state: &mut WriterState, batch: &mut [Box<dyn Work>], care: Care) -> Result<(), Undone> {
        let (now, wall) = (self.parts.clock.now(), self.parts.clock.wall());
        begin(&mut self.conn).map_err(Undone::Database)?;
        let lock_keys = || batch.iter().flat_map(|work| work.lock_keys()).collect();
        let mut done = alone(&mut self.conn, lock_keys).map_err(Undone::Conflict);
        if done.is_ok() {
            let (conn, rules, stopped) = (&mut self.conn, &self.parts.rules, HashMap::new());
            let mut tx = Tx { conn, now, wall, rules, state, stopped, nobody_is_out: None };
            done = batch.iter_mut().try_for_each(|work| work.perform(&mut tx, care));
        }
        if done.is_ok() && batch.iter().any(|work| work.is_refused()) && !batch.iter().any(|work| work.is_done()) {
            done = write_and_take_back(&mut self.conn).map_err(Undone::Database);
        }
        if done.is_ok() {
            done = self.conn.batch_execute("COMMIT").map_err(Undone::Commit);
        }
        if done.is_err() {
            // The database may have rolled back by itself; then this has nothing to do and says so.
            let _nothing_left = self.conn.batch_execute("ROLLBACK");
        }
        done
    }

    /// Whether a transaction whose connection was lost with its commit was committed; none: the database tells nothing.
    /// The new connection takes this node's name, so the old one has ended, and what it did is final.
    fn find_out(&mut self, batch: &[Box<dyn Work>], reconnected: bool) -> Option<bool> {
        if reconnected || !is_lost(&mut self.conn) {
            return None;
        }
        let started = Instant::now();
        while self.reconnect().is_err() {
            if started.elapsed() >= CONFIRM_FOR {
                return None;
            }
            std::thread::park_timeout(RECONNECT_AFTER);
        }
        let evidence = batch.iter().find_map(|work| work.evidence())?;
        let kept = is_kept(&mut self.conn, evidence).ok()?;
        warn!(kept, "the connection was lost with a commit; asked what became of it");
        Some(kept)
    }

    fn reconnect(&mut self) -> Result<(), StoreError> {
        if let Some((since, why)) = &self.away
            && since.elapsed() < RECONNECT_AFTER
        {
            return Err(StoreError::Unavailable(why.clone()));
        }
        match (self.connect)() {
            Ok(conn) => {
                (self.conn, self.away) = (conn, None);
                Ok(())
            }
            Err(refused) => {
                let why = detail(&refused);
                self.away = Some((Instant::now(), why.clone()));
                Err(StoreError::Unavailable(why))
            }
        }
    }

    /// Hands over what was committed; answers the releases of what the channel has no room for. A release hands over nothing
    /// itself.
    fn hand_over(&self, state: &mut WriterState) -> Vec<Box<dyn Work>> {
        let submissions = by_transport(std::mem::take(&mut state.submissions));
        let submissions = submissions.into_iter().map(|(transport, batch)| HandOver::Submissions { transport, batch });
        let received = std::mem::take(&mut state.received);
        let received = (!received.is_empty()).then_some(HandOver::Received(received));
        let send = |batch| match self.parts.handover.try_send(batch) {
            Ok(()) => None,
            Err(TrySendError::Full(refused) | TrySendError::Closed(refused)) => Some(into_work(release(refused))),
        };
        submissions.chain(received).filter_map(send).collect()
    }
}

fn by_transport(submissions: Vec<(Name, Submission)>) -> Vec<(Name, Vec<Submission>)> {
    let mut batches: Vec<(Name, Vec<Submission>)> = Vec::new();
    for (transport, submission) in submissions {
        match batches.iter_mut().find(|(name, _)| *name == transport) {
            Some((_, batch)) => batch.push(submission),
            None => batches.push((transport, vec![submission])),
        }
    }
    batches
}

fn release(refused: HandOver) -> Box<dyn QueuedCommand> {
    match refused {
        HandOver::Submissions { transport, batch } => {
            let ids = batch.into_iter().map(|submission| submission.id).collect();
            Box::new(Request::new(ReleaseSms { transport, ids }, oneshot::channel().0))
        }
        HandOver::Received(batch) => {
            let ids = batch.into_iter().map(|received| received.id).collect();
            Box::new(Request::new(ReleaseReceived { ids }, oneshot::channel().0))
        }
    }
}

/// Begins. Each try waits for some seconds while another program (`vumi account add`, say) writes.
fn begin(conn: &mut Conn) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let tried = Instant::now();
        let Err(error) = conn.batch_execute(BEGIN) else { return Ok(()) };
        // What has begun so far, if anything has.
        let _nothing_left = conn.batch_execute("ROLLBACK");
        if tried.elapsed() < WAITED || started.elapsed() >= RETRY_FOR {
            return Err(error);
        }
    }
}

fn is_kept(conn: &mut Conn, evidence: Evidence) -> QueryResult<bool> {
    match evidence {
        Evidence::Sms(id) => diesel::select(diesel::dsl::exists(sms::table.find(id))).get_result(conn),
        Evidence::Received(id) => diesel::select(diesel::dsl::exists(received_sms::table.find(id))).get_result(conn),
    }
}

#[cfg(test)]
impl Write for Panic {
    fn write(self, _: &mut Tx<'_>) -> Result<(), Failed> {
        panic!("told to")
    }
}

impl Tx<'_> {
    /// When a claim made now ends.
    pub(super) fn lease_until(&self) -> Timestamp {
        self.now.plus(self.rules.lease)
    }
}
