//! Backups of SQLite's file: made while the router runs, looked through, put back.
//!
//! A backup is what `VACUUM INTO` writes: the database as it was at one moment, in one file and without gaps. The writer
//! goes on meanwhile; what it writes stays in the log of changes until the backup is done.

mod restore;
mod verify;

use std::{
    fs::metadata,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

pub use restore::{Restored, restore};
pub use verify::{VerifiedBackup, verify};

use crate::{
    dialect::sqlite,
    error::OpenError,
    new_file::{NewFile, NewFileError, folder},
    settings::{Database, StoreSettings},
    storage::{free_space, log_of, megabytes},
};

/// How often the room is looked at, and the progress told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// PostgreSQL has backups of its own.
    #[error(
        "{0} is PostgreSQL's, which has backups of its own: `pg_dump --format=custom --file=vumi.dump URL`, then \
         `pg_restore --list vumi.dump`; docs/operations.md (Backups) has every command"
    )]
    Postgres(String),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] NewFileError),
    /// The backup would be the database.
    #[error("{} is the database itself: give another name", .0.display())]
    Itself(PathBuf),
    /// It does not fit.
    #[error(
        "{} has {} free, and {what} takes {}, of which store.min_free_space keeps {}: make room, or give another folder",
        folder.display(), megabytes(*free), megabytes(*needed), megabytes(*kept)
    )]
    NoRoom {
        /// The folder that the backup, or the restored database, goes to.
        folder: PathBuf,
        /// What does not fit.
        what: &'static str,
        /// Bytes that are free.
        free: u64,
        /// Bytes that should be.
        needed: u64,
        /// How many of them must stay free.
        kept: u64,
    },
    /// It is not sound.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The backup that was read.
        path: PathBuf,
        /// The first fault that SQLite's own check found, in its words.
        what: String,
    },
    /// It is no database of ours.
    #[error("{} is a database, and not one of vumi's", .0.display())]
    NotVumis(PathBuf),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder that was worked on.
        path: PathBuf,
        /// The system's error, such as that of a full disk.
        source: std::io::Error,
    },
    /// SQLite refused a statement, with its words.
    #[error("{0}")]
    Database(String),
}

/// How far a backup is, or how it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupProgress {
    /// Bytes of the backup.
    pub written: u64,
    /// Bytes of the database.
    pub of: u64,
    /// By how many bytes the log of changes grew meanwhile, at the most.
    pub log_grew: u64,
    /// How long it took so far.
    pub took: Duration,
}

/// Writes a backup of the database to a file, beside a router that may be running; an existing file only if `replaces`.
/// Nothing is migrated.
pub fn backup(
    settings: &StoreSettings,
    to: &Path,
    replaces: bool,
    mut tell: impl FnMut(BackupProgress),
) -> Result<BackupProgress, BackupError> {
    let database = sqlite_file(settings)?;
    if !database.exists() {
        return Err(OpenError::NotThere(database).into());
    }
    if is_of_database(to, &database) {
        return Err(BackupError::Itself(to.to_owned()));
    }
    let log = log_of(&database);
    let (of, log_before) = (size(&database) + size(&log), size(&log));
    let space = SpaceToKeep { database: folder(&database), backup: folder(to), kept: settings.min_free_space };
    space.expect(of)?;
    let file = NewFile::begin(to, replaces)?;

    let started = Instant::now();
    let (done, result) = mpsc::channel();
    let (from, part) = (database, file.part().to_owned());
    let writer = move || drop(done.send(sqlite::vacuum_into(&from, &part)));
    let spawned = std::thread::Builder::new().name("store-backup".to_owned()).spawn(writer);
    spawned.map_err(|error| BackupError::Database(format!("no thread for the backup: {error}")))?;

    let mut progress = BackupProgress { of, ..BackupProgress::default() };
    loop {
        let finished = result.recv_timeout(LOOK_EVERY);
        progress.written = size(file.part());
        progress.log_grew = progress.log_grew.max(size(&log).saturating_sub(log_before));
        progress.took = started.elapsed();
        match finished {
            Ok(Ok(())) => break,
            Ok(Err(why)) => return Err(BackupError::Database(why)),
            Err(RecvTimeoutError::Disconnected) => return Err(BackupError::Database("the backup panicked".to_owned())),
            // The statement can't be interrupted: it ends with the process, as does the file's room.
            Err(RecvTimeoutError::Timeout) => space.expect(0)?,
        }
        tell(progress);
    }
    file.finish()?;
    progress.took = started.elapsed();
    Ok(progress)
}

/// The room that stays free: where the database is, whose log of changes grows, and where the backup goes.
struct SpaceToKeep {
    database: PathBuf,
    backup: PathBuf,
    kept: u64,
}

impl SpaceToKeep {
    fn expect(&self, backup: u64) -> Result<(), BackupError> {
        has_room(&self.database, "what SMS are under way", 0, self.kept)?;
        has_room(&self.backup, "the backup", backup, self.kept)
    }
}

fn has_room(folder: &Path, what: &'static str, takes: u64, kept: u64) -> Result<(), BackupError> {
    let needed = takes.saturating_add(kept);
    match free_space(folder) {
        Some(free) if free < needed => Err(BackupError::NoRoom { folder: folder.to_owned(), what, free, needed, kept }),
        _ => Ok(()),
    }
}

/// The path of SQLite's file.
fn sqlite_file(settings: &StoreSettings) -> Result<PathBuf, BackupError> {
    match settings.database() {
        Some(Database::Sqlite(path)) => Ok(PathBuf::from(path)),
        Some(Database::Postgres(_)) => Err(BackupError::Postgres(settings.shown_url())),
        None => Err(OpenError::BadUrl(settings.shown_url()).into()),
    }
}

/// Whether a path is the database's file or one that SQLite or we keep beside it.
fn is_of_database(path: &Path, database: &Path) -> bool {
    let real = |path: &Path| {
        let folder = folder(path).canonicalize().ok()?;
        path.canonicalize().ok().or_else(|| Some(folder.join(path.file_name()?)))
    };
    let (Some(path), Some(database)) = (real(path), real(database)) else { return false };
    ["", "-wal", "-shm", "-journal", ".lock", ".part"].iter().any(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        path.as_os_str() == name
    })
}

fn size(path: &Path) -> u64 {
    metadata(path).map_or(0, |found| found.len())
}
