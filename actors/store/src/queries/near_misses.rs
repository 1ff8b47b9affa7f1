//! SMS that a receipt without an SMS may have been meant for: by an id that is alike, by their recipient.

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{FindNearMisses, NearMiss, NearMissReason},
    sms::SmsId,
};

use super::{
    Conn, Failed, Read,
    life::{LifeColumns, search::first_since},
    receipts, rows,
};
use crate::schema::{sms, sms_parts};

/// Rows that a look for a recipient goes through, the latest first.
const LOOK_AT: usize = 2_000;

/// What is shown of a near miss.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct NearMissRow {
    id: SmsId,
    transport: String,
    recipient: String,
    provider_id: Option<String>,
    created_at: i64,
    #[diesel(embed)]
    life: LifeColumns,
}

impl NearMissRow {
    fn into_near_miss(self, why: NearMissReason, provider_id: Option<String>, now: Timestamp) -> QueryResult<NearMiss> {
        Ok(NearMiss {
            sms: self.id,
            why,
            provider_id: provider_id.or(self.provider_id),
            to: rows::msisdn(&self.recipient)?,
            state: self.life.state(now)?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

impl Read for FindNearMisses {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<NearMiss>, Failed> {
        let mut found = Vec::new();
        for (id, provider_id) in by_id(conn, &self)? {
            let row = sms::table.find(id).select(NearMissRow::as_select());
            let Some(row): Option<NearMissRow> = row.first(conn).optional()? else { continue };
            found.push(row.into_near_miss(NearMissReason::AlikeId, Some(provider_id), now)?);
        }
        for row in by_recipient(conn, &self)? {
            if found.iter().all(|known| known.sms != row.id) {
                found.push(row.into_near_miss(NearMissReason::SameRecipient, None, now)?);
            }
        }
        Ok(found)
    }
}

/// SMS with one of the ids, or a part with one, the latest first; each with that id.
fn by_id(conn: &mut Conn, ask: &FindNearMisses) -> QueryResult<Vec<(SmsId, String)>> {
    let (transport, most) = (ask.transport.as_str(), rows::as_limit(FindNearMisses::MOST));
    let mut found: Vec<(SmsId, String)> = Vec::new();
    for id in ask.ids.iter().take(FindNearMisses::MOST_IDS) {
        let whole = sms::table.filter(sms::transport.eq(transport)).filter(sms::provider_id.eq(id));
        let whole = whole.order(sms::id.desc()).limit(most).select((sms::id, sms::provider_id.assume_not_null()));
        found.extend(whole.load::<(SmsId, String)>(conn)?);
        let parts =
            sms_parts::table.filter(sms_parts::transport.eq(transport)).order(sms_parts::sms.desc()).limit(most);
        let parts = parts.select((sms_parts::sms, sms_parts::provider_id.assume_not_null()));
        found.extend(parts.filter(sms_parts::provider_id.eq(id)).load::<(SmsId, String)>(conn)?);
        let folded = parts.filter(sms_parts::folded_id.eq(id)).filter(sms_parts::provider_id.is_not_null());
        found.extend(folded.load::<(SmsId, String)>(conn)?);
    }
    found.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    found.dedup_by_key(|(id, _)| *id);
    found.truncate(FindNearMisses::MOST);
    Ok(found)
}

/// SMS to the receipt's recipient that were accepted in the time before it came, the latest first. Of a busy ledger only the
/// last rows are looked at.
fn by_recipient(conn: &mut Conn, ask: &FindNearMisses) -> QueryResult<Vec<NearMissRow>> {
    let Some(to) = &ask.to else { return Ok(Vec::new()) };
    let first = first_since(conn, ask.came_at.minus(FindNearMisses::WITHIN))?;
    let end = first_since(conn, ask.came_at)?;
    let range = within_limit!(sms::table).filter(sms::id.ge(first)).filter(sms::id.lt(end));
    let latest = range.order(sms::id.desc()).limit(rows::as_limit(LOOK_AT)).select(NearMissRow::as_select());
    let mut rows: Vec<NearMissRow> = latest.load(conn)?;
    rows.retain(|row| {
        row.transport == ask.transport.as_str() && receipts::same_recipient(Some(to.as_str()), &row.recipient)
    });
    rows.truncate(FindNearMisses::MOST);
    Ok(rows)
}
