//! What is SQLite's own: its connection, its pragmas, its BEGIN.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use diesel::{
    Connection, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_types::{Integer, Text},
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use serde::Serialize;

use crate::{
    settings::{Connected, Synchronous},
    writer::queue::QueuedCommand,
};

/// The row as it is, for this transaction alone. Here every transaction that writes is alone.
macro_rules! for_update {
    ($query:expr) => {
        $query
    };
}

/// Like `for_update`, without the rows that another process has in its hands.
macro_rules! skip_locked {
    ($query:expr) => {
        $query
    };
}

/// All rows of a query with one of these values.
macro_rules! find_all {
    ($query:expr, $table:ident :: $column:ident, $values:expr, $conn:expr) => {{
        let values = $values;
        let start = concat!(stringify!($table), ".", stringify!($column), " IN (SELECT value FROM json_each(");
        let among = $query.filter(in_json!(start, &values));
        if values.is_empty() { Vec::new() } else { crate::dialect::sqlite::queries::Fixed(among).load($conn)? }
    }};
}

/// Whether a column has one of these values: one statement, whose text is the same for any number of them.
macro_rules! among {
    ($column:expr, $name:literal, $values:expr) => {
        in_json!(concat!($name, " IN (SELECT value FROM json_each("), $values)
    };
}

/// The condition that begins so, on a list of values as one JSON text.
macro_rules! in_json {
    ($start:expr, $values:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Bool>($start)
            .bind::<diesel::sql_types::Text, _>(crate::dialect::sqlite::json_list($values))
            .sql("))")
    };
}

/// The query, which ends with an error when it takes longer than a query may.
macro_rules! within_limit {
    ($query:expr) => {
        $query.filter(crate::dialect::sqlite::time_limit::in_time())
    };
}

mod bulk;
mod ledger_clock;
mod ledger_end;
pub(crate) mod time_limit;
mod whole_file;

#[path = "../queries/mod.rs"]
pub(crate) mod queries;

pub(crate) use ledger_clock::{follow, take_up};
pub(crate) use whole_file::{
    Holder, check_integrity, count, has_tables, hold_all, holder, open_copy, open_read_only, vacuum_into,
};

/// The connection that `queries/` is compiled for.
pub(crate) type Conn = SqliteConnection;

/// A deferred transaction that reads first fails at its first write when another program has written meanwhile.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// A connection to a file does not break while nobody uses it.
const TEST_ON_CHECK_OUT: bool = false;

/// How long a statement waits for another program that writes.
const PATIENCE_MS: u32 = 5_000;

/// Numbers or texts as JSON.
pub(crate) fn json_list(values: &[impl Serialize]) -> String {
    serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned())
}

/// Those of this database.
pub(crate) const fn migrations() -> EmbeddedMigrations {
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
    MIGRATIONS
}

/// A queued command as this database's writer carries it out.
fn into_work(command: Box<dyn QueuedCommand>) -> Box<dyn queries::Work> {
    command.on_sqlite()
}

/// Sets a fresh connection up.
fn configure(conn: &mut Conn, connected: Connected) -> diesel::QueryResult<()> {
    time_limit::register(conn)?;
    // The patience first: the others may have to wait.
    conn.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE_MS}"))?;
    conn.batch_execute(match connected {
        Connected::Writer(Synchronous::Full) => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000"
        }
        Connected::Writer(Synchronous::Normal) => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000"
        }
        // Each query is given its time when it is run.
        Connected::Reader { .. } => "PRAGMA query_only = ON; PRAGMA cache_size = -4000",
    })
}

/// Connects the writer.
pub(crate) fn connect(path: &str, synchronous: Synchronous) -> Result<Conn, String> {
    let mut conn = Conn::establish(path).map_err(|error| error.to_string())?;
    configure(&mut conn, Connected::Writer(synchronous)).map_err(|error| error.to_string())?;
    Ok(conn)
}

use ledger_end::ledger_end;
use time_limit::within;

/// What the writer leaves behind: without the log of changes, which would stay as large as it once was.
fn finish(conn: &mut Conn) {
    // A reader that is at it still keeps it from that; then the next start does it.
    let _as_far_as_it_goes = conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Writes the log of changes into the database, and cuts it if no read needs it. The writer goes on meanwhile, but for the
/// cut itself.
pub(crate) fn cut_log(path: &Path) {
    #[derive(diesel::QueryableByName)]
    struct Copied {
        #[diesel(sql_type = Integer)]
        log: i32,
        #[diesel(sql_type = Integer)]
        checkpointed: i32,
    }
    let Ok(mut conn) = beside(path) else { return };
    let copied: Result<Copied, _> = diesel::sql_query("PRAGMA wal_checkpoint(PASSIVE)").get_result(&mut conn);
    if copied.is_ok_and(|copied| copied.log == copied.checkpointed) {
        let _next_time = conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

/// Whether the file can be read from end to end.
pub(crate) fn is_sound(path: &Path) -> bool {
    let Ok(mut conn) = beside(path) else { return false };
    let check = diesel::dsl::sql::<Text>("PRAGMA quick_check(1)").get_result::<String>(&mut conn);
    check.is_ok_and(|word| word == "ok")
}

/// A connection for a look at the file, which nobody waits for.
fn beside(path: &Path) -> Result<Conn, String> {
    let mut conn = Conn::establish(&path.to_string_lossy()).map_err(|error| error.to_string())?;
    conn.batch_execute("PRAGMA busy_timeout = 50").map_err(|error| error.to_string())?;
    Ok(conn)
}

/// Waits until no other transaction works on what has these names. Here none does.
#[expect(clippy::unnecessary_wraps, reason = "the other dialect asks its database")]
fn alone(_: &mut Conn, _: impl FnOnce() -> Vec<String>) -> diesel::QueryResult<()> {
    Ok(())
}

/// Waits until no other transaction is under way, and lets none begin before this one ends. Here it is so anyway.
#[expect(clippy::unnecessary_wraps, reason = "the other dialect asks its database")]
const fn hold_off_senders(_: &mut Conn) -> diesel::QueryResult<()> {
    Ok(())
}

/// Waits until every transaction has ended that began before. Here none is under way.
#[expect(clippy::unnecessary_wraps, reason = "the other dialect asks its database")]
const fn await_senders(_: &mut Conn) -> diesel::QueryResult<()> {
    Ok(())
}

/// Whether the connection is gone. Here it is a file.
const fn is_lost(_: &mut Conn) -> bool {
    false
}

/// What is the matter with a file that SQLite refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    /// It can't be read as a database.
    Damaged,
    /// Another program holds it.
    Locked,
    /// It can be read and not written.
    ReadOnly,
    /// Nothing, by now.
    Sound,
}

/// Asks the file again: diesel keeps SQLite's result codes to itself, and only a lock is waited for.
pub(crate) fn file_state(path: &str) -> FileState {
    let Ok(mut conn) = Conn::establish(path) else { return FileState::Damaged };
    if conn.batch_execute(&format!("PRAGMA busy_timeout = {}", PROBE.as_millis())).is_err() {
        return FileState::Damaged;
    }
    for (statement, otherwise) in
        [("SELECT count(*) FROM sqlite_schema", FileState::Damaged), ("BEGIN IMMEDIATE", FileState::ReadOnly)]
    {
        let started = Instant::now();
        if conn.batch_execute(statement).is_err() {
            return if started.elapsed() >= PROBE / 2 { FileState::Locked } else { otherwise };
        }
    }
    FileState::Sound
}

/// How long a file that was refused is waited for.
const PROBE: Duration = Duration::from_secs(1);
