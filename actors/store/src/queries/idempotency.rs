//! Idempotency keys: a client's word that a repeated request is the same one.

use std::{collections::HashMap, time::Duration};

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    account::AccountId,
    clock::Timestamp,
    ledger::{Accepted, FindAccepted, IdempotencyKey},
    sms::Sms,
};

use super::{Conn, Failed, Read, Tx, rows};
use crate::schema::idempotency_keys;

/// What came of the key's first use, if it was used before.
pub(super) fn earlier(
    conn: &mut Conn,
    now: Timestamp,
    account: AccountId,
    key: &IdempotencyKey,
) -> QueryResult<Option<Accepted>> {
    let kept: Option<(String, String)> = idempotency_keys::table
        .find((account, &key.key))
        .filter(idempotency_keys::expires_at.gt(now.micros()))
        .select((idempotency_keys::request_digest, idempotency_keys::sms_ids))
        .first(conn)
        .optional()?;
    let Some((digest, ids)) = kept else { return Ok(None) };
    if digest != hex(&key.request_digest) {
        return Ok(Some(Accepted::KeyReused));
    }
    let ids: Vec<i64> = ids.split(',').filter_map(|id| id.parse().ok()).collect();
    let mut found: HashMap<i64, Sms> = rows::find_sms(conn, &ids, now)?.into_iter().map(|sms| (sms.id, sms)).collect();
    let before: Option<Vec<Sms>> = ids.into_iter().map(|id| found.remove(&id)).collect();
    before.map(|before| Some(Accepted::Before(before.into()))).ok_or(Error::NotFound)
}

impl Read for FindAccepted {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Option<Accepted>, Failed> {
        Ok(earlier(conn, now, self.account, &self.key)?)
    }
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
