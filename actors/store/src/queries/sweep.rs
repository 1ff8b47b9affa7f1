//! What goes with time, in bounded pieces: expired sessions and idempotency keys, SMS that no transport asks for,
//! receipts that matched nothing, parts of SMS whose others did not come, deliveries that no callback wants.
//! And what an earlier process left claimed.

use diesel::prelude::*;

use super::{
    Failed, Fixed, Tx, Write, audit,
    claims::{self, DueSms},
    ledger_clock, parked, receipts, received_parts, rows, waiting,
};
use crate::{
    schema::{callback_deliveries, idempotency_keys, received_sms, sessions, sms},
    writer::commands::{Sweep, TakeOver},
};

/// Rows that one piece looks at, of each kind.
const PIECE: usize = 1000;

impl Write for Sweep {
    fn rows(&self) -> usize {
        PIECE
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        recount(tx)?;
        ledger_clock::write_seen(tx)?;
        let swept = sweep_sessions(tx)?
            + sweep_keys(tx)?
            + expire_unasked(tx)?
            + receipts::sweep_unmatched(tx, PIECE)?
            + received_parts::hand_on_incomplete(tx)?
            + received_parts::sweep_joined(tx, PIECE)?
            + parked::sweep(tx)?
            + audit::sweep(tx, PIECE)?;
        Ok(swept >= PIECE / 2)
    }
}

/// What another process has taken over or settled since is nothing we still hold.
fn recount(tx: &mut Tx<'_>) -> QueryResult<()> {
    for (transport, claim_token) in tx.state.outboxes.claim_tokens() {
        let held: Vec<i32> = sms::table
            .filter(sms::transport.eq(transport.as_str()))
            .filter(sms::next_attempt_at.gt(tx.now.micros()))
            .filter(sms::claimed_by.eq(&*claim_token))
            .select(sms::begun)
            .load(tx.conn)?;
        let begun = held.iter().filter(|begun| **begun != 0).count();
        tx.state.outboxes.recounted(&transport, held.len(), begun);
    }
    Ok(())
}

/// Walks through the table from where it was, rather than keep an index that every save would change.
fn sweep_sessions(tx: &mut Tx<'_>) -> QueryResult<usize> {
    let (owner, person) = std::mem::take(&mut tx.state.swept_to);
    let after = sessions::owner.gt(&owner).or(sessions::owner.eq(&owner).and(sessions::person.gt(&person)));
    let seen: Vec<(String, String, i64)> = sessions::table
        // Told twice: only a plain bound on the key's first column is a bound on the walk.
        .filter(sessions::owner.ge(&owner))
        .filter(after)
        .order((sessions::owner, sessions::person))
        .limit(rows::as_limit(PIECE))
        .select((sessions::owner, sessions::person, sessions::expires_at))
        .load(tx.conn)?;
    if seen.len() == PIECE
        && let Some((owner, person, _)) = seen.last()
    {
        tx.state.swept_to = (owner.clone(), person.clone());
    }
    let Some((last_owner, last_person, _)) = seen.last() else { return Ok(0) };
    if seen.iter().all(|(.., expires_at)| *expires_at >= tx.now.micros()) {
        return Ok(0);
    }
    let up_to = sessions::owner.lt(last_owner).or(sessions::owner.eq(last_owner).and(sessions::person.le(last_person)));
    let after = sessions::owner.gt(&owner).or(sessions::owner.eq(&owner).and(sessions::person.gt(&person)));
    let seen = sessions::table.filter(sessions::owner.ge(&owner)).filter(after);
    let seen = seen.filter(sessions::owner.le(last_owner)).filter(up_to);
    // As they are now: another process may have saved one meanwhile.
    diesel::delete(seen.filter(sessions::expires_at.lt(tx.now.micros()))).execute(tx.conn)
}

fn sweep_keys(tx: &mut Tx<'_>) -> QueryResult<usize> {
    let now = tx.now.micros();
    let last: Option<i64> = idempotency_keys::table
        .filter(idempotency_keys::expires_at.le(now))
        .order(idempotency_keys::expires_at)
        .offset(rows::as_limit(PIECE))
        .select(idempotency_keys::expires_at)
        .first(tx.conn)
        .optional()?;
    let piece = idempotency_keys::table.filter(idempotency_keys::expires_at.le(last.unwrap_or(now)));
    diesel::delete(piece).execute(tx.conn)
}

/// SMS that have been due for as long as an SMS is tried at all are past their deadline: their transport is gone,
/// since one that runs claims them. And what is held past its deadline.
fn expire_unasked(tx: &mut Tx<'_>) -> QueryResult<usize> {
    let until = tx.now.minus(tx.rules.give_up_after);
    let (mut after, mut expired) = (String::new(), 0);
    while expired < PIECE {
        let Some(transport) = waiting::next_transport(tx.conn, &after)? else { break };
        for account in waiting::accounts(tx.conn, &transport, until, PIECE)? {
            let due = waiting::due(tx, &transport, (account.lane, account.account), until, PIECE - expired)?;
            expired += expire(tx, due)?;
        }
        after = transport;
    }
    let mut after = String::new();
    while expired < PIECE {
        let Some(transport) = waiting::next_claimed_transport(tx.conn, &after)? else { break };
        let ended = waiting::ended_leases(tx, &transport, until, PIECE - expired)?;
        expired += expire(tx, ended)?;
        after = transport;
    }
    let held = waiting::held_past_deadline(tx, PIECE.saturating_sub(expired))?;
    Ok(expired + expire(tx, held)?)
}

fn expire(tx: &mut Tx<'_>, due: Vec<(DueSms, bool)>) -> QueryResult<usize> {
    let count = due.len();
    for (row, _) in due {
        claims::expire_due(tx, row)?;
    }
    Ok(count)
}

impl Write for TakeOver {
    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        let now = Some(tx.now.micros());
        let routing = received_sms::table
            .filter(received_sms::route_at.gt(tx.now.micros()))
            .filter(received_sms::claimed_by.eq(&tx.rules.node));
        Fixed(
            diesel::update(routing).set((received_sms::route_at.eq(now), received_sms::claimed_by.eq(None::<String>))),
        )
        .execute(tx.conn)?;
        let posting = callback_deliveries::table
            .filter(callback_deliveries::claimed_by.eq(&tx.rules.node))
            .filter(callback_deliveries::next_attempt_at.is_not_null());
        Fixed(
            diesel::update(posting).set((
                callback_deliveries::next_attempt_at.eq(now),
                callback_deliveries::claimed_by.eq(None::<String>),
            )),
        )
        .execute(tx.conn)?;
        Ok(())
    }
}
