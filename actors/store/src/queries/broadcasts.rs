//! Broadcasts: their lines are kept, and become SMS step by step.

mod steps;

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    address::Address,
    broadcast::{
        AddBroadcastLines, AddedLines, Broadcast, BroadcastId, BroadcastLine, BroadcastSpec, BroadcastState,
        BroadcastStep, CreateBroadcast, CreatedBroadcast, FindBroadcast, ListBroadcasts, MAX_LINES, MAX_LISTED,
        MAX_OPEN, MAX_STEP, SteerBroadcast, SteeredBroadcast,
    },
    clock::Timestamp,
    name::Name,
    text::keepable,
};

use super::{Conn, Failed, Read, Tx, Write};
use crate::schema::{broadcast_chunks, broadcast_refusals, broadcasts};

#[derive(Queryable, Selectable)]
#[diesel(table_name = broadcasts)]
struct BroadcastRow {
    id: i64,
    account: i64,
    username: String,
    name: String,
    template: String,
    transport: Option<String>,
    sender: String,
    pace: Option<i32>,
    state: String,
    lines: Option<i64>,
    loaded: i64,
    taken: i64,
    accepted: i64,
    refused: i64,
    why: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<BroadcastRow> for Broadcast {
    type Error = diesel::result::Error;

    fn try_from(row: BroadcastRow) -> QueryResult<Self> {
        let pace = row.pace.map(|pace| u32::try_from(pace).unwrap_or(1));
        let spec = BroadcastSpec {
            template: row.template,
            transport: row.transport.map(Name::try_from).transpose().map_err(unreadable)?,
            from: Address::try_from(row.sender).map_err(unreadable)?,
            pace,
        };
        Ok(Self {
            id: row.id,
            account: row.account,
            username: row.username,
            name: Name::try_from(row.name).map_err(unreadable)?,
            spec,
            state: BroadcastState::parse(&row.state).ok_or_else(|| unreadable("no state of a broadcast"))?,
            lines: row.lines.map(counted),
            loaded: counted(row.loaded),
            taken: counted(row.taken),
            accepted: counted(row.accepted),
            refused: counted(row.refused),
            why: row.why,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

/// A count of the database.
fn counted(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// A count for the database.
fn count(counted: u64) -> i64 {
    i64::try_from(counted).unwrap_or(i64::MAX)
}

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> diesel::result::Error {
    diesel::result::Error::DeserializationError(why.into())
}

fn find(conn: &mut Conn, account: AccountId, name: &Name) -> QueryResult<Option<Broadcast>> {
    let its = broadcasts::table.filter(broadcasts::account.eq(account)).filter(broadcasts::name.eq(name.as_str()));
    let row: Option<BroadcastRow> = its.select(BroadcastRow::as_select()).first(conn).optional()?;
    row.map(Broadcast::try_from).transpose()
}

/// As [`find`]; nobody else changes it until the transaction ends.
fn find_to_change(tx: &mut Tx<'_>, account: AccountId, name: &Name) -> QueryResult<Option<Broadcast>> {
    let its = broadcasts::table.filter(broadcasts::account.eq(account)).filter(broadcasts::name.eq(name.as_str()));
    let row: Option<BroadcastRow> = for_update!(its.select(BroadcastRow::as_select())).first(tx.conn).optional()?;
    row.map(Broadcast::try_from).transpose()
}

impl Write for CreateBroadcast {
    const GROWS: bool = true;

    /// The same request may be with another process at this moment.
    fn lock_keys(&self) -> Vec<String> {
        vec![format!("broadcast {}", self.account)]
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<CreatedBroadcast, Failed> {
        let Self { account, username, name, spec } = self;
        if let Some(before) = find(tx.conn, account, &name)? {
            let same = before.spec == spec;
            return Ok(if same { CreatedBroadcast::Existing(before) } else { CreatedBroadcast::Different });
        }
        let over = [BroadcastState::Cancelled, BroadcastState::Done].map(BroadcastState::as_str);
        let open = broadcasts::table.filter(broadcasts::account.eq(account)).filter(broadcasts::state.ne_all(over));
        if open.count().get_result::<i64>(tx.conn)? >= MAX_OPEN {
            return Ok(CreatedBroadcast::TooMany);
        }
        let (now, pace) = (tx.now.micros(), spec.pace.map(|pace| i32::try_from(pace).unwrap_or(i32::MAX)));
        diesel::insert_into(broadcasts::table)
            .values((
                broadcasts::account.eq(account),
                broadcasts::username.eq(&username),
                broadcasts::name.eq(name.as_str()),
                broadcasts::template.eq(keepable(spec.template)),
                broadcasts::transport.eq(spec.transport.as_ref().map(Name::as_str)),
                broadcasts::sender.eq(spec.from.as_str()),
                broadcasts::pace.eq(pace),
                broadcasts::state.eq(BroadcastState::Loading.as_str()),
                broadcasts::loaded.eq(0),
                broadcasts::taken.eq(0),
                broadcasts::accepted.eq(0),
                broadcasts::refused.eq(0),
                broadcasts::created_at.eq(now),
                broadcasts::updated_at.eq(now),
            ))
            .execute(tx.conn)?;
        let made = find(tx.conn, account, &name)?.ok_or(diesel::result::Error::NotFound)?;
        Ok(CreatedBroadcast::New(made))
    }
}

impl Write for AddBroadcastLines {
    const GROWS: bool = true;

    fn rows(&self) -> usize {
        self.lines.len().div_ceil(MAX_STEP) + 1
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<AddedLines, Failed> {
        let Some(mut broadcast) = find_to_change(tx, self.account, &self.name)? else {
            return Ok(AddedLines::NotFound);
        };
        if broadcast.state != BroadcastState::Loading {
            return Ok(AddedLines::Started(broadcast));
        }
        let next = broadcast.loaded + 1;
        if self.lines.first().is_some_and(|first| first.line > next) {
            return Ok(AddedLines::Gap(next));
        }
        let fresh: Vec<BroadcastLine> = self.lines.into_iter().filter(|line| line.line >= next).collect();
        let Some(last) = fresh.last().map(|line| line.line) else { return Ok(AddedLines::Loaded(broadcast)) };
        if last > MAX_LINES {
            return Ok(AddedLines::TooMany);
        }
        for chunk in fresh.chunks(MAX_STEP) {
            let last_line = chunk.last().map_or(0, |line| count(line.line));
            diesel::insert_into(broadcast_chunks::table)
                .values((
                    broadcast_chunks::broadcast.eq(broadcast.id),
                    broadcast_chunks::last_line.eq(last_line),
                    broadcast_chunks::lines.eq(steps::written(chunk)?),
                ))
                .execute(tx.conn)?;
        }
        diesel::update(broadcasts::table.find(broadcast.id))
            .set((broadcasts::loaded.eq(count(last)), broadcasts::updated_at.eq(tx.now.micros())))
            .execute(tx.conn)?;
        broadcast.loaded = last;
        Ok(AddedLines::Loaded(broadcast))
    }
}

impl Write for SteerBroadcast {
    fn write(self, tx: &mut Tx<'_>) -> Result<SteeredBroadcast, Failed> {
        let Some(broadcast) = find_to_change(tx, self.account, &self.name)? else {
            return Ok(SteeredBroadcast::NotFound);
        };
        let (id, now) = (broadcast.id, tx.now.micros());
        let state = match (self.step, broadcast.state) {
            (BroadcastStep::Start(lines), BroadcastState::Loading) if lines > 0 && broadcast.loaded == lines => {
                let lines = broadcasts::lines.eq(Some(count(lines)));
                diesel::update(broadcasts::table.find(id)).set(lines).execute(tx.conn)?;
                BroadcastState::Running
            }
            // Asked again by who did not hear the answer.
            (BroadcastStep::Start(lines), state) if broadcast.lines == Some(lines) => state,
            (BroadcastStep::Pause, BroadcastState::Running | BroadcastState::Paused) => BroadcastState::Paused,
            (BroadcastStep::Resume, BroadcastState::Paused | BroadcastState::Running) => BroadcastState::Running,
            // Nothing was sent: its name is free again.
            (BroadcastStep::Cancel, BroadcastState::Loading) => {
                diesel::delete(broadcast_chunks::table.filter(broadcast_chunks::broadcast.eq(id))).execute(tx.conn)?;
                diesel::delete(broadcasts::table.find(id)).execute(tx.conn)?;
                return Ok(SteeredBroadcast::Now(Broadcast { state: BroadcastState::Cancelled, ..broadcast }));
            }
            (BroadcastStep::Cancel, BroadcastState::Done) => return Ok(SteeredBroadcast::Refused(broadcast)),
            (BroadcastStep::Cancel, _) => BroadcastState::Cancelled,
            _ => return Ok(SteeredBroadcast::Refused(broadcast)),
        };
        if state != broadcast.state {
            let next_at = (state == BroadcastState::Running).then_some(now);
            diesel::update(broadcasts::table.find(id))
                .set((
                    broadcasts::state.eq(state.as_str()),
                    broadcasts::next_at.eq(next_at),
                    broadcasts::why.eq(None::<String>),
                    broadcasts::updated_at.eq(now),
                ))
                .execute(tx.conn)?;
        }
        if state == BroadcastState::Cancelled {
            // A hundred lines are one row.
            diesel::delete(broadcast_chunks::table.filter(broadcast_chunks::broadcast.eq(id))).execute(tx.conn)?;
        }
        let now = find(tx.conn, self.account, &self.name)?.ok_or(diesel::result::Error::NotFound)?;
        Ok(SteeredBroadcast::Now(now))
    }
}

impl Read for FindBroadcast {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<(Broadcast, Vec<(u64, String)>)>, Failed> {
        let Some(broadcast) = find(conn, self.account, &self.name)? else { return Ok(None) };
        let refusals: Vec<(i64, String)> = broadcast_refusals::table
            .filter(broadcast_refusals::broadcast.eq(broadcast.id))
            .order(broadcast_refusals::line)
            .limit(MAX_LISTED)
            .select((broadcast_refusals::line, broadcast_refusals::why))
            .load(conn)?;
        let refusals = refusals.into_iter().map(|(line, why)| (counted(line), why)).collect();
        Ok(Some((broadcast, refusals)))
    }
}

impl Read for ListBroadcasts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Broadcast>, Failed> {
        let newest = broadcasts::table.filter(broadcasts::account.eq(self.account)).order(broadcasts::id.desc());
        let rows: Vec<BroadcastRow> = newest.limit(MAX_LISTED).select(BroadcastRow::as_select()).load(conn)?;
        Ok(rows.into_iter().map(Broadcast::try_from).collect::<QueryResult<_>>()?)
    }
}

/// One by its number, to be changed.
fn find_row(tx: &mut Tx<'_>, id: BroadcastId) -> QueryResult<Option<Broadcast>> {
    let its = broadcasts::table.find(id).select(BroadcastRow::as_select());
    let row: Option<BroadcastRow> = for_update!(its).first(tx.conn).optional()?;
    row.map(Broadcast::try_from).transpose()
}
