//! The time line of what waits in an SQLite file. A process goes on by the time that really passes, whoever sets the
//! machine's clock; the next process takes the machine's clock as it is then, and moves what waits by as much as it was set.

use diesel::{connection::SimpleConnection, prelude::*};
use vumi_kit::clock::{Clock, ClockJump, boot_id};

use super::Conn;
use crate::{dialect::LEDGER_CLOCK_ROW, schema::ledger_clock};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = ledger_clock)]
struct TimeLine {
    id: i64,
    boot: String,
    began_at: i64,
    seen_at: i64,
}

/// Begins with the machine's clock. Answers by how much it was set since the last process of this file wrote.
pub(crate) fn take_up(conn: &mut Conn, clock: &Clock) -> QueryResult<Option<ClockJump>> {
    clock.begin_at(clock.wall());
    let now = clock.now().micros();
    let line = TimeLine {
        id: LEDGER_CLOCK_ROW,
        boot: boot_id().unwrap_or_default(),
        began_at: now - clock.elapsed(),
        seen_at: now,
    };
    conn.transaction(|conn| {
        let before: Option<TimeLine> =
            ledger_clock::table.find(LEDGER_CLOCK_ROW).select(TimeLine::as_select()).first(conn).optional()?;
        let jump = before.and_then(|before| jump(&before, &line));
        if let Some(jump) = jump {
            move_deadlines(conn, jump)?;
        }
        diesel::delete(ledger_clock::table).execute(conn)?;
        diesel::insert_into(ledger_clock::table).values(&line).execute(conn)?;
        Ok(jump)
    })
}

/// Since the same start of the machine, its own clock tells how much time passed. Over another one, only a clock that went
/// back is known to have been set.
fn jump(before: &TimeLine, now: &TimeLine) -> Option<ClockJump> {
    let set_by = if before.boot == now.boot && !now.boot.is_empty() {
        now.began_at - before.began_at
    } else {
        (now.seen_at - before.seen_at).min(0)
    };
    ClockJump::of(set_by)
}

/// What waits goes on waiting for as long as it would have; a receipt that comes before an answer is younger than its SMS.
fn move_deadlines(conn: &mut Conn, jump: ClockJump) -> QueryResult<()> {
    let by = jump.micros();
    conn.batch_execute(&format!(
        "UPDATE sms SET next_attempt_at = next_attempt_at + {by}, give_up_at = give_up_at + {by}, \
         created_at = created_at + {by} \
         WHERE next_attempt_at IS NOT NULL; \
         UPDATE received_sms SET route_at = route_at + {by} WHERE route_at IS NOT NULL; \
         UPDATE callback_deliveries SET next_attempt_at = next_attempt_at + {by}, created_at = created_at + {by} \
         WHERE next_attempt_at IS NOT NULL; \
         UPDATE received_parts SET created_at = created_at + {by} WHERE received IS NULL; \
         UPDATE receipts SET received_at = received_at + {by} WHERE sms IS NULL; \
         UPDATE sessions SET expires_at = expires_at + {by}; \
         UPDATE idempotency_keys SET expires_at = expires_at + {by}"
    ))
}
