//! What is PostgreSQL's own: its connection and how long it waits, its locks on rows and names, how it says that it went away.

use std::{
    io::ErrorKind,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use diesel::{
    Connection, PgConnection, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{Array, BigInt, Bool, Text},
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::{
    settings::{Connected, Synchronous},
    writer::queue::QueuedCommand,
};

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

/// Whether a column has one of these values.
macro_rules! among {
    ($column:expr, $name:literal, $values:expr) => {
        $column.eq_any($values)
    };
}

/// The query, which ends with an error when it takes longer than a query may. Here the connection knows how long that is.
macro_rules! within_limit {
    ($query:expr) => {
        $query
    };
}

mod bulk;
mod ledger_end;

#[path = "../queries/mod.rs"]
pub(crate) mod queries;

use ledger_end::ledger_end;

/// The connection that `queries/` is compiled for.
pub(crate) type Conn = PgConnection;

/// Each statement sees what is committed; what must not change meanwhile is locked. Every transaction that writes shares a
/// lock, in the same round trip: who stops an account takes it alone, so that no transaction that began before is still at
/// work when the account is stopped.
const BEGIN: &str =
    "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtextextended('vumi senders ' || current_schema(), 0))";

/// Waits until no other transaction that writes is under way, and lets none begin before this one ends.
fn hold_off_senders(conn: &mut Conn) -> QueryResult<()> {
    conn.batch_execute("SELECT pg_advisory_xact_lock(hashtextextended('vumi senders ' || current_schema(), 0))")
}

/// Waits until every transaction that writes and began before has ended. Not within one of ours: two processes that wait so
/// would wait for each other.
fn await_senders(conn: &mut Conn) -> QueryResult<()> {
    conn.batch_execute(
        "SELECT pg_advisory_lock(hashtextextended('vumi senders ' || current_schema(), 0)); \
         SELECT pg_advisory_unlock(hashtextextended('vumi senders ' || current_schema(), 0))",
    )
}

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

/// A queued command as this database's writer carries it out.
fn into_work(command: Box<dyn QueuedCommand>) -> Box<dyn queries::Work> {
    command.on_postgres()
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
    match connected {
        Connected::Writer(Synchronous::Full) => conn.batch_execute("SET synchronous_commit = on"),
        Connected::Writer(Synchronous::Normal) => conn.batch_execute("SET synchronous_commit = off"),
        Connected::Reader { limit } => conn.batch_execute(&format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {}",
            limit.as_millis()
        )),
    }
}

/// Runs queries within a limit. Here the connection has been told.
fn within<T>(_: Duration, read: impl FnOnce() -> T) -> T {
    read()
}

/// What the writer leaves behind. Here its connection ends, and that is all.
const fn finish(_: &mut Conn) {}

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
pub(crate) fn take_node(conn: &mut Conn, node: &str) -> QueryResult<bool> {
    conn.batch_execute("SET lock_timeout = '5s'")?;
    let wait = diesel::sql_query(format!("SELECT pg_advisory_lock({NODE_LOCK})"));
    // Why the wait failed is not in the error's kind; whether the name is free is asked instead.
    let taken = wait.bind::<Text, _>(node).execute(conn).is_ok() || {
        let ask = diesel::sql_query(format!("SELECT pg_try_advisory_lock({NODE_LOCK}) AS taken"));
        ask.bind::<Text, _>(node).get_result::<Taken>(conn)?.taken
    };
    conn.batch_execute(LOCK_TIMEOUT)?;
    Ok(taken)
}

const NODE_LOCK: &str = "hashtextextended('vumi node ' || current_schema() || ' ' || $1, 0)";

#[derive(diesel::QueryableByName)]
struct Taken {
    #[diesel(sql_type = Bool)]
    taken: bool,
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

/// Names that a transaction locks one by one. The server keeps the locks of all its users in one table of a fixed size.
const MOST_NAMES: usize = 480;

/// Waits until no other transaction works on what has these names. What two processes may create at the same
/// moment has no row yet to lock. A transaction with more names than [`MOST_NAMES`] locks all there are, at once.
pub(crate) fn alone(conn: &mut Conn, names: impl FnOnce() -> Vec<String>) -> QueryResult<()> {
    let mut names: Vec<String> = names().into_iter().map(vumi_kit::text::keepable).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    if names.len() > MOST_NAMES {
        return conn.batch_execute(&format!("SELECT pg_advisory_xact_lock({ALL_NAMES})"));
    }
    // In one order, whoever asks, and the lock on all first: so two processes do not wait for each other.
    diesel::sql_query(format!(
        "SELECT CASE WHEN shared THEN pg_advisory_xact_lock_shared(name)::text ELSE pg_advisory_xact_lock(name)::text END \
         FROM (SELECT name, shared FROM (SELECT {ALL_NAMES} AS name, TRUE AS shared UNION ALL \
         SELECT DISTINCT hashtextextended(unnest($1), 0), FALSE) AS locks ORDER BY shared DESC, name) AS names"
    ))
    .bind::<Array<Text>, _>(names)
    .execute(conn)
    .map(drop)
}

/// The lock on all names: shared by those that lock some of them.
const ALL_NAMES: &str = "hashtextextended('vumi names ' || current_schema(), 0)";

/// Whether the connection is gone. What an error says differs by how it went; a statement settles it.
fn is_lost(conn: &mut Conn) -> bool {
    conn.batch_execute("SELECT 1").is_err()
}

/// What to do about a server that did not let us in. Its words depend on its language: the network is asked instead.
pub(crate) fn advice(url: &str) -> &'static str {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let (tls, built) =
        (query.contains("sslmode=require") || query.contains("sslmode=verify"), cfg!(feature = "postgres-tls"));
    if tls && !built {
        return "build vumi with `--features postgres-tls`, or ask for no TLS in store.url";
    }
    let Some(address) = address(url) else { return "mend store.url" };
    let Ok(mut found) = address.to_socket_addrs() else { return "mend the host in store.url" };
    let reached = found.next().map(|address| TcpStream::connect_timeout(&address, REACH).map_err(|error| error.kind()));
    match reached {
        Some(Ok(_)) => {
            "PostgreSQL answers there: look at the role (`createuser`), its password (`ALTER ROLE ... PASSWORD`; in \
             store.url, or in a file that store.url_file names), the database (`createdb --owner=ROLE NAME`) and \
             max_connections, of which each vumi takes two and store.readers more"
        }
        Some(Err(ErrorKind::ConnectionRefused)) => "start PostgreSQL, or mend the host and port in store.url",
        _ => "mend the host in store.url, or let this machine through to it",
    }
}

/// How long the network is given to reach the server.
const REACH: Duration = Duration::from_secs(3);

/// Host and port of a URL; none for a socket's folder.
fn address(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    if host.is_empty() || host.starts_with('%') {
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(if has_port { host.to_owned() } else { format!("{host}:5432") })
}

#[cfg(test)]
mod tests {
    use super::{address, advice, completed};

    #[test]
    fn what_to_do_about_a_closed_port_does_not_depend_on_the_servers_language() {
        assert!(advice("postgres://vumi@127.0.0.1:1/vumi").starts_with("start PostgreSQL"));
        assert_eq!(address("postgres://u:p@db.example:6432/vumi?x=y").as_deref(), Some("db.example:6432"));
        assert_eq!(address("postgres://db/vumi").as_deref(), Some("db:5432"));
        assert_eq!(address("postgres://[::1]/vumi").as_deref(), Some("[::1]:5432"));
        assert_eq!(address("postgres://%2Fvar%2Frun/vumi"), None);
    }

    #[test]
    fn a_url_keeps_what_it_says_and_gets_what_it_does_not() {
        let plain = completed("postgres://vumi@db/vumi");
        assert!(plain.starts_with("postgres://vumi@db/vumi?application_name=vumi&connect_timeout=5&"), "{plain}");
        let own = completed("postgres://vumi@db/vumi?sslmode=require&connect_timeout=1");
        assert!(own.starts_with("postgres://vumi@db/vumi?sslmode=require&connect_timeout=1&application_name=vumi&"));
        assert_eq!(own.matches("connect_timeout").count(), 1, "{own}");
    }
}
