//! Looking a backup through: is it sound, is it ours, what is in it.

use std::path::Path;

use super::BackupError;
use crate::{dialect::sqlite, error::OpenError, migrations};

/// What a sound backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBackup {
    /// The migrations that this version would run at its start.
    pub pending: Vec<String>,
    /// Rows of the tables that a person would ask for.
    pub rows: Vec<(&'static str, u64)>,
}

/// Tables whose rows are counted, as their users call them.
const COUNTED: [(&str, &str); 5] = [
    ("accounts", "accounts"),
    ("SMS", "sms"),
    ("SMS from people", "received_sms"),
    ("receipts", "receipts"),
    ("sessions", "sessions"),
];

/// Reads a backup from end to end, and changes nothing.
pub fn verify(path: &Path) -> Result<VerifiedBackup, BackupError> {
    if !path.is_file() {
        return Err(OpenError::NotThere(path.to_owned()).into());
    }
    let damaged = |what: String| BackupError::Damaged { path: path.to_owned(), what };
    let mut conn = sqlite::open_read_only(path).map_err(damaged)?;
    let found = sqlite::check_integrity(&mut conn).map_err(damaged)?;
    if !found.is_empty() {
        return Err(damaged(found.join("; ")));
    }
    let is_ours = sqlite::has_tables(&mut conn, &["__diesel_schema_migrations", "sms"]).map_err(damaged)?;
    if !is_ours {
        return Err(BackupError::NotVumis(path.to_owned()));
    }
    let pending = migrations::pending(&mut conn, sqlite::migrations)?;
    let counted = COUNTED.map(|(shown, table)| sqlite::count(&mut conn, table).map(|rows| (shown, rows)));
    let rows = counted.into_iter().collect::<Result<_, _>>().map_err(damaged)?;
    Ok(VerifiedBackup { pending, rows })
}
