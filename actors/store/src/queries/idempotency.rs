//! Idempotency keys: a client's word that a repeated request is the same one.

use std::time::Duration;

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    ledger::{Accepted, IdempotencyKey},
    sms::Sms,
};

use super::{Tx, rows::SmsRow};
use crate::schema::{idempotency_keys, sms};

/// What came of the key's first use, if it was used before.
pub(super) fn earlier(tx: &mut Tx<'_>, account: AccountId, key: &IdempotencyKey) -> QueryResult<Option<Accepted>> {
    let kept: Option<(String, String)> = idempotency_keys::table
        .find((account, &key.key))
        .filter(idempotency_keys::expires_at.gt(tx.now.micros()))
        .select((idempotency_keys::request_digest, idempotency_keys::sms_ids))
        .first(tx.conn)
        .optional()?;
    let Some((digest, ids)) = kept else { return Ok(None) };
    if digest != hex(&key.request_digest) {
        return Ok(Some(Accepted::KeyReused));
    }
    let mut before = Vec::new();
    for id in ids.split(',').filter_map(|id| id.parse::<i64>().ok()) {
        let row = sms::table.find(id).select(SmsRow::as_select()).first(tx.conn)?;
        before.push(Sms::try_from(row)?);
    }
    Ok(Some(Accepted::Before(before.into())))
}

/// Keeps the key with what came of it. An expired one that was not swept yet makes room.
pub(super) fn keep(tx: &mut Tx<'_>, account: AccountId, key: &IdempotencyKey, kept: &[Sms]) -> QueryResult<()> {
    let ids = kept.iter().map(|sms| sms.id.to_string()).collect::<Vec<_>>().join(",");
    let expires_at = tx.now.plus(Duration::from_secs(key.keep_s)).micros();
    diesel::delete(idempotency_keys::table.find((account, &key.key))).execute(tx.conn)?;
    diesel::insert_into(idempotency_keys::table)
        .values((
            idempotency_keys::account.eq(account),
            idempotency_keys::key.eq(&key.key),
            idempotency_keys::request_digest.eq(hex(&key.request_digest)),
            idempotency_keys::sms_ids.eq(ids),
            idempotency_keys::expires_at.eq(expires_at),
        ))
        .execute(tx.conn)?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _into_a_string = write!(text, "{byte:02x}");
        text
    })
}
