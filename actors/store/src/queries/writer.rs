//! The one writer: a thread that takes what is in its queue, commits once, then answers each.

use std::time::{Duration, Instant};

use diesel::{
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error},
};
use tokio::sync::{mpsc::error::TrySendError, oneshot};
use tracing::{debug, warn};
use vumi_kit::{
    clock::Timestamp,
    ledger::{HandOver, ReleaseReceived, ReleaseSms},
    name::Name,
    sms::Submission,
    store::{Request, StoreError},
};

use super::{BEGIN, Conn, Failed, Memory, Tx, Write, alone, is_conflict, is_data, is_lost};
#[cfg(test)]
use crate::write_queue::Panic;
use crate::{
    write_queue::{Job, for_each_write},
    writer_config::WriterParts,
};

/// How long the writer tries to begin while another program holds the database.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Writer {
    conn: Conn,
    connect: Connect,
    /// When the database last did not let us in, and what it said.
    away: Option<(Instant, String)>,
    parts: WriterParts,
}

/// A database that did not let us in is not tried again before this.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// So often is a transaction begun again that another process's stood in the way of.
const CONFLICTS: usize = 5;

/// Opens the writer's connection, at the start and whenever it was lost.
pub(crate) type Connect = Box<dyn Fn() -> Result<Conn, String> + Send>;

/// Why a transaction was rolled back.
enum Undone {
    /// A question failed on its own account: the others go on without it.
    Spoilt,
    /// The database refused.
    Refused(Error),
    /// It refused the commit itself, or went away at that moment: nobody knows what was kept.
    AtCommit(Error),
}

impl Writer {
    pub(crate) const fn new(conn: Conn, connect: Connect, parts: WriterParts) -> Self {
        Self { conn, connect, away: None, parts }
    }

    /// Works until it is told to stop. A job that panics takes the writer with it, and that is noticed: its state
    /// may be half changed, and a fresh start from the committed rows is the one state that is sure.
    pub(crate) fn run(mut self) {
        let mut memory = Memory::default();
        while let Some(first) = self.parts.jobs.blocking_recv() {
            let batch = self.gather(first);
            if !batch.is_empty() {
                let gauge = self.parts.gauge.clone();
                let _busy = gauge.busy();
                self.commit(&mut memory, batch);
            }
        }
        drop(self.parts.lifelines);
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let (mut batch, mut rows, mut next) = (Vec::new(), 0, Some(first));
        while let Some(job) = next {
            if matches!(job, Job::Stop) {
                self.parts.jobs.close();
            } else {
                rows += job.rows();
                batch.push(job);
            }
            next = if rows < self.parts.rules.most_per_commit { self.parts.jobs.try_recv().ok() } else { None };
        }
        batch
    }

    /// One transaction, then what is to be handed over, then the answers. Says whether it was committed.
    fn commit(&mut self, memory: &mut Memory, batch: Vec<Job>) -> bool {
        let mut batch: Vec<Box<dyn Work>> = batch.into_iter().filter_map(begun).collect();
        let failed = self.persist(memory, &mut batch).err().map(StoreError::Database);
        self.parts.gauge.committed(failed.as_ref());
        let releases = self.hand_over(memory);
        for work in batch {
            work.answer(failed.as_ref());
        }
        if !releases.is_empty() {
            debug!(batches = releases.len(), "the router has no room: released to the ledger");
            if !self.commit(memory, releases) {
                warn!("what the router had no room for waits for its lease's end");
            }
        }
        failed.is_none()
    }

    /// Gets the transaction done, as far as that can be: carefully where a question spoilt it, again where another
    /// process stood in the way, over a new connection where the old one was lost before the commit.
    fn persist(&mut self, memory: &mut Memory, batch: &mut [Box<dyn Work>]) -> Result<(), String> {
        let before = memory.mark();
        let (mut careful, mut conflicts, mut reconnected) = (false, 0, false);
        loop {
            let undone = match self.transaction(memory, batch, careful) {
                Ok(()) => return Ok(()),
                Err(undone) => undone,
            };
            memory.restore(before.clone());
            match undone {
                Undone::Spoilt => careful = true,
                Undone::AtCommit(error) => {
                    if is_lost(&mut self.conn, &error) {
                        self.reconnect()?;
                    }
                    return Err(error.to_string());
                }
                Undone::Refused(error) if is_conflict(&error) && conflicts < CONFLICTS => {
                    conflicts += 1;
                    debug!(%error, "another process stood in the way: begun again");
                }
                Undone::Refused(error) if is_lost(&mut self.conn, &error) && !reconnected => {
                    self.reconnect()?;
                    reconnected = true;
                }
                Undone::Refused(error) => return Err(error.to_string()),
            }
        }
    }

    fn transaction(&mut self, memory: &mut Memory, batch: &mut [Box<dyn Work>], careful: bool) -> Result<(), Undone> {
        let now = self.parts.clock.now();
        begin(&mut self.conn).map_err(Undone::Refused)?;
        let names = || batch.iter().flat_map(|work| work.names()).collect();
        if let Err(refused) = alone(&mut self.conn, names) {
            let _nothing_left = self.conn.batch_execute("ROLLBACK");
            return Err(Undone::Refused(refused));
        }
        let mut tx = Tx { conn: &mut self.conn, now, rules: &self.parts.rules, memory };
        let mut done = batch.iter_mut().try_for_each(|work| work.perform(&mut tx, careful));
        if done.is_ok() {
            done = self.conn.batch_execute("COMMIT").map_err(Undone::AtCommit);
        }
        if done.is_err() {
            // The database may have rolled back by itself; then this has nothing to do and says so.
            let _nothing_left = self.conn.batch_execute("ROLLBACK");
        }
        done
    }

    fn reconnect(&mut self) -> Result<(), String> {
        if let Some((since, why)) = &self.away
            && since.elapsed() < RECONNECT_AFTER
        {
            return Err(why.clone());
        }
        match (self.connect)() {
            Ok(conn) => {
                (self.conn, self.away) = (conn, None);
                Ok(())
            }
            Err(said) => {
                let why = said.split_whitespace().collect::<Vec<_>>().join(" ");
                self.away = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Passes on what was committed; answers what gives back what finds no room. A release hands nothing over itself.
    fn hand_over(&self, memory: &mut Memory) -> Vec<Job> {
        let submissions = by_transport(std::mem::take(&mut memory.submissions));
        let submissions = submissions.into_iter().map(|(transport, batch)| HandOver::Submissions { transport, batch });
        let received = std::mem::take(&mut memory.received);
        let received = (!received.is_empty()).then_some(HandOver::Received(received));
        let send = |batch| match self.parts.handover.try_send(batch) {
            Ok(()) => None,
            Err(TrySendError::Full(refused) | TrySendError::Closed(refused)) => Some(release(refused)),
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

fn release(refused: HandOver) -> Job {
    match refused {
        HandOver::Submissions { transport, batch } => {
            let ids = batch.into_iter().map(|submission| submission.id).collect();
            Request { ask: ReleaseSms { transport, ids }, reply: oneshot::channel().0 }.into()
        }
        HandOver::Received(batch) => {
            let ids = batch.into_iter().map(|received| received.id).collect();
            Request { ask: ReleaseReceived { ids }, reply: oneshot::channel().0 }.into()
        }
    }
}

/// Begins, and waits within bounds while another program (`vumi account add`, say) writes.
fn begin(conn: &mut Conn) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        // The connection itself waits for some seconds at each try.
        match conn.batch_execute(BEGIN) {
            Err(refused) if is_locked(&refused) && started.elapsed() < BEGIN_LIMIT => {}
            done => return done,
        }
    }
}

fn is_locked(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, about) if about.message().contains("database is locked"))
}

/// Whether only the job is at fault: the transaction goes on without it.
fn is_the_jobs_own(error: &Error) -> bool {
    match error {
        Error::DatabaseError(kind, about) => {
            let constraint = matches!(
                kind,
                DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::CheckViolation
            );
            constraint || is_data(about.message())
        }
        Error::NotFound | Error::DeserializationError(_) | Error::SerializationError(_) => true,
        _ => false,
    }
}

/// A question in the writer's hands, whatever it asks.
trait Work {
    /// What it is to have for itself.
    fn names(&self) -> Vec<String>;

    /// Does it, within the transaction; again if an earlier one was rolled back. With `careful`, what fails on its own
    /// account leaves nothing behind and does not end the transaction.
    fn perform(&mut self, tx: &mut Tx<'_>, careful: bool) -> Result<(), Undone>;

    /// Tells who asked, now that the transaction's fate is known.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct Underway<M: Write> {
    ask: M,
    /// Taken where the answer was given at once.
    reply: Option<oneshot::Sender<Result<M::Answer, StoreError>>>,
    answer: Option<Result<M::Answer, StoreError>>,
}

impl<M: Write> Work for Underway<M> {
    fn names(&self) -> Vec<String> {
        self.ask.names()
    }

    fn perform(&mut self, tx: &mut Tx<'_>, careful: bool) -> Result<(), Undone> {
        if self.reply.is_none() {
            return Ok(());
        }
        let ask = self.ask.clone();
        let answer = if careful { attempt(ask, tx)? } else { Ok(ask.write(tx).map_err(Failed::spoils)?) };
        if M::ANSWERED_AT_ONCE
            && let Some(reply) = self.reply.take()
        {
            let _nobody_waits = reply.send(answer);
        } else {
            self.answer = Some(answer);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let answer = match (failed, self.answer) {
            (Some(why), _) => Err(why.clone()),
            (None, Some(answer)) => answer,
            (None, None) => return,
        };
        if let Some(reply) = self.reply {
            let _nobody_waits = reply.send(answer);
        }
    }
}

macro_rules! begun {
    ($($Request:ident),+ $(,)?) => {
        fn begun(job: Job) -> Option<Box<dyn Work>> {
            Some(match job {
                $(Job::$Request(question) => underway(question),)+
                #[cfg(test)]
                Job::Panic(question) => underway(question),
                Job::Stop => return None,
            })
        }
    };
}
for_each_write!(begun);

fn underway<M: Write>(question: Request<M>) -> Box<dyn Work> {
    let Request { ask, reply } = question;
    Box::new(Underway { ask, reply: Some(reply), answer: None })
}

impl Failed {
    /// What it means for a transaction in which nothing was taken care of.
    fn spoils(self) -> Undone {
        match self {
            Self::Database(error) if !is_the_jobs_own(&error) => Undone::Refused(error),
            Self::Database(_) | Self::Exists(_) => Undone::Spoilt,
        }
    }
}

/// Does one job so that its own failure is its answer, and leaves nothing behind.
fn attempt<M: Write>(ask: M, tx: &mut Tx<'_>) -> Result<Result<M::Answer, StoreError>, Undone> {
    let mark = tx.memory.mark();
    tx.conn.batch_execute("SAVEPOINT job").map_err(Undone::Refused)?;
    let answer = match ask.write(tx) {
        Ok(answer) => Ok(answer),
        Err(Failed::Exists(what)) => Err(StoreError::Exists(what)),
        Err(Failed::Database(error)) if is_the_jobs_own(&error) => Err(StoreError::Database(error.to_string())),
        Err(Failed::Database(error)) => return Err(Undone::Refused(error)),
    };
    if answer.is_err() {
        tx.conn.batch_execute("ROLLBACK TO job").map_err(Undone::Refused)?;
        tx.memory.restore(mark);
    }
    tx.conn.batch_execute("RELEASE job").map_err(Undone::Refused)?;
    Ok(answer)
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
