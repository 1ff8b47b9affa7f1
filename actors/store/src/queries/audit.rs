//! The audit trail. Rows are added here and nowhere else, a trigger refuses every change of one, and the sweep alone removes
//! them.

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    audit::{AuditActor, AuditEntry, AuditEvent, ListAudit, RecordAudit},
    clock::Timestamp,
    text::keepable,
};

use super::{Conn, Failed, Read, Tx, Write, rows};
use crate::schema::{accounts, audit};

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct AuditRow {
    id: i64,
    at: i64,
    actor: String,
    address: Option<String>,
    account: Option<String>,
    event: String,
    detail: String,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, actor, address, account, event, detail } = row;
        let (at, by) = (Timestamp::from_micros(at), AuditActor::kept(actor));
        Self { id, at, by, address, account, event, detail }
    }
}

/// Adds an entry about an account, in the transaction of what it tells.
pub(super) fn note(
    tx: &mut Tx<'_>,
    by: &AuditActor,
    account: &str,
    event: AuditEvent,
    detail: &str,
) -> QueryResult<()> {
    let (by, account, detail) = (by.clone(), Some(account.to_owned()), detail.to_owned());
    add(tx, RecordAudit { by, address: None, account, event, detail })
}

/// Adds an entry about no account.
pub(super) fn note_general(tx: &mut Tx<'_>, by: &AuditActor, event: AuditEvent, detail: &str) -> QueryResult<()> {
    add(tx, RecordAudit { by: by.clone(), address: None, account: None, event, detail: detail.to_owned() })
}

/// Adds an entry about what an account did with what is its own.
pub(super) fn note_of_account(tx: &mut Tx<'_>, account: AccountId, event: AuditEvent, detail: &str) -> QueryResult<()> {
    let name = accounts::table.find(account).select(accounts::username).first::<String>(tx.conn).optional()?;
    let name = name.unwrap_or_else(|| format!("number {account}"));
    note(tx, &AuditActor::account(&name), &name, event, detail)
}

fn add(tx: &mut Tx<'_>, entry: RecordAudit) -> QueryResult<()> {
    diesel::insert_into(audit::table)
        .values((
            audit::at.eq(tx.now.micros()),
            audit::actor.eq(keepable(entry.by.as_str().to_owned())),
            audit::address.eq(entry.address.map(|address| address.to_string())),
            audit::account.eq(entry.account.map(keepable)),
            audit::event.eq(entry.event.as_str()),
            audit::detail.eq(keepable(entry.detail)),
        ))
        .execute(tx.conn)
        .map(drop)
}

impl Write for RecordAudit {
    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        Ok(add(tx, self)?)
    }
}

impl Read for ListAudit {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<AuditEntry>, Failed> {
        let (at, id) = self.after.map_or((i64::MIN, i64::MIN), |(at, id)| (at.micros(), id));
        let from = self.since.map_or(at, |since| since.micros().max(at));
        let page = audit::table
            // Told twice: only a plain bound on the index's column is a bound on the walk.
            .filter(audit::at.ge(from))
            .filter(audit::at.gt(at).or(audit::at.eq(at).and(audit::id.gt(id))))
            .order((audit::at, audit::id))
            .limit(rows::as_limit(self.limit))
            .select(AuditRow::as_select());
        let found: Vec<AuditRow> = match self.account {
            Some(account) => page.filter(audit::account.eq(account)).load(conn)?,
            None => page.load(conn)?,
        };
        Ok(found.into_iter().map(AuditEntry::from).collect())
    }
}

/// Removes a piece of what is older than it is kept. Answers how many.
pub(super) fn sweep(tx: &mut Tx<'_>, piece: usize) -> QueryResult<usize> {
    let until = tx.now.minus(tx.rules.keep_audit).micros();
    let last: Option<i64> = audit::table
        .filter(audit::at.lt(until))
        .order(audit::at)
        .offset(rows::as_limit(piece))
        .select(audit::at)
        .first(tx.conn)
        .optional()?;
    diesel::delete(audit::table.filter(audit::at.lt(last.unwrap_or(until)))).execute(tx.conn)
}
