//! Who holds what: outboxes open and close, SMS that are due are claimed, begun, given back, or expire.

use std::{collections::HashSet, sync::Arc, time::Duration};

use diesel::{dsl::not, prelude::*};
use vumi_kit::{
    account::AccountId,
    clock::Timestamp,
    ledger::{ClaimSms, CloseOutbox, OpenOutbox, OpenedOutbox, ReleaseSms},
    levers::{ACCOUNT_STOPPED, Lever},
    name::Name,
    sms::{SmsId, Submission},
};

use super::{
    Failed, Tx, Write, consent,
    fair_claims::FairClaim,
    life::{self, moves},
    parts,
    permission::may_go_out,
    rows::{address, content, msisdn, name, priority, segments},
    waiting,
};
use crate::schema::sms;

impl Write for OpenOutbox {
    fn rows(&self) -> usize {
        self.capacity
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<OpenedOutbox, Failed> {
        moves::return_all(tx, &self.transport)?;
        let waiting = !waiting::accounts(tx.conn, self.transport.as_str(), tx.now, 1)?.is_empty();
        tx.state.fair_shares.look_again(&self.transport);
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
    account: i64,
}

impl DueSms {
    /// Whether its time has run out.
    pub(super) const fn is_over(&self, now: Timestamp) -> bool {
        self.give_up_at <= now.micros()
    }

    /// Whether it is to be given up earlier than one whose client asked for nothing.
    fn is_limited(&self, give_up_after: Duration) -> bool {
        let since = Timestamp::from_micros(self.scheduled_at.unwrap_or(self.created_at));
        Timestamp::from_micros(self.give_up_at) < since.plus(give_up_after)
    }
}

impl DueSms {
    /// The segments that it counts.
    pub(super) fn segments(&self) -> i64 {
        self.segments.max(1).into()
    }
}

/// It may not go out: its time ran out, and it ends with the last reason; or its account is stopped; or its person is out.
pub(super) fn end_due(tx: &mut Tx<'_>, row: DueSms) -> QueryResult<()> {
    end(tx, row.id, (row.account, row.give_up_at), row.provider_response)
}

fn end(
    tx: &mut Tx<'_>,
    id: SmsId,
    (account, give_up_at): (AccountId, i64),
    provider_response: Option<String>,
) -> QueryResult<()> {
    if give_up_at <= tx.now.micros() {
        return moves::expire(tx, id, provider_response);
    }
    if tx.is_stopped(account)? {
        life::cancel(tx, id, ACCOUNT_STOPPED)?;
        return life::note(tx, &[id], Lever::Cancel.done(), ACCOUNT_STOPPED);
    }
    consent::end(tx, id)
}

/// Ends what a transport holds for these people, has not begun and may not begin. Answers how many.
pub(super) fn end_unbegun(tx: &mut Tx<'_>, transport: &str, people: &[&str]) -> QueryResult<usize> {
    let held = sms::table
        .filter(sms::transport.eq(transport))
        // Told so that the index of what is claimed holds them.
        .filter(sms::next_attempt_at.gt(i64::MIN))
        .filter(sms::claimed_by.is_not_null())
        .filter(sms::begun.lt(1))
        .filter(among!(sms::recipient, "sms.recipient", people))
        .filter(not(may_go_out(tx.now)))
        .select(DueSms::as_select());
    let held: Vec<DueSms> = for_update!(held).load(tx.conn)?;
    let (count, transport) = (held.len(), name(transport)?);
    for row in held {
        let ours = row.claimed_by.as_deref() == tx.state.outboxes.present(&transport).as_deref();
        end_due(tx, row)?;
        if ours {
            tx.state.outboxes.freed(&transport, false);
        }
    }
    Ok(count)
}

impl Write for ClaimSms {
    fn rows(&self) -> usize {
        self.limit
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<Submission>, Failed> {
        let claim_token = tx.state.outboxes.claim_token(&self.transport, &tx.rules.node);
        tx.state.outboxes.set_capacity(&self.transport, self.capacity);
        let mut claimed = FairClaim::new(&self.transport, &claim_token, self.limit).run(tx)?;
        parts::bring_taken(tx, &self.transport, &mut claimed)?;
        Ok(claimed)
    }
}

/// The claim that is to be written; none: it may not go out, and ends.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    transport: &Name,
    claim_token: &Arc<str>,
    row: DueSms,
    may_go_out: bool,
) -> QueryResult<Option<Submission>> {
    // Its lease ended, and its outbox lives: what became of it is known there.
    let renewed = row.claimed_by.as_deref() == Some(&**claim_token);
    let was_begun = row.begun != 0;
    // What has begun goes out all the same, unless its time has run out.
    let goes_on = may_go_out || (renewed && was_begun && row.give_up_at > tx.now.micros());
    if !goes_on {
        end_due(tx, row)?;
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
        parts: Vec::new(),
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
    account: i64,
    begun: i32,
    give_up_at: i64,
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
    let begun = moves::begin(tx, allowed, &claim_token)?;
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
        moves::return_one(tx, id, None)?;
    } else if held.begun != 0 {
        return Ok(Held::Begun);
    } else if may_go_out {
        return Ok(Held::Waits);
    } else {
        end(tx, id, (held.account, held.give_up_at), held.provider_response)?;
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
    moves::return_one(tx, id, due)?;
    tx.state.outboxes.freed(transport, begun != 0);
    if due.is_some() {
        tx.state.outboxes.set_waiting(transport, true);
        tx.state.fair_shares.look_again(transport);
    }
    Ok(())
}
