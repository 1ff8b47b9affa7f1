//! Levers: SMS are held, released, cancelled and sent again. What is claimed and has not begun is taken back in the same
//! transaction: its outbox finds it gone when it wants to begin it.

use std::time::Duration;

use diesel::prelude::*;
use vumi_kit::{
    audit::AuditEvent,
    clock::Timestamp,
    levers::{CancelResult, CancelSms, Lever, PullLever, PulledLever},
    life::{self, SmsState},
    sms::SmsId,
};

use super::{
    super::{Failed, Tx, Write, audit, parts, rows},
    LifeColumns, moves, note,
};
use crate::schema::sms;

/// What a client's own cancellation says of itself.
const BY_ITS_CLIENT: &str = "cancelled by its client";

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct LeverRow {
    id: SmsId,
    transport: String,
    begun: i32,
    created_at: i64,
    give_up_at: i64,
    route: Option<String>,
    text_removed_at: Option<i64>,
    #[diesel(embed)]
    life: LifeColumns,
}

/// What came of a lever for one SMS.
enum Pulled {
    Done,
    /// It is going out at this moment.
    Begun,
    /// Its state does not allow it.
    NotAllowed(SmsState),
}

impl Write for PullLever {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<PulledLever, Failed> {
        let ids = self.ids.get(..Self::MOST).unwrap_or(&self.ids);
        let found: Vec<LeverRow> = find_all!(sms::table.select(LeverRow::as_select()), sms::id, ids.to_vec(), tx.conn);
        let (mut pulled, mut done) = (PulledLever::default(), Vec::new());
        for row in found {
            match pull(tx, self.lever, &row, &self.reason)? {
                Pulled::Done => done.push(row.id),
                Pulled::Begun => pulled.begun += 1,
                Pulled::NotAllowed(_) => pulled.not_allowed += 1,
            }
        }
        note(tx, &done, self.lever.done(), &self.reason)?;
        Ok(PulledLever { done: done.len(), ..pulled })
    }
}

impl Write for CancelSms {
    fn write(self, tx: &mut Tx<'_>) -> Result<Option<CancelResult>, Failed> {
        let its = sms::table.find(self.id).filter(sms::account.eq(self.account)).select(LeverRow::as_select());
        let found: Option<LeverRow> = for_update!(its).first(tx.conn).optional()?;
        let asked_for = |row: &LeverRow| match &self.transport {
            Some(transport) => row.transport == transport.as_str(),
            None => row.route.is_some(),
        };
        let Some(row) = found.filter(asked_for) else { return Ok(None) };
        Ok(Some(match pull(tx, Lever::Cancel, &row, BY_ITS_CLIENT)? {
            Pulled::Done => {
                note(tx, &[row.id], Lever::Cancel.done(), BY_ITS_CLIENT)?;
                audit::note_of_account(tx, self.account, AuditEvent::Cancelled, &format!("SMS {}", row.id))?;
                cancelled(tx, row.id)?
            }
            Pulled::NotAllowed(SmsState::Cancelled) => cancelled(tx, row.id)?,
            Pulled::Begun => CancelResult::Begun,
            Pulled::NotAllowed(state) => CancelResult::TooLate(state),
        }))
    }
}

fn cancelled(tx: &mut Tx<'_>, id: SmsId) -> QueryResult<CancelResult> {
    let mut found = rows::find_sms(tx.conn, &[id], tx.now)?;
    found.pop().map(|sms| CancelResult::Cancelled(Box::new(sms))).ok_or(diesel::result::Error::NotFound)
}

fn pull(tx: &mut Tx<'_>, lever: Lever, row: &LeverRow, reason: &str) -> QueryResult<Pulled> {
    let state = row.life.state(tx.now)?;
    if !life::allows(state, lever.event()) {
        return Ok(Pulled::NotAllowed(state));
    }
    // What nobody keeps any more can't be sent again.
    if lever == Lever::Resend && row.text_removed_at.is_some() {
        return Ok(Pulled::NotAllowed(state));
    }
    if state == SmsState::Claimed && row.begun != 0 {
        return Ok(Pulled::Begun);
    }
    match lever {
        Lever::Hold => hold(tx, row, reason)?,
        Lever::Release => release(tx, row)?,
        Lever::Cancel => cancel(tx, row, reason)?,
        Lever::Resend => resend(tx, row)?,
    }
    Ok(Pulled::Done)
}

fn hold(tx: &mut Tx<'_>, row: &LeverRow, reason: &str) -> QueryResult<()> {
    moves::hold(tx, row.id, reason)?;
    taken_back(tx, row)
}

fn release(tx: &mut Tx<'_>, row: &LeverRow) -> QueryResult<()> {
    let now = tx.now.micros();
    let due = row.life.scheduled_at().map_or(now, |at| at.micros().max(now));
    moves::release(tx, row.id, due)?;
    waits_again(tx, row)
}

fn cancel(tx: &mut Tx<'_>, row: &LeverRow, reason: &str) -> QueryResult<()> {
    super::cancel(tx, row.id, reason)?;
    taken_back(tx, row)
}

/// With as much time as it had. Its parts' earlier failures say nothing of what is sent now; their ids are still known.
fn resend(tx: &mut Tx<'_>, row: &LeverRow) -> QueryResult<()> {
    let had = row.give_up_at.saturating_sub(row.life.scheduled_at().map_or(row.created_at, Timestamp::micros));
    let had = Duration::from_micros(u64::try_from(had).unwrap_or(0)).min(tx.rules.give_up_after);
    moves::resend(tx, row.id, had)?;
    parts::forget_statuses(tx, row.id)?;
    waits_again(tx, row)
}

/// Its outbox has a place more, if this process has it.
fn taken_back(tx: &mut Tx<'_>, row: &LeverRow) -> QueryResult<()> {
    let transport = rows::name(&row.transport)?;
    if row.life.claimed_by.is_some()
        && row.life.claimed_by.as_deref() == tx.state.outboxes.present(&transport).as_deref()
    {
        tx.state.outboxes.freed(&transport, false);
    }
    Ok(())
}

fn waits_again(tx: &mut Tx<'_>, row: &LeverRow) -> QueryResult<()> {
    let transport = rows::name(&row.transport)?;
    tx.state.outboxes.set_waiting(&transport, true);
    tx.state.fair_shares.look_again(&transport);
    Ok(())
}
