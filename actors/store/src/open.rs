//! Opening the store: the file, its lock, its migrations, the writer's thread, the actors; and closing it.

use std::{path::Path, sync::Arc, thread::JoinHandle};

use actix::{Actor, Recipient};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};
use vumi_kit::{
    clock::Clock,
    health::AskHealth,
    ledger::HandOver,
    room::Ended,
    store::{Question, Store},
};

use crate::{
    actors::{Desk, Keeper},
    error::OpenError,
    gauge::{Gauge, Lifelines, Watchers},
    job::{Job, TakeOver},
    place::{self, Lock},
    settings::StoreSettings,
    sqlite::{
        self,
        backend::{Readers, Rules, Writer},
    },
};

/// The open store.
pub struct OpenStore {
    /// Its actors, as the other rooms know them.
    pub store: Store,
    health: Recipient<AskHealth>,
    jobs: mpsc::Sender<Job>,
    watchers: Watchers,
    writer: JoinHandle<()>,
    lock: Option<Lock>,
}

/// Opens the store for the router: alone, its migrations run, the actors on the present arbiter. Must be called on one.
/// What is committed and may be sent at once goes to `handover`.
pub fn open(settings: StoreSettings, clock: Clock, handover: mpsc::Sender<HandOver>) -> Result<OpenStore, OpenError> {
    let path = checked(&settings)?.to_owned();
    let path = Path::new(&path);
    place::look_at(path)?;
    let lock = place::lock(path)?;
    let opened = Opening { settings, clock, handover }.start(Some(lock))?;
    // First in the queue: what this process held before it died is nobody's now.
    let take_over = Question { ask: TakeOver, reply: oneshot::channel().0 };
    opened.jobs.try_send(take_over.into()).map_err(|_| OpenError::Database("the writer ended at once".to_owned()))?;
    Ok(opened)
}

/// Opens the store for a command that runs beside the router, or alone. Must be called on an arbiter.
pub fn open_beside(settings: StoreSettings, clock: Clock) -> Result<OpenStore, OpenError> {
    let path = checked(&settings)?.to_owned();
    let path = Path::new(&path);
    place::look_at(path)?;
    if !pending(&settings)?.is_empty() {
        migrate(&settings)?;
    }
    // Nobody takes what is handed over: it is released, and the router finds it in the ledger.
    Opening { settings, clock, handover: mpsc::channel(1).0 }.start(None)
}

/// Runs the migrations that were not run yet, and answers their names.
pub fn migrate(settings: &StoreSettings) -> Result<Vec<String>, OpenError> {
    let path = checked(settings)?;
    place::look_at(Path::new(path))?;
    let _alone = place::lock(Path::new(path))?;
    run_migrations(&mut connect(settings, path)?)
}

/// The names of the migrations that were not run yet.
pub fn pending(settings: &StoreSettings) -> Result<Vec<String>, OpenError> {
    let path = checked(settings)?;
    place::look_at(Path::new(path))?;
    pending_on(&mut connect(settings, path)?)
}

fn checked(settings: &StoreSettings) -> Result<&str, OpenError> {
    let path = settings.path().ok_or_else(|| OpenError::BadUrl(settings.url.clone()))?;
    match settings.check().into_iter().next() {
        Some(problem) => Err(OpenError::Settings { key: problem.key, what: problem.what }),
        None => Ok(path),
    }
}

fn connect(settings: &StoreSettings, path: &str) -> Result<sqlite::Conn, OpenError> {
    sqlite::connect(path, settings.synchronous).map_err(|said| refused(path, said))
}

fn refused(path: &str, said: String) -> OpenError {
    let path = Path::new(path).to_owned();
    if said.contains("locked") {
        OpenError::Busy(path)
    } else if said.contains("not a database") || said.contains("malformed") {
        OpenError::NotADatabase(path)
    } else if said.contains("readonly") {
        OpenError::NoPermission(path)
    } else {
        OpenError::Database(said)
    }
}

fn pending_on(conn: &mut sqlite::Conn) -> Result<Vec<String>, OpenError> {
    let unknown = sqlite::unknown_migrations(conn).map_err(OpenError::Database)?;
    if !unknown.is_empty() {
        return Err(OpenError::Newer { versions: unknown.join(", ") });
    }
    sqlite::pending_migrations(conn).map_err(OpenError::Database)
}

fn run_migrations(conn: &mut sqlite::Conn) -> Result<Vec<String>, OpenError> {
    let pending = pending_on(conn)?;
    if !pending.is_empty() {
        sqlite::migrate(conn).map_err(OpenError::Migration)?;
        info!(migrations = pending.join(", "), "the database was migrated");
    }
    Ok(pending)
}

struct Opening {
    settings: StoreSettings,
    clock: Clock,
    handover: mpsc::Sender<HandOver>,
}

impl Opening {
    fn start(self, lock: Option<Lock>) -> Result<OpenStore, OpenError> {
        let Self { settings, clock, handover } = self;
        let path = checked(&settings)?;
        let mut conn = connect(&settings, path)?;
        run_migrations(&mut conn)?;
        let readers = Readers::open(path, settings.readers, clock.clone()).map_err(OpenError::Database)?;

        let (jobs, queued) = mpsc::channel(settings.queue);
        let (gauge, (lifelines, watchers)) = (Arc::new(Gauge::default()), Lifelines::new());
        let rules = Rules {
            node: settings.node.clone(),
            lease: settings.lease,
            give_up_after: settings.give_up_after,
            most_per_commit: settings.most_per_commit,
        };
        let writer = Writer { conn, jobs: queued, clock, rules, handover, gauge: gauge.clone(), lifelines };
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Database(format!("no thread for the writer: {error}")))?;

        let keeper = Keeper { jobs: jobs.downgrade(), gauge, sweeps: lock.is_some() }.start();
        let store = Desk { jobs: jobs.clone(), readers, mailbox: settings.mailbox }.start();
        Ok(OpenStore { store, health: keeper.recipient(), jobs, watchers, writer, lock })
    }
}

impl OpenStore {
    /// Resolves when the writer has ended, however it did: nothing is kept from then on.
    #[must_use]
    pub fn ended(&self) -> Ended {
        self.watchers.watch()
    }

    /// Answers how the store is: whether the writer lives, whether its last commit succeeded, how many wait for it.
    #[must_use]
    pub fn health(&self) -> Recipient<AskHealth> {
        self.health.clone()
    }

    /// Puts a job into the writer's queue, past the actors.
    #[cfg(test)]
    pub(crate) async fn enqueue(&self, job: Job) {
        assert!(self.jobs.send(job).await.is_ok(), "the writer has ended");
    }

    /// Commits and answers what is queued, then ends the writer. Questions that come later are answered "stopped".
    pub async fn close(self) {
        // A writer that is gone has nothing left to finish.
        let _writer_is_gone = self.jobs.send(Job::Stop).await;
        let writer = self.writer;
        let joined = tokio::task::spawn_blocking(move || writer.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            error!("the store's writer had panicked: what it had not committed was refused");
        }
        drop(self.lock);
    }
}

impl std::fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenStore")
    }
}
