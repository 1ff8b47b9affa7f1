//! What is PostgreSQL's own: its connection and how long it waits, its locks on rows and names, how it says that it went away.

use diesel::{
    Connection, PgConnection, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error},
    sql_types::{Array, BigInt, Text},
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::settings::{Connected, Synchronous};

/// The row as it is, for this transaction alone until it ends.
macro_rules! for_update {
    ($query:expr) => {
        $query.for_update()
    };
}

/// Like `for_update`, without the rows that another process has in its hands: so several share the work.
macro_rules! skip_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

/// All rows of a query with one of these values, for this transaction alone: in one round trip. Not sorted: for the sake of the
/// order the database would read past all other values.
macro_rules! find_all {
    ($query:expr, $column:expr, $values:expr, $conn:expr) => {{
        let values = $values;
        if values.is_empty() { Vec::new() } else { $query.filter($column.eq_any(values)).for_update().load($conn)? }
    }};
}

mod bulk;

#[path = "../queries/mod.rs"]
pub(crate) mod queries;

/// The connection that `backend` is expanded for.
pub(crate) type Conn = PgConnection;

/// Each statement sees what is committed; what must not change meanwhile is locked.
const BEGIN: &str = "BEGIN";

/// A connection may have broken since it was last used.
const TEST_ON_CHECK_OUT: bool = true;

/// What a URL may say of the connection and mostly does not: a peer that is gone is noticed within half a minute.
const CONNECTION: [(&str, &str); 6] = [
    ("application_name", "vumi"),
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
];

/// How long a statement waits for what another process has locked.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '10s'";

/// Those of this database.
pub(crate) const fn migrations() -> EmbeddedMigrations {
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
    MIGRATIONS
}

/// Sets a fresh connection up. No statement and no lock is waited for without end, and a process that hangs in the
/// middle of a transaction lets go of its rows, as does one whose machine is gone.
fn configure(conn: &mut Conn, connected: Connected) -> QueryResult<()> {
    if let Connected::Writer(_) = connected {
        conn.batch_execute(
            "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; \
             SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3",
        )?;
        conn.batch_execute(LOCK_TIMEOUT)?;
    }
    conn.batch_execute(match connected {
        Connected::Writer(Synchronous::Full) => "SET synchronous_commit = on",
        Connected::Writer(Synchronous::Normal) => "SET synchronous_commit = off",
        Connected::Reader => "SET default_transaction_read_only = on; SET statement_timeout = '15s'",
    })
}

/// The URL with what it does not say itself.
pub(crate) fn completed(url: &str) -> String {
    let mut completed = url.to_owned();
    for (key, value) in CONNECTION {
        let query = completed.split_once('?').map(|(_, query)| query);
        let said = query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some(key)));
        if !said {
            completed.push(if query.is_some() { '&' } else { '?' });
            completed.push_str(key);
            completed.push('=');
            completed.push_str(value);
        }
    }
    completed
}

/// Connects the writer.
pub(crate) fn connect(url: &str, synchronous: Synchronous) -> Result<Conn, String> {
    let mut conn = Conn::establish(&completed(url)).map_err(|error| error.to_string())?;
    configure(&mut conn, Connected::Writer(synchronous)).map_err(|error| error.to_string())?;
    Ok(conn)
}

/// Takes the node's name for this connection, once the connection of an earlier process of that name has ended; false:
/// another process has it.
pub(crate) fn take_node(conn: &mut Conn, node: &str) -> Result<bool, String> {
    let take = diesel::sql_query(
        "SELECT pg_advisory_lock(hashtextextended('vumi node ' || current_schema() || ' ' || $1, 0))",
    );
    conn.batch_execute("SET lock_timeout = '5s'").map_err(|error| error.to_string())?;
    match take.bind::<Text, _>(node).execute(conn) {
        Ok(_) => conn.batch_execute(LOCK_TIMEOUT).map(|()| true).map_err(|error| error.to_string()),
        Err(error) if error.to_string().contains("lock timeout") => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(diesel::QueryableByName)]
struct Now {
    #[diesel(sql_type = BigInt)]
    micros: i64,
}

/// The database's time, microseconds since 1970.
pub(crate) fn now(conn: &mut Conn) -> QueryResult<i64> {
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros";
    diesel::sql_query(now).get_result::<Now>(conn).map(|now| now.micros)
}

/// Holds off other processes that would migrate the same database, until the connection ends.
pub(crate) fn hold_off_migrations(conn: &mut Conn) -> Result<(), String> {
    conn.batch_execute(
        "SET lock_timeout = '60s'; \
         SELECT pg_advisory_lock(hashtextextended('vumi migrations ' || current_schema(), 0))",
    )
    .map_err(|error| error.to_string())
}

/// Waits until no other transaction works on what has these names. What two processes may create at the same
/// moment has no row yet to lock.
fn alone(conn: &mut Conn, names: impl FnOnce() -> Vec<String>) -> QueryResult<()> {
    let names: Vec<String> = names().into_iter().map(vumi_kit::text::keepable).collect();
    if names.is_empty() {
        return Ok(());
    }
    // In one order, whoever asks: so two processes do not wait for each other.
    diesel::sql_query(
        "SELECT pg_advisory_xact_lock(name) FROM \
         (SELECT DISTINCT hashtextextended(unnest($1), 0) AS name ORDER BY name) AS names",
    )
    .bind::<Array<Text>, _>(names)
    .execute(conn)
    .map(drop)
}

/// Whether another process's transaction was in the way: nothing was kept, and it may be tried again at once.
fn is_conflict(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(_, about) => about.message().contains("deadlock detected"),
        _ => false,
    }
}

/// Whether the connection is gone. What the error says differs by how it went; a question settles it.
fn is_lost(conn: &mut Conn, error: &Error) -> bool {
    matches!(error, Error::DatabaseError(..)) && conn.batch_execute("SELECT 1").is_err()
}

/// Whether the database can't keep such a value: a NUL in a text.
fn is_data(said: &str) -> bool {
    said.contains("invalid byte sequence for encoding")
}

#[cfg(test)]
mod tests {
    use super::completed;

    #[test]
    fn a_url_keeps_what_it_says_and_gets_what_it_does_not() {
        let plain = completed("postgres://vumi@db/vumi");
        assert!(plain.starts_with("postgres://vumi@db/vumi?application_name=vumi&connect_timeout=5&"), "{plain}");
        let own = completed("postgres://vumi@db/vumi?sslmode=require&connect_timeout=1");
        assert!(own.starts_with("postgres://vumi@db/vumi?sslmode=require&connect_timeout=1&application_name=vumi&"));
        assert_eq!(own.matches("connect_timeout").count(), 1, "{own}");
    }
}
