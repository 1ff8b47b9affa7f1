//! Whether an SMS may go out: the one predicate, asked where an SMS is claimed and again where it is marked as begun, just
//! before its first byte goes out. What is to hold SMS back is added here.

use diesel::{
    dsl::{auto_type, exists, not},
    prelude::*,
};
use vumi_kit::{account::AccountId, clock::Timestamp};

use super::{Fixed, Tx};
use crate::schema::{accounts, sms};

/// Its time has not run out, and its account is not stopped.
#[auto_type(no_type_alias)]
pub(crate) fn may_go_out(now: Timestamp) -> _ {
    let now: i64 = now.micros();
    let stopped = accounts::stopped_at.is_not_null().and(accounts::id.eq(sms::account));
    sms::give_up_at.gt(now).and(not(exists(accounts::table.filter(stopped).select(accounts::id))))
}

impl Tx<'_> {
    /// Whether nothing is sent for an account. It stays so until the transaction ends: who stops one waits for all others.
    pub(super) fn is_stopped(&mut self, account: AccountId) -> QueryResult<bool> {
        if let Some(known) = self.stopped.get(&account) {
            return Ok(*known);
        }
        let stopped = accounts::table.find(account).filter(accounts::stopped_at.is_not_null()).select(accounts::id);
        // Asked in each transaction that accepts.
        let is_stopped = !Fixed(stopped).load::<AccountId>(self.conn)?.is_empty();
        self.stopped.insert(account, is_stopped);
        Ok(is_stopped)
    }
}
