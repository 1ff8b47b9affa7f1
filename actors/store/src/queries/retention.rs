//! Retention: texts, and later rows, of SMS that have been at rest for as long as the settings keep them.
//!
//! A run walks along the index of changes, account by account and transport by transport, in steps of a bounded size. Texts are
//! taken out once: how far that went is kept (`retention_progress`), and what comes to rest later has a later time of change
//! and lies ahead. Rows are looked for from the oldest on, since those that went are no longer in the way.

mod removal;

use diesel::{prelude::*, upsert::excluded};
use vumi_kit::clock::Timestamp;

pub(super) use self::removal::forget_receipts;
use self::removal::{remove_received_texts, remove_sms, remove_texts};
use super::{Conn, Failed, Fixed, Tx, Write, life::LifeColumns, rows::as_limit};
use crate::{
    schema::{callback_attempts, callback_deliveries, received_sms, retention_progress, sms},
    writer::commands::{RetainStep, RetainedStep},
};

/// Rows that one step looks at: everybody's transaction waits for it.
const STEP: usize = 200;

/// Accounts and transports that one step looks at, where there is nothing to do.
const LOOKED_AT: usize = 50;

/// What a run does, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Task {
    #[default]
    SmsTexts,
    ReceivedTexts,
    DeliveryTexts,
    SmsRows,
    ReceivedRows,
    DeliveryRows,
}

impl Task {
    /// Its name in `retention_progress`.
    const fn as_str(self) -> &'static str {
        match self {
            Self::SmsTexts => "texts of sms",
            Self::ReceivedTexts => "texts of received_sms",
            Self::DeliveryTexts => "texts of callback_deliveries",
            Self::SmsRows => "sms",
            Self::ReceivedRows => "received_sms",
            Self::DeliveryRows => "callback_deliveries",
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::SmsTexts => Some(Self::ReceivedTexts),
            Self::ReceivedTexts => Some(Self::DeliveryTexts),
            Self::DeliveryTexts => Some(Self::SmsRows),
            Self::SmsRows => Some(Self::ReceivedRows),
            Self::ReceivedRows => Some(Self::DeliveryRows),
            Self::DeliveryRows => None,
        }
    }

    const fn is_of_texts(self) -> bool {
        matches!(self, Self::SmsTexts | Self::ReceivedTexts | Self::DeliveryTexts)
    }
}

/// Whose SMS over which transport.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    account: i64,
    transport: String,
}

impl Walk {
    /// Before all others; also the only one of what is walked through as one.
    const fn first() -> Self {
        Self { account: i64::MIN, transport: String::new() }
    }
}

/// A position in the order of changes.
type ChangeCursor = (i64, i64);

const FROM_THE_FIRST: ChangeCursor = (i64::MIN, i64::MIN);

/// Where a run goes on.
#[derive(Debug)]
pub(super) struct RetentionPlace {
    task: Task,
    /// The walk before that of the next step.
    after: Walk,
    /// Where the next step of its walk begins, of rows.
    rows_from: ChangeCursor,
}

impl Default for RetentionPlace {
    fn default() -> Self {
        Self { task: Task::default(), after: Walk::first(), rows_from: FROM_THE_FIRST }
    }
}

/// What a step did in a walk.
struct Stepped {
    /// SMS whose text or row went.
    changed: usize,
    /// Where the next step begins; none: the walk has come to its end.
    next: Option<ChangeCursor>,
}

impl Write for RetainStep {
    fn rows(&self) -> usize {
        STEP
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<RetainedStep, Failed> {
        let mut done = RetainedStep::default();
        for _ in 0..LOOKED_AT {
            let RetentionPlace { task, after, rows_from } = std::mem::take(&mut tx.state.retention);
            let until = kept_until(tx, task);
            let walk = if until.is_some() { next_walk(tx.conn, task, &after)? } else { None };
            let (Some(until), Some(walk)) = (until, walk) else {
                let Some(task) = task.next() else {
                    done.whole = true;
                    break;
                };
                tx.state.retention.task = task;
                continue;
            };
            let stepped = step(tx, task, &walk, until, rows_from)?;
            if task.is_of_texts() {
                done.texts += stepped.changed;
            } else {
                done.rows += stepped.changed;
            }
            tx.state.retention = match stepped.next {
                Some(rows_from) => RetentionPlace { task, after, rows_from },
                None => RetentionPlace { task, after: walk, rows_from: FROM_THE_FIRST },
            };
            if stepped.changed > 0 || stepped.next.is_some() {
                break;
            }
        }
        Ok(done)
    }
}

/// What came to rest before this moment is not kept any longer.
fn kept_until(tx: &Tx<'_>, task: Task) -> Option<Timestamp> {
    let rules = &tx.rules.retention;
    let kept = if task.is_of_texts() { rules.texts } else { rules.rows };
    kept.map(|kept| tx.now.minus(kept))
}

fn step(tx: &mut Tx<'_>, task: Task, walk: &Walk, until: Timestamp, rows_from: ChangeCursor) -> QueryResult<Stepped> {
    let from = if task.is_of_texts() { progress(tx, task, walk)? } else { rows_from };
    let stepped = match task {
        Task::SmsTexts => {
            let seen = seen_sms(tx, walk, from, until)?;
            let at_rest = at_rest(tx, &seen)?.into_iter();
            let old: Vec<i64> = at_rest.filter(|row| row.text_removed_at.is_none()).map(|row| row.id).collect();
            remove_texts(tx, &old)?;
            seen_step(&old, seen.last().map(SeenSms::cursor), seen.len())
        }
        Task::SmsRows => {
            let seen = seen_sms(tx, walk, from, until)?;
            let last: Option<i64> = sms::table.select(diesel::dsl::max(sms::id)).first(tx.conn)?;
            // The last number is that which the next one is counted from.
            let at_rest = at_rest(tx, &seen)?.into_iter();
            let old: Vec<i64> = at_rest.map(|row| row.id).filter(|id| Some(*id) != last).collect();
            remove_sms(tx, &old)?;
            seen_step(&old, seen.last().map(SeenSms::cursor), seen.len())
        }
        Task::ReceivedTexts => {
            let seen = seen_received(tx, walk, from, until)?;
            let old: Vec<i64> = seen.iter().filter(|row| row.text_removed_at.is_none()).map(|row| row.id).collect();
            remove_received_texts(tx, &old)?;
            seen_step(&old, seen.last().map(SeenReceived::cursor), seen.len())
        }
        Task::ReceivedRows => {
            let seen = seen_received(tx, walk, from, until)?;
            let last: Option<i64> = received_sms::table.select(diesel::dsl::max(received_sms::id)).first(tx.conn)?;
            let old: Vec<i64> = seen.iter().map(|row| row.id).filter(|id| Some(*id) != last).collect();
            diesel::delete(received_sms::table.filter(among!(received_sms::id, "received_sms.id", &old)))
                .execute(tx.conn)?;
            seen_step(&old, seen.last().map(SeenReceived::cursor), seen.len())
        }
        Task::DeliveryTexts | Task::DeliveryRows => step_deliveries(tx, task, from, until)?,
    };
    if task.is_of_texts()
        && let Some(last) = stepped.last
    {
        keep_progress(tx, task, walk, last)?;
    }
    Ok(Stepped { changed: stepped.changed, next: stepped.last.filter(|_| stepped.is_full) })
}

/// What a step saw, before it is known where its task goes on.
struct SeenStep {
    changed: usize,
    last: Option<ChangeCursor>,
    is_full: bool,
}

fn seen_step(changed: &[i64], last: Option<ChangeCursor>, seen: usize) -> SeenStep {
    SeenStep { changed: changed.len(), last, is_full: seen == STEP }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct SeenSms {
    id: i64,
    updated_at: i64,
    text_removed_at: Option<i64>,
    #[diesel(embed)]
    life: LifeColumns,
}

impl SeenSms {
    const fn cursor(&self) -> ChangeCursor {
        (self.updated_at, self.id)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = received_sms)]
struct SeenReceived {
    id: i64,
    updated_at: i64,
    text_removed_at: Option<i64>,
    route_at: Option<i64>,
    outcome: Option<String>,
}

impl SeenReceived {
    const fn cursor(&self) -> ChangeCursor {
        (self.updated_at, self.id)
    }

    /// Dealt with; one that waits for its account is not.
    const fn is_at_rest(&self) -> bool {
        self.route_at.is_none() && self.outcome.is_some()
    }
}

/// The next rows of a walk, for this transaction alone.
macro_rules! seen {
    ($tx:ident, $table:ident, $Row:ident, $walk:ident, $from:ident, $until:ident) => {{
        let (updated_at, id) = $from;
        let next = $table::table
            .filter($table::account.eq($walk.account))
            .filter($table::transport.eq(&$walk.transport))
            .filter($table::updated_at.ge(updated_at))
            .filter($table::updated_at.lt($until.micros()))
            .filter($table::updated_at.gt(updated_at).or($table::id.gt(id)))
            .order(($table::updated_at, $table::id))
            .limit(as_limit(STEP))
            .select($Row::as_select());
        for_update!(next).load($tx.conn)
    }};
}

fn seen_sms(tx: &mut Tx<'_>, walk: &Walk, from: ChangeCursor, until: Timestamp) -> QueryResult<Vec<SeenSms>> {
    seen!(tx, sms, SeenSms, walk, from, until)
}

/// Up to the first one that nobody has dealt with: dealing with it changes no time.
fn seen_received(tx: &mut Tx<'_>, walk: &Walk, from: ChangeCursor, until: Timestamp) -> QueryResult<Vec<SeenReceived>> {
    let mut seen: Vec<SeenReceived> = seen!(tx, received_sms, SeenReceived, walk, from, until)?;
    let at_rest = seen.iter().take_while(|row| row.is_at_rest()).count();
    seen.truncate(at_rest);
    Ok(seen)
}

/// Those that only a receipt moves on, or somebody who sends them again.
fn at_rest<'a>(tx: &Tx<'_>, seen: &'a [SeenSms]) -> QueryResult<Vec<&'a SeenSms>> {
    let states = seen.iter().map(|row| row.life.state(tx.now)).collect::<QueryResult<Vec<_>>>()?;
    Ok(seen.iter().zip(states).filter(|(_, state)| state.is_at_rest()).map(|(row, _)| row).collect())
}

/// The walk behind another one; found by two looks into the index of changes.
fn next_walk(conn: &mut Conn, task: Task, after: &Walk) -> QueryResult<Option<Walk>> {
    // By the first two columns of the table's index.
    macro_rules! next {
        ($table:ident, $first:ident > $after_first:expr, $second:ident > $after_second:expr) => {{
            let columns = ($table::account, $table::transport);
            let same = $table::table.filter($table::$first.eq($after_first));
            let same = same.filter($table::$second.gt($after_second)).order($table::$second);
            let found: Option<(i64, String)> = same.select(columns).first(conn).optional()?;
            match found {
                Some(found) => Some(found),
                None => {
                    let next = $table::table.filter($table::$first.gt($after_first));
                    next.order(($table::$first, $table::$second)).select(columns).first(conn).optional()?
                }
            }
        }};
    }
    let Walk { account, transport } = after;
    let found = match task {
        Task::SmsTexts | Task::SmsRows => next!(sms, account > *account, transport > transport),
        Task::ReceivedTexts | Task::ReceivedRows => next!(received_sms, transport > transport, account > *account),
        // Walked through as one.
        Task::DeliveryTexts | Task::DeliveryRows => (*after == Walk::first()).then(|| (0, String::new())),
    };
    Ok(found.map(|(account, transport)| Walk { account, transport }))
}

/// How far a task of texts has come in a walk.
fn progress(tx: &mut Tx<'_>, task: Task, walk: &Walk) -> QueryResult<ChangeCursor> {
    let its = retention_progress::table.find((task.as_str(), walk.account, &walk.transport));
    let its = its.select((retention_progress::updated_at, retention_progress::id));
    Ok(for_update!(its).first(tx.conn).optional()?.unwrap_or(FROM_THE_FIRST))
}

fn keep_progress(tx: &mut Tx<'_>, task: Task, walk: &Walk, (updated_at, id): ChangeCursor) -> QueryResult<()> {
    let upsert = diesel::insert_into(retention_progress::table)
        .values((
            retention_progress::what.eq(task.as_str()),
            retention_progress::account.eq(walk.account),
            retention_progress::transport.eq(&walk.transport),
            retention_progress::updated_at.eq(updated_at),
            retention_progress::id.eq(id),
        ))
        .on_conflict((retention_progress::what, retention_progress::account, retention_progress::transport))
        .do_update()
        .set((
            retention_progress::updated_at.eq(excluded(retention_progress::updated_at)),
            retention_progress::id.eq(excluded(retention_progress::id)),
        ));
    Fixed(upsert).execute(tx.conn).map(drop)
}

/// Deliveries to callbacks go in the order of their numbers, which is that of their time, up to the first that still waits.
fn step_deliveries(tx: &mut Tx<'_>, task: Task, from: ChangeCursor, until: Timestamp) -> QueryResult<SeenStep> {
    let next = callback_deliveries::table
        .filter(callback_deliveries::id.gt(from.1))
        .order(callback_deliveries::id)
        .limit(as_limit(STEP))
        .select((callback_deliveries::id, callback_deliveries::created_at, callback_deliveries::next_attempt_at));
    let next: Vec<(i64, i64, Option<i64>)> = for_update!(next).load(tx.conn)?;
    let old: Vec<(i64, i64)> = next
        .iter()
        .take_while(|(_, created_at, waits)| waits.is_none() && *created_at < until.micros())
        .map(|(id, created_at, _)| (*id, *created_at))
        .collect();
    let ids: Vec<i64> = old.iter().map(|(id, _)| *id).collect();
    if !ids.is_empty() {
        let these = callback_deliveries::table.filter(among!(callback_deliveries::id, "callback_deliveries.id", &ids));
        if task == Task::DeliveryTexts {
            // What has no body can't be posted again.
            let gone = (callback_deliveries::body.eq(""), callback_deliveries::parked_at.eq(None::<i64>));
            diesel::update(these).set(gone).execute(tx.conn)?;
        } else {
            let attempts = among!(callback_attempts::delivery, "callback_attempts.delivery", &ids);
            diesel::delete(callback_attempts::table.filter(attempts)).execute(tx.conn)?;
            diesel::delete(these).execute(tx.conn)?;
        }
    }
    // Not counted: their SMS are.
    Ok(SeenStep { changed: 0, last: old.last().map(|(id, at)| (*at, *id)), is_full: old.len() == STEP })
}
