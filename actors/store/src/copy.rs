//! Moving up: everything from an SQLite file into an empty PostgreSQL database, in one transaction there.

use std::{
    cell::{Cell, RefCell},
    io::Write,
    path::Path,
};

use diesel::{
    Connection, ExecuteCopyFromDsl, QueryResult, QueryableByName, RunQueryDsl,
    connection::{DefaultLoadingMode, SimpleConnection},
    result::Error,
    sql_types::{BigInt, Text},
};

use crate::{
    dialect::{postgres, sqlite},
    error::OpenError,
    file_lock, migrations,
    open::{connect_postgres, connect_sqlite},
    schema,
    settings::{Database, StoreSettings},
};

/// Rows between two words of progress.
const STEP: u64 = 100_000;

/// How far a copy is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The table.
    pub table: &'static str,
    /// Rows of it so far.
    pub rows: u64,
    /// Whether that is all of it.
    pub whole: bool,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The wrong way round, or the same kind twice.
    #[error("expected `sqlite://FILE` to copy from and `postgres://...` to copy to; this was `{0}`")]
    Direction(String),
    /// The source is of another version's tables.
    #[error("{0} is of an older vumi: bring it to this version's tables first, with `vumi migrate`")]
    Older(String),
    /// Something is in the target already.
    #[error("the table `{table}` of {url} holds rows already: copy into a database of its own (`createdb`)")]
    NotEmpty {
        /// The table.
        table: &'static str,
        /// The database.
        url: String,
    },
    /// What arrived is not what was sent.
    #[error("`{table}` has {sent} rows and {arrived} arrived: nothing was kept in the target, the source is as it was")]
    Short {
        /// The table.
        table: &'static str,
        /// Rows read.
        sent: u64,
        /// Rows there.
        arrived: u64,
    },
    /// A database refused.
    #[error("{0}; nothing was kept in the target, and the source is as it was")]
    Database(#[from] Error),
}

/// Copies everything, or nothing. The source stays as it is; no router may run on it meanwhile. Answers the rows copied.
pub fn copy(from: &StoreSettings, to: &StoreSettings, mut tell: impl FnMut(Progress)) -> Result<u64, CopyError> {
    let (Some(Database::Sqlite(path)), Some(Database::Postgres(url))) = (from.database(), to.database()) else {
        return Err(CopyError::Direction(format!("{} to {}", from.shown_url(), to.shown_url())));
    };
    if !Path::new(path).exists() {
        return Err(OpenError::NotThere(path.into()).into());
    }
    file_lock::look_at(Path::new(path))?;
    let _alone = file_lock::lock(Path::new(path))?;
    let mut source = connect_sqlite(from, path)?;
    if !migrations::pending(&mut source, sqlite::migrations)?.is_empty() {
        return Err(CopyError::Older(from.shown_url()));
    }
    crate::migrate(to)?;
    let mut target = connect_postgres(to, url)?;
    // It takes as long as it takes.
    target.batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
    // One picture of the source, whatever a command may write there meanwhile.
    source.batch_execute("BEGIN")?;
    let mut copying = Copying { source: RefCell::new(source), url: to.shown_url(), tell: RefCell::new(&mut tell) };
    target.transaction(|target| copying.run(target))
}

struct Copying<'a> {
    source: RefCell<sqlite::Conn>,
    /// The target's, to be shown.
    url: String,
    tell: RefCell<&'a mut dyn FnMut(Progress)>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Copies a table, whose columns the target names.
macro_rules! copied {
    ($copying:ident, $target:ident, $($table:ident),+ $(,)?) => {
        0 $(+ {
            let name = stringify!($table);
            $copying.expect_empty($target, name)?;
            let select = rendered($target, name)?;
            let sent = Cell::new(0);
            diesel::copy_from(schema::$table::table)
                .from_raw_data(schema::$table::table, |into| $copying.send(name, &select, &sent, into))
                .execute($target)?;
            $copying.compare($target, name, sent.get())?
        })+
    };
}

impl Copying<'_> {
    fn run(&mut self, target: &mut postgres::Conn) -> Result<u64, CopyError> {
        let rows = copied!(
            self,
            target,
            accounts,
            account_tokens,
            account_quotas,
            audit,
            sms,
            sms_attempts,
            sms_events,
            idempotency_keys,
            sms_parts,
            receipts,
            received_sms,
            received_parts,
            callbacks,
            callback_deliveries,
            callback_attempts,
            sessions,
            answers,
            answer_counts,
            retention_progress,
            consent,
            consent_now,
            conversations,
            conversation_versions,
            broadcasts,
            broadcast_chunks,
            broadcast_refusals,
        );
        go_on(target)?;
        Ok(rows)
    }

    fn expect_empty(&self, target: &mut postgres::Conn, table: &'static str) -> Result<(), CopyError> {
        match count(target, table)? {
            0 => Ok(()),
            _ => Err(CopyError::NotEmpty { table, url: self.url.clone() }),
        }
    }

    /// Reads a table's rows one by one, as the target takes them.
    fn send(&self, table: &'static str, select: &str, sent: &Cell<u64>, into: &mut dyn Write) -> Result<(), CopyError> {
        let refused = |error: std::io::Error| CopyError::Database(Error::SerializationError(Box::new(error)));
        let mut source = self.source.borrow_mut();
        let lines = diesel::sql_query(select).load_iter::<Line, DefaultLoadingMode>(&mut *source)?;
        for line in lines {
            // PostgreSQL keeps no NUL in a text.
            let line = line?.line.replace('\0', "\u{FFFD}");
            into.write_all(line.as_bytes()).and_then(|()| into.write_all(b"\n")).map_err(refused)?;
            sent.set(sent.get() + 1);
            if sent.get().is_multiple_of(STEP) {
                (self.tell.borrow_mut())(Progress { table, rows: sent.get(), whole: false });
            }
        }
        Ok(())
    }

    fn compare(&self, target: &mut postgres::Conn, table: &'static str, sent: u64) -> Result<u64, CopyError> {
        let arrived = count(target, table)?;
        if arrived != sent {
            return Err(CopyError::Short { table, sent, arrived });
        }
        (self.tell.borrow_mut())(Progress { table, rows: sent, whole: true });
        Ok(sent)
    }
}

fn count(target: &mut postgres::Conn, table: &str) -> QueryResult<u64> {
    let counted: Counted = diesel::sql_query(format!("SELECT count(*) AS count FROM {table}")).get_result(target)?;
    Ok(counted.count.unsigned_abs())
}

/// The query that makes of each row of the source a line of PostgreSQL's COPY format: values parted by tabs, in the
/// target's order of columns.
fn rendered(target: &mut postgres::Conn, table: &str) -> QueryResult<String> {
    let columns: Vec<Line> = diesel::sql_query(
        "SELECT attname::text AS line FROM pg_attribute \
         WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    )
    .bind::<Text, _>(table)
    .load(target)?;
    let value = |column: &Line| {
        let column = format!("\"{}\"", column.line);
        format!(
            "coalesce(replace(replace(replace(replace({column}, '\\', '\\\\'), char(9), '\\t'), char(10), '\\n'), \
             char(13), '\\r'), '\\N')"
        )
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    Ok(format!("SELECT {} AS line FROM {table}", values.join(" || char(9) || ")))
}

/// Numbers go on after the highest; what the old router had in its hands is due again.
fn go_on(target: &mut postgres::Conn) -> QueryResult<()> {
    for table in [
        "accounts",
        "account_tokens",
        "audit",
        "sms",
        "sms_events",
        "receipts",
        "received_sms",
        "received_parts",
        "callbacks",
        "callback_deliveries",
        "consent",
        "conversations",
        "broadcasts",
    ] {
        target.batch_execute(&format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table} HAVING max(id) IS NOT NULL"
        ))?;
    }
    target.batch_execute(
        "UPDATE sms SET unsure = unsure + begun, begun = 0, next_attempt_at = least(next_attempt_at, updated_at), claimed_by = NULL \
         WHERE claimed_by IS NOT NULL; \
         UPDATE received_sms SET route_at = least(route_at, updated_at), claimed_by = NULL WHERE claimed_by IS NOT NULL; \
         UPDATE callback_deliveries SET next_attempt_at = least(next_attempt_at, created_at), claimed_by = NULL \
         WHERE claimed_by IS NOT NULL; ANALYZE",
    )
}
