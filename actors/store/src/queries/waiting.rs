//! What waits in the ledger, by lanes and accounts: along the index `sms_waiting`, from account to account rather than past
//! every row. Also what is claimed and whose lease ended, and what is held past its deadline.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Integer, Text},
};
use vumi_kit::{account::AccountId, clock::Timestamp, sms::TransportStatus, sms_options::Priority};

use super::{
    Conn, Tx,
    claims::DueSms,
    permission::may_go_out,
    rows::{self, as_limit, priority_number},
};
use crate::schema::sms;

/// The accounts of one look at the most, in all lanes.
pub(super) const MOST_ACCOUNTS: usize = 10_000;

/// An account with SMS in a lane, and since when the oldest of them has been due.
#[derive(QueryableByName)]
struct WaitingRow {
    #[diesel(sql_type = Integer)]
    priority: i32,
    #[diesel(sql_type = BigInt)]
    account: AccountId,
    #[diesel(sql_type = BigInt)]
    due: i64,
}

/// From account to account within each lane, each with the first of its SMS. The placeholders are PostgreSQL's; SQLite
/// numbers them in the order of the text.
const WAITING: &str = "WITH RECURSIVE waiting (priority, account) AS (\
     SELECT lane.priority, (SELECT sms.account FROM sms WHERE sms.transport = $1 AND sms.priority = lane.priority \
     AND sms.next_attempt_at IS NOT NULL AND sms.claimed_by IS NULL ORDER BY sms.account LIMIT 1) \
     FROM (SELECT 2 AS priority UNION ALL SELECT 1 UNION ALL SELECT 0) AS lane \
     UNION ALL \
     SELECT waiting.priority, (SELECT sms.account FROM sms WHERE sms.transport = $1 AND sms.priority = waiting.priority \
     AND sms.account > waiting.account AND sms.next_attempt_at IS NOT NULL AND sms.claimed_by IS NULL \
     ORDER BY sms.account LIMIT 1) FROM waiting WHERE waiting.account IS NOT NULL) \
     SELECT found.priority, found.account, found.due FROM (\
     SELECT waiting.priority, waiting.account, (SELECT sms.next_attempt_at FROM sms WHERE sms.transport = $1 \
     AND sms.priority = waiting.priority AND sms.account = waiting.account AND sms.next_attempt_at IS NOT NULL \
     AND sms.claimed_by IS NULL ORDER BY sms.next_attempt_at LIMIT 1) AS due \
     FROM waiting WHERE waiting.account IS NOT NULL) AS found WHERE found.due <= $2 LIMIT $3";

/// An account that has SMS due in a lane.
pub(super) struct WaitingAccount {
    pub(super) lane: Priority,
    pub(super) account: AccountId,
    /// Since when the first of them has been due.
    pub(super) due: Timestamp,
}

/// The accounts with something due by then, so many at the most.
pub(super) fn accounts(
    conn: &mut Conn,
    transport: &str,
    until: Timestamp,
    most: usize,
) -> QueryResult<Vec<WaitingAccount>> {
    let found: Vec<WaitingRow> = diesel::sql_query(WAITING)
        .bind::<Text, _>(transport)
        .bind::<BigInt, _>(until.micros())
        .bind::<BigInt, _>(as_limit(most))
        .load(conn)?;
    let account = |WaitingRow { priority, account, due }| {
        Ok(WaitingAccount { lane: rows::priority(priority)?, account, due: Timestamp::from_micros(due) })
    };
    found.into_iter().map(account).collect()
}

/// What an account has due in a lane, the longest due first; each with whether it may go out.
pub(super) fn due(
    tx: &mut Tx<'_>,
    transport: &str,
    (lane, account): (Priority, AccountId),
    until: Timestamp,
    limit: usize,
) -> QueryResult<Vec<(DueSms, bool)>> {
    let due = sms::table
        .filter(sms::transport.eq(transport))
        .filter(sms::priority.eq(priority_number(lane)))
        .filter(sms::account.eq(account))
        .filter(sms::next_attempt_at.le(until.micros()))
        .filter(sms::claimed_by.is_null())
        .order((sms::next_attempt_at, sms::id))
        .limit(as_limit(limit))
        .select((DueSms::as_select(), may_go_out(tx.now)));
    skip_locked!(due).load(tx.conn)
}

#[derive(QueryableByName)]
struct CountedDue {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Counts along the index, and no further than the bound: diesel cannot count a limited query.
const COUNT_DUE: &str = "SELECT count(*) AS count FROM (SELECT 1 FROM sms WHERE transport = $1 AND priority = $2 \
     AND account = $3 AND next_attempt_at <= $4 AND claimed_by IS NULL LIMIT $5) AS due";

/// How many an account has due in a lane, counted up to a bound.
pub(super) fn count(
    conn: &mut Conn,
    transport: &str,
    waiting: &WaitingAccount,
    until: Timestamp,
    most: i64,
) -> QueryResult<i64> {
    let counted: CountedDue = diesel::sql_query(COUNT_DUE)
        .bind::<Text, _>(transport)
        .bind::<Integer, _>(priority_number(waiting.lane))
        .bind::<BigInt, _>(waiting.account)
        .bind::<BigInt, _>(until.micros())
        .bind::<BigInt, _>(most)
        .get_result(conn)?;
    Ok(counted.count)
}

/// Those whose lease ended by then, the earliest first.
pub(super) fn ended_leases(
    tx: &mut Tx<'_>,
    transport: &str,
    until: Timestamp,
    limit: usize,
) -> QueryResult<Vec<(DueSms, bool)>> {
    let ended = sms::table
        .filter(sms::transport.eq(transport))
        .filter(sms::next_attempt_at.le(until.micros()))
        .filter(sms::claimed_by.is_not_null())
        .order((sms::next_attempt_at, sms::id))
        .limit(as_limit(limit))
        .select((DueSms::as_select(), may_go_out(tx.now)));
    skip_locked!(ended).load(tx.conn)
}

/// What is held and may not go out any more, the earliest first.
pub(super) fn held_past_deadline(tx: &mut Tx<'_>, limit: usize) -> QueryResult<Vec<(DueSms, bool)>> {
    let held = sms::table
        .filter(sms::held_at.is_not_null())
        // Not what ended meanwhile.
        .filter(sms::status.le(i32::from(TransportStatus::UnknownMessage)))
        .filter(sms::give_up_at.le(tx.now.micros()))
        .order(sms::give_up_at)
        .limit(as_limit(limit))
        .select((DueSms::as_select(), may_go_out(tx.now)));
    skip_locked!(held).load(tx.conn)
}

/// From transport to transport along the index of what is claimed.
pub(super) fn next_claimed_transport(conn: &mut Conn, after: &str) -> QueryResult<Option<String>> {
    sms::table
        .filter(sms::next_attempt_at.is_not_null())
        .filter(sms::claimed_by.is_not_null())
        .filter(sms::transport.gt(after))
        .order(sms::transport)
        .select(sms::transport)
        .first(conn)
        .optional()
}

/// From transport to transport along the index of what waits.
pub(super) fn next_transport(conn: &mut Conn, after: &str) -> QueryResult<Option<String>> {
    sms::table
        .filter(sms::next_attempt_at.is_not_null())
        .filter(sms::claimed_by.is_null())
        .filter(sms::transport.gt(after))
        .order(sms::transport)
        .select(sms::transport)
        .first(conn)
        .optional()
}
