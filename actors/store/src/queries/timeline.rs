//! What happened to one SMS.

use std::borrow::Cow;

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{SmsTimeline, TimelineEvent},
    sms::SmsId,
};

use super::{Conn, Failed, Read, Tx, rows};
use crate::schema::{callback_attempts, callback_deliveries, receipts, sms, sms_attempts, sms_events};

impl Read for SmsTimeline {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Vec<TimelineEvent>>, Failed> {
        let sms: Option<(String, Option<String>, i64, Option<String>)> = sms::table
            .find(self.id)
            .filter(sms::account.eq(self.account))
            .select((sms::transport, sms::route, sms::created_at, sms::provider_id))
            .first(conn)
            .optional()?;
        let asked_for = |transport: &str, route: Option<&str>| match &self.transport {
            Some(asked) => asked.as_str() == transport,
            None => route.is_some(),
        };
        let Some((transport, route, accepted, provider_id)) =
            sms.filter(|(transport, route, ..)| asked_for(transport, route.as_deref()))
        else {
            return Ok(None);
        };
        let accepted_for = route.map_or_else(|| format!("for {transport}"), |route| format!("for the route {route}"));
        let mut events = vec![event(accepted, "accepted", accepted_for)];
        let mut attempts = attempts(conn, self.id)?;
        // The last one is that which the provider took, if any.
        if let Some(last) = attempts.last_mut() {
            last.provider_id = provider_id;
        }
        events.append(&mut attempts);
        events.extend(done_with(conn, self.id)?);
        events.extend(receipts_of(conn, self.id)?);
        events.extend(callbacks(conn, self.id)?);
        // Stable: what happened at one moment stays in the order above.
        events.sort_by_key(|event| event.at);
        Ok(Some(events))
    }
}

/// Events in one statement: PostgreSQL takes so many values.
const EVENTS: usize = 1_000;

/// Writes into the timelines of SMS what was done with them, each in its own words.
pub(super) fn add(tx: &mut Tx<'_>, what: &str, events: Vec<(SmsId, String)>) -> QueryResult<()> {
    let at = tx.now.micros();
    for some in events.chunks(EVENTS) {
        let event = |(id, detail): &(SmsId, String)| {
            (
                sms_events::sms.eq(*id),
                sms_events::at.eq(at),
                sms_events::what.eq(what.to_owned()),
                sms_events::detail.eq(detail.clone()),
            )
        };
        let events: Vec<_> = some.iter().map(event).collect();
        diesel::insert_into(sms_events::table).values(events).execute(tx.conn)?;
    }
    Ok(())
}

fn event(at: i64, what: impl Into<Cow<'static, str>>, detail: String) -> TimelineEvent {
    TimelineEvent { at: Timestamp::from_micros(at), what: what.into(), detail, provider_id: None }
}

fn attempts(conn: &mut Conn, id: SmsId) -> QueryResult<Vec<TimelineEvent>> {
    let attempts: Vec<(i64, String)> = sms_attempts::table
        .filter(sms_attempts::sms.eq(id))
        .order(sms_attempts::attempt)
        .select((sms_attempts::at, sms_attempts::said))
        .load(conn)?;
    Ok(attempts.into_iter().map(|(at, detail)| event(at, "attempt", detail)).collect())
}

/// What was done with it from outside.
fn done_with(conn: &mut Conn, id: SmsId) -> QueryResult<Vec<TimelineEvent>> {
    let done: Vec<(i64, String, String)> = sms_events::table
        .filter(sms_events::sms.eq(id))
        .order(sms_events::id)
        .select((sms_events::at, sms_events::what, sms_events::detail))
        .load(conn)?;
    Ok(done.into_iter().map(|(at, what, detail)| event(at, what, detail)).collect())
}

fn receipts_of(conn: &mut Conn, id: SmsId) -> QueryResult<Vec<TimelineEvent>> {
    let receipts: Vec<(i64, i32, Option<String>)> = receipts::table
        .filter(receipts::sms.eq(id))
        .order(receipts::id)
        .select((receipts::received_at, receipts::status, receipts::provider_id))
        .load(conn)?;
    let event = |(at, number, provider_id)| {
        let status = rows::status(number)?;
        let detail = format!("{} {}", i16::from(status), status.display()).trim_end().to_owned();
        Ok(TimelineEvent { provider_id, ..event(at, "receipt", detail) })
    };
    receipts.into_iter().map(event).collect()
}

fn callbacks(conn: &mut Conn, id: SmsId) -> QueryResult<Vec<TimelineEvent>> {
    let attempts: Vec<(i64, Option<i32>, Option<String>)> = callback_attempts::table
        .inner_join(callback_deliveries::table)
        .filter(callback_deliveries::sms.eq(id))
        .order((callback_deliveries::id, callback_attempts::attempt))
        .select((callback_attempts::at, callback_attempts::http_status, callback_attempts::error))
        .load(conn)?;
    let event = |(at, http_status, error): (i64, Option<i32>, Option<String>)| {
        let status = http_status.map(|status| format!("HTTP {status}"));
        let words: Vec<String> = status.into_iter().chain(error).collect();
        event(at, "callback", words.join(": "))
    };
    Ok(attempts.into_iter().map(event).collect())
}
