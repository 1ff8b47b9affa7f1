//! Tokens of accounts.

use std::sync::Arc;

use diesel::prelude::*;
use vumi_kit::{
    account::{AccountToken, AddToken, AddedToken, FindToken, ListTokens, RemoveToken, TokenLogIn},
    audit::AuditEvent,
    clock::Timestamp,
};

use super::{
    super::{Read, rows},
    AccountRow, Conn, Failed, Tx, Write, audit, id_of, note_change, with_quotas,
};
use crate::schema::{account_tokens, accounts};

#[derive(Queryable, Selectable)]
#[diesel(table_name = account_tokens)]
struct TokenRow {
    label: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl TokenRow {
    fn token(self) -> QueryResult<AccountToken> {
        Ok(AccountToken {
            label: rows::name(&self.label)?,
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_micros),
        })
    }
}

impl Write for AddToken {
    fn write(self, tx: &mut Tx<'_>) -> Result<AddedToken, Failed> {
        let Some(account) = id_of(tx, &self.username)? else { return Ok(AddedToken::NoAccount) };
        let of_account = account_tokens::table.filter(account_tokens::account.eq(account));
        let labels: Vec<String> = of_account.select(account_tokens::label).load(tx.conn)?;
        if labels.iter().any(|label| label == self.label.as_str()) {
            return Ok(AddedToken::LabelTaken);
        }
        if labels.len() >= Self::MOST {
            return Ok(AddedToken::TooMany);
        }
        let added = diesel::insert_into(account_tokens::table)
            .values((
                account_tokens::account.eq(account),
                account_tokens::label.eq(self.label.as_str()),
                account_tokens::digest.eq(self.digest.as_str()),
                account_tokens::created_at.eq(tx.now.micros()),
                account_tokens::expires_at.eq(self.expires_at.map(Timestamp::micros)),
            ))
            // Another process may give the account a token of that name at this moment.
            .on_conflict_do_nothing()
            .execute(tx.conn)?;
        if added == 0 {
            return Ok(AddedToken::LabelTaken);
        }
        note_change(tx)?;
        let expiry = self.expires_at.map_or_else(String::new, |at| format!(", expires {}", at.to_seconds_text()));
        let said = format!("token {}{expiry}", self.label);
        audit::note(tx, &self.by, &self.username, AuditEvent::TokenAdded, &said)?;
        Ok(AddedToken::Added)
    }
}

impl Read for FindToken {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<TokenLogIn>, Failed> {
        let found: Option<(i64, TokenRow)> = account_tokens::table
            .filter(account_tokens::digest.eq(self.digest.as_str()))
            .select((account_tokens::account, TokenRow::as_select()))
            .first(conn)
            .optional()?;
        let Some((account, token)) = found else { return Ok(None) };
        let row = accounts::table.find(account).select(AccountRow::as_select()).first(conn).optional()?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(TokenLogIn { account: Arc::new(with_quotas(conn, row)?), token: token.token()? }))
    }
}

impl Read for ListTokens {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Vec<AccountToken>>, Failed> {
        let named = accounts::table.filter(accounts::username.eq(&self.username)).select(accounts::id);
        let Some(account) = named.first::<i64>(conn).optional()? else { return Ok(None) };
        let tokens: Vec<TokenRow> = account_tokens::table
            .filter(account_tokens::account.eq(account))
            .order(account_tokens::label)
            .select(TokenRow::as_select())
            .load(conn)?;
        Ok(Some(tokens.into_iter().map(TokenRow::token).collect::<QueryResult<_>>()?))
    }
}

impl Write for RemoveToken {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let Some(account) = id_of(tx, &self.username)? else { return Ok(false) };
        let named = account_tokens::table.filter(account_tokens::account.eq(account));
        let named = named.filter(account_tokens::label.eq(self.label.as_str()));
        if diesel::delete(named).execute(tx.conn)? == 0 {
            return Ok(false);
        }
        note_change(tx)?;
        audit::note(tx, &self.by, &self.username, AuditEvent::TokenRemoved, &format!("token {}", self.label))?;
        Ok(true)
    }
}
