//! The clients' callback URLs.

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    callback::{
        Callback, CallbackDisabled, CallbackFormat, CallbackId, CallbackName, ChangeCallback, ChangedCallback,
        CreateCallback, CreatedCallback, DeleteCallback, FindCallback, ListCallbacks, ListDisabled, MAX_PER_NAME,
        new_secret,
    },
    clock::Timestamp,
};

use super::{Conn, Failed, Fixed, Read, Tx, Write, rows::as_limit};
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
    format: String,
    disabled_at: Option<i64>,
    disabled_because: Option<String>,
}

impl TryFrom<Row> for Callback {
    type Error = diesel::result::Error;
    fn try_from(row: Row) -> Result<Self, Self::Error> {
        let reason = row.disabled_because.unwrap_or_default();
        Ok(Self {
            id: row.id,
            account: row.account,
            name: callback_name(&row.name)?,
            url: row.url,
            secret: row.secret,
            format: callback_format(&row.format)?,
            disabled: row.disabled_at.map(|at| CallbackDisabled { at: Timestamp::from_micros(at), reason }),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

pub(super) fn callback_format(text: &str) -> QueryResult<CallbackFormat> {
    CallbackFormat::parse(text)
        .ok_or_else(|| diesel::result::Error::DeserializationError(format!("no callback format: {text}").into()))
}

pub(super) fn callback_name(text: &str) -> QueryResult<CallbackName> {
    CallbackName::parse(text)
        .ok_or_else(|| diesel::result::Error::DeserializationError(format!("no callback name: {text}").into()))
}

/// An account's callbacks are created and changed one after the other, so that their bound and their URLs hold.
fn lock_of(account: AccountId) -> String {
    format!("callbacks of {account}")
}

/// The account's callbacks of a name that are at most as many as it may have.
fn of_name(conn: &mut Conn, account: AccountId, name: CallbackName) -> QueryResult<Vec<Callback>> {
    let rows: Vec<Row> = callbacks::table
        .filter(callbacks::account.eq(account))
        .filter(callbacks::name.eq(name.as_str()))
        .order(callbacks::id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Callback::try_from).collect()
}

/// The callback that stands for the URLs which an account's SMS name themselves. The first such event creates it.
pub(super) fn of_sms_urls(tx: &mut Tx<'_>, account: AccountId) -> QueryResult<(CallbackId, CallbackFormat)> {
    let name = CallbackName::SmsCallbackUrl;
    if let Some(existing) = of_name(tx.conn, account, name)?.into_iter().next() {
        return Ok((existing.id, existing.format));
    }
    let (url, format, secret) = (String::new(), CallbackFormat::default(), new_secret());
    let new = insert(tx, CreateCallback { account, name, url, format, secret })?;
    Ok((new.id, new.format))
}

impl Write for CreateCallback {
    fn lock_keys(&self) -> Vec<String> {
        vec![lock_of(self.account)]
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<CreatedCallback, Failed> {
        let of_name = of_name(tx.conn, self.account, self.name)?;
        let is_full = of_name.len() >= MAX_PER_NAME;
        if let Some(existing) = of_name.into_iter().find(|callback| callback.url == self.url) {
            return Ok(CreatedCallback::Existing(existing));
        }
        if is_full {
            return Ok(CreatedCallback::Full);
        }
        Ok(CreatedCallback::New(insert(tx, self)?))
    }
}

fn insert(tx: &mut Tx<'_>, new: CreateCallback) -> QueryResult<Callback> {
    let CreateCallback { account, name, url, format, secret } = new;
    let id = diesel::insert_into(callbacks::table)
        .values((
            callbacks::account.eq(account),
            callbacks::name.eq(name.as_str()),
            callbacks::url.eq(&url),
            callbacks::secret.eq(&secret),
            callbacks::format.eq(format.as_str()),
            callbacks::created_at.eq(tx.now.micros()),
            callbacks::updated_at.eq(tx.now.micros()),
        ))
        .returning(callbacks::id)
        .get_result::<i64>(tx.conn)?;
    let (created_at, updated_at) = (tx.now, tx.now);
    Ok(Callback { id, account, name, url, secret, format, disabled: None, created_at, updated_at })
}

impl Read for ListCallbacks {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Callback>, Failed> {
        let rows: Vec<Row> = callbacks::table
            .filter(callbacks::account.eq(self.account))
            .filter(callbacks::name.ne(CallbackName::Esme.as_str()))
            .order(callbacks::id)
            .select(Row::as_select())
            .load(conn)?;
        Ok(rows.into_iter().map(Callback::try_from).collect::<Result<_, _>>()?)
    }
}

fn find(conn: &mut Conn, account: AccountId, id: i64) -> QueryResult<Option<Callback>> {
    let own = callbacks::table.find(id).filter(callbacks::account.eq(account));
    let own = own.filter(callbacks::name.ne(CallbackName::Esme.as_str())).select(Row::as_select());
    own.first(conn).optional()?.map(Callback::try_from).transpose()
}

impl Read for FindCallback {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Callback>, Failed> {
        Ok(find(conn, self.account, self.id)?)
    }
}

impl Read for ListDisabled {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Callback>, Failed> {
        let rows: Vec<Row> = callbacks::table
            .filter(callbacks::disabled_at.is_not_null())
            .order((callbacks::disabled_at.desc(), callbacks::id.desc()))
            .limit(as_limit(self.limit))
            .select(Row::as_select())
            .load(conn)?;
        Ok(rows.into_iter().map(Callback::try_from).collect::<Result<_, _>>()?)
    }
}

impl Write for ChangeCallback {
    fn lock_keys(&self) -> Vec<String> {
        vec![lock_of(self.account)]
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<ChangedCallback, Failed> {
        let Some(mut callback) = find(tx.conn, self.account, self.id)? else { return Ok(ChangedCallback::NotFound) };
        if callback.name == CallbackName::SmsCallbackUrl && (self.name.is_some() || self.url.is_some()) {
            return Ok(ChangedCallback::FormatOnly);
        }
        let joins = self.name.is_some_and(|name| name != callback.name);
        callback.name = self.name.unwrap_or(callback.name);
        callback.url = self.url.unwrap_or(callback.url);
        callback.format = self.format.unwrap_or(callback.format);
        callback.updated_at = tx.now;
        callback.disabled = None;
        let of_name = of_name(tx.conn, self.account, callback.name)?;
        if let Some(other) = of_name.iter().find(|other| other.id != callback.id && other.url == callback.url) {
            return Ok(ChangedCallback::Taken(other.id));
        }
        if joins && of_name.len() >= MAX_PER_NAME {
            return Ok(ChangedCallback::Full);
        }
        save(tx, &callback)?;
        Ok(ChangedCallback::Changed(callback))
    }
}

/// Writes a callback that its client has changed.
fn save(tx: &mut Tx<'_>, callback: &Callback) -> QueryResult<()> {
    Fixed(diesel::update(callbacks::table.find(callback.id)).set((
        callbacks::name.eq(callback.name.as_str()),
        callbacks::url.eq(&callback.url),
        callbacks::format.eq(callback.format.as_str()),
        callbacks::updated_at.eq(callback.updated_at.micros()),
        callbacks::failing_since.eq(None::<i64>),
        callbacks::disabled_at.eq(None::<i64>),
        callbacks::disabled_because.eq(None::<String>),
    )))
    .execute(tx.conn)
    .map(drop)
}

/// Something was delivered.
pub(super) fn has_delivered(tx: &mut Tx<'_>, id: CallbackId) -> QueryResult<()> {
    let failing = callbacks::table.find(id).filter(callbacks::failing_since.is_not_null());
    Fixed(diesel::update(failing).set(callbacks::failing_since.eq(None::<i64>))).execute(tx.conn).map(drop)
}

/// A post failed. Answers since when they fail; `None` if there is no such callback.
pub(super) fn has_failed(tx: &mut Tx<'_>, id: CallbackId, at: Timestamp) -> QueryResult<Option<Timestamp>> {
    let its = callbacks::table.find(id).select(callbacks::failing_since);
    match its.first::<Option<i64>>(tx.conn).optional()? {
        None => Ok(None),
        Some(Some(since)) => Ok(Some(Timestamp::from_micros(since))),
        Some(None) => {
            let fine = callbacks::table.find(id).filter(callbacks::failing_since.is_null());
            Fixed(diesel::update(fine).set(callbacks::failing_since.eq(Some(at.micros())))).execute(tx.conn)?;
            Ok(Some(at))
        }
    }
}

/// Disables a callback for what its URL did to a post of that time, unless its client has changed it since. Answers whether
/// it did.
pub(super) fn disable(tx: &mut Tx<'_>, id: CallbackId, posted_at: Timestamp, reason: &str) -> QueryResult<bool> {
    let unchanged = callbacks::table
        .find(id)
        .filter(callbacks::disabled_at.is_null())
        // One SMS's URL is not that of the others, and ESMEs have none.
        .filter(callbacks::name.ne_all([CallbackName::SmsCallbackUrl.as_str(), CallbackName::Esme.as_str()]))
        .filter(callbacks::updated_at.le(posted_at.micros()));
    let disabled = diesel::update(unchanged)
        .set((callbacks::disabled_at.eq(Some(tx.now.micros())), callbacks::disabled_because.eq(Some(reason))))
        .execute(tx.conn)?;
    Ok(disabled > 0)
}

impl Write for DeleteCallback {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let own = callbacks::table.find(self.id).filter(callbacks::account.eq(self.account));
        let own = own.filter(callbacks::name.ne(CallbackName::Esme.as_str()));
        Ok(diesel::delete(own).execute(tx.conn)? > 0)
    }
}

/// The callback that stands for an account's ESMEs; none: it has no password for SMPP.
pub(super) fn of_esmes(conn: &mut Conn, account: AccountId) -> QueryResult<Option<CallbackId>> {
    callbacks::table
        .filter(callbacks::account.eq(account))
        .filter(callbacks::name.eq(CallbackName::Esme.as_str()))
        .order(callbacks::id)
        .select(callbacks::id)
        .first(conn)
        .optional()
}

/// From now on what happens is told to the account's ESMEs.
pub(super) fn add_esme(tx: &mut Tx<'_>, account: AccountId) -> QueryResult<()> {
    if of_esmes(tx.conn, account)?.is_none() {
        let (name, format) = (CallbackName::Esme, CallbackFormat::Json);
        insert(tx, CreateCallback { account, name, url: String::new(), format, secret: String::new() })?;
    }
    Ok(())
}

/// Nothing is told to them any more; the sweep deletes what waits.
pub(super) fn remove_esme(tx: &mut Tx<'_>, account: AccountId) -> QueryResult<()> {
    let own = callbacks::table.filter(callbacks::account.eq(account));
    diesel::delete(own.filter(callbacks::name.eq(CallbackName::Esme.as_str()))).execute(tx.conn).map(drop)
}

/// Deletes an account's callbacks. What was still to be posted to them is never posted, and the sweep deletes it.
pub(super) fn forget_account(tx: &mut Tx<'_>, account: AccountId) -> QueryResult<()> {
    let own = callbacks::table.filter(callbacks::account.eq(account));
    diesel::delete(own).execute(tx.conn).map(drop)
}
