//! The backlog of each transport: how many SMS are due, and for how long the oldest of them has been.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use vumi_kit::{
    clock::Timestamp,
    ledger::{Backlog, CountBacklog},
    name::Name,
};

use super::{Conn, Failed, Read, rows};
use crate::schema::sms;

#[derive(QueryableByName)]
struct CountedDue {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Counts along the index of what is due, and no further than the bound. Diesel cannot count a limited query. The
/// placeholders are PostgreSQL's; SQLite numbers them in the order of the text.
const COUNT_DUE: &str = "SELECT count(*) AS count FROM \
     (SELECT 1 FROM sms WHERE transport = $1 AND next_attempt_at <= $2 LIMIT $3) AS due";

impl Read for CountBacklog {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<(Name, Backlog)>, Failed> {
        let (mut backlogs, mut after) = (Vec::new(), String::new());
        while let Some(transport) = next_transport(conn, &after)? {
            if let Some(backlog) = of_transport(conn, &transport, now)? {
                backlogs.push((rows::name(&transport)?, backlog));
            }
            after = transport;
        }
        Ok(backlogs)
    }
}

/// From transport to transport along the index of what is due, rather than past every row.
pub(super) fn next_transport(conn: &mut Conn, after: &str) -> QueryResult<Option<String>> {
    sms::table
        .filter(sms::next_attempt_at.is_not_null())
        .filter(sms::transport.gt(after))
        .order(sms::transport)
        .select(sms::transport)
        .first(conn)
        .optional()
}

fn of_transport(conn: &mut Conn, transport: &str, now: Timestamp) -> QueryResult<Option<Backlog>> {
    let oldest: Option<Option<i64>> = sms::table
        .filter(sms::transport.eq(transport))
        .filter(sms::next_attempt_at.le(now.micros()))
        .order(sms::next_attempt_at)
        .select(sms::next_attempt_at)
        .first(conn)
        .optional()?;
    let Some(oldest) = oldest.flatten() else { return Ok(None) };
    let counted: CountedDue = diesel::sql_query(COUNT_DUE)
        .bind::<Text, _>(transport)
        .bind::<BigInt, _>(now.micros())
        .bind::<BigInt, _>(i64::from(Backlog::MOST_COUNTED) + 1)
        .get_result(conn)?;
    let oldest_s = now.since(Timestamp::from_micros(oldest)).as_secs();
    Ok(Some(Backlog { due: u32::try_from(counted.count).unwrap_or(u32::MAX), oldest_s }))
}
