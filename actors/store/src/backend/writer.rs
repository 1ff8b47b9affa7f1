//! The one writer: a thread that takes what is in its queue, commits once, then answers each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error},
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tracing::{debug, error, warn};
use vumi_kit::{
    clock::{Clock, Timestamp},
    ledger::{HandOver, ReleaseSms},
    name::Name,
    sms::Submission,
    store::{Question, StoreError},
};

use super::{BEGIN, Conn, Failed, Memory, Tx, Write};
#[cfg(test)]
use crate::job::Panic;
use crate::{
    gauge::{Gauge, Lifelines},
    job::{Job, ReleaseReceived, for_each_write},
};

/// How long the writer tries to begin while another program holds the database.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);

/// What the writer goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) node: String,
    pub(crate) lease: Duration,
    pub(crate) give_up_after: Duration,
    pub(crate) most_per_commit: usize,
}

/// See the module.
pub(crate) struct Writer {
    pub(crate) conn: Conn,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) handover: mpsc::Sender<HandOver>,
    pub(crate) gauge: Arc<Gauge>,
    /// Dropped with the writer, also when it panics: then whoever watches ends the process.
    pub(crate) lifelines: Lifelines,
}

/// What is told once the transaction's fate is known.
type Reply = Box<dyn FnOnce(Option<&StoreError>) + Send>;

impl Writer {
    /// Works until it is told to stop. A job that panics takes the writer with it, and that is noticed: its state
    /// may be half changed, and a fresh start from the committed rows is the one state that is sure.
    pub(crate) fn run(mut self) {
        let mut memory = Memory::default();
        while let Some(first) = self.jobs.blocking_recv() {
            let batch = self.gather(first);
            if !batch.is_empty() {
                self.commit(&mut memory, batch);
            }
        }
        drop(self.lifelines);
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let (mut batch, mut rows, mut next) = (Vec::new(), 0, Some(first));
        while let Some(job) = next {
            if matches!(job, Job::Stop) {
                self.jobs.close();
            } else {
                rows += job.rows();
                batch.push(job);
            }
            next = if rows < self.rules.most_per_commit { self.jobs.try_recv().ok() } else { None };
        }
        batch
    }

    /// One transaction, then what is to be handed over, then the answers. Says whether it was committed.
    fn commit(&mut self, memory: &mut Memory, batch: Vec<Job>) -> bool {
        let before = memory.mark();
        let mut replies = Vec::with_capacity(batch.len());
        let failed = match self.transaction(memory, batch, &mut replies) {
            Ok(()) => None,
            Err(failed) => {
                memory.restore(before);
                error!(error = %failed, "a transaction failed and was rolled back");
                Some(StoreError::Database(failed.to_string()))
            }
        };
        self.gauge.committed(failed.as_ref());
        let releases = self.hand_over(memory);
        for reply in replies {
            reply(failed.as_ref());
        }
        if !releases.is_empty() {
            debug!(batches = releases.len(), "the router has no room: released to the ledger");
            if !self.commit(memory, releases) {
                warn!("what the router had no room for waits for its lease's end");
            }
        }
        failed.is_none()
    }

    fn transaction(&mut self, memory: &mut Memory, batch: Vec<Job>, replies: &mut Vec<Reply>) -> Result<(), Error> {
        let mut jobs = batch.into_iter();
        let now = self.clock.now();
        let mut done = begin(&mut self.conn);
        if done.is_ok() {
            let mut tx = Tx { conn: &mut self.conn, now, rules: &self.rules, memory };
            done = jobs.by_ref().try_for_each(|job| perform(job, &mut tx, replies));
            done = done.and_then(|()| self.conn.batch_execute("COMMIT"));
            if done.is_err() {
                // SQLite may have rolled back by itself; then this has nothing to do and says so.
                let _nothing_left = self.conn.batch_execute("ROLLBACK");
            }
        }
        if let Err(failed) = &done {
            let why = StoreError::Database(failed.to_string());
            jobs.for_each(|job| job.refuse(&why));
        }
        done
    }

    /// Passes on what was committed; answers what gives back what finds no room. A release hands nothing over itself.
    fn hand_over(&self, memory: &mut Memory) -> Vec<Job> {
        let submissions = by_transport(std::mem::take(&mut memory.submissions));
        let submissions = submissions.into_iter().map(|(transport, batch)| HandOver::Submissions { transport, batch });
        let received = std::mem::take(&mut memory.received);
        let received = (!received.is_empty()).then_some(HandOver::Received(received));
        let send = |batch| match self.handover.try_send(batch) {
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
            Question { ask: ReleaseSms { transport, ids }, reply: oneshot::channel().0 }.into()
        }
        HandOver::Received(batch) => {
            let ids = batch.into_iter().map(|received| received.id).collect();
            Question { ask: ReleaseReceived { ids }, reply: oneshot::channel().0 }.into()
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
    matches!(error, Error::DatabaseError(_, about) if about.message().contains("locked"))
}

/// Whether only the job is at fault: the transaction goes on without it.
fn is_the_jobs_own(error: &Error) -> bool {
    match error {
        Error::DatabaseError(kind, _) => matches!(
            kind,
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
        ),
        Error::NotFound | Error::DeserializationError(_) | Error::SerializationError(_) => true,
        _ => false,
    }
}

macro_rules! perform {
    ($($Question:ident),+ $(,)?) => {
        fn perform(job: Job, tx: &mut Tx<'_>, replies: &mut Vec<Reply>) -> Result<(), Error> {
            match job {
                $(Job::$Question(question) => answer(question, tx, replies),)+
                #[cfg(test)]
                Job::Panic(question) => answer(question, tx, replies),
                Job::Stop => Ok(()),
            }
        }
    };
}
for_each_write!(perform);

/// Does one job. An error ends the whole transaction; the job's own failure is its answer.
fn answer<M: Write>(question: Question<M>, tx: &mut Tx<'_>, replies: &mut Vec<Reply>) -> Result<(), Error> {
    let Question { ask, reply } = question;
    let (answer, failed) = match attempt(ask, tx) {
        Ok(answer) if M::ANSWERED_AT_ONCE => {
            let _nobody_waits = reply.send(answer);
            return Ok(());
        }
        Ok(answer) => (answer, Ok(())),
        Err(failed) => (Err(StoreError::Database(failed.to_string())), Err(failed)),
    };
    replies.push(Box::new(move |rolled_back| {
        let answer = match rolled_back {
            None => answer,
            Some(why) => Err(why.clone()),
        };
        let _nobody_waits = reply.send(answer);
    }));
    failed
}

fn attempt<M: Write>(ask: M, tx: &mut Tx<'_>) -> Result<Result<M::Answer, StoreError>, Error> {
    if ask.is_one_statement() {
        return own_failure(ask.write(tx));
    }
    let mark = tx.memory.mark();
    tx.conn.batch_execute("SAVEPOINT job")?;
    let answer = own_failure(ask.write(tx))?;
    if answer.is_err() {
        tx.conn.batch_execute("ROLLBACK TO job")?;
        tx.memory.restore(mark);
    }
    tx.conn.batch_execute("RELEASE job")?;
    Ok(answer)
}

fn own_failure<T>(done: Result<T, Failed>) -> Result<Result<T, StoreError>, Error> {
    match done {
        Ok(answer) => Ok(Ok(answer)),
        Err(Failed::Exists(what)) => Ok(Err(StoreError::Exists(what))),
        Err(Failed::Database(error)) if is_the_jobs_own(&error) => Ok(Err(StoreError::Database(error.to_string()))),
        Err(Failed::Database(error)) => Err(error),
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
