//! Why the store did not open, in lines that say what to do.

use std::path::PathBuf;

use crate::settings::URL_EXPECTED;

/// Why the store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings make no sense.
    #[error("store.{key}: {what}")]
    Settings {
        /// The key.
        key: String,
        /// What was expected.
        what: String,
    },
    /// Not a database we know.
    #[error("store.url: `{0}` is not a database: {URL_EXPECTED}")]
    BadUrl(String),
    /// The file's folder is not there.
    #[error("the folder {} of the database does not exist: create it, or change store.url", .0.display())]
    DirectoryMissing(PathBuf),
    /// There is no such file.
    #[error("there is no database {}", .0.display())]
    NotThere(PathBuf),
    /// It lies on another machine.
    #[error(
        "{} lies on a file system of the network ({file_system}), where SQLite loses data: put it on a disk of this \
         machine, or use PostgreSQL (store.url)", .path.display()
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// The kernel's name for it.
        file_system: String,
    },
    /// We may not read or write it.
    #[error("no permission to read and write {}: run vumi as the user who owns it, or change its owner", .0.display())]
    NoPermission(PathBuf),
    /// Something else is in the file.
    #[error("{} is not an SQLite database: change store.url, or move the file away", .0.display())]
    NotADatabase(PathBuf),
    /// Another router has it.
    #[error("{} is in use by another vumi: stop that one first, or give this one another store.url", .0.display())]
    Locked(PathBuf),
    /// Another program holds it for longer than we wait.
    #[error("{} is locked by another program: close what has it open (a backup, an sqlite3 shell) and try again", .0.display())]
    Busy(PathBuf),
    /// No database answers, or it does not let us in.
    #[error("{url} did not let vumi in: {detail}: {advice}")]
    NotLetIn {
        /// The URL, without its password.
        url: String,
        /// Its error.
        detail: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// Two processes of one name would take each other's work for their own.
    #[error(
        "another vumi on this database is named `{0}`: stop that one first, or give this one another store.node \
         (VUMI__STORE__NODE)"
    )]
    NodeTaken(String),
    /// A newer vumi has changed it.
    #[error(
        "the database was changed by a newer vumi (migrations {versions} are unknown here): run that version, or restore \
         a backup from before it"
    )]
    Newer {
        /// The migrations this binary does not know.
        versions: String,
    },
    /// A migration failed; it was rolled back.
    #[error("a migration failed and was rolled back: {0}")]
    Migration(String),
    /// The file system refused.
    #[error("{}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database did not open: {0}")]
    Database(String),
}
