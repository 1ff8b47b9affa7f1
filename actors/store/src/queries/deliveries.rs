//! What is to be posted to callbacks, and what came of it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    callback::{
        CallbackFormat, CallbackId, CallbackName, ClaimDeliveries, ClaimedDeliveries, Delivery, DeliveryAttempt,
        DeliveryId, DeliveryThen, RecordDeliveryAttempts,
    },
    clock::Timestamp,
    sms::SmsId,
};

use super::{
    Failed, Fixed, Tx, Write,
    callbacks::{self as callback_rows, callback_format, callback_name},
    parked,
    rows::as_limit,
};
use crate::{
    event_body::event_body,
    schema::{callback_attempts, callback_deliveries, callbacks},
};

/// Writes one for each callback of the account that is told of such events and is not disabled.
pub(super) fn enqueue(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: CallbackName,
    sms: Option<SmsId>,
    fields: &[(String, String)],
) -> QueryResult<()> {
    let told: Vec<(i64, String)> = callbacks::table
        .filter(callbacks::account.eq(account))
        .filter(callbacks::name.eq(name.as_str()))
        .filter(callbacks::disabled_at.is_null())
        .order(callbacks::id)
        .select((callbacks::id, callbacks::format))
        .load(tx.conn)?;
    let mut bodies: HashMap<CallbackFormat, String> = HashMap::new();
    for (callback, format) in told {
        let format = callback_format(&format)?;
        let body = bodies.entry(format).or_insert_with(|| event_body(format, fields));
        write(tx, callback, &EventPost { name, sms, format, body, url: None })?;
    }
    Ok(())
}

/// Writes one for the URL that an SMS names itself. Those of an account are posted one behind another as those of a single
/// callback are, with that one's bounds, format and secret.
pub(super) fn enqueue_to(
    tx: &mut Tx<'_>,
    url: &str,
    account: AccountId,
    sms: SmsId,
    fields: &[(String, String)],
) -> QueryResult<()> {
    let (callback, format) = callback_rows::of_sms_urls(tx, account)?;
    let body = event_body(format, fields);
    write(
        tx,
        callback,
        &EventPost { name: CallbackName::SmsReceipt, sms: Some(sms), format, body: &body, url: Some(url) },
    )
}

/// What is to be posted of an event.
struct EventPost<'a> {
    name: CallbackName,
    sms: Option<SmsId>,
    format: CallbackFormat,
    body: &'a str,
    url: Option<&'a str>,
}

/// Writes one for the account's ESMEs.
pub(super) fn enqueue_for_esmes(
    tx: &mut Tx<'_>,
    callback: CallbackId,
    name: CallbackName,
    sms: Option<SmsId>,
    body: &str,
) -> QueryResult<()> {
    write(tx, callback, &EventPost { name, sms, format: CallbackFormat::Json, body, url: None })
}

/// Writes one. Where as many wait as may, it is parked at once: those that wait keep their turns.
fn write(tx: &mut Tx<'_>, callback: CallbackId, event: &EventPost<'_>) -> QueryResult<()> {
    let (next, parked, error) = if is_full(tx, callback)? {
        let why = format!("{} were waiting for this callback", tx.rules.waiting_per_callback);
        (None, Some(tx.now.micros()), Some(why))
    } else {
        (Some(tx.now.micros()), None, None)
    };
    diesel::insert_into(callback_deliveries::table)
        .values((
            callback_deliveries::callback.eq(callback),
            callback_deliveries::name.eq(event.name.as_str()),
            callback_deliveries::sms.eq(event.sms),
            callback_deliveries::format.eq(event.format.as_str()),
            callback_deliveries::body.eq(event.body),
            callback_deliveries::attempts.eq(0),
            callback_deliveries::last_error.eq(error),
            callback_deliveries::created_at.eq(tx.now.micros()),
            callback_deliveries::next_attempt_at.eq(next),
            callback_deliveries::parked_at.eq(parked),
            callback_deliveries::url.eq(event.url),
        ))
        .execute(tx.conn)
        .map(drop)
}

/// What is known of the callbacks' backlogs.
pub(super) type CallbackBacklogs = HashMap<CallbackId, CallbackBacklog>;

/// Whether a callback had as much waiting as it may when that was last looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallbackBacklog {
    is_full: bool,
    looked_at: Timestamp,
    events_since: usize,
}

/// A backlog is looked up again after so long, or after a hundredth of what may wait: to look costs as much as many wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Above so many callbacks what is known of them is forgotten.
const MAX_BACKLOGS: usize = 10_000;

fn is_full(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<bool> {
    let most = tx.rules.waiting_per_callback;
    if let Some(known) = tx.state.backlogs.get_mut(&callback)
        && tx.now.since(known.looked_at) < LOOK_AGAIN
        && known.events_since < most / 100
    {
        known.events_since += 1;
        return Ok(known.is_full);
    }
    let last_that_may_wait = callback_deliveries::table
        .filter(callback_deliveries::callback.eq(callback))
        .filter(callback_deliveries::next_attempt_at.is_not_null())
        .select(callback_deliveries::next_attempt_at)
        .offset(as_limit(most.saturating_sub(1)))
        .limit(1);
    let is_full = last_that_may_wait.first::<Option<i64>>(tx.conn).optional()?.is_some();
    if is_full {
        parked::trim(tx, callback)?;
    }
    if tx.state.backlogs.len() >= MAX_BACKLOGS {
        tx.state.backlogs.clear();
    }
    tx.state.backlogs.insert(callback, CallbackBacklog { is_full, looked_at: tx.now, events_since: 0 });
    Ok(is_full)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = callback_deliveries)]
pub(super) struct DueDelivery {
    pub(super) id: i64,
    name: String,
    format: String,
    pub(super) body: String,
    pub(super) attempts: i32,
    pub(super) created_at: i64,
    next_attempt_at: Option<i64>,
    url: Option<String>,
}

/// How many callbacks one claim looks at. Each takes a few statements, and everybody's transaction waits for them.
const LOOKED_AT: usize = 100;

impl Write for ClaimDeliveries {
    fn rows(&self) -> usize {
        self.limit
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<ClaimedDeliveries, Failed> {
        let lease_until = tx.now.plus(Duration::from_secs(self.lease_s));
        let mut due = Vec::new();
        let mut room_of_others = self.most_of_others;
        let mut next = Some(self.after);
        // From callback to callback, so that one's long queue is not read to find another's few.
        for _ in 0..LOOKED_AT {
            next = next_with_work(tx, next.unwrap_or_default())?;
            let Some(callback) = next else { break };
            if let Some((url, secret)) = target(tx, callback)? {
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
        let deliveries = due
            .into_iter()
            .map(|(row, callback, url, secret)| {
                claim(tx, row.id, lease_until)?;
                Ok(Delivery {
                    id: row.id,
                    callback,
                    name: callback_name(&row.name)?,
                    url: row.url.unwrap_or(url),
                    secret,
                    format: callback_format(&row.format)?,
                    body: row.body,
                    attempts: row.attempts,
                    created_at: Timestamp::from_micros(row.created_at),
                    lease_until,
                })
            })
            .collect::<QueryResult<_>>()?;
        Ok(ClaimedDeliveries { deliveries, next })
    }
}

/// Where to post, and the secret. `None`: the callback is gone or disabled, and the sweep takes what waits for it; or it is
/// that of the account's ESMEs, which get theirs as they bind.
fn target(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<Option<(String, String)>> {
    let its = callbacks::table.find(callback).filter(callbacks::name.ne(CallbackName::Esme.as_str()));
    let its = its.select((callbacks::url, callbacks::secret, callbacks::disabled_at));
    let found = its.first::<(String, String, Option<i64>)>(tx.conn).optional()?;
    Ok(found.and_then(|(url, secret, disabled_at)| disabled_at.is_none().then_some((url, secret))))
}

/// Takes one place, if there is one.
fn take_one(room: &mut usize) -> bool {
    let left = room.checked_sub(1);
    *room = left.unwrap_or(0);
    left.is_some()
}

pub(super) fn next_with_work(tx: &mut Tx<'_>, after: CallbackId) -> QueryResult<Option<CallbackId>> {
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

pub(super) fn claim(tx: &mut Tx<'_>, id: DeliveryId, lease_until: Timestamp) -> QueryResult<()> {
    Fixed(diesel::update(callback_deliveries::table.find(id)).set((
        callback_deliveries::next_attempt_at.eq(Some(lease_until.micros())),
        callback_deliveries::claimed_by.eq(Some(&tx.rules.node)),
    )))
    .execute(tx.conn)
}

pub(super) fn due_of(tx: &mut Tx<'_>, callback: CallbackId, limit: usize) -> QueryResult<Vec<DueDelivery>> {
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
        let mut latest = BTreeMap::new();
        for attempt in self.attempts {
            if let Some(callback) = record(tx, &attempt)? {
                latest.entry(callback).or_insert_with(CallbackNews::default).add(attempt);
            }
        }
        // In the order of their numbers, so that processes don't wait for each other's callbacks.
        for (callback, news) in latest {
            conclude(tx, callback, news, self.disable_after)?;
        }
        Ok(())
    }
}

/// What the attempts of one record say of their callback.
#[derive(Default)]
struct CallbackNews {
    delivered: bool,
    failed: Option<DeliveryAttempt>,
    given_up: Option<DeliveryAttempt>,
    gone: Option<DeliveryAttempt>,
}

impl CallbackNews {
    fn add(&mut self, attempt: DeliveryAttempt) {
        match attempt.then {
            DeliveryThen::Done => self.delivered = true,
            DeliveryThen::Again(_) => self.failed = Some(attempt),
            DeliveryThen::Parked => self.given_up = Some(attempt),
            DeliveryThen::Gone => self.gone = Some(attempt),
        }
    }
}

/// Disables a callback that wants no more posts, or that has taken none for so long that one was given up.
fn conclude(tx: &mut Tx<'_>, callback: CallbackId, news: CallbackNews, disable_after: Duration) -> QueryResult<()> {
    if let Some(gone) = news.gone {
        return disable(tx, callback, &gone, gone.error.as_deref().unwrap_or("it wants no more posts"));
    }
    if news.delivered {
        return callback_rows::has_delivered(tx, callback);
    }
    let Some(failed) = news.given_up.as_ref().or(news.failed.as_ref()) else { return Ok(()) };
    let Some(since) = callback_rows::has_failed(tx, callback, failed.at)? else { return Ok(()) };
    match news.given_up {
        Some(given_up) if given_up.at.since(since) >= disable_after => {
            let error = given_up.error.as_deref().unwrap_or("no post arrived");
            disable(
                tx,
                callback,
                &given_up,
                &format!("nothing was delivered since {}: {error}", since.to_seconds_text()),
            )
        }
        _ => Ok(()),
    }
}

fn disable(tx: &mut Tx<'_>, callback: CallbackId, after: &DeliveryAttempt, reason: &str) -> QueryResult<()> {
    if callback_rows::disable(tx, callback, after.at, reason)? {
        tracing::warn!(
            callback,
            reason,
            "the callback is disabled until its client changes it; see `vumi callbacks list`"
        );
        parked::park(tx, callback)?;
    }
    Ok(())
}

/// Who holds a delivery, and until when.
#[derive(Queryable, Selectable)]
#[diesel(table_name = callback_deliveries)]
struct ClaimedDelivery {
    callback: CallbackId,
    attempts: i32,
    next_attempt_at: Option<i64>,
    claimed_by: Option<String>,
}

impl ClaimedDelivery {
    fn is_held(&self, node: &str, until: Timestamp) -> bool {
        self.claimed_by.as_deref() == Some(node) && self.next_attempt_at == Some(until.micros())
    }
}

/// Records an attempt. Answers the delivery's callback.
fn record(tx: &mut Tx<'_>, attempt: &DeliveryAttempt) -> QueryResult<Option<CallbackId>> {
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
        return Ok(None);
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
        // Another one has it, or the callback was disabled: this attempt counts, and what follows is not for it to say.
        Fixed(diesel::update(row).set(callback_deliveries::attempts.eq(number))).execute(tx.conn)?;
        return Ok(Some(before.callback));
    }
    let (next, parked) = match attempt.then {
        DeliveryThen::Done => (None, None),
        DeliveryThen::Again(at) => (Some(at.micros()), None),
        DeliveryThen::Parked | DeliveryThen::Gone => (None, Some(attempt.at.micros())),
    };
    let error = attempt.error.clone().or_else(|| attempt.http_status.map(|status| format!("HTTP {status}")));
    Fixed(diesel::update(row).set((
        callback_deliveries::attempts.eq(number),
        callback_deliveries::last_error.eq(error),
        callback_deliveries::next_attempt_at.eq(next),
        callback_deliveries::claimed_by.eq(None::<String>),
        callback_deliveries::parked_at.eq(parked),
    )))
    .execute(tx.conn)?;
    Ok(Some(before.callback))
}
