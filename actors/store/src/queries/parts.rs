//! The parts of a sent SMS, where a provider reports them one by one: each with an id of its own, or by its number. A
//! transport that submits the parts itself writes their rows when it knows their ids.

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    name::Name,
    sent_parts::{ListSentParts, SentPart, SentPartStatus, TakenPart},
    sms::{Sms, SmsId, Submission, TransportStatus},
    text::measure,
};

use super::{Conn, Failed, Fixed, Read, Tx, receipts::News, rows};
use crate::schema::sms_parts;

/// The parts that an SMS can have (3GPP TS 23.040: the number is a byte).
const MOST_PARTS: i32 = 255;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms_parts)]
struct SentPartRow {
    part: i32,
    provider_id: Option<String>,
    status: i32,
    taken: i32,
    must_report: i32,
    folded_id: Option<String>,
}

impl Read for ListSentParts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<SentPartStatus>, Failed> {
        let its = sms_parts::table.filter(sms_parts::sms.eq(self.sms)).order(sms_parts::part);
        let mut rows: Vec<SentPartRow> = its.select(SentPartRow::as_select()).load(conn)?;
        // Beside parts that the provider took stand ids that the SMS had before.
        if rows.iter().any(|row| row.taken != 0) {
            rows.retain(|row| row.taken != 0);
        }
        let part = |row: SentPartRow| {
            let SentPartRow { part, provider_id, status, must_report, folded_id, .. } = row;
            let (number, status) = (u8::try_from(part).unwrap_or(u8::MAX), rows::status(status)?);
            Ok(SentPartStatus { number, provider_id, folded_id, status, must_report: must_report != 0 })
        };
        Ok(rows.into_iter().map(part).collect::<QueryResult<_>>()?)
    }
}

/// What the parts of an SMS say of it as a whole.
#[derive(Default)]
pub(super) struct OfParts {
    /// The failure of the first part that is known to have failed.
    pub(super) failed: Option<TransportStatus>,
    /// It is not delivered yet: a part that has to report is not. What was told as delivered is never taken back.
    pub(super) incomplete: bool,
    /// The provider has parts of it, and others are still to be submitted.
    pub(super) unsent: bool,
}

/// The parts that the provider took, each with the ids that receipts may bring.
pub(super) fn take(tx: &mut Tx<'_>, (sms, transport): (SmsId, &Name), taken: &[TakenPart]) -> QueryResult<()> {
    // One alone needs a row only where its id has another spelling: the SMS has the id.
    let plain = |one: &TakenPart| !one.must_report && one.part.number == 1 && folded_id(one).is_none();
    if taken.len() < 2 && taken.iter().all(plain) {
        return Ok(());
    }
    let known = of(tx, sms)?;
    for one in taken {
        let number = i32::from(one.part.number);
        let before = known.iter().find(|row| row.part == number);
        let earlier = before.filter(|row| row.provider_id != one.part.provider_id);
        if let Some((earlier, Some(provider_id))) = earlier.map(|row| (row, row.provider_id.as_deref())) {
            remember(tx, sms, transport, provider_id, rows::status(earlier.status)?)?;
        }
        let kept = before.filter(|_| earlier.is_none()).map(|row| rows::status(row.status)).transpose()?;
        let status = kept.filter(|kept| !TransportStatus::AtGateway.supersedes(*kept));
        let values = (
            sms_parts::transport.eq(transport.as_str()),
            sms_parts::provider_id.eq(one.part.provider_id.as_deref()),
            sms_parts::status.eq(i32::from(status.unwrap_or(TransportStatus::AtGateway))),
            sms_parts::folded_id.eq(folded_id(one)),
            sms_parts::taken.eq(1),
            sms_parts::must_report.eq(i32::from(one.must_report)),
        );
        if before.is_some() {
            Fixed(diesel::update(sms_parts::table.find((sms, number))).set(values)).execute(tx.conn)?;
        } else {
            let key = (sms_parts::sms.eq(sms), sms_parts::part.eq(number));
            diesel::insert_into(sms_parts::table).values((key, values)).execute(tx.conn)?;
        }
    }
    Ok(())
}

/// The folded spelling where it differs from the id.
fn folded_id(taken: &TakenPart) -> Option<&str> {
    let folded = taken.spellings.as_ref().map(|spellings| spellings.folded.as_str());
    folded.filter(|folded| taken.part.provider_id.as_deref() != Some(*folded))
}

/// Tells submissions that were tried before which of their parts the provider has.
pub(super) fn bring_taken(tx: &mut Tx<'_>, transport: &Name, claimed: &mut [Submission]) -> QueryResult<()> {
    let tried: Vec<SmsId> = claimed.iter().filter(|one| one.attempts > 0).map(|one| one.id).collect();
    let taken: Vec<(SmsId, SentPartRow)> = find_all!(
        sms_parts::table
            .filter(sms_parts::transport.eq(transport.as_str()))
            .filter(sms_parts::taken.eq(1))
            .select((sms_parts::sms, SentPartRow::as_select())),
        sms_parts::sms,
        tried,
        tx.conn
    );
    for (sms, row) in taken {
        let its = claimed.iter_mut().find(|one| one.id == sms);
        if let (Some(submission), Ok(number)) = (its, u8::try_from(row.part)) {
            submission.parts.push(SentPart { number, provider_id: row.provider_id });
        }
    }
    Ok(())
}

/// SMS that have a part whose id is this one or is folded to it, the latest first, so many at the most; each with the id as
/// the provider gave it.
pub(super) fn owners_by_spelling(
    tx: &mut Tx<'_>,
    transport: &Name,
    spelling: &str,
    most: i64,
) -> QueryResult<Vec<(SmsId, String)>> {
    let its = sms_parts::table.filter(sms_parts::transport.eq(transport.as_str()));
    let its = its.order(sms_parts::sms.desc()).select((sms_parts::sms, sms_parts::provider_id.assume_not_null()));
    let mut owners: Vec<(SmsId, String)> = its.filter(sms_parts::provider_id.eq(spelling)).limit(most).load(tx.conn)?;
    let folded = its.filter(sms_parts::folded_id.eq(spelling)).filter(sms_parts::provider_id.is_not_null());
    owners.extend(folded.limit(most).load::<(SmsId, String)>(tx.conn)?);
    Ok(owners)
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

/// Notes what the news says of a part. Answers what the parts then say of the SMS.
pub(super) fn follow(tx: &mut Tx<'_>, sms: &Sms, news: &News<'_>) -> QueryResult<OfParts> {
    let other_id = matches!((&sms.provider_id, news.provider_id), (Some(known), Some(given)) if known != given);
    // An SMS that fits into one part and has several ids was submitted several times: one may fail, another arrive.
    let long = news.part.is_some() || measure(&sms.message).segments > 1;
    if !other_id && !long && !news.of_parts {
        return Ok(OfParts::default());
    }
    let mut known = of(tx, sms.id)?;
    let unsent = !sms.state.is_at_rest() && known.iter().any(|part| part.taken != 0);
    // A transport may split where we count one part.
    let in_parts = long || unsent || known.iter().any(|part| part.taken != 0 && part.part > 1);
    if (known.is_empty() && !other_id && news.part.is_none()) || (!other_id && !in_parts) {
        // The provider may report the SMS as a whole.
        return Ok(OfParts::default());
    }
    if known.is_empty() && other_id && news.part.is_none() {
        known.push(add(tx, sms, 1, sms.provider_id.as_deref(), sms.status)?);
    }
    // Ids that it had when it was submitted before are no parts of it.
    let in_known_parts = news.part.is_some() || known.iter().any(|part| part.provider_id == sms.provider_id);
    note(tx, sms, news, &mut known)?;
    let mut of_parts = OfParts { unsent, ..OfParts::default() };
    let (mut arrived, mut taken) = (0, false);
    for part in known.iter().filter(|_| in_parts) {
        let status = rows::status(part.status)?;
        let delivered = status == TransportStatus::Delivered;
        arrived += u32::from(delivered);
        taken |= part.taken != 0;
        of_parts.incomplete |= part.must_report != 0 && !delivered;
        of_parts.failed = of_parts.failed.or(Some(status).filter(|status| status.is_final() && !delivered));
    }
    // Where the provider divides it, its parts are told one by one, and all are.
    of_parts.incomplete |= in_parts && !taken && in_known_parts && arrived < sms.segments;
    Ok(of_parts)
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

/// The SMS is sent again, whole: what was said of its parts is of before, and their ids are still known.
pub(super) fn forget_statuses(tx: &mut Tx<'_>, sms: SmsId) -> QueryResult<()> {
    let pending = sms_parts::status.eq(i32::from(TransportStatus::Pending));
    let anew = (pending, sms_parts::taken.eq(0), sms_parts::must_report.eq(0));
    Fixed(diesel::update(sms_parts::table.filter(sms_parts::sms.eq(sms))).set(anew)).execute(tx.conn)
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
    let provider_id = provider_id.map(str::to_owned);
    Ok(SentPartRow { part, provider_id, status: status.into(), taken: 0, must_report: 0, folded_id: None })
}
