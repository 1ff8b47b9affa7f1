//! Where the ledger ends. Here one process writes at a time, and numbers are given in the order of commits.

use diesel::{QueryDsl, QueryResult, RunQueryDsl, dsl::max};
use vumi_kit::export::LedgerEnd;

use super::Conn;
use crate::schema::{received_sms, sms};

/// The highest numbers that are there; it waits for nobody.
pub(super) fn ledger_end(conn: &mut Conn) -> QueryResult<LedgerEnd> {
    let last_sms: Option<i64> = sms::table.select(max(sms::id)).first(conn)?;
    let last_received: Option<i64> = received_sms::table.select(max(received_sms::id)).first(conn)?;
    Ok(LedgerEnd { sms: last_sms.unwrap_or(0), received: last_received.unwrap_or(0) })
}
