//! Opening the store: the file, its lock, its migrations, the writer's thread, the actors; and closing it.

use std::{path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use actix::{Actor, Recipient};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};
use vumi_kit::{
    clock::{Clock, Timestamp},
    component::Terminated,
    consent::ConsentRules,
    health::AskHealth,
    ledger::HandOver,
    store::{Request, Store},
};

use crate::{
    actors::StoreActor,
    dialect::{
        postgres,
        sqlite::{self, FileState},
    },
    error::OpenError,
    file_lock::{self, Lock},
    file_system::check_file_system,
    maintenance::Maintenance,
    migrations,
    readers::AnyReaders,
    settings::{Database, StoreSettings},
    storage::{Storage, Watch},
    writer::{
        commands::TakeOver,
        config::{RetentionRules, Rules, WriterParts},
        health::{Lifelines, Watchers, WriterHealth},
        queue::{QueueLimits, WriteQueue},
    },
};

/// The open store.
pub struct OpenStore {
    /// Its actors, as the other components know them.
    pub store: Store,
    health: Recipient<AskHealth>,
    queue: WriteQueue,
    #[cfg(test)]
    pub(crate) readers: AnyReaders,
    #[cfg(test)]
    writer_health: Arc<WriterHealth>,
    watchers: Watchers,
    writer: JoinHandle<()>,
    lock: Option<Lock>,
}

/// Opens the store for the router: its migrations run, the actors on the present arbiter. Must be called on one. An SQLite
/// file is this process's alone; on PostgreSQL its name is. What is committed and may be sent at once goes to
/// `handover`.
pub fn open(settings: StoreSettings, clock: Clock, handover: mpsc::Sender<HandOver>) -> Result<OpenStore, OpenError> {
    if let Some(warning) = check_file_system(&settings)? {
        tracing::warn!("{warning}");
    }
    let lock = match checked(&settings)? {
        Database::Sqlite(path) => {
            file_lock::look_at(Path::new(path))?;
            Some(file_lock::lock(Path::new(path))?)
        }
        Database::Postgres(_) => None,
    };
    let opened = Opening { settings, clock, handover, role: ProcessRole::Router }.start(lock)?;
    // First in the queue: what this process held before it died is nobody's now.
    let take_over = Request::new(TakeOver, oneshot::channel().0);
    opened.queue.try_send(take_over.into()).map_err(|_| OpenError::Database("the writer ended at once".to_owned()))?;
    Ok(opened)
}

/// Opens the store for a command that runs beside the router, or alone. Must be called on an arbiter.
pub fn open_beside(settings: StoreSettings, clock: Clock) -> Result<OpenStore, OpenError> {
    if !pending(&settings)?.is_empty() {
        migrate(&settings)?;
    }
    // Nobody takes what is handed over: it is released, and the router finds it in the ledger.
    Opening { settings, clock, handover: mpsc::channel(1).0, role: ProcessRole::Command }.start(None)
}

/// Runs the migrations that were not run yet, and answers their names.
pub fn migrate(settings: &StoreSettings) -> Result<Vec<String>, OpenError> {
    match checked(settings)? {
        Database::Sqlite(path) => {
            file_lock::look_at(Path::new(path))?;
            let _alone = file_lock::lock(Path::new(path))?;
            let ran = migrations::run(&mut connect_sqlite(settings, path)?, sqlite::migrations);
            ran.map_err(|error| of_file(path, error))
        }
        Database::Postgres(url) => {
            let mut conn = connect_postgres(settings, url)?;
            // Several processes may start at once.
            postgres::hold_off_migrations(&mut conn).map_err(OpenError::Migration)?;
            migrations::run(&mut conn, postgres::migrations)
        }
    }
}

/// The names of the migrations that were not run yet.
pub fn pending(settings: &StoreSettings) -> Result<Vec<String>, OpenError> {
    match checked(settings)? {
        Database::Sqlite(path) => {
            file_lock::look_at(Path::new(path))?;
            let pending = migrations::pending(&mut connect_sqlite(settings, path)?, sqlite::migrations);
            pending.map_err(|error| of_file(path, error))
        }
        Database::Postgres(url) => migrations::pending(&mut connect_postgres(settings, url)?, postgres::migrations),
    }
}

/// Why an SQLite file can't be written to, if another program holds it. Its result is asked for by trying again: what an error
/// says is words.
#[must_use]
pub fn held_by_another(settings: &StoreSettings) -> Option<OpenError> {
    match settings.database() {
        Some(Database::Sqlite(path)) if sqlite::file_state(path) == FileState::Locked => {
            Some(OpenError::Busy(path.into()))
        }
        _ => None,
    }
}

fn checked(settings: &StoreSettings) -> Result<Database<'_>, OpenError> {
    let database = settings.database().ok_or_else(|| OpenError::BadUrl(settings.shown_url()))?;
    match settings.check().into_iter().next() {
        Some(problem) => Err(OpenError::Settings { key: problem.key, what: problem.what }),
        None => Ok(database),
    }
}

pub(crate) fn connect_sqlite(settings: &StoreSettings, path: &str) -> Result<sqlite::Conn, OpenError> {
    sqlite::connect(path, settings.synchronous).map_err(|detail| refused(path, detail))
}

pub(crate) fn connect_postgres(settings: &StoreSettings, url: &str) -> Result<postgres::Conn, OpenError> {
    postgres::connect(url, settings.synchronous).map_err(|detail| not_let_in(settings, &detail))
}

fn not_let_in(settings: &StoreSettings, detail: &str) -> OpenError {
    // It says one thing for each address of the host, over several lines.
    let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    OpenError::NotLetIn { url: settings.shown_url(), detail, advice: postgres::advice(&settings.url) }
}

/// Why SQLite refused the file.
fn refused(path: &str, detail: String) -> OpenError {
    match sqlite::file_state(path) {
        FileState::Damaged => OpenError::NotADatabase(path.into()),
        FileState::Locked => OpenError::Busy(path.into()),
        FileState::ReadOnly => OpenError::NoPermission(path.into()),
        FileState::Sound => OpenError::Database(detail),
    }
}

/// What the migrations found out about the file.
fn of_file(path: &str, error: OpenError) -> OpenError {
    match error {
        OpenError::Database(detail) => refused(path, detail),
        OpenError::Migration(_) if sqlite::file_state(path) == FileState::Locked => OpenError::Busy(path.into()),
        other => other,
    }
}

/// Who opens the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProcessRole {
    /// Sweeps, and holds claims under its name.
    Router,
    /// Comes and goes.
    Command,
}

struct Opening {
    settings: StoreSettings,
    clock: Clock,
    handover: mpsc::Sender<HandOver>,
    role: ProcessRole,
}

impl Opening {
    fn start(self, lock: Option<Lock>) -> Result<OpenStore, OpenError> {
        match checked(&self.settings)? {
            Database::Sqlite(path) => self.on_sqlite(path, lock),
            Database::Postgres(url) => self.on_postgres(url),
        }
    }

    fn on_sqlite(&self, path: &str, lock: Option<Lock>) -> Result<OpenStore, OpenError> {
        let settings = &self.settings;
        let mut conn = connect_sqlite(settings, path)?;
        migrations::run(&mut conn, sqlite::migrations).map_err(|error| of_file(path, error))?;
        let taken_up = match self.role {
            ProcessRole::Router => sqlite::take_up(&mut conn, &self.clock),
            ProcessRole::Command => sqlite::follow(&mut conn, &self.clock).map(|()| None),
        };
        if let Some(jump) = taken_up.map_err(|error| refused(path, error.to_string()))? {
            warn!(%jump, "the machine's clock was set since the router last started: what waits keeps its time");
        }
        let readers = sqlite::queries::Readers::open(path, settings.readers, settings.read_limit, self.clock.clone());
        let readers = AnyReaders::Sqlite(readers.map_err(|detail| refused(path, detail))?);
        let (at, synchronous) = (path.to_owned(), settings.synchronous);
        let connect = Box::new(move || sqlite::connect(&at, synchronous));
        let storage = Storage::of(Path::new(path), settings.min_free_space)?;
        self.begin(readers, Some(storage), lock, settings.signature(), |parts| {
            let work = sqlite::queries::Writer::new(conn, connect, parts);
            move || work.run()
        })
    }

    fn on_postgres(&self, url: &str) -> Result<OpenStore, OpenError> {
        let settings = &self.settings;
        migrate(settings)?;
        let node = settings.signature();
        let (at, synchronous, role, own) = (url.to_owned(), settings.synchronous, self.role, node.clone());
        let enter = move || {
            let mut conn = postgres::connect(&at, synchronous).map_err(OpenRefused::Database)?;
            if role == ProcessRole::Router {
                let taken =
                    postgres::take_node(&mut conn, &own).map_err(|error| OpenRefused::Database(error.to_string()))?;
                return if taken { Ok(conn) } else { Err(OpenRefused::NodeTaken) };
            }
            Ok(conn)
        };
        let mut conn = enter().map_err(|refused| match refused {
            OpenRefused::NodeTaken => OpenError::NodeTaken(node.clone()),
            OpenRefused::Database(detail) => not_let_in(settings, &detail),
        })?;
        let connect = Box::new(move || enter().map_err(|refused| refused.to_string()));
        if let Ok(theirs) = postgres::now(&mut conn) {
            let apart = Duration::from_micros(theirs.abs_diff(self.clock.wall().micros()));
            // All processes of one database keep its time.
            self.clock.keep_time_of(Timestamp::from_micros(theirs));
            if self.role == ProcessRole::Router && apart > CLOCKS_APART {
                warn!(?apart, "this machine's clock is not the database's, whose time counts: keep them in step (NTP)");
            }
        }
        let url = postgres::completed(url);
        let readers = postgres::queries::Readers::open(&url, settings.readers, settings.read_limit, self.clock.clone());
        let readers = AnyReaders::Postgres(readers.map_err(|detail| not_let_in(settings, &detail))?);
        self.begin(readers, None, None, node, |parts| {
            let work = postgres::queries::Writer::new(conn, connect, parts);
            move || work.run()
        })
    }

    /// Starts the writer's thread and the actors.
    fn begin<W: FnOnce() + Send + 'static>(
        &self,
        readers: AnyReaders,
        storage: Option<Storage>,
        lock: Option<Lock>,
        node: String,
        writer: impl FnOnce(WriterParts) -> W,
    ) -> Result<OpenStore, OpenError> {
        let settings = &self.settings;
        let limits = QueueLimits {
            places: settings.queue,
            most_per_commit: settings.most_per_commit,
            max_wait: settings.max_wait,
        };
        let (queue, receiver) = WriteQueue::new(limits);
        let storage = storage.map(Arc::new);
        let (health, (lifelines, watchers)) = (Arc::new(WriterHealth::default()), Lifelines::new());
        let rules = Rules {
            node,
            lease: settings.lease,
            give_up_after: settings.give_up_after,
            keep_unmatched_receipts: settings.keep_unmatched_receipts,
            keep_audit: settings.keep_audit,
            join_parts_within: settings.join_parts_within,
            waiting_per_callback: settings.waiting_per_callback,
            retention: RetentionRules::of(settings),
            consent: ConsentRules::new(&settings.consent),
        };
        let retains = rules.retention.is_set() && self.role == ProcessRole::Router;
        let work = writer(WriterParts {
            queue: receiver,
            clock: self.clock.clone(),
            rules,
            handover: self.handover.clone(),
            health: health.clone(),
            storage: storage.clone(),
            lifelines,
        });
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(work)
            .map_err(|error| OpenError::Database(format!("no thread for the writer: {error}")))?;

        let watch = |storage: Arc<Storage>| Watch::start(Arc::clone(&storage)).map(|watch| (storage, watch));
        let storage = storage.map(watch).transpose();
        let storage = storage.map_err(|error| OpenError::Database(format!("no thread to watch the file: {error}")))?;
        #[cfg(test)]
        let (test_readers, test_health) = (readers.clone(), health.clone());
        let sweeps = self.role == ProcessRole::Router;
        let retention = retains.then(Arc::default);
        let maintenance = Maintenance { queue: queue.downgrade(), health, sweeps, retention, storage }.start();
        let store = StoreActor { queue: queue.clone(), readers, mailbox: settings.mailbox }.start_all();
        Ok(OpenStore {
            store,
            health: maintenance.recipient(),
            queue,
            #[cfg(test)]
            readers: test_readers,
            #[cfg(test)]
            writer_health: test_health,
            watchers,
            writer,
            lock,
        })
    }
}

/// What is more than the way to the database and back takes.
const CLOCKS_APART: Duration = Duration::from_secs(2);

/// Why the writer got no connection.
#[derive(Debug, thiserror::Error)]
enum OpenRefused {
    #[error("another process has this one's name")]
    NodeTaken,
    #[error("{0}")]
    Database(String),
}

impl OpenStore {
    /// Resolves when the writer has ended, however it did: nothing is kept from then on.
    #[must_use]
    pub fn ended(&self) -> Terminated {
        self.watchers.watch()
    }

    /// Answers how the store is: whether the writer lives, whether its last commit succeeded, how many wait for it.
    #[must_use]
    pub fn health(&self) -> Recipient<AskHealth> {
        self.health.clone()
    }

    /// Puts a job into the writer's queue, past the actors.
    #[cfg(test)]
    pub(crate) async fn enqueue(&self, job: crate::writer::queue::Queued) {
        assert!(self.queue.send(job).await.is_ok(), "the writer has ended");
    }

    /// Whether the writer is at nothing.
    #[cfg(test)]
    pub(crate) fn writer_is_idle(&self) -> bool {
        self.writer_health.busy_for().is_none()
    }

    /// Commits and answers what is queued, then ends the writer. Later requests are answered "stopped".
    pub async fn close(self) {
        self.queue.close();
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
