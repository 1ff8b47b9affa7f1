//! Accounts.

mod change;
mod tokens;

use std::{fmt::Display, str::FromStr};

use diesel::{
    prelude::*,
    result::{DatabaseErrorKind, Error},
};
use vumi_kit::{
    account::{
        Account, AccountId, AccountQuotas, AccountRoles, Budget, CountAccountChanges, CreateAccount, FindAccount,
        FormerPassword, ListAccounts, Micros, RemoveAccount, SendingRights, SmppAccess,
    },
    address::{Address, CountryCode},
    audit::AuditEvent,
    clock::Timestamp,
    name::Name,
    store::Existing,
};

use super::{Conn, Failed, Read, Tx, Write, audit, callbacks, conversations};
use crate::schema::{account_changes, account_quotas, account_tokens, accounts, idempotency_keys};

#[derive(Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = accounts, treat_none_as_null = true)]
struct AccountRow {
    id: i64,
    username: String,
    password_hash: String,
    sandbox: i32,
    roles: String,
    former_hash: Option<String>,
    former_until: Option<i64>,
    expires_at: Option<i64>,
    locked_at: Option<i64>,
    stopped_at: Option<i64>,
    networks: String,
    senders: String,
    transports: String,
    countries: String,
    country_code: Option<String>,
    smpp_hash: Option<String>,
    smpp_binds: Option<i32>,
    codes: String,
}

#[derive(Default, Queryable, Selectable)]
#[diesel(table_name = account_quotas)]
struct QuotaRow {
    recipients_per_minute: Option<i64>,
    most_waiting: Option<i64>,
    waiting: i64,
    budget_unit: Option<String>,
    balance: i64,
    spent: i64,
}

impl AccountRow {
    /// The account. A list that can't be read is an error: shortened, it would allow more than it says.
    fn account(self, quotas: Option<QuotaRow>) -> QueryResult<Account> {
        let time = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        let former = self.former_hash.zip(time(self.former_until));
        Ok(Account {
            id: self.id,
            username: self.username,
            password_hash: self.password_hash,
            former_password: former.map(|(hash, until)| FormerPassword { hash, until }),
            sandbox: self.sandbox != 0,
            roles: AccountRoles::parse(&self.roles),
            expires_at: time(self.expires_at),
            locked_at: time(self.locked_at),
            stopped_at: time(self.stopped_at),
            networks: items(&self.networks, FromStr::from_str)?,
            rights: SendingRights {
                senders: items(&self.senders, Address::sender)?,
                transports: items(&self.transports, Name::parse)?,
                countries: items(&self.countries, CountryCode::parse)?,
                country_code: self.country_code.as_deref().map(CountryCode::parse).transpose().map_err(unreadable)?,
            },
            quotas: quotas.unwrap_or_default().quotas()?,
            smpp: smpp_access(self.smpp_hash, self.smpp_binds),
            codes: self.codes.parse().map_err(unreadable)?,
        })
    }
}

impl QuotaRow {
    fn quotas(self) -> QueryResult<AccountQuotas> {
        let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let unit = self.budget_unit.map(|unit| unit.parse()).transpose().map_err(unreadable)?;
        Ok(AccountQuotas {
            recipients_per_minute: self.recipients_per_minute.map(number),
            most_waiting: self.most_waiting.map(number),
            waiting: number(self.waiting),
            budget: unit.map(|unit| Budget {
                unit,
                balance: Micros::new(self.balance),
                spent: Micros::new(self.spent),
            }),
        })
    }
}

fn smpp_access(hash: Option<String>, binds: Option<i32>) -> Option<SmppAccess> {
    let most_binds = binds.and_then(|binds| u32::try_from(binds).ok());
    hash.map(|password_hash| SmppAccess { password_hash, most_binds })
}

fn unreadable(why: impl Display) -> Error {
    Error::DeserializationError(why.to_string().into())
}

/// A list as its column has it: an item a line.
fn items<T, E: Display>(lines: &str, read: impl Fn(&str) -> Result<T, E>) -> QueryResult<Vec<T>> {
    lines.lines().map(|line| read(line).map_err(unreadable)).collect()
}

/// The account of this row; with its quotas.
fn with_quotas(conn: &mut Conn, row: AccountRow) -> QueryResult<Account> {
    let quotas = account_quotas::table.find(row.id).select(QuotaRow::as_select()).first(conn).optional()?;
    row.account(quotas)
}

/// Says to every process that what it remembers of accounts may be wrong.
fn note_change(tx: &mut Tx<'_>) -> QueryResult<()> {
    diesel::insert_into(account_changes::table)
        .values((account_changes::id.eq(1), account_changes::changes.eq(1)))
        .on_conflict(account_changes::id)
        .do_update()
        .set(account_changes::changes.eq(account_changes::changes + 1))
        .execute(tx.conn)
        .map(drop)
}

impl Read for FindAccount {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Account>, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username)).select(AccountRow::as_select());
        let found = named.first(conn).optional()?;
        Ok(found.map(|row| with_quotas(conn, row)).transpose()?)
    }
}

impl Read for ListAccounts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Account>, Failed> {
        let all: Vec<(AccountRow, Option<QuotaRow>)> = accounts::table
            .left_join(account_quotas::table.on(account_quotas::account.eq(accounts::id)))
            .order(accounts::username)
            .select((AccountRow::as_select(), Option::<QuotaRow>::as_select()))
            .load(conn)?;
        Ok(all.into_iter().map(|(row, quotas)| row.account(quotas)).collect::<QueryResult<_>>()?)
    }
}

impl Read for CountAccountChanges {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<i64, Failed> {
        let counted = account_changes::table.find(1).select(account_changes::changes).first(conn).optional()?;
        Ok(counted.unwrap_or_default())
    }
}

impl Write for CreateAccount {
    fn write(self, tx: &mut Tx<'_>) -> Result<Account, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username));
        if diesel::select(diesel::dsl::exists(named)).get_result::<bool>(tx.conn)? {
            return Err(Failed::Exists(Existing::Account(self.username)));
        }
        // Another process may create it at this moment: then the look above has found no row yet.
        let id = diesel::insert_into(accounts::table)
            .values((
                accounts::username.eq(&self.username),
                accounts::password_hash.eq(&self.password_hash),
                accounts::sandbox.eq(i32::from(self.sandbox)),
                accounts::roles.eq(self.roles.to_string()),
            ))
            .returning(accounts::id)
            .get_result::<i64>(tx.conn)
            .map_err(|error| match error {
                Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
                    Failed::Exists(Existing::Account(self.username.clone()))
                }
                other => other.into(),
            })?;
        note_change(tx)?;
        audit::note(tx, &self.by, &self.username, AuditEvent::AccountAdded, &format!("roles: {}", self.roles))?;
        let Self { username, password_hash, sandbox, roles, by: _ } = self;
        Ok(Account { sandbox, ..Account::unlimited(id, username, password_hash, roles) })
    }
}

impl Write for RemoveAccount {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let Some(id) = id_of(tx, &self.username)? else { return Ok(false) };
        callbacks::forget_account(tx, id)?;
        conversations::forget_account(tx, id)?;
        diesel::delete(idempotency_keys::table.filter(idempotency_keys::account.eq(id))).execute(tx.conn)?;
        diesel::delete(account_tokens::table.filter(account_tokens::account.eq(id))).execute(tx.conn)?;
        diesel::delete(account_quotas::table.find(id)).execute(tx.conn)?;
        diesel::delete(accounts::table.find(id)).execute(tx.conn)?;
        note_change(tx)?;
        audit::note(tx, &self.by, &self.username, AuditEvent::AccountRemoved, "")?;
        Ok(true)
    }
}

fn id_of(tx: &mut Tx<'_>, username: &str) -> QueryResult<Option<AccountId>> {
    accounts::table.filter(accounts::username.eq(username)).select(accounts::id).first(tx.conn).optional()
}
