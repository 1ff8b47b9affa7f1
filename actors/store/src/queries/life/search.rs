//! SMS by filter: so many rows are looked at in one search, along their numbers, and the next goes on behind them.

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    levers::{SearchSms, SmsFilter, SmsPage},
    sms::SmsId,
};

use super::{
    super::{Conn, Failed, Read, rows},
    LifeColumns,
};
use crate::schema::sms;

/// Rows that one search looks at.
const LOOK_AT: usize = 5_000;

/// The numbers behind a batch's first one that its others are looked for among: calls of others may have come in between.
const BATCH_REACH: i64 = 1_000_000;

/// By how much rows may be out of the order of their times: several processes number them.
const OUT_OF_ORDER: std::time::Duration = std::time::Duration::from_secs(600);

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct SearchRow {
    id: SmsId,
    account: i64,
    transport: String,
    recipient: String,
    batch: Option<i64>,
    created_at: i64,
    #[diesel(embed)]
    life: LifeColumns,
}

impl Read for SearchSms {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<SmsPage, Failed> {
        let looked_at = candidates(conn, &self.filter, self.after)?;
        let (mut found, mut last) = (Vec::new(), None);
        for row in &looked_at {
            if found.len() == self.limit.min(Self::MOST) {
                break;
            }
            last = Some(row.id);
            if matches(&self.filter, row, now)? {
                found.push(row.id);
            }
        }
        let cut_short = last != looked_at.last().map(|row| row.id);
        let next = last.filter(|_| cut_short || looked_at.len() == LOOK_AT);
        let mut found = rows::find_sms(conn, &found, now)?;
        found.sort_unstable_by_key(|sms| sms.id);
        Ok(SmsPage { found, next })
    }
}

/// The rows to look at, in the order of their numbers.
fn candidates(conn: &mut Conn, filter: &SmsFilter, after: SmsId) -> QueryResult<Vec<SearchRow>> {
    let (mut first, mut last) = (after.saturating_add(1), i64::MAX);
    if !filter.ids.is_empty() {
        let mut ids: Vec<SmsId> = filter.ids.iter().copied().filter(|id| *id > after).collect();
        ids.sort_unstable();
        ids.truncate(LOOK_AT);
        let among = sms::table.filter(among!(sms::id, "sms.id", &ids)).select(SearchRow::as_select());
        let mut found: Vec<SearchRow> = among.load(conn)?;
        found.sort_unstable_by_key(|row| row.id);
        return Ok(found);
    }
    if let Some(batch) = filter.batch {
        (first, last) = (first.max(batch), batch.saturating_add(BATCH_REACH));
    }
    if let Some(newer) = filter.newer {
        first = first.max(first_since(conn, newer.minus(OUT_OF_ORDER))?);
    }
    if let Some(older) = filter.older {
        last = last.min(first_since(conn, older.plus(OUT_OF_ORDER))?);
    }
    let range = within_limit!(sms::table).filter(sms::id.ge(first)).filter(sms::id.le(last));
    range.order(sms::id).limit(rows::as_limit(LOOK_AT)).select(SearchRow::as_select()).load(conn)
}

/// The number of the first SMS that was accepted at this moment or later, found by halves: numbers grow with time.
pub(in super::super) fn first_since(conn: &mut Conn, at: Timestamp) -> QueryResult<SmsId> {
    let all = sms::table.filter(sms::id.ge(0));
    let last: Option<SmsId> = all.order(sms::id.desc()).select(sms::id).first(conn).optional()?;
    let (mut low, mut high) = (0, last.map_or(0, |last| last.saturating_add(1)));
    while low < high {
        let middle = low + (high - low) / 2;
        let there = sms::table.filter(sms::id.ge(middle)).order(sms::id).select((sms::id, sms::created_at));
        match there.first::<(SmsId, i64)>(conn).optional()? {
            Some((id, created_at)) if created_at < at.micros() => low = id + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

fn matches(filter: &SmsFilter, row: &SearchRow, now: Timestamp) -> QueryResult<bool> {
    let is_of_batch = |batch: SmsId| row.id == batch || row.batch == Some(batch);
    let elsewhere = filter.account.is_some_and(|account| account != row.account)
        || filter.transport.as_ref().is_some_and(|transport| transport.as_str() != row.transport)
        || filter.to.as_ref().is_some_and(|to| to.as_str() != row.recipient)
        || filter.batch.is_some_and(|batch| !is_of_batch(batch))
        || filter.newer.is_some_and(|at| row.created_at < at.micros())
        || filter.older.is_some_and(|at| row.created_at >= at.micros());
    Ok(!elsewhere && (filter.states.is_empty() || filter.states.contains(&row.life.state(now)?)))
}
