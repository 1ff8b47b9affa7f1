//! Where the ledger ends. Several transactions write at once here, and a lower number may be committed after a higher one.

use std::time::Duration;

use diesel::{
    QueryResult, RunQueryDsl,
    sql_types::{Array, BigInt, Double, Text},
};
use vumi_kit::export::LedgerEnd;

use super::Conn;

/// How often those are looked at that write at this moment.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(diesel::QueryableByName)]
struct End {
    #[diesel(sql_type = BigInt)]
    sms: i64,
    #[diesel(sql_type = BigInt)]
    received: i64,
}

#[derive(diesel::QueryableByName)]
struct Writing {
    #[diesel(sql_type = Text)]
    transaction: String,
}

/// What writes to the ledger takes this lock before it takes a number.
const WRITING: &str = "SELECT DISTINCT virtualtransaction AS transaction FROM pg_locks \
     WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND relation IN ('sms'::regclass, 'received_sms'::regclass) AND mode = 'RowExclusiveLock'";

/// Takes the numbers, and waits until every transaction has ended that may have a lower one.
pub(super) fn ledger_end(conn: &mut Conn) -> QueryResult<LedgerEnd> {
    let end = "SELECT coalesce((SELECT max(id) FROM sms), 0) AS sms, \
         coalesce((SELECT max(id) FROM received_sms), 0) AS received";
    let End { sms, received } = diesel::sql_query(end).get_result(conn)?;
    let mut writing: Vec<String> = diesel::sql_query(WRITING).load::<Writing>(conn)?.into_iter().map(of).collect();
    let mut waited = Duration::ZERO;
    while !writing.is_empty() && waited < MOST {
        diesel::sql_query("SELECT pg_sleep($1)").bind::<Double, _>(LOOK_EVERY.as_secs_f64()).execute(conn)?;
        waited += LOOK_EVERY;
        let left = diesel::sql_query(format!("{WRITING} AND virtualtransaction = ANY($1)"));
        writing = left.bind::<Array<Text>, _>(&writing).load::<Writing>(conn)?.into_iter().map(of).collect();
    }
    if writing.is_empty() {
        return Ok(LedgerEnd { sms, received });
    }
    let message = "a transaction has been writing to the ledger for too long: try again".to_owned();
    Err(diesel::result::Error::QueryBuilderError(message.into()))
}

/// The longest wait: less than a read may take.
const MOST: Duration = Duration::from_secs(4);

fn of(writing: Writing) -> String {
    writing.transaction
}
