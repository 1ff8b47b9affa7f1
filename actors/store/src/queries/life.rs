//! The life of an SMS in the ledger: its state is read off the row, and every step is written here (`moves`). The machine
//! itself, with all of its steps, is `vumi_kit::life`.

mod levers;
pub(super) mod moves;
pub(super) mod search;

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    clock::Timestamp,
    life::{LifeEvent, RowFacts, SmsState, is_step},
    sms::{SmsId, TransportStatus},
};

use super::{Tx, receipts, rows, timeline};
use crate::schema::sms;

/// What of a row its state is read off.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
pub(super) struct LifeColumns {
    pub(super) status: i32,
    pub(super) next_attempt_at: Option<i64>,
    pub(super) claimed_by: Option<String>,
    held_at: Option<i64>,
    scheduled_at: Option<i64>,
    #[diesel(column_name = unsure)]
    pub(super) unknown_outcomes: i32,
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
            unknown_outcome: self.unknown_outcomes > 0,
        };
        Ok(SmsState::of(&facts, now))
    }
}

/// Says so where a step was taken that there is not: in tests, which play many histories.
pub(super) fn check_step(id: SmsId, from: SmsState, by: &[LifeEvent], to: SmsState) {
    debug_assert!(by.iter().any(|event| is_step(from, *event, to)), "SMS {id} went from {from} to {to} by {by:?}");
}

/// Ends an SMS as cancelled, and tells its account. Its timeline is the caller's.
pub(super) fn cancel(tx: &mut Tx<'_>, id: SmsId, reason: &str) -> QueryResult<()> {
    moves::cancel(tx, id, reason)?;
    for sms in rows::find_sms(tx.conn, &[id], tx.now)? {
        receipts::tell(tx, &sms, &[])?;
    }
    Ok(())
}

/// Ends an SMS whose person is out, and tells its account. Its timeline is the caller's.
pub(super) fn opt_out(tx: &mut Tx<'_>, id: SmsId) -> QueryResult<()> {
    moves::opt_out(tx, id)?;
    for sms in rows::find_sms(tx.conn, &[id], tx.now)? {
        receipts::tell(tx, &sms, &[])?;
    }
    Ok(())
}

/// Writes into the timelines of SMS what was done with them, all in the same words.
pub(super) fn note(tx: &mut Tx<'_>, ids: &[SmsId], what: &str, detail: &str) -> QueryResult<()> {
    timeline::add(tx, what, ids.iter().map(|id| (*id, detail.to_owned())).collect())
}
