//! The parts of a sent SMS, where a provider reports them one by one: each with an id of its own, or by its number. A
//! transport that submits the parts itself writes their rows when it knows their ids.

use diesel::prelude::*;
use vumi_kit::{
    name::Name,
    sms::{Sms, SmsId, TransportStatus},
    text::measure,
};

use super::{Fixed, Tx, receipts::News, rows};
use crate::schema::sms_parts;

/// The parts that an SMS can have (3GPP TS 23.040: the number is a byte).
const MOST_PARTS: i32 = 255;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms_parts)]
struct SentPartRow {
    part: i32,
    provider_id: Option<String>,
    status: i32,
}

/// The latest SMS that has a part with this id.
pub(super) fn owner(tx: &mut Tx<'_>, transport: &Name, provider_id: &str) -> QueryResult<Option<SmsId>> {
    sms_parts::table
        .filter(sms_parts::transport.eq(transport.as_str()))
        .filter(sms_parts::provider_id.eq(provider_id))
        .order(sms_parts::sms.desc())
        .select(sms_parts::sms)
        .first(tx.conn)
        .optional()
}

/// Notes what the news says of a part. Answers what that makes of the SMS as a whole; `None`: the news speaks of all of it.
///
/// It has arrived once all of its parts have: what was told as delivered is never taken back.
pub(super) fn follow(tx: &mut Tx<'_>, sms: &Sms, news: &News<'_>) -> QueryResult<Option<TransportStatus>> {
    let other_id = matches!((&sms.provider_id, news.provider_id), (Some(known), Some(given)) if known != given);
    // An SMS that fits into one part and has several ids was submitted several times: one may fail, another arrive.
    let in_parts = news.part.is_some() || measure(&sms.message).segments > 1;
    if !other_id && !in_parts {
        return Ok(None);
    }
    let mut known = of(tx, sms.id)?;
    if known.is_empty() && !other_id && news.part.is_none() {
        // The provider may report the SMS as a whole.
        return Ok(None);
    }
    if known.is_empty() && other_id && news.part.is_none() {
        known.push(add(tx, sms, 1, sms.provider_id.as_deref(), sms.status)?);
    }
    // Ids that it had when it was submitted before are no parts of it.
    let in_known_parts = news.part.is_some() || known.iter().any(|part| part.provider_id == sms.provider_id);
    note(tx, sms, news, &mut known)?;
    if !in_parts {
        return Ok(None);
    }
    let statuses = known.iter().map(|part| rows::status(part.status)).collect::<QueryResult<Vec<_>>>()?;
    let delivered = |status: &&TransportStatus| **status == TransportStatus::Delivered;
    if let Some(failed) = statuses.iter().find(|status| status.is_final() && !delivered(status)) {
        return Ok(Some(*failed));
    }
    let lacking = statuses.iter().filter(delivered).count() < usize::try_from(sms.segments).unwrap_or(usize::MAX);
    Ok((news.status == TransportStatus::Delivered && in_known_parts && lacking).then_some(TransportStatus::AtGateway))
}

/// Keeps an id that the SMS had until its provider named another one, so that receipts with it are still found.
pub(super) fn remember(
    tx: &mut Tx<'_>,
    sms: SmsId,
    transport: &Name,
    provider_id: &str,
    status: TransportStatus,
) -> QueryResult<()> {
    let known = of(tx, sms)?;
    let next = known.iter().map(|part| part.part).max().unwrap_or(0) + 1;
    if next > MOST_PARTS || known.iter().any(|part| part.provider_id.as_deref() == Some(provider_id)) {
        return Ok(());
    }
    insert(tx, (sms, transport), next, Some(provider_id), status).map(drop)
}

/// The SMS is sent again: what was said of its parts is of before, and their ids are still known.
pub(super) fn forget_statuses(tx: &mut Tx<'_>, sms: SmsId) -> QueryResult<()> {
    let pending = i32::from(TransportStatus::Pending);
    Fixed(diesel::update(sms_parts::table.filter(sms_parts::sms.eq(sms))).set(sms_parts::status.eq(pending)))
        .execute(tx.conn)
        .map(drop)
}

/// In the order of the parts.
fn of(tx: &mut Tx<'_>, sms: SmsId) -> QueryResult<Vec<SentPartRow>> {
    let parts = sms_parts::table.filter(sms_parts::sms.eq(sms)).order(sms_parts::part).select(SentPartRow::as_select());
    parts.load(tx.conn)
}

fn note(tx: &mut Tx<'_>, sms: &Sms, news: &News<'_>, known: &mut Vec<SentPartRow>) -> QueryResult<()> {
    let given = news.provider_id.or(sms.provider_id.as_deref());
    let its = |part: &&mut SentPartRow| match news.part {
        Some(number) => part.part == i32::from(number),
        None => part.provider_id.as_deref() == given,
    };
    if let Some(part) = known.iter_mut().find(its) {
        if news.status.supersedes(rows::status(part.status)?) {
            part.status = news.status.into();
            Fixed(diesel::update(sms_parts::table.find((sms.id, part.part))).set(sms_parts::status.eq(part.status)))
                .execute(tx.conn)?;
        }
        return Ok(());
    }
    let next = known.iter().map(|part| part.part).max().unwrap_or(0) + 1;
    let number = news.part.map_or(next, i32::from);
    if number <= MOST_PARTS {
        known.push(add(tx, sms, number, given, news.status)?);
    }
    Ok(())
}

fn add(
    tx: &mut Tx<'_>,
    sms: &Sms,
    part: i32,
    provider_id: Option<&str>,
    status: TransportStatus,
) -> QueryResult<SentPartRow> {
    insert(tx, (sms.id, &sms.transport), part, provider_id, status)
}

fn insert(
    tx: &mut Tx<'_>,
    (sms, transport): (SmsId, &Name),
    part: i32,
    provider_id: Option<&str>,
    status: TransportStatus,
) -> QueryResult<SentPartRow> {
    diesel::insert_into(sms_parts::table)
        .values((
            sms_parts::sms.eq(sms),
            sms_parts::part.eq(part),
            sms_parts::transport.eq(transport.as_str()),
            sms_parts::provider_id.eq(provider_id),
            sms_parts::status.eq(i32::from(status)),
        ))
        .execute(tx.conn)?;
    Ok(SentPartRow { part, provider_id: provider_id.map(str::to_owned), status: status.into() })
}
