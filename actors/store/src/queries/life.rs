//! The steps of an SMS's life that somebody takes from outside: hold, release, cancel, send again; and how SMS are found for
//! them. The machine itself, with all of its steps, is `vumi_kit::life`.

mod levers;
mod search;

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    clock::Timestamp,
    life::{RowFacts, SmsState},
    sms::{SmsId, TransportStatus},
};

use super::{Tx, rows};
use crate::schema::{sms, sms_events};

/// What of a row its state is read off.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
pub(super) struct LifeColumns {
    status: i32,
    next_attempt_at: Option<i64>,
    claimed_by: Option<String>,
    held_at: Option<i64>,
    scheduled_at: Option<i64>,
    unsure: i32,
}

impl LifeColumns {
    pub(super) fn status(&self) -> Result<TransportStatus, Error> {
        rows::status(self.status)
    }

    pub(super) fn scheduled_at(&self) -> Option<Timestamp> {
        self.scheduled_at.map(Timestamp::from_micros)
    }

    pub(super) fn state(&self, now: Timestamp) -> Result<SmsState, Error> {
        let facts = RowFacts {
            status: self.status()?,
            next_attempt_at: self.next_attempt_at.map(Timestamp::from_micros),
            claimed: self.claimed_by.is_some(),
            held: self.held_at.is_some(),
            scheduled_at: self.scheduled_at(),
            unknown_outcome: self.unsure > 0,
        };
        Ok(SmsState::of(&facts, now))
    }
}

/// Writes into the timelines of SMS what was done with them.
pub(super) fn note(tx: &mut Tx<'_>, ids: &[SmsId], what: &str, detail: &str) -> QueryResult<()> {
    let at = tx.now.micros();
    let event = |id: &SmsId| {
        (sms_events::sms.eq(*id), sms_events::at.eq(at), sms_events::what.eq(what), sms_events::detail.eq(detail))
    };
    let events: Vec<_> = ids.iter().map(event).collect();
    if events.is_empty() {
        return Ok(());
    }
    diesel::insert_into(sms_events::table).values(&events).execute(tx.conn).map(drop)
}
