//! What is done with SQLite's file as a whole: its backup is written, looked through, and made ready to be put back.

use std::path::Path;

use diesel::{
    Connection, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{BigInt, Text},
};
use vumi_kit::clock::Timestamp;

use super::{Conn, FileState, PATIENCE_MS, file_state};

/// Lines that are shown of what is wrong with a file.
const SHOWN_FAULTS: usize = 5;

/// Writes the database as it is at this moment into a file that is empty or not there. It takes as long as it takes, and
/// holds nobody up; the log of changes can only grow meanwhile.
pub(crate) fn vacuum_into(path: &Path, copy: &Path) -> Result<(), String> {
    let mut conn = existing(path)?;
    let vacuum = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(copy.to_string_lossy());
    vacuum.execute(&mut conn).map(drop).map_err(|error| error.to_string())
}

/// Opens a file that is there, to be read only; nothing is created beside it unless it was left open by a crash.
pub(crate) fn open_read_only(path: &Path) -> Result<Conn, String> {
    let mut conn = Conn::establish(&uri(path, "ro")).map_err(|error| error.to_string())?;
    conn.batch_execute("PRAGMA query_only = ON").map_err(|error| error.to_string())?;
    Ok(conn)
}

/// Opens a copy that nobody else has; what is changed is on the disk with each commit.
pub(crate) fn open_copy(path: &Path) -> Result<Conn, String> {
    let mut conn = existing(path)?;
    conn.batch_execute("PRAGMA synchronous = FULL").map_err(|error| error.to_string())?;
    Ok(conn)
}

fn existing(path: &Path) -> Result<Conn, String> {
    let mut conn = Conn::establish(&uri(path, "rw")).map_err(|error| error.to_string())?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE_MS}")).map_err(|error| error.to_string())?;
    Ok(conn)
}

/// A path as SQLite's URI.
fn uri(path: &Path, mode: &str) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?mode={mode}")
}

/// Reads everything; answers what is wrong.
pub(crate) fn check_integrity(conn: &mut Conn) -> Result<Vec<String>, String> {
    #[derive(diesel::QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }
    let found = diesel::sql_query(format!("PRAGMA integrity_check({SHOWN_FAULTS})")).load::<Found>(conn);
    let found = found.map_err(|error| error.to_string())?.into_iter().map(|found| found.integrity_check);
    Ok(found.filter(|word| word != "ok").collect())
}

/// Whether all of these tables are there.
pub(crate) fn has_tables(conn: &mut Conn, names: &[&str]) -> Result<bool, String> {
    for name in names {
        let query = diesel::sql_query("SELECT count(*) AS count FROM sqlite_schema WHERE type = 'table' AND name = ?");
        let found: Counted = query.bind::<Text, _>(*name).get_result(conn).map_err(|error| error.to_string())?;
        if found.count == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[derive(diesel::QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Counts the rows of a table.
pub(crate) fn count(conn: &mut Conn, table: &str) -> Result<u64, String> {
    let counted = diesel::sql_query(format!("SELECT count(*) AS count FROM {table}")).get_result::<Counted>(conn);
    counted.map(|counted| counted.count.unsigned_abs()).map_err(|error| error.to_string())
}

/// Who has a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody; it has no log of changes any more.
    Nobody,
    /// Another program, such as a running router.
    Another,
    /// Nobody can say: it is damaged.
    Unknown,
}

/// Asks for the file alone, which SQLite gives to nobody while another has it open.
pub(crate) fn holder(path: &Path) -> Holder {
    let alone = existing(path).and_then(|mut conn| {
        // In this order: a log is merged into the database and taken away.
        conn.batch_execute("PRAGMA busy_timeout = 1000; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT")
            .map_err(|error| error.to_string())
    });
    match alone {
        Ok(()) => Holder::Nobody,
        Err(_) if file_state(&path.to_string_lossy()) == FileState::Damaged => Holder::Unknown,
        Err(_) => Holder::Another,
    }
}

/// Holds every SMS that waits to be sent, of a database that nobody has open. Those that were under way may have been sent.
pub(crate) fn hold_all(conn: &mut Conn, now: Timestamp) -> QueryResult<u64> {
    const WHY: &str = "restored from a backup: it may have been sent since";
    conn.transaction(|conn| {
        diesel::sql_query(
            "INSERT INTO sms_events (sms, at, what, detail) \
             SELECT id, ?, 'held', ? FROM sms WHERE next_attempt_at IS NOT NULL ORDER BY id",
        )
        .bind::<BigInt, _>(now.micros())
        .bind::<Text, _>(WHY)
        .execute(conn)?;
        let held = diesel::sql_query(
            "UPDATE sms SET held_at = ?, held_because = ?, unsure = unsure + begun, begun = 0, next_attempt_at = NULL, \
             claimed_by = NULL, updated_at = ?1 WHERE next_attempt_at IS NOT NULL",
        );
        let held = held.bind::<BigInt, _>(now.micros()).bind::<Text, _>(WHY).execute(conn)?;
        Ok(u64::try_from(held).unwrap_or(u64::MAX))
    })
}
