//! Who holds what: outboxes open and close, SMS that are due are claimed, begun, given back, or expire.

use std::{collections::HashSet, sync::Arc, time::Duration};

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{ClaimSms, CloseOutbox, OpenOutbox, OpenedOutbox, ReleaseSms},
    name::Name,
    sms::{SmsId, Submission, TransportStatus},
};

use super::{
    Failed, Fixed, Tx, Write, bulk,
    permission::may_go_out,
    rows::{address, as_limit, content, msisdn, priority, segments},
};
use crate::schema::sms;

/// A claim looks past so many batches of SMS that turn out to have expired.
const ROUNDS: usize = 8;

/// What an SMS that nobody could try says of itself.
const NEVER_TRIED: &str = "not sent in time: its transport did not take it before the deadline";

impl Write for OpenOutbox {
    fn rows(&self) -> usize {
        self.capacity
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<OpenedOutbox, Failed> {
        let now = tx.now.micros();
        // All that begins with `node/`: `0` comes after `/`, and texts are compared by bytes.
        let ours = (format!("{}/", tx.rules.node), format!("{}0", tx.rules.node));
        // Claims whose lease has ended are due anyway.
        let claimed = sms::table
            .filter(sms::transport.eq(self.transport.as_str()))
            .filter(sms::next_attempt_at.gt(now))
            .filter(sms::claimed_by.ge(ours.0))
            .filter(sms::claimed_by.lt(ours.1));
        Fixed(diesel::update(claimed).set((
            sms::next_attempt_at.eq(Some(now)),
            sms::claimed_by.eq(None::<String>),
            // What was only held was not sent.
            sms::unsure.eq(sms::unsure + sms::begun),
            sms::begun.eq(0),
        )))
        .execute(tx.conn)?;
        let waiting = diesel::select(diesel::dsl::exists(
            sms::table.filter(sms::transport.eq(self.transport.as_str())).filter(sms::next_attempt_at.le(now)),
        ))
        .get_result::<bool>(tx.conn)?;
        let claim_token = tx.state.outboxes.open(&self, &tx.rules.node, waiting);
        Ok(OpenedOutbox { lease: tx.rules.lease, claim_token })
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
    begun: i32,
    give_up_at: i64,
    #[diesel(column_name = provider_said)]
    provider_response: Option<String>,
    content: String,
    udh: Option<String>,
    segments: i32,
    priority: i32,
    reference: Option<String>,
    created_at: i64,
    scheduled_at: Option<i64>,
}

impl DueSms {
    /// Whether it is to be given up earlier than one whose client asked for nothing.
    fn is_limited(&self, give_up_after: Duration) -> bool {
        let since = Timestamp::from_micros(self.scheduled_at.unwrap_or(self.created_at));
        Timestamp::from_micros(self.give_up_at) < since.plus(give_up_after)
    }
}

/// The longest due first; each with whether it may go out.
pub(super) fn due(
    tx: &mut Tx<'_>,
    transport: &str,
    until: Timestamp,
    limit: usize,
) -> QueryResult<Vec<(DueSms, bool)>> {
    let due = sms::table
        .filter(sms::transport.eq(transport))
        .filter(sms::next_attempt_at.le(until.micros()))
        .order((sms::next_attempt_at, sms::id))
        .limit(as_limit(limit))
        .select((DueSms::as_select(), may_go_out(tx.now)));
    skip_locked!(due).load(tx.conn)
}

/// As [`expire`].
pub(super) fn expire_due(tx: &mut Tx<'_>, row: DueSms) -> QueryResult<()> {
    expire(tx, row.id, row.provider_response)
}

/// Its time ran out: it ends with the last reason.
fn expire(tx: &mut Tx<'_>, id: SmsId, provider_response: Option<String>) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::status.eq(i32::from(TransportStatus::Expired)),
        sms::provider_said.eq(Some(provider_response.unwrap_or_else(|| NEVER_TRIED.to_owned()))),
        sms::next_attempt_at.eq(None::<i64>),
        sms::claimed_by.eq(None::<String>),
        sms::begun.eq(0),
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
        let claim_token = tx.state.outboxes.claim_token(&self.transport, &tx.rules.node);
        let mut claimed = Vec::new();
        for _ in 0..ROUNDS {
            let wanted = self.limit - claimed.len();
            if wanted == 0 {
                break;
            }
            let found = due(tx, self.transport.as_str(), tx.now, wanted)?;
            let all_found = found.len() < wanted;
            let mut taken = Vec::with_capacity(found.len());
            for (row, may_go_out) in found {
                taken.extend(claim(tx, &self.transport, &claim_token, row, may_go_out)?);
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

/// The claim that is to be written; none: it may not go out, and ends.
fn claim(
    tx: &mut Tx<'_>,
    transport: &Name,
    claim_token: &Arc<str>,
    row: DueSms,
    may_go_out: bool,
) -> QueryResult<Option<Submission>> {
    // Its lease ended, and its outbox lives: what became of it is known there.
    let renewed = row.claimed_by.as_deref() == Some(&**claim_token);
    let was_begun = row.begun != 0;
    if !may_go_out {
        expire_due(tx, row)?;
        if renewed {
            tx.state.outboxes.freed(transport, was_begun);
        }
        return Ok(None);
    }
    // Its holder is gone: it may have sent what it had begun, and nobody heard.
    let lost = was_begun && !renewed;
    let begun = if renewed { was_begun } else { tx.state.outboxes.claim_due(transport) };
    let limited = row.is_limited(tx.rules.give_up_after);
    Ok(Some(Submission {
        id: row.id,
        to: msisdn(&row.recipient)?,
        from: address(&row.sender)?,
        message: row.message,
        content: content(&row.content, row.udh)?,
        segments: segments(row.segments)?,
        priority: priority(row.priority)?,
        reference: row.reference,
        attempts: row.attempts,
        unknown_outcomes: row.unknown_outcomes.saturating_add(i32::from(lost)),
        due_at: row.next_attempt_at.map_or(tx.now, Timestamp::from_micros),
        lease_until: tx.lease_until(),
        give_up_at: Timestamp::from_micros(row.give_up_at),
        limited,
        begun,
        renewed,
        claim_token: claim_token.clone(),
    }))
}

/// What a held SMS is when it is to begin.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct HeldSms {
    begun: i32,
    next_attempt_at: Option<i64>,
    #[diesel(column_name = provider_said)]
    provider_response: Option<String>,
}

/// Those of a list that were marked as begun, and those that their outbox lost.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) begun: Vec<SmsId>,
    pub(super) gone: Vec<SmsId>,
}

/// Marks held SMS as begun, as many as the window allows.
pub(super) fn begin(tx: &mut Tx<'_>, transport: &Name, ids: &[SmsId]) -> QueryResult<Begun> {
    if ids.is_empty() {
        return Ok(Begun::default());
    }
    let Some(claim_token) = tx.state.outboxes.present(transport) else {
        return Ok(Begun { gone: ids.to_vec(), ..Begun::default() });
    };
    let allowed = ids.get(..tx.state.outboxes.may_begin(transport)).unwrap_or(ids);
    let begun = bulk::begin_sms(tx.conn, allowed, &claim_token, tx.now)?;
    tx.state.outboxes.began(transport, begun.len());
    let mut done = Begun { begun, gone: Vec::new() };
    if done.begun.len() < ids.len() {
        let marked: HashSet<SmsId> = done.begun.iter().copied().collect();
        for id in ids.iter().filter(|id| !marked.contains(id)) {
            match look_at_held(tx, transport, &claim_token, *id)? {
                Held::Begun => done.begun.push(*id),
                Held::Waits => {}
                Held::Gone => done.gone.push(*id),
            }
        }
    }
    Ok(done)
}

/// What an SMS is that was not marked as begun.
enum Held {
    /// It was marked before, and its outbox did not hear of it.
    Begun,
    /// The window has no place for it.
    Waits,
    /// It is not this outbox's any more.
    Gone,
}

fn look_at_held(tx: &mut Tx<'_>, transport: &Name, claim_token: &str, id: SmsId) -> QueryResult<Held> {
    let held = sms::table.find(id).filter(sms::claimed_by.eq(claim_token));
    let held = held.select((HeldSms::as_select(), may_go_out(tx.now)));
    let held: Option<(HeldSms, bool)> = for_update!(held).first(tx.conn).optional()?;
    let Some((held, may_go_out)) = held else { return Ok(Held::Gone) };
    if held.next_attempt_at.is_none() {
        // A receipt has settled it.
        let free = (sms::claimed_by.eq(None::<String>), sms::begun.eq(0));
        Fixed(diesel::update(sms::table.find(id)).set(free)).execute(tx.conn)?;
    } else if held.begun != 0 {
        return Ok(Held::Begun);
    } else if may_go_out {
        return Ok(Held::Waits);
    } else {
        expire(tx, id, held.provider_response)?;
    }
    tx.state.outboxes.freed(transport, held.begun != 0);
    Ok(Held::Gone)
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
    let held = held.filter(sms::claimed_by.eq(&*claim_token)).select((sms::next_attempt_at, sms::begun));
    let found: Option<(Option<i64>, i32)> = for_update!(held).first(tx.conn).optional()?;
    let Some((due, begun)) = found else { return Ok(()) };
    // A receipt may have settled it meanwhile.
    let due = due.map(|_| tx.now.micros());
    let free = (sms::next_attempt_at.eq(due), sms::claimed_by.eq(None::<String>), sms::begun.eq(0));
    Fixed(diesel::update(sms::table.find(id)).set(free)).execute(tx.conn)?;
    tx.state.outboxes.freed(transport, begun != 0);
    if due.is_some() {
        tx.state.outboxes.set_waiting(transport, true);
    }
    Ok(())
}
