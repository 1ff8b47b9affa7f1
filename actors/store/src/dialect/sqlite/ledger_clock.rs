//! The time line of what waits in an SQLite file. A process goes on by the time that really passes, whoever sets the
//! machine's clock; the next process takes the machine's clock as it is then, and moves what waits by as much as it was set.

use diesel::{connection::SimpleConnection, prelude::*};
use vumi_kit::clock::{Clock, ClockJump, Timestamp, boot_id};

use super::Conn;
use crate::{dialect::LEDGER_CLOCK_ROW, schema::ledger_clock, writer::config::REPEATED_WITHIN};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = ledger_clock)]
struct TimeLine {
    id: i64,
    boot: String,
    began_at: i64,
    seen_at: i64,
    seen_wall: Option<i64>,
}

/// Begins with the machine's clock. Answers by how much it was set since the last process of this file wrote.
pub(crate) fn take_up(conn: &mut Conn, clock: &Clock) -> QueryResult<Option<ClockJump>> {
    clock.begin_at(clock.wall());
    let line = TimeLine::beginning(clock);
    conn.transaction(|conn| {
        let before = last(conn)?;
        let jump = before.as_ref().and_then(|before| jump(before, &line));
        if let (Some(jump), Some(before)) = (jump, before) {
            move_times(conn, jump, before.seen_at)?;
        }
        diesel::delete(ledger_clock::table).execute(conn)?;
        diesel::insert_into(ledger_clock::table).values(&line).execute(conn)?;
        Ok(jump)
    })
}

/// Has a command that runs beside the router, or between two of its runs, keep the router's time: what it writes is moved by
/// the next start together with what the router wrote.
pub(crate) fn follow(conn: &mut Conn, clock: &Clock) -> QueryResult<()> {
    clock.begin_at(clock.wall());
    let now = TimeLine::beginning(clock);
    if let Some(jump) = last(conn)?.and_then(|before| jump(&before, &now)) {
        clock.begin_at(Timestamp::from_micros(now.seen_at - jump.micros()));
    }
    Ok(())
}

impl TimeLine {
    /// That of a process which begins now, with the machine's clock.
    fn beginning(clock: &Clock) -> Self {
        let now = clock.now().micros();
        Self {
            id: LEDGER_CLOCK_ROW,
            boot: boot_id().unwrap_or_default(),
            began_at: now - clock.elapsed(),
            seen_at: now,
            seen_wall: Some(now),
        }
    }
}

/// That of the last process.
fn last(conn: &mut Conn) -> QueryResult<Option<TimeLine>> {
    ledger_clock::table.find(LEDGER_CLOCK_ROW).select(TimeLine::as_select()).first(conn).optional()
}

/// Since the same start of the machine, its own clock tells how much time passed. Over another one, the clock is known to
/// have been set as far as the last process saw it, and where it went back.
fn jump(before: &TimeLine, now: &TimeLine) -> Option<ClockJump> {
    let set_by = if before.boot == now.boot && !now.boot.is_empty() {
        now.began_at - before.began_at
    } else {
        let seen_wall = before.seen_wall.unwrap_or(before.seen_at);
        (seen_wall - before.seen_at) + (now.seen_at - seen_wall).min(0)
    };
    ClockJump::of(set_by)
}

/// What waits goes on waiting for as long as it would have; a receipt that comes before an answer is younger than its SMS;
/// what a client has scheduled keeps the moment that the client named; what a person wrote is known again for as long as its provider may repeat it. `seen_at` is the last time before the jump.
fn move_times(conn: &mut Conn, jump: ClockJump, seen_at: i64) -> QueryResult<()> {
    let by = jump.micros();
    let repeated_since = Timestamp::from_micros(seen_at).minus(REPEATED_WITHIN).micros();
    conn.batch_execute(&format!(
        "UPDATE sms SET next_attempt_at = next_attempt_at + {by}, give_up_at = give_up_at + {by}, \
         created_at = created_at + {by} \
         WHERE next_attempt_at IS NOT NULL AND (scheduled_at IS NULL OR scheduled_at <> next_attempt_at); \
         UPDATE sms SET give_up_at = give_up_at + {by} WHERE held_at IS NOT NULL AND next_attempt_at IS NULL; \
         UPDATE received_sms SET route_at = route_at + {by} WHERE route_at IS NOT NULL; \
         UPDATE callback_deliveries SET next_attempt_at = next_attempt_at + {by}, created_at = created_at + {by} \
         WHERE next_attempt_at IS NOT NULL; \
         UPDATE received_parts SET created_at = created_at + {by}; \
         UPDATE received_sms SET created_at = created_at + {by} WHERE created_at > {repeated_since} AND id > \
         coalesce((SELECT id FROM received_sms WHERE created_at <= {repeated_since} ORDER BY id DESC LIMIT 1), 0); \
         UPDATE receipts SET received_at = received_at + {by} WHERE sms IS NULL; \
         UPDATE sessions SET expires_at = expires_at + {by}; \
         UPDATE idempotency_keys SET expires_at = expires_at + {by}"
    ))
}
