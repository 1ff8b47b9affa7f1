//! An account changes.

use diesel::prelude::*;
use vumi_kit::{
    account::{Account, AccountChange, AccountId, ChangeAccount},
    address::CountryCode,
    audit::AuditEvent,
};

use super::{
    super::{callbacks, hold_off_senders},
    AccountRow, Failed, Tx, Write, audit, note_change, with_quotas,
};
use crate::schema::{account_quotas, accounts};

impl Write for ChangeAccount {
    fn write(self, tx: &mut Tx<'_>) -> Result<Option<Account>, Failed> {
        if matches!(self.change, AccountChange::Stop) {
            hold_off_senders(tx.conn)?;
        }
        tx.stopped.clear();
        let named = accounts::table.filter(accounts::username.eq(&self.username)).select(AccountRow::as_select());
        let found: Option<AccountRow> = for_update!(named).first(tx.conn).optional()?;
        let Some(mut row) = found else { return Ok(None) };
        let said = self.change.to_string();
        match &self.change {
            AccountChange::SmppPassword(_) => callbacks::add_esme(tx, row.id)?,
            AccountChange::NoSmpp => callbacks::remove_esme(tx, row.id)?,
            _ => {}
        }
        if let Some(quota) = row.change(self.change, tx.now.micros()) {
            change_quota(tx, row.id, quota)?;
        } else {
            diesel::update(accounts::table.find(row.id)).set(&row).execute(tx.conn)?;
        }
        note_change(tx)?;
        audit::note(tx, &self.by, &self.username, AuditEvent::AccountChanged, &said)?;
        Ok(Some(with_quotas(tx.conn, row)?))
    }
}

fn lines(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join("\n")
}

impl AccountRow {
    /// Changes this row, or answers the change where it is one of the quotas.
    fn change(&mut self, change: AccountChange, now: i64) -> Option<AccountChange> {
        match change {
            AccountChange::Password(hash) => {
                self.password_hash = hash;
                (self.former_hash, self.former_until) = (None, None);
            }
            AccountChange::RotatePassword(hash, until) => {
                self.former_hash = Some(std::mem::replace(&mut self.password_hash, hash));
                self.former_until = Some(until.micros());
            }
            AccountChange::Roles(roles) => self.roles = roles.to_string(),
            AccountChange::Expiry(at) => self.expires_at = at.map(|at| at.micros()),
            AccountChange::Lock => self.locked_at = self.locked_at.or(Some(now)),
            AccountChange::Unlock => self.locked_at = None,
            AccountChange::Stop => self.stopped_at = self.stopped_at.or(Some(now)),
            AccountChange::Start => self.stopped_at = None,
            AccountChange::Networks(networks) => self.networks = lines(networks),
            AccountChange::Senders(senders) => self.senders = lines(senders),
            AccountChange::Transports(transports) => self.transports = lines(transports),
            AccountChange::Countries(codes) => self.countries = lines(codes.iter().map(CountryCode::as_str)),
            AccountChange::CountryCode(code) => self.country_code = code.map(String::from),
            AccountChange::SmppPassword(hash) => self.smpp_hash = Some(hash),
            AccountChange::SmppBinds(most) => {
                self.smpp_binds = most.map(|most| i32::try_from(most).unwrap_or(i32::MAX));
            }
            AccountChange::NoSmpp => (self.smpp_hash, self.smpp_binds) = (None, None),
            AccountChange::Codes(codes) => self.codes = codes.to_string(),
            quota @ (AccountChange::RecipientsPerMinute(_)
            | AccountChange::MostWaiting(_)
            | AccountChange::SetBudget(..)
            | AccountChange::AddToBudget(_)
            | AccountChange::NoBudget) => return Some(quota),
        }
        None
    }
}

fn change_quota(tx: &mut Tx<'_>, account: AccountId, change: AccountChange) -> QueryResult<()> {
    let none = (
        account_quotas::account.eq(account),
        account_quotas::waiting.eq(0),
        account_quotas::balance.eq(0),
        account_quotas::spent.eq(0),
    );
    let new = diesel::insert_into(account_quotas::table).values(none);
    new.on_conflict(account_quotas::account).do_nothing().execute(tx.conn)?;
    let row = account_quotas::table.find(account);
    let changed = match change {
        AccountChange::RecipientsPerMinute(most) => {
            let most = most.map(i64::from);
            diesel::update(row).set(account_quotas::recipients_per_minute.eq(most)).execute(tx.conn)
        }
        AccountChange::MostWaiting(most) => {
            diesel::update(row).set(account_quotas::most_waiting.eq(most.map(i64::from))).execute(tx.conn)
        }
        AccountChange::SetBudget(unit, balance) => {
            let budget = (
                account_quotas::budget_unit.eq(Some(unit.as_str())),
                account_quotas::balance.eq(balance.get()),
                account_quotas::spent.eq(0),
            );
            diesel::update(row).set(budget).execute(tx.conn)
        }
        AccountChange::AddToBudget(more) => {
            let with_budget = row.filter(account_quotas::budget_unit.is_not_null());
            let balance = account_quotas::balance.eq(account_quotas::balance + more.get());
            diesel::update(with_budget).set(balance).execute(tx.conn)
        }
        AccountChange::NoBudget => {
            let none = (
                account_quotas::budget_unit.eq(None::<String>),
                account_quotas::balance.eq(0),
                account_quotas::spent.eq(0),
            );
            diesel::update(row).set(none).execute(tx.conn)
        }
        _ => Ok(0),
    };
    changed.map(drop)
}
