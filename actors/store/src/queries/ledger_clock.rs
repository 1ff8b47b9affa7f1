//! Tells the next process of an SQLite file until when this one ran (`dialect/sqlite/ledger_clock.rs`). On PostgreSQL, whose
//! time all processes keep, the table is empty.

use diesel::prelude::*;

use super::{Fixed, Tx};
use crate::{dialect::LEDGER_CLOCK_ROW, schema::ledger_clock};

/// How old the row may be, in microseconds: a clock that goes back over a restart of the machine by less is not noticed.
const WRITE_EVERY: i64 = 60 * 1_000_000;

/// Keeps the row young.
pub(super) fn write_seen(tx: &mut Tx<'_>) -> QueryResult<()> {
    let now = tx.now.micros();
    let old = ledger_clock::table.find(LEDGER_CLOCK_ROW).filter(ledger_clock::seen_at.lt(now - WRITE_EVERY));
    Fixed(diesel::update(old).set(ledger_clock::seen_at.eq(now))).execute(tx.conn).map(drop)
}
