//! Deliveries that were given up: so many for each callback, listed, replayed. And what is left of callbacks that are
//! disabled or deleted: parked or deleted. All of it in pieces, since one callback may have a long queue.

use std::collections::BTreeSet;

use diesel::prelude::*;
use vumi_kit::{
    callback::{
        CallbackId, DeliveryId, DroppedDeliveries, ListParked, ParkedCursor, ParkedDeliveries, ParkedDelivery,
        ParkedSelection, ReplayParked, ReplayedDeliveries,
    },
    clock::Timestamp,
};

use super::{
    Conn, Failed, Fixed, Read, Tx, Write, callbacks::callback_name, deliveries::next_with_work, rows::as_limit,
};
use crate::schema::{callback_attempts, callback_deliveries, callbacks};

/// Rows that one piece changes.
const PIECE: usize = 500;

/// Callbacks that one sweep looks at: a look costs as much as many may be parked.
const LOOKED_AT: usize = 8;

/// Parks what was still to be posted to a callback, a piece of it; answers how many.
pub(super) fn park(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<usize> {
    let ids = waiting_of(tx, callback, PIECE)?;
    park_these(tx, &ids, "the callback is disabled")
}

/// Parks those of these that wait, and says why; answers how many these are.
pub(super) fn park_these(tx: &mut Tx<'_>, ids: &[DeliveryId], why: &str) -> QueryResult<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    let waiting = callback_deliveries::table.filter(among!(callback_deliveries::id, "callback_deliveries.id", ids));
    Fixed(diesel::update(waiting.filter(callback_deliveries::next_attempt_at.is_not_null())).set((
        callback_deliveries::last_error.eq(Some(why)),
        callback_deliveries::next_attempt_at.eq(None::<i64>),
        callback_deliveries::claimed_by.eq(None::<String>),
        callback_deliveries::parked_at.eq(Some(tx.now.micros())),
    )))
    .execute(tx.conn)?;
    Ok(ids.len())
}

fn waiting_of(tx: &mut Tx<'_>, callback: CallbackId, limit: usize) -> QueryResult<Vec<DeliveryId>> {
    callback_deliveries::table
        .filter(callback_deliveries::callback.eq(callback))
        .filter(callback_deliveries::next_attempt_at.is_not_null())
        .order(callback_deliveries::next_attempt_at)
        .limit(as_limit(limit))
        .select(callback_deliveries::id)
        .load(tx.conn)
}

/// Those parked of a callback but for the `newest`, so many at the most.
fn parked_of(tx: &mut Tx<'_>, callback: CallbackId, newest: usize, limit: usize) -> QueryResult<Vec<DeliveryId>> {
    callback_deliveries::table
        .filter(callback_deliveries::callback.eq(callback))
        .filter(callback_deliveries::parked_at.is_not_null())
        .order(callback_deliveries::parked_at.desc())
        .offset(as_limit(newest))
        .limit(as_limit(limit))
        .select(callback_deliveries::id)
        .load(tx.conn)
}

/// Deletes parked deliveries of a callback of which more are parked than may be, the oldest, a piece of them. Counted, and
/// shown by `vumi callbacks list`. Answers how many.
pub(super) fn trim(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<usize> {
    let most = tx.rules.waiting_per_callback;
    let ids = parked_of(tx, callback, most, PIECE)?;
    if ids.is_empty() {
        return Ok(0);
    }
    delete(tx, &ids)?;
    let dropped = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    Fixed(diesel::update(callbacks::table.find(callback)).set(callbacks::dropped.eq(callbacks::dropped + dropped)))
        .execute(tx.conn)?;
    vumi_kit::warn_limited!(
        "dropped",
        callback,
        most,
        "too many deliveries that were given up are parked: the oldest are deleted; see `vumi callbacks list`"
    );
    Ok(ids.len())
}

/// Deletes what was to be posted to a callback that is gone, a piece of it; answers how many.
fn forget(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<usize> {
    let mut ids = waiting_of(tx, callback, PIECE)?;
    let room = PIECE.saturating_sub(ids.len());
    ids.append(&mut parked_of(tx, callback, 0, room)?);
    delete(tx, &ids)?;
    Ok(ids.len())
}

fn delete(tx: &mut Tx<'_>, ids: &[DeliveryId]) -> QueryResult<()> {
    let attempts =
        callback_attempts::table.filter(among!(callback_attempts::delivery, "callback_attempts.delivery", ids));
    diesel::delete(attempts).execute(tx.conn)?;
    let deliveries = callback_deliveries::table.filter(among!(callback_deliveries::id, "callback_deliveries.id", ids));
    diesel::delete(deliveries).execute(tx.conn).map(drop)
}

/// Goes from callback to callback that has something waiting or parked, and on from there the next time. Of one that is gone
/// it is deleted, of one that is disabled it is parked, and of each so much stays parked as may. Answers how many rows it
/// changed.
pub(super) fn sweep(tx: &mut Tx<'_>) -> QueryResult<usize> {
    let mut swept = 0;
    for _ in 0..LOOKED_AT {
        let Some(callback) = next_with_any(tx)? else {
            tx.state.swept_callback = 0;
            break;
        };
        swept += tidy(tx, callback)?;
        if swept >= PIECE {
            // There may be more of this one.
            break;
        }
        tx.state.swept_callback = callback;
    }
    Ok(swept)
}

fn next_with_any(tx: &mut Tx<'_>) -> QueryResult<Option<CallbackId>> {
    let after = tx.state.swept_callback;
    let with_work = next_with_work(tx, after)?;
    let with_parked = callback_deliveries::table
        .filter(callback_deliveries::parked_at.is_not_null())
        .filter(callback_deliveries::callback.gt(after))
        .order(callback_deliveries::callback)
        .select(callback_deliveries::callback);
    let with_parked = with_parked.first(tx.conn).optional()?;
    Ok(with_work.into_iter().chain(with_parked).min())
}

fn tidy(tx: &mut Tx<'_>, callback: CallbackId) -> QueryResult<usize> {
    let disabled_at = callbacks::table.find(callback).select(callbacks::disabled_at);
    match disabled_at.first::<Option<i64>>(tx.conn).optional()? {
        None => forget(tx, callback),
        Some(None) => trim(tx, callback),
        Some(Some(_)) => Ok(park(tx, callback)? + trim(tx, callback)?),
    }
}

impl Read for ListParked {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<ParkedDeliveries, Failed> {
        // What is left of a deleted callback is invisible until it is swept.
        let all = callback_deliveries::table
            .inner_join(callbacks::table)
            .filter(callback_deliveries::parked_at.is_not_null());
        let total: i64 = all.count().get_result(conn)?;
        type Parked = (i64, String, Option<String>, String, i32, Option<String>, i64);
        let parked: Vec<Parked> = all
            .order((callback_deliveries::parked_at.desc(), callback_deliveries::id.desc()))
            .limit(as_limit(self.limit))
            .select((
                callback_deliveries::id,
                callback_deliveries::name,
                callback_deliveries::url,
                callbacks::url,
                callback_deliveries::attempts,
                callback_deliveries::last_error,
                callback_deliveries::created_at,
            ))
            .load(conn)?;
        let listed = parked.into_iter().map(|(id, name, own_url, url, attempts, error, created_at)| {
            Ok(ParkedDelivery {
                id,
                name: callback_name(&name)?,
                url: own_url.unwrap_or(url),
                attempts,
                error: error.unwrap_or_default(),
                created_at: Timestamp::from_micros(created_at),
            })
        });
        let listed = listed.collect::<QueryResult<_>>()?;
        Ok(ParkedDeliveries { listed, total: counted(total), dropped: dropped(conn, self.limit)? })
    }
}

fn dropped(conn: &mut Conn, limit: usize) -> QueryResult<Vec<DroppedDeliveries>> {
    // Written out: the index holds these rows alone, and the database has to see that they are meant.
    let some = diesel::dsl::sql::<diesel::sql_types::Bool>("dropped > 0");
    let dropped: Vec<(CallbackId, String, i64)> = callbacks::table
        .filter(some)
        .order(callbacks::id)
        .limit(as_limit(limit))
        .select((callbacks::id, callbacks::url, callbacks::dropped))
        .load(conn)?;
    let dropped = dropped.into_iter();
    Ok(dropped.map(|(callback, url, count)| DroppedDeliveries { callback, url, count: counted(count) }).collect())
}

/// A parked delivery: when it was parked, its number, its callback.
type ParkedRow = (Option<i64>, DeliveryId, CallbackId);

impl Write for ReplayParked {
    fn rows(&self) -> usize {
        Self::MOST
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<ReplayedDeliveries, Failed> {
        let parked = callback_deliveries::table.filter(callback_deliveries::parked_at.is_not_null());
        let columns = (callback_deliveries::parked_at, callback_deliveries::id, callback_deliveries::callback);
        let (rows, until): (Vec<ParkedRow>, Option<Timestamp>) = match self.which {
            ParkedSelection::These(ids) => {
                let these = parked.filter(among!(callback_deliveries::id, "callback_deliveries.id", &ids));
                (these.select(columns).load(tx.conn)?, None)
            }
            ParkedSelection::All(cursor) => {
                let ParkedCursor { parked_at, id, until } =
                    cursor.unwrap_or(ParkedCursor { parked_at: Timestamp::from_micros(0), id: 0, until: tx.now });
                let at = parked_at.micros();
                let behind = callback_deliveries::parked_at.gt(at).or(callback_deliveries::id.gt(id));
                let step = parked
                    .filter(callback_deliveries::parked_at.ge(at))
                    .filter(behind)
                    .filter(callback_deliveries::parked_at.le(until.micros()))
                    .order((callback_deliveries::parked_at, callback_deliveries::id))
                    .limit(as_limit(Self::MOST))
                    .select(columns);
                (step.load(tx.conn)?, Some(until))
            }
        };
        let mut replayed = make_due(tx, &rows)?;
        if let (Some(until), Self::MOST, Some((parked_at, id, _))) = (until, rows.len(), rows.last()) {
            let parked_at = Timestamp::from_micros(parked_at.unwrap_or_default());
            replayed.next = Some(ParkedCursor { parked_at, id: *id, until });
        }
        Ok(replayed)
    }
}

fn make_due(tx: &mut Tx<'_>, rows: &[ParkedRow]) -> QueryResult<ReplayedDeliveries> {
    let of: BTreeSet<CallbackId> = rows.iter().map(|(_, _, callback)| *callback).collect();
    let of: Vec<CallbackId> = of.into_iter().collect();
    let states: Vec<(CallbackId, Option<i64>)> = callbacks::table
        .filter(among!(callbacks::id, "callbacks.id", &of))
        .select((callbacks::id, callbacks::disabled_at))
        .load(tx.conn)?;
    let of_those = |disabled: bool| {
        let is_so = |callback: &CallbackId| {
            states.iter().any(|(id, disabled_at)| id == callback && disabled_at.is_some() == disabled)
        };
        rows.iter().filter(move |(_, _, callback)| is_so(callback)).map(|(_, id, _)| *id).collect::<Vec<_>>()
    };
    let (enabled, of_disabled) = (of_those(false), of_those(true).len());
    let these = callback_deliveries::table.filter(among!(callback_deliveries::id, "callback_deliveries.id", &enabled));
    let parked = these.filter(callback_deliveries::parked_at.is_not_null());
    let due = diesel::update(parked)
        .set((
            // Its time to be given up is behind it, or it would not be parked: it gets a fresh one.
            callback_deliveries::created_at.eq(tx.now.micros()),
            callback_deliveries::next_attempt_at.eq(Some(tx.now.micros())),
            callback_deliveries::parked_at.eq(None::<i64>),
        ))
        .execute(tx.conn)?;
    Ok(ReplayedDeliveries { due, of_disabled, next: None })
}

fn counted(rows: i64) -> usize {
    usize::try_from(rows).unwrap_or_default()
}
