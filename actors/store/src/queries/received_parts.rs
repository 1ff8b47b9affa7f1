//! Parts of SMS from people: kept until all of them are there, in whatever order they come, then put together and
//! received as one SMS. What waits too long for the rest is received as far as it is there.

use std::time::Duration;

use diesel::prelude::*;
use tracing::info;
use vumi_kit::{
    account::AccountId,
    clock::Timestamp,
    name::Name,
    sms::{InboundPart, InboundSms, Received},
};

use super::{
    Fixed, Tx, received,
    rows::{self, NOBODY, ReceivedRow, as_limit},
};
use crate::{
    schema::{received_parts, received_sms},
    writer::config::REPEATED_WITHIN,
};

/// SMS that one sweep hands on incomplete.
const MOST_HANDED_ON: usize = 100;

/// Parts of one number that are compared with a new one.
const MOST_COMPARED: usize = 16;

/// What the parts of one SMS have in common, as a transaction's name for it.
pub(super) fn lock_key(transport: &Name, sms: &InboundSms, part: &InboundPart) -> String {
    format!("parts {transport} {} {} {}", sms.from.as_str(), sms.to.as_str(), part.reference)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = received_parts)]
struct ReceivedPartRow {
    id: i64,
    account: AccountId,
    transport: String,
    sender: String,
    recipient: String,
    reference: String,
    total: i32,
    part: i32,
    message: String,
    charset: Option<String>,
    provider_id: Option<String>,
    at: Option<i64>,
    received: Option<i64>,
}

/// What tells the parts of one SMS from those of others.
struct PartSet {
    transport: String,
    sender: String,
    recipient: String,
    reference: String,
    total: i32,
}

/// The rows of a set. Parts of earlier SMS with the same reference are among them.
macro_rules! of_set {
    ($set:expr) => {
        received_parts::table
            .filter(received_parts::transport.eq(&$set.transport))
            .filter(received_parts::sender.eq(&$set.sender))
            .filter(received_parts::recipient.eq(&$set.recipient))
            .filter(received_parts::reference.eq(&$set.reference))
            .filter(received_parts::total.eq($set.total))
    };
}

/// Keeps a part. Answers the SMS once it is whole, and where a part of one is repeated.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    owner: Option<AccountId>,
    transport: &Name,
    sms: InboundSms,
    part: &InboundPart,
) -> QueryResult<Option<Received>> {
    let set = PartSet {
        transport: transport.to_string(),
        sender: sms.from.as_str().to_owned(),
        recipient: sms.to.as_str().to_owned(),
        reference: part.reference.clone(),
        total: part.total.into(),
    };
    let number = i32::from(part.number);
    let wait = part.waits.unwrap_or(tx.rules.join_parts_within);
    if let Some(before) = repeated(tx, &set, (number, wait), &sms)? {
        let whole = before.received.map(|id| received_sms::table.find(id).select(ReceivedRow::as_select()));
        return whole.map(|row| row.first::<ReceivedRow>(tx.conn)?.into_received(true)).transpose();
    }
    let waiting = waiting(tx, &set)?;
    let taken = waiting.iter().any(|row| row.part == number);
    let others = if taken {
        // Another SMS with the same reference: the rest of the earlier one is not to be expected any more.
        join(tx, waiting, true)?;
        0
    } else {
        waiting.len()
    };
    insert(tx, owner.unwrap_or(NOBODY), &set, (number, wait), sms)?;
    if others + 1 < usize::from(part.total) {
        return Ok(None);
    }
    let whole = self::waiting(tx, &set)?;
    join(tx, whole, false)
}

/// The same part, from before: with the provider's id within a day, without one while its SMS may still be incomplete.
fn repeated(
    tx: &mut Tx<'_>,
    set: &PartSet,
    (number, wait): (i32, Duration),
    sms: &InboundSms,
) -> QueryResult<Option<ReceivedPartRow>> {
    let within = if sms.provider_id.is_some() { REPEATED_WITHIN } else { wait };
    let before: Vec<ReceivedPartRow> = of_set!(set)
        .filter(received_parts::part.eq(number))
        .filter(received_parts::created_at.gt(tx.now.minus(within).micros()))
        .order(received_parts::id.desc())
        .limit(as_limit(MOST_COMPARED))
        .select(ReceivedPartRow::as_select())
        .load(tx.conn)?;
    Ok(before.into_iter().find(|row| row.provider_id == sms.provider_id && row.message == sms.message))
}

/// The parts of a set that are there, in their order.
fn waiting(tx: &mut Tx<'_>, set: &PartSet) -> QueryResult<Vec<ReceivedPartRow>> {
    let waiting = of_set!(set)
        .filter(received_parts::received.is_null())
        .order((received_parts::part, received_parts::id))
        .select(ReceivedPartRow::as_select());
    for_update!(waiting).load(tx.conn)
}

/// `wait`: how long it waits for the others.
fn insert(
    tx: &mut Tx<'_>,
    account: AccountId,
    set: &PartSet,
    (number, wait): (i32, Duration),
    sms: InboundSms,
) -> QueryResult<()> {
    diesel::insert_into(received_parts::table)
        .values((
            received_parts::account.eq(account),
            received_parts::transport.eq(&set.transport),
            received_parts::sender.eq(&set.sender),
            received_parts::recipient.eq(&set.recipient),
            received_parts::reference.eq(&set.reference),
            received_parts::total.eq(set.total),
            received_parts::part.eq(number),
            received_parts::message.eq(sms.message),
            received_parts::charset.eq(sms.charset),
            received_parts::provider_id.eq(sms.provider_id),
            received_parts::at.eq(sms.at.map(Timestamp::micros)),
            received_parts::created_at.eq(tx.now.micros()),
            received_parts::due_at.eq(Some(tx.now.plus(wait).micros())),
        ))
        .execute(tx.conn)
        .map(drop)
}

/// Receives the parts of a set as one SMS. Account, id and time are those of the first part that is there: a keyword
/// stands in it.
fn join(tx: &mut Tx<'_>, parts: Vec<ReceivedPartRow>, incomplete: bool) -> QueryResult<Option<Received>> {
    let ids: Vec<i64> = parts.iter().map(|part| part.id).collect();
    let message = parts.iter().map(|part| part.message.as_str()).collect();
    let Some(first) = parts.into_iter().next() else { return Ok(None) };
    let sms = InboundSms {
        from: rows::address(&first.sender)?,
        to: rows::address(&first.recipient)?,
        message,
        charset: first.charset,
        provider_id: first.provider_id,
        at: first.at.map(Timestamp::from_micros),
        part: None,
    };
    let owner = Some(first.account).filter(|account| *account != NOBODY);
    let received = received::keep(tx, owner, &rows::name(&first.transport)?, sms, incomplete)?;
    for id in ids {
        Fixed(diesel::update(received_parts::table.find(id)).set(received_parts::received.eq(Some(received.id))))
            .execute(tx.conn)?;
    }
    Ok(Some(received))
}

/// Receives what has waited too long for its other parts; answers how many SMS.
pub(super) fn hand_on_incomplete(tx: &mut Tx<'_>) -> QueryResult<usize> {
    let overdue = received_parts::table
        .filter(received_parts::received.is_null())
        .filter(received_parts::due_at.le(tx.now.micros()))
        .order((received_parts::due_at, received_parts::id))
        .limit(as_limit(MOST_HANDED_ON))
        .select(ReceivedPartRow::as_select());
    let mut overdue: Vec<ReceivedPartRow> = skip_locked!(overdue).load(tx.conn)?;
    if overdue.is_empty() {
        overdue = overdue_of_before(tx)?;
    }
    let mut handed_on = 0;
    for ReceivedPartRow { transport, sender, recipient, reference, total, .. } in overdue {
        let parts = waiting(tx, &PartSet { transport, sender, recipient, reference, total })?;
        let there = parts.len();
        if let Some(received) = join(tx, parts, true)? {
            info!(transport = %received.transport, received = received.id, there, total, "an SMS lacks parts that did not come");
            handed_on += 1;
        }
    }
    Ok(handed_on)
}

/// Parts that a version before kept, which did not write when they are due.
fn overdue_of_before(tx: &mut Tx<'_>) -> QueryResult<Vec<ReceivedPartRow>> {
    let until = tx.now.minus(tx.rules.join_parts_within).micros();
    let overdue = received_parts::table
        .filter(received_parts::received.is_null())
        .filter(received_parts::created_at.le(until))
        .filter(received_parts::due_at.is_null())
        .order((received_parts::created_at, received_parts::id))
        .limit(as_limit(MOST_HANDED_ON))
        .select(ReceivedPartRow::as_select());
    skip_locked!(overdue).load(tx.conn)
}

/// Deletes parts that are not needed any longer to know a repeated one, so many at the most; answers how many.
pub(super) fn sweep_joined(tx: &mut Tx<'_>, most: usize) -> QueryResult<usize> {
    let old = received_parts::table
        .filter(received_parts::received.is_not_null())
        .filter(received_parts::created_at.le(tx.now.minus(REPEATED_WITHIN).micros()))
        .order((received_parts::created_at, received_parts::id))
        .limit(as_limit(most))
        .select(received_parts::id);
    let old: Vec<i64> = skip_locked!(old).load(tx.conn)?;
    for id in &old {
        diesel::delete(received_parts::table.find(id)).execute(tx.conn)?;
    }
    Ok(old.len())
}
