//! What is to be posted to callbacks, and what came of it.

use std::time::Duration;

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    callback::{
        CallbackId, CallbackName, ClaimDeliveries, Delivery, DeliveryAttempt, DeliveryThen, ListParked, ParkedDelivery,
        RecordDeliveryAttempts, ReplayParked,
    },
    clock::Timestamp,
    sms::SmsId,
};

use super::{Conn, Failed, Fixed, Read, Tx, Write, callbacks::callback_name, rows::as_limit};
use crate::schema::{callback_attempts, callback_deliveries, callbacks};

/// Writes one for each callback of the account that is told of such events.
pub(super) fn enqueue(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: CallbackName,
    sms: Option<SmsId>,
    body: &str,
) -> QueryResult<()> {
    let told: Vec<i64> = callbacks::table
        .filter(callbacks::account.eq(account))
        .filter(callbacks::name.eq(name.as_str()))
        .order(callbacks::id)
        .select(callbacks::id)
        .load(tx.conn)?;
    for callback in told {
        diesel::insert_into(callback_deliveries::table)
            .values((
                callback_deliveries::callback.eq(callback),
                callback_deliveries::name.eq(name.as_str()),
                callback_deliveries::sms.eq(sms),
                callback_deliveries::body.eq(body),
                callback_deliveries::attempts.eq(0),
                callback_deliveries::created_at.eq(tx.now.micros()),
                callback_deliveries::next_attempt_at.eq(Some(tx.now.micros())),
            ))
            .execute(tx.conn)?;
    }
    Ok(())
}

/// Deletes what was still to be posted to a callback.
pub(super) fn forget(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<()> {
    let its = callback_deliveries::table.filter(callback_deliveries::callback.eq(callback));
    diesel::delete(its.filter(callback_deliveries::next_attempt_at.is_not_null())).execute(tx.conn)?;
    diesel::delete(its.filter(callback_deliveries::parked_at.is_not_null())).execute(tx.conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = callback_deliveries)]
struct DueDelivery {
    id: i64,
    name: String,
    body: String,
    attempts: i32,
    created_at: i64,
    next_attempt_at: Option<i64>,
}

impl Write for ClaimDeliveries {
    fn rows(&self) -> usize {
        self.limit
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<Delivery>, Failed> {
        let lease_until = tx.now.plus(Duration::from_secs(self.lease_s));
        let mut due = Vec::new();
        let mut room_of_others = self.most_of_others;
        let mut after = 0;
        // From callback to callback, so that one's long queue is not read to find another's few.
        while let Some(callback) = next_with_work(tx, after)? {
            after = callback;
            let target: Option<(String, String)> = callbacks::table
                .find(callback)
                .select((callbacks::url, callbacks::secret))
                .first(tx.conn)
                .optional()?;
            if let Some((url, secret)) = target {
                let claimed = claimed_of(tx, callback)?;
                let most = if self.prompt.contains(&callback) {
                    self.most_per_callback
                } else {
                    room_of_others = room_of_others.saturating_sub(claimed);
                    self.most_per_callback.min(1)
                };
                let room = most.saturating_sub(claimed).min(self.limit);
                for row in due_of(tx, callback, room)? {
                    due.push((row, callback, url.clone(), secret.clone()));
                }
            }
        }
        due.sort_by_key(|(row, ..)| (row.next_attempt_at, row.id));
        due.retain(|(_, callback, ..)| self.prompt.contains(callback) || take_one(&mut room_of_others));
        due.truncate(self.limit);
        due.into_iter()
            .map(|(row, callback, url, secret)| {
                Fixed(diesel::update(callback_deliveries::table.find(row.id)).set((
                    callback_deliveries::next_attempt_at.eq(Some(lease_until.micros())),
                    callback_deliveries::claimed_by.eq(Some(&tx.rules.node)),
                )))
                .execute(tx.conn)?;
                Ok(Delivery {
                    id: row.id,
                    callback,
                    name: callback_name(&row.name)?,
                    url,
                    secret,
                    body: row.body,
                    attempts: row.attempts,
                    created_at: Timestamp::from_micros(row.created_at),
                    lease_until,
                })
            })
            .collect()
    }
}

/// Takes one place, if there is one.
fn take_one(room: &mut usize) -> bool {
    let left = room.checked_sub(1);
    *room = left.unwrap_or(0);
    left.is_some()
}

fn next_with_work(tx: &mut Tx<'_>, after: CallbackId) -> QueryResult<Option<CallbackId>> {
    callback_deliveries::table
        .filter(callback_deliveries::next_attempt_at.is_not_null())
        .filter(callback_deliveries::callback.gt(after))
        .order(callback_deliveries::callback)
        .select(callback_deliveries::callback)
        .first(tx.conn)
        .optional()
}

fn claimed_of(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<usize> {
    let claimed: i64 = callback_deliveries::table
        .filter(callback_deliveries::callback.eq(callback))
        .filter(callback_deliveries::claimed_by.is_not_null())
        .filter(callback_deliveries::next_attempt_at.gt(tx.now.micros()))
        .count()
        .get_result(tx.conn)?;
    Ok(usize::try_from(claimed).unwrap_or(usize::MAX))
}

fn due_of(tx: &mut Tx<'_>, callback: CallbackId, limit: usize) -> QueryResult<Vec<DueDelivery>> {
    let due = callback_deliveries::table
        .filter(callback_deliveries::callback.eq(callback))
        .filter(callback_deliveries::next_attempt_at.le(tx.now.micros()))
        .order((callback_deliveries::next_attempt_at, callback_deliveries::id))
        .limit(as_limit(limit))
        .select(DueDelivery::as_select());
    skip_locked!(due).load(tx.conn)
}

impl Write for RecordDeliveryAttempts {
    fn rows(&self) -> usize {
        self.attempts.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        for attempt in self.attempts {
            record(tx, &attempt)?;
        }
        Ok(())
    }
}

/// Who holds a delivery, and until when.
#[derive(Queryable, Selectable)]
#[diesel(table_name = callback_deliveries)]
struct ClaimedDelivery {
    attempts: i32,
    next_attempt_at: Option<i64>,
    claimed_by: Option<String>,
}

impl ClaimedDelivery {
    fn is_held(&self, node: &str, until: Timestamp) -> bool {
        self.claimed_by.as_deref() == Some(node) && self.next_attempt_at == Some(until.micros())
    }
}

fn record(tx: &mut Tx<'_>, attempt: &DeliveryAttempt) -> QueryResult<()> {
    let row = callback_deliveries::table.find(attempt.delivery);
    let before: Option<ClaimedDelivery> =
        for_update!(row.select(ClaimedDelivery::as_select())).first(tx.conn).optional()?;
    let Some(before) = before else {
        // Its callback was deleted meanwhile.
        vumi_kit::warn_limited!(
            "gone",
            delivery = attempt.delivery,
            "an attempt at something that is no longer to be posted"
        );
        return Ok(());
    };
    let number = before.attempts + 1;
    diesel::insert_into(callback_attempts::table)
        .values((
            callback_attempts::delivery.eq(attempt.delivery),
            callback_attempts::attempt.eq(number),
            callback_attempts::at.eq(attempt.at.micros()),
            callback_attempts::http_status.eq(attempt.http_status.map(i32::from)),
            callback_attempts::error.eq(attempt.error.as_deref()),
        ))
        .execute(tx.conn)?;
    if !before.is_held(&tx.rules.node, attempt.held_until) && attempt.then != DeliveryThen::Done {
        // Another one has it: this attempt counts, and what follows is up to them.
        let counted = callback_deliveries::attempts.eq(number);
        return Fixed(diesel::update(row).set(counted)).execute(tx.conn).map(drop);
    }
    let (next, parked) = match attempt.then {
        DeliveryThen::Done => (None, None),
        DeliveryThen::Again(at) => (Some(at.micros()), None),
        DeliveryThen::Parked => (None, Some(attempt.at.micros())),
    };
    let error = attempt.error.clone().or_else(|| attempt.http_status.map(|status| format!("HTTP {status}")));
    Fixed(diesel::update(row).set((
        callback_deliveries::attempts.eq(number),
        callback_deliveries::last_error.eq(error),
        callback_deliveries::next_attempt_at.eq(next),
        callback_deliveries::claimed_by.eq(None::<String>),
        callback_deliveries::parked_at.eq(parked),
    )))
    .execute(tx.conn)
    .map(drop)
}

impl Read for ListParked {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<ParkedDelivery>, Failed> {
        let parked: Vec<(i64, String, String, i32, Option<String>, i64)> = callback_deliveries::table
            .inner_join(callbacks::table)
            .filter(callback_deliveries::parked_at.is_not_null())
            .order((callback_deliveries::parked_at.desc(), callback_deliveries::id.desc()))
            .limit(as_limit(self.limit))
            .select((
                callback_deliveries::id,
                callback_deliveries::name,
                callbacks::url,
                callback_deliveries::attempts,
                callback_deliveries::last_error,
                callback_deliveries::created_at,
            ))
            .load(conn)?;
        let listed = parked.into_iter().map(|(id, name, url, attempts, error, created_at)| {
            Ok(ParkedDelivery {
                id,
                name: callback_name(&name)?,
                url,
                attempts,
                error: error.unwrap_or_default(),
                created_at: Timestamp::from_micros(created_at),
            })
        });
        Ok(listed.collect::<QueryResult<_>>()?)
    }
}

impl Write for ReplayParked {
    fn write(self, tx: &mut Tx<'_>) -> Result<usize, Failed> {
        let parked = callback_deliveries::table.filter(callback_deliveries::parked_at.is_not_null());
        let due = (
            // Its time to be given up is behind it, or it would not be parked: it gets a fresh one.
            callback_deliveries::created_at.eq(tx.now.micros()),
            callback_deliveries::next_attempt_at.eq(Some(tx.now.micros())),
            callback_deliveries::parked_at.eq(None::<i64>),
        );
        let Some(ids) = self.ids else {
            return Ok(Fixed(diesel::update(parked).set(due)).execute(tx.conn)?);
        };
        let mut replayed = 0;
        for id in ids {
            let one = parked.filter(callback_deliveries::id.eq(id));
            replayed += Fixed(diesel::update(one).set(due)).execute(tx.conn)?;
        }
        Ok(replayed)
    }
}
