//! Tells the next process of an SQLite file until when this one ran (`dialect/sqlite/ledger_clock.rs`). On PostgreSQL, whose
//! time all processes keep, the table is empty.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool},
};

use super::{Fixed, Tx};
use crate::{dialect::LEDGER_CLOCK_ROW, schema::ledger_clock};

/// How old the row may be, in microseconds: a clock that goes back over a restart of the machine by less is not noticed.
const WRITE_EVERY: i64 = 60 * 1_000_000;

/// Keeps the row young. Once the machine's clock was set, the row says so at once.
pub(super) fn write_seen(tx: &mut Tx<'_>) -> QueryResult<()> {
    let (now, wall) = (tx.now.micros(), tx.wall.micros());
    let clock_was_set = diesel::dsl::sql::<Bool>("(seen_wall IS NULL OR abs(seen_wall - seen_at - ")
        .bind::<BigInt, _>(wall - now)
        .sql(") > 1000000)");
    let old = ledger_clock::seen_at.lt(now - WRITE_EVERY).or(clock_was_set);
    let row = ledger_clock::table.find(LEDGER_CLOCK_ROW).filter(old);
    let seen = (ledger_clock::seen_at.eq(now), ledger_clock::seen_wall.eq(Some(wall)));
    Fixed(diesel::update(row).set(seen)).execute(tx.conn).map(drop)
}
