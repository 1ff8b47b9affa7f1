//! The clients' callback URLs.

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    callback::{Callback, CallbackName, ChangeCallback, CreateCallback, DeleteCallback, FindCallback, ListCallbacks},
    clock::Timestamp,
};

use super::{Conn, Failed, Fixed, Read, Tx, Write, deliveries};
use crate::schema::callbacks;

#[derive(Queryable, Selectable)]
#[diesel(table_name = callbacks)]
struct Row {
    id: i64,
    account: i64,
    name: String,
    url: String,
    secret: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Callback {
    type Error = diesel::result::Error;
    fn try_from(row: Row) -> Result<Self, Self::Error> {
        Ok(Self {
            id: row.id,
            account: row.account,
            name: callback_name(&row.name)?,
            url: row.url,
            secret: row.secret,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

pub(super) fn callback_name(text: &str) -> QueryResult<CallbackName> {
    CallbackName::parse(text)
        .ok_or_else(|| diesel::result::Error::DeserializationError(format!("no callback name: {text}").into()))
}

impl Write for CreateCallback {
    fn write(self, tx: &mut Tx<'_>) -> Result<Callback, Failed> {
        let id = diesel::insert_into(callbacks::table)
            .values((
                callbacks::account.eq(self.account),
                callbacks::name.eq(self.name.as_str()),
                callbacks::url.eq(&self.url),
                callbacks::secret.eq(&self.secret),
                callbacks::created_at.eq(tx.now.micros()),
                callbacks::updated_at.eq(tx.now.micros()),
            ))
            .returning(callbacks::id)
            .get_result::<i64>(tx.conn)?;
        let Self { account, name, url, secret } = self;
        Ok(Callback { id, account, name, url, secret, created_at: tx.now, updated_at: tx.now })
    }
}

impl Read for ListCallbacks {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Callback>, Failed> {
        let rows: Vec<Row> = callbacks::table
            .filter(callbacks::account.eq(self.account))
            .order(callbacks::id)
            .select(Row::as_select())
            .load(conn)?;
        Ok(rows.into_iter().map(Callback::try_from).collect::<Result<_, _>>()?)
    }
}

fn find(conn: &mut Conn, account: AccountId, id: i64) -> QueryResult<Option<Callback>> {
    let own = callbacks::table.find(id).filter(callbacks::account.eq(account)).select(Row::as_select());
    own.first(conn).optional()?.map(Callback::try_from).transpose()
}

impl Read for FindCallback {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Callback>, Failed> {
        Ok(find(conn, self.account, self.id)?)
    }
}

impl Write for ChangeCallback {
    fn write(self, tx: &mut Tx<'_>) -> Result<Option<Callback>, Failed> {
        let Some(mut callback) = find(tx.conn, self.account, self.id)? else { return Ok(None) };
        callback.name = self.name.unwrap_or(callback.name);
        callback.url = self.url.unwrap_or(callback.url);
        callback.updated_at = tx.now;
        Fixed(diesel::update(callbacks::table.find(callback.id)).set((
            callbacks::name.eq(callback.name.as_str()),
            callbacks::url.eq(&callback.url),
            callbacks::updated_at.eq(callback.updated_at.micros()),
        )))
        .execute(tx.conn)?;
        Ok(Some(callback))
    }
}

impl Write for DeleteCallback {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let own = callbacks::table.find(self.id).filter(callbacks::account.eq(self.account));
        let deleted = diesel::delete(own).execute(tx.conn)? > 0;
        if deleted {
            deliveries::forget(tx, self.id)?;
        }
        Ok(deleted)
    }
}

/// Deletes an account's callbacks and what was still to be posted to them.
pub(super) fn forget_account(tx: &mut Tx<'_>, account: AccountId) -> QueryResult<()> {
    let own = callbacks::table.filter(callbacks::account.eq(account));
    let ids: Vec<i64> = own.select(callbacks::id).load(tx.conn)?;
    for id in ids {
        deliveries::forget(tx, id)?;
    }
    diesel::delete(own).execute(tx.conn).map(drop)
}
