//! Every statement that changes an SMS of the ledger, each one step of its life; those for many at once are in the dialects'
//! `bulk`. No other module writes to `sms`, which a test checks.

use std::time::Duration;

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    consent::OPTED_OUT,
    name::Name,
    sms::{Sms, SmsId, Submission, TransportStatus},
};

use super::super::{Change, Fixed, Incoming, Tx, bulk, esmes, rows};
use crate::schema::sms;

/// What an SMS that nobody could try says of itself.
const NEVER_TRIED: &str = "not sent in time: its transport did not take it before the deadline";

/// Accept: rows that are new.
pub(in super::super) fn accept(tx: &mut Tx<'_>, incoming: &[Incoming]) -> QueryResult<Vec<SmsId>> {
    bulk::insert_sms(tx.conn, incoming)
}

/// Claim, with the claims that are to be written.
pub(in super::super) fn claim(tx: &mut Tx<'_>, claimed: &[Submission], claim_token: &str) -> QueryResult<()> {
    bulk::claim_sms(tx.conn, claimed, claim_token)
}

/// Begin: those of the list that are claimed under the token, have not begun and may go out. Answers them.
pub(in super::super) fn begin(tx: &mut Tx<'_>, ids: &[SmsId], claim_token: &str) -> QueryResult<Vec<SmsId>> {
    bulk::begin_sms(tx.conn, ids, claim_token, tx.now)
}

/// Return, all that a transport of this process had claimed under an earlier start: due at once. What had begun may have been
/// sent.
pub(in super::super) fn return_all(tx: &mut Tx<'_>, transport: &Name) -> QueryResult<()> {
    let now = tx.now.micros();
    // All that begins with `node/`: `0` comes after `/`, and texts are compared by bytes.
    let ours = (format!("{}/", tx.rules.node), format!("{}0", tx.rules.node));
    // Claims whose lease has ended are due anyway.
    let claimed = sms::table
        .filter(sms::transport.eq(transport.as_str()))
        .filter(sms::next_attempt_at.gt(now))
        .filter(sms::claimed_by.ge(ours.0))
        .filter(sms::claimed_by.lt(ours.1));
    Fixed(diesel::update(claimed).set((
        sms::next_attempt_at.eq(Some(now)),
        sms::claimed_by.eq(None::<String>),
        sms::unsure.eq(sms::unsure + sms::begun),
        sms::begun.eq(0),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Return, those that wait for a transport that fails: due at another one. What the dead held as begun may have been sent.
pub(in super::super) fn reroute(tx: &mut Tx<'_>, ids: &[SmsId], to: &Name) -> QueryResult<()> {
    let now = tx.now.micros();
    Fixed(diesel::update(sms::table.filter(among!(sms::id, "sms.id", ids))).set((
        sms::transport.eq(to.as_str()),
        sms::next_attempt_at.eq(Some(now)),
        sms::claimed_by.eq(None::<String>),
        sms::unsure.eq(sms::unsure + sms::begun),
        sms::begun.eq(0),
        sms::updated_at.eq(now),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Return, one that could not be handed over; `due` is none where a receipt has settled it meanwhile.
pub(in super::super) fn return_one(tx: &mut Tx<'_>, id: SmsId, due: Option<i64>) -> QueryResult<()> {
    let free = (sms::next_attempt_at.eq(due), sms::claimed_by.eq(None::<String>), sms::begun.eq(0));
    Fixed(diesel::update(sms::table.find(id)).set(free)).execute(tx.conn).map(drop)
}

/// Return, submit, refuse, lose track or expire: what came of submissions.
pub(in super::super) fn record(tx: &mut Tx<'_>, changes: Vec<Change>) -> QueryResult<()> {
    let ended = |change: &&Change| rows::status(change.status).is_ok_and(TransportStatus::is_final);
    let ended: Vec<SmsId> = changes.iter().filter(ended).map(|change| change.id).collect();
    bulk::change_sms(tx.conn, changes, tx.now.micros())?;
    esmes::tell_ended(tx, &ended)
}

/// Expire: its time ran out, and it ends with the last reason.
pub(in super::super) fn expire(tx: &mut Tx<'_>, id: SmsId, provider_response: Option<String>) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::status.eq(i32::from(TransportStatus::Expired)),
        sms::provider_said.eq(Some(provider_response.unwrap_or_else(|| NEVER_TRIED.to_owned()))),
        sms::next_attempt_at.eq(None::<i64>),
        sms::claimed_by.eq(None::<String>),
        sms::begun.eq(0),
        sms::held_at.eq(None::<i64>),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)?;
    esmes::tell_ended(tx, &[id])
}

/// Receipt: the SMS as it is after it.
pub(in super::super) fn report(tx: &mut Tx<'_>, sms: &Sms) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(sms.id)).set((
        sms::status.eq(i32::from(sms.status)),
        sms::provider_said.eq(sms.provider_response.as_deref()),
        sms::provider_id.eq(sms.provider_id.as_deref()),
        sms::delivered_at.eq(sms.delivered_at.map(Timestamp::micros)),
        sms::updated_at.eq(sms.updated_at.micros()),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Receipt: the provider has it, so it is not submitted again, and no answer to it is missing any more.
pub(in super::super) fn settle(tx: &mut Tx<'_>, id: SmsId) -> QueryResult<()> {
    let waits = sms::next_attempt_at.is_not_null().or(sms::held_at.is_not_null());
    Fixed(diesel::update(sms::table.find(id).filter(waits)).set((
        // Its status again, so that what counts for quotas (the trigger `sms_quota`) hears of it.
        sms::status.eq(sms::status),
        sms::next_attempt_at.eq(None::<i64>),
        sms::unsure.eq(0),
        sms::held_at.eq(None::<i64>),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Hold: it is due no more and belongs to no claim; its deadline stays.
pub(in super::super) fn hold(tx: &mut Tx<'_>, id: SmsId, reason: &str) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::next_attempt_at.eq(None::<i64>),
        sms::claimed_by.eq(None::<String>),
        sms::begun.eq(0),
        sms::held_at.eq(Some(tx.now.micros())),
        sms::held_because.eq(Some(reason)),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Release: due at that moment, in microseconds since 1970.
pub(super) fn release(tx: &mut Tx<'_>, id: SmsId, due: i64) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::next_attempt_at.eq(Some(due)),
        sms::held_at.eq(None::<i64>),
        sms::held_because.eq(None::<String>),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Cancel: it ends, and is neither due nor held nor claimed; the reason stands where a provider's words would.
pub(super) fn cancel(tx: &mut Tx<'_>, id: SmsId, reason: &str) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::status.eq(i32::from(TransportStatus::Cancelled)),
        sms::provider_said.eq(Some(reason)),
        sms::next_attempt_at.eq(None::<i64>),
        sms::claimed_by.eq(None::<String>),
        sms::begun.eq(0),
        sms::held_at.eq(None::<i64>),
        sms::held_because.eq(None::<String>),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)?;
    esmes::tell_ended(tx, &[id])
}

/// Opt out: its person wants no SMS. It ends, and says so where a provider's words would stand.
pub(super) fn opt_out(tx: &mut Tx<'_>, id: SmsId) -> QueryResult<()> {
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::status.eq(i32::from(TransportStatus::DeliveryError)),
        sms::provider_said.eq(Some(OPTED_OUT)),
        sms::next_attempt_at.eq(None::<i64>),
        sms::claimed_by.eq(None::<String>),
        sms::begun.eq(0),
        sms::held_at.eq(None::<i64>),
        sms::held_because.eq(None::<String>),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)?;
    esmes::tell_ended(tx, &[id])
}

/// Resend: due at once, with so much time, and no lost answers counted: an operator has decided.
pub(super) fn resend(tx: &mut Tx<'_>, id: SmsId, time: Duration) -> QueryResult<()> {
    let now = tx.now.micros();
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::status.eq(i32::from(TransportStatus::Pending)),
        sms::next_attempt_at.eq(Some(now)),
        sms::give_up_at.eq(tx.now.plus(time).micros()),
        sms::claimed_by.eq(None::<String>),
        sms::begun.eq(0),
        sms::unsure.eq(0),
        sms::held_at.eq(None::<i64>),
        sms::held_because.eq(None::<String>),
        sms::scheduled_at.eq(None::<i64>),
        sms::delivered_at.eq(None::<i64>),
        sms::updated_at.eq(now),
    )))
    .execute(tx.conn)
    .map(drop)
}
