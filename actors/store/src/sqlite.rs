//! What is SQLite's own: its connection, its pragmas, its BEGIN.

use diesel::{Connection, SqliteConnection, connection::SimpleConnection, migration::MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::settings::Synchronous;

#[path = "backend/mod.rs"]
pub(crate) mod backend;

/// The connection that `backend` is expanded for.
pub(crate) type Conn = SqliteConnection;

/// A deferred transaction that reads first fails at its first write when another program has written meanwhile.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// How long a statement waits for another program that writes.
const PATIENCE_MS: u32 = 5_000;

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Connected {
    /// The one that writes.
    Writer(Synchronous),
    /// One of those that read.
    Reader,
}

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Sets a fresh connection up.
fn configure(conn: &mut Conn, connected: Connected) -> diesel::QueryResult<()> {
    // The patience first: the others may have to wait.
    conn.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE_MS}"))?;
    conn.batch_execute(match connected {
        Connected::Writer(Synchronous::Full) => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000"
        }
        Connected::Writer(Synchronous::Normal) => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000"
        }
        Connected::Reader => "PRAGMA query_only = ON; PRAGMA cache_size = -4000",
    })
}

/// Connects the writer.
pub(crate) fn connect(path: &str, synchronous: Synchronous) -> Result<Conn, String> {
    let mut conn = Conn::establish(path).map_err(|error| error.to_string())?;
    configure(&mut conn, Connected::Writer(synchronous)).map_err(|error| error.to_string())?;
    Ok(conn)
}

/// Migrations that the database has and this binary does not know.
pub(crate) fn unknown_migrations(conn: &mut Conn) -> Result<Vec<String>, String> {
    use diesel::migration::MigrationSource;
    let known =
        MigrationSource::<diesel::sqlite::Sqlite>::migrations(&MIGRATIONS).map_err(|error| error.to_string())?;
    let applied: Vec<MigrationVersion<'static>> = conn.applied_migrations().map_err(|error| error.to_string())?;
    Ok(applied
        .into_iter()
        .filter(|version| !known.iter().any(|migration| migration.name().version() == *version))
        .map(|version| version.to_string())
        .collect())
}

/// The names of migrations that were not run yet.
pub(crate) fn pending_migrations(conn: &mut Conn) -> Result<Vec<String>, String> {
    let pending = conn.pending_migrations(MIGRATIONS).map_err(|error| error.to_string())?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

/// Runs them.
pub(crate) fn migrate(conn: &mut Conn) -> Result<(), String> {
    conn.run_pending_migrations(MIGRATIONS).map(drop).map_err(|error| error.to_string())
}
