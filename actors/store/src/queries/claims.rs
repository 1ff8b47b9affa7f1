//! Who holds what: outboxes open and close, SMS that are due are claimed, given back, or expire.

use std::{sync::Arc, time::Duration};

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{ClaimSms, CloseOutbox, OpenOutbox, ReleaseSms},
    name::Name,
    sms::{SmsId, Submission, TransportStatus},
};

use super::{
    Failed, Fixed, Tx, Write, bulk,
    rows::{as_limit, msisdn},
};
use crate::schema::sms;

/// A claim looks past so many batches of SMS that turn out to have expired.
const ROUNDS: usize = 8;

/// What an SMS that nobody could try says of itself.
const NEVER_TRIED: &str = "not sent in time: its transport did not take it before the deadline";

impl Write for OpenOutbox {
    fn write(self, tx: &mut Tx<'_>) -> Result<Duration, Failed> {
        let now = tx.now.micros();
        // All that begins with `node/`: `0` comes after `/`, and texts are compared by bytes.
        let ours = (format!("{}/", tx.rules.node), format!("{}0", tx.rules.node));
        // Claims whose lease has ended are due anyway.
        let claimed = sms::table
            .filter(sms::transport.eq(self.transport.as_str()))
            .filter(sms::next_attempt_at.gt(now))
            .filter(sms::claimed_by.ge(ours.0))
            .filter(sms::claimed_by.lt(ours.1))
            .select(sms::id);
        let claimed: Vec<SmsId> = for_update!(claimed).load(tx.conn)?;
        for id in claimed {
            Fixed(diesel::update(sms::table.find(id)).set((
                sms::next_attempt_at.eq(Some(now)),
                sms::claimed_by.eq(None::<String>),
                sms::unsure.eq(sms::unsure + 1),
            )))
            .execute(tx.conn)?;
        }
        let waiting = diesel::select(diesel::dsl::exists(
            sms::table.filter(sms::transport.eq(self.transport.as_str())).filter(sms::next_attempt_at.le(now)),
        ))
        .get_result::<bool>(tx.conn)?;
        tx.state.outboxes.open(&self.transport, &tx.rules.node, tx.now, self.capacity, waiting);
        Ok(tx.rules.lease)
    }
}

impl Write for CloseOutbox {
    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        tx.state.outboxes.close(&self.transport);
        Ok(())
    }
}

/// An SMS that is due.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
pub(super) struct DueSms {
    id: i64,
    recipient: String,
    sender: String,
    message: String,
    attempts: i32,
    #[diesel(column_name = unsure)]
    unknown_outcomes: i32,
    next_attempt_at: Option<i64>,
    claimed_by: Option<String>,
    give_up_at: i64,
    #[diesel(column_name = provider_said)]
    provider_response: Option<String>,
}

/// The longest due first.
pub(super) fn due(tx: &mut Tx<'_>, transport: &str, until: Timestamp, limit: usize) -> QueryResult<Vec<DueSms>> {
    let due = sms::table
        .filter(sms::transport.eq(transport))
        .filter(sms::next_attempt_at.le(until.micros()))
        .order((sms::next_attempt_at, sms::id))
        .limit(as_limit(limit))
        .select(DueSms::as_select());
    skip_locked!(due).load(tx.conn)
}

/// Its time ran out: it ends with the last reason.
pub(super) fn expire(tx: &mut Tx<'_>, row: DueSms) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(row.id)).set((
        sms::status.eq(i32::from(TransportStatus::Expired)),
        sms::provider_said.eq(Some(row.provider_response.unwrap_or_else(|| NEVER_TRIED.to_owned()))),
        sms::next_attempt_at.eq(None::<i64>),
        sms::claimed_by.eq(None::<String>),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)
    .map(drop)
}

impl Write for ClaimSms {
    fn rows(&self) -> usize {
        self.limit
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<Submission>, Failed> {
        let claim_token = tx.state.outboxes.claim_token(&self.transport, &tx.rules.node, tx.now);
        let mut claimed = Vec::new();
        for _ in 0..ROUNDS {
            let wanted = self.limit - claimed.len();
            if wanted == 0 {
                break;
            }
            let found = due(tx, self.transport.as_str(), tx.now, wanted)?;
            let all_found = found.len() < wanted;
            let mut taken = Vec::with_capacity(found.len());
            for row in found {
                taken.extend(claim(tx, &self.transport, &claim_token, row)?);
            }
            bulk::claim_sms(tx.conn, &taken, &claim_token)?;
            claimed.append(&mut taken);
            if all_found {
                tx.state.outboxes.set_waiting(&self.transport, false);
                break;
            }
        }
        Ok(claimed)
    }
}

/// The claim that is to be written; none: its time had run out.
fn claim(tx: &mut Tx<'_>, transport: &Name, claim_token: &Arc<str>, row: DueSms) -> QueryResult<Option<Submission>> {
    let counted = row.claimed_by.as_deref() == Some(&**claim_token);
    if row.give_up_at <= tx.now.micros() {
        expire(tx, row)?;
        tx.state.outboxes.freed(transport, usize::from(counted));
        return Ok(None);
    }
    // A claim that ran out: its holder may have tried, and nobody heard.
    let unknown_outcomes = row.unknown_outcomes.saturating_add(i32::from(row.claimed_by.is_some()));
    let lease_until = tx.lease_until();
    tx.state.outboxes.taken(transport, usize::from(!counted));
    Ok(Some(Submission {
        id: row.id,
        to: msisdn(&row.recipient)?,
        from: msisdn(&row.sender)?,
        message: row.message,
        attempts: row.attempts,
        unknown_outcomes,
        due_at: row.next_attempt_at.map_or(tx.now, Timestamp::from_micros),
        lease_until,
        give_up_at: Timestamp::from_micros(row.give_up_at),
    }))
}

impl Write for ReleaseSms {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        for id in self.ids {
            release(tx, &self.transport, id)?;
        }
        Ok(())
    }
}

/// Only what is claimed under the present claim_token: what an earlier one held was given back when this one began.
fn release(tx: &mut Tx<'_>, transport: &Name, id: SmsId) -> QueryResult<()> {
    let Some(claim_token) = tx.state.outboxes.present(transport) else { return Ok(()) };
    let held = sms::table.find(id).filter(sms::transport.eq(transport.as_str()));
    let held = held.filter(sms::claimed_by.eq(&*claim_token)).select(sms::next_attempt_at);
    let Some(due) = for_update!(held).first::<Option<i64>>(tx.conn).optional()? else { return Ok(()) };
    // A receipt may have settled it meanwhile.
    let due = due.map(|_| tx.now.micros());
    Fixed(diesel::update(sms::table.find(id)).set((sms::next_attempt_at.eq(due), sms::claimed_by.eq(None::<String>))))
        .execute(tx.conn)?;
    tx.state.outboxes.freed(transport, 1);
    if due.is_some() {
        tx.state.outboxes.set_waiting(transport, true);
    }
    Ok(())
}
