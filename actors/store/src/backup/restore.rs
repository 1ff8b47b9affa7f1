//! Putting a backup back. What the backup has waiting may have been sent since: it is held until the operator decides.

use std::{
    fs::{self, File, metadata},
    io,
    path::{Path, PathBuf},
};

use vumi_kit::clock::Timestamp;

use super::{BackupError, has_room, is_of_database, size, sqlite_file, verify};
use crate::{
    dialect::sqlite::{self, Holder},
    error::OpenError,
    file_lock, migrations,
    new_file::{NewFile, sync_folder},
    settings::StoreSettings,
    storage::log_of,
};

/// What [`restore`] did, for the operator to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the database is that was replaced; none: there was none.
    pub replaced: Option<PathBuf>,
    /// SMS that waited when the backup was made, and are held now.
    pub held: u64,
    /// The migrations that were run in it.
    pub migrated: Vec<String>,
}

/// Puts a backup in the database's place, which no router may hold. The database that was there is kept beside it, under a
/// name with the present time. What waited in the backup is held, or stays due if it `sends_waiting`.
pub fn restore(
    settings: &StoreSettings,
    from: &Path,
    now: Timestamp,
    sends_waiting: bool,
) -> Result<Restored, BackupError> {
    let database = sqlite_file(settings)?;
    if is_of_database(from, &database) {
        return Err(BackupError::Itself(from.to_owned()));
    }
    verify(from)?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Io { path, source }
    };
    let _alone = file_lock::lock(&database)?;
    // What is damaged is replaced, too.
    if database.exists() && sqlite::holder(&database) == Holder::Another {
        return Err(OpenError::Busy(database).into());
    }
    has_room(&crate::new_file::folder(&database), "the database", size(from), settings.min_free_space)?;
    let mut file = NewFile::begin(&database, true)?;
    io::copy(&mut File::open(from).map_err(io(from))?, &mut file).map_err(io(file.part()))?;
    keep_owner(&database, file.part()).map_err(io(file.part()))?;
    let (migrated, held) = prepare(file.part(), now, sends_waiting)?;
    let replaced = put_aside(&database, now).map_err(io(&database))?;
    file.finish()?;
    Ok(Restored { replaced, held, migrated })
}

/// Brings the copy to this version's tables and holds what waits in it, before anybody can open it as the database.
fn prepare(copy: &Path, now: Timestamp, sends_waiting: bool) -> Result<(Vec<String>, u64), BackupError> {
    let mut conn = sqlite::open_copy(copy).map_err(BackupError::Database)?;
    let migrated = migrations::run(&mut conn, sqlite::migrations)?;
    let held = if sends_waiting { Ok(0) } else { sqlite::hold_all(&mut conn, now) };
    Ok((migrated, held.map_err(|error| BackupError::Database(error.to_string()))?))
}

/// Gives the database another name beside its own, and takes its log of changes away: SQLite would write an old log into a
/// new database. At each moment there is a database under its own name.
fn put_aside(database: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let named = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = named(database, &now.format(".replaced-%Y%m%dT%H%M%SZ"));
    fs::hard_link(database, &aside).or_else(|_| fs::copy(database, &aside).map(drop))?;
    let log = log_of(database);
    if log.exists() {
        fs::rename(&log, log_of(&aside))?;
    }
    let index = named(database, "-shm");
    if index.exists() {
        fs::remove_file(index)?;
    }
    sync_folder(database)?;
    Ok(Some(aside))
}

/// An operator who restores as root must not shut the router out.
#[cfg(unix)]
fn keep_owner(database: &Path, copy: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let Ok(before) = metadata(database) else { return Ok(()) };
    let own = metadata(copy)?;
    if (before.uid(), before.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    chown(copy, Some(before.uid()), Some(before.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}
