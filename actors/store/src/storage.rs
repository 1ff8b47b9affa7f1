//! Watches SQLite's file from beside the writer: whether it still is the one that was opened, whether the disk has room, and how
//! large the log of changes (WAL) is.
//!
//! Only looked at from outside, by its name: whoever opens and closes the file within this process takes SQLite's locks from it.

use std::{
    fs::{Metadata, metadata},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tracing::{error, info};
use vumi_kit::store::StoreError;

use crate::{dialect::sqlite, error::OpenError};

/// How often the file is looked at; the writer looks before each transaction, too.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A log of changes above this is written into the database and cut, once no read needs it.
const LARGE_LOG: u64 = 64 << 20;

/// How often that is tried.
const CUT_EVERY: Duration = Duration::from_secs(5);

/// Why nothing can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// The file is not there any more, or another one is in its place.
    Gone,
    /// It has become shorter, and is not sound.
    Cut,
    /// So many bytes are free, which is less than what is to stay free.
    Full(u64),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Storage {
    database: PathBuf,
    log: PathBuf,
    opened: FileId,
    /// The log's: it is made with the first write.
    opened_log: Mutex<Option<FileId>>,
    /// The most bytes that the file has had.
    largest: AtomicU64,
    min_free: u64,
    fault: Mutex<Option<Fault>>,
    sizes: Mutex<String>,
}

/// What tells a file from another one of its name.
type FileId = (u64, u64);

impl Storage {
    /// Of a database that this process has just opened.
    pub(crate) fn of(path: &Path, min_free: u64) -> Result<Self, OpenError> {
        let found = metadata(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let storage = Self {
            database: path.to_owned(),
            log: log_of(path),
            opened: file_id(&found),
            opened_log: Mutex::default(),
            largest: AtomicU64::new(found.len()),
            min_free,
            fault: Mutex::default(),
            sizes: Mutex::default(),
        };
        storage.measure();
        Ok(storage)
    }

    /// Why a request is refused before it is tried; `grows`: it is new work, which may need much room.
    pub(crate) fn refuses(&self, grows: bool) -> Option<StoreError> {
        let fault = held(&self.fault).clone().filter(|fault| grows || !matches!(fault, Fault::Full(_)))?;
        Some(StoreError::Unavailable(self.describe(&fault).into()))
    }

    /// What is wrong, for an operator.
    pub(crate) fn fault(&self) -> Option<String> {
        held(&self.fault).as_ref().map(|fault| self.describe(fault))
    }

    /// The sizes, for an operator; as they last were.
    pub(crate) fn sizes(&self) -> String {
        held(&self.sizes).clone()
    }

    /// Looks whether the file is the one that was opened. Costs two calls to the operating system.
    pub(crate) fn look(&self) {
        let fault = match metadata(&self.database) {
            Ok(found) if file_id(&found) == self.opened && self.has_its_log() => {
                let before = self.largest.fetch_max(found.len(), Ordering::Relaxed);
                (found.len() < before).then_some(Fault::Cut)
            }
            _ => Some(Fault::Gone),
        };
        let mut known = held(&self.fault);
        match (&fault, &*known) {
            // Only the watch knows whether it is sound after all, and whether there is room.
            (None, Some(Fault::Cut | Fault::Full(_))) => {}
            _ => self.change(&mut known, fault),
        }
    }

    /// Whether the log of changes is the one that it was when it was first seen.
    fn has_its_log(&self) -> bool {
        let found = metadata(&self.log).ok().map(|found| file_id(&found));
        let mut opened = held(&self.opened_log);
        *opened = opened.or(found);
        found == *opened
    }

    /// A file that became shorter: `VACUUM` does that, too, and leaves it sound.
    fn check_if_cut(&self) {
        if !matches!(&*held(&self.fault), Some(Fault::Cut)) {
            return;
        }
        let size = metadata(&self.database).map_or(0, |found| found.len());
        if size > 0 && sqlite::is_sound(&self.database) {
            self.largest.store(size, Ordering::Relaxed);
            self.change(&mut held(&self.fault), None);
        }
    }

    /// Measures what is there and what is free.
    fn measure(&self) {
        let of = |path: &Path| megabytes(metadata(path).map_or(0, |found| found.len()));
        let sizes = format!("database {}, log of changes {}", of(&self.database), of(&self.log));
        let Some(free) = free_space(&self.database) else {
            *held(&self.sizes) = sizes;
            return;
        };
        *held(&self.sizes) = format!("{sizes}, {} free", megabytes(free));
        let mut known = held(&self.fault);
        match &*known {
            Some(Fault::Gone | Fault::Cut) => {}
            // So much more that it does not say so again at once.
            Some(Fault::Full(_)) if free < self.min_free + self.min_free / 8 => *known = Some(Fault::Full(free)),
            _ => self.change(&mut known, (free < self.min_free).then_some(Fault::Full(free))),
        }
    }

    /// Says what is new.
    fn change(&self, known: &mut Option<Fault>, fault: Option<Fault>) {
        if *known == fault {
            return;
        }
        match &fault {
            Some(new) => error!(why = %self.describe(new), "nothing is accepted until this is mended"),
            None => info!(database = %self.database.display(), "the database's file is as it should be again"),
        }
        *known = fault;
    }

    fn describe(&self, fault: &Fault) -> String {
        let (path, own) = (self.database.display(), std::process::id());
        match fault {
            Fault::Gone => format!(
                "{path} (or its -wal) was deleted, moved or replaced while vumi had it open; move it back. If it was \
                 deleted, it ends with this process: before you stop vumi, copy the files that `ls -l /proc/{own}/fd` shows \
                 as deleted to a database and a -wal of its name beside it (`cp /proc/{own}/fd/N`); then stop vumi, put them, \
                 or a backup, at {path}, and start it"
            ),
            Fault::Cut => format!(
                "{path} was cut short or written over while vumi had it open; stop vumi, put a backup in its place (or try \
                 sqlite3's `.recover` on a copy of it and of its -wal), and start it"
            ),
            Fault::Full(free) => format!(
                "{} free where {path} is, and store.min_free_space keeps {}: SMS are not accepted; make room",
                megabytes(*free),
                megabytes(self.min_free)
            ),
        }
    }
}

/// Where the log of changes of a database is.
pub(crate) fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(unix)]
fn file_id(found: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn file_id(_: &Metadata) -> FileId {
    (0, 0)
}

/// Bytes that this process may still write there; none where nobody can tell.
#[cfg(unix)]
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_space(_: &Path) -> Option<u64> {
    None
}

/// Looks at the file from a thread of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    _until_dropped: mpsc::Sender<()>,
}

impl Watch {
    pub(crate) fn start(storage: Arc<Storage>) -> std::io::Result<Self> {
        let (until_dropped, stop) = mpsc::channel();
        std::thread::Builder::new().name("store-watch".to_owned()).spawn(move || watch(&storage, &stop))?;
        Ok(Self { _until_dropped: until_dropped })
    }
}

fn watch(storage: &Storage, stop: &mpsc::Receiver<()>) {
    let mut cut_at = Instant::now();
    while stop.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
        storage.look();
        storage.check_if_cut();
        storage.measure();
        let log = metadata(&storage.log).map_or(0, |found| found.len());
        if log > LARGE_LOG && cut_at.elapsed() >= CUT_EVERY && storage.fault().is_none() {
            sqlite::cut_log(&storage.database);
            cut_at = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{File, rename},
        path::{Path, PathBuf},
    };

    use diesel::connection::SimpleConnection;
    use tempfile::TempDir;

    use super::{Storage, megabytes};
    use crate::{dialect::sqlite, settings::Synchronous};

    fn opened(folder: &TempDir) -> (PathBuf, sqlite::Conn, Storage) {
        let path = folder.path().join("vumi.db");
        let mut conn = sqlite::connect(path.to_str().unwrap(), Synchronous::Full).unwrap();
        fill(&mut conn, "a");
        let storage = Storage::of(&path, 0).unwrap();
        storage.look();
        assert_eq!(storage.fault(), None);
        (path, conn, storage)
    }

    /// A table of a megabyte, in the file.
    fn fill(conn: &mut sqlite::Conn, table: &str) {
        let rows = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000) \
             SELECT hex(zeroblob(500)) FROM n";
        let fill =
            format!("CREATE TABLE {table} (x TEXT); INSERT INTO {table} {rows}; PRAGMA wal_checkpoint(TRUNCATE)");
        conn.batch_execute(&fill).unwrap();
    }

    fn beside(path: &Path, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", path.display()))
    }

    #[test]
    fn a_file_that_is_moved_away_is_missed_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _conn, storage) = opened(&folder);
        for file in [path.clone(), beside(&path, "-wal")] {
            let away = beside(&file, ".moved");
            rename(&file, &away).unwrap();
            storage.look();
            assert!(storage.fault().unwrap().contains("move it back"), "{}", file.display());
            assert!(storage.refuses(false).is_some());
            rename(&away, &file).unwrap();
            storage.look();
            assert_eq!(storage.fault(), None);
        }
    }

    #[test]
    fn a_new_file_of_the_same_name_is_not_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _conn, storage) = opened(&folder);
        // While the old one is there, so that the new one cannot get its number.
        rename(&path, beside(&path, ".moved")).unwrap();
        File::create(&path).unwrap();
        storage.look();
        assert!(storage.fault().is_some());
    }

    #[test]
    fn a_file_cut_short_is_lost_and_one_that_vacuum_made_shorter_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut conn, storage) = opened(&folder);
        let size = std::fs::metadata(&path).unwrap().len();
        conn.batch_execute("DELETE FROM a WHERE rowid % 2 = 0; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < size);
        storage.look();
        assert!(storage.refuses(false).is_some(), "until it is known to be sound");
        storage.check_if_cut();
        assert_eq!(storage.fault(), None);

        File::options().write(true).open(&path).unwrap().set_len(size / 4).unwrap();
        storage.look();
        storage.check_if_cut();
        assert!(storage.fault().unwrap().contains("cut short"));
    }

    #[test]
    fn too_little_room_refuses_what_is_new_and_lets_what_is_under_way_finish() {
        let folder = tempfile::tempdir().unwrap();
        let (path, ..) = opened(&folder);
        let storage = Storage::of(&path, u64::MAX / 4).unwrap();
        assert!(storage.refuses(true).unwrap().to_string().contains("store.min_free_space"));
        assert!(storage.refuses(false).is_none());
        storage.look();
        storage.measure();
        assert!(storage.fault().is_some());
    }

    #[test]
    fn sizes_are_shown_in_megabytes() {
        assert_eq!(megabytes(1_234_567), "1.2 MB");
        assert_eq!(megabytes(99_999), "0.0 MB");
    }
}
