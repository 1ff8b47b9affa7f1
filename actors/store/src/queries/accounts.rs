//! Accounts.

use diesel::{
    prelude::*,
    result::{DatabaseErrorKind, Error},
};
use vumi_kit::{
    account::{Account, AccountRoles, CreateAccount, FindAccount, ListAccounts, RemoveAccount, SetPassword, SetRoles},
    clock::Timestamp,
    store::Existing,
};

use super::{Conn, Failed, Fixed, Read, Tx, Write, callbacks};
use crate::schema::{accounts, idempotency_keys};

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
struct Row {
    id: i64,
    username: String,
    password_hash: String,
    sandbox: i32,
    roles: String,
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        let roles = AccountRoles::parse(&row.roles);
        Self { id: row.id, username: row.username, password_hash: row.password_hash, sandbox: row.sandbox != 0, roles }
    }
}

impl Read for FindAccount {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Account>, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username)).select(Row::as_select());
        Ok(named.first(conn).optional()?.map(Account::from))
    }
}

impl Read for ListAccounts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Account>, Failed> {
        let all: Vec<Row> = accounts::table.order(accounts::username).select(Row::as_select()).load(conn)?;
        Ok(all.into_iter().map(Account::from).collect())
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
        let Self { username, password_hash, sandbox, roles } = self;
        Ok(Account { id, username, password_hash, sandbox, roles })
    }
}

impl Write for RemoveAccount {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username)).select(accounts::id);
        let Some(id) = named.first::<i64>(tx.conn).optional()? else { return Ok(false) };
        callbacks::forget_account(tx, id)?;
        diesel::delete(idempotency_keys::table.filter(idempotency_keys::account.eq(id))).execute(tx.conn)?;
        diesel::delete(accounts::table.find(id)).execute(tx.conn)?;
        Ok(true)
    }
}

impl Write for SetPassword {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username));
        let changed =
            Fixed(diesel::update(named).set(accounts::password_hash.eq(&self.password_hash))).execute(tx.conn)?;
        Ok(changed > 0)
    }
}

impl Write for SetRoles {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username));
        let changed = Fixed(diesel::update(named).set(accounts::roles.eq(self.roles.to_string()))).execute(tx.conn)?;
        Ok(changed > 0)
    }
}
