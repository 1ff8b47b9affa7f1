//! Whether an SMS may go out: the one predicate, asked where an SMS is claimed and again where it is marked as begun, just
//! before its first byte goes out. What is to hold SMS back is added here.

use diesel::{
    define_sql_function,
    dsl::{auto_type, exists, not},
    prelude::*,
    sql_types::{Integer, Nullable},
};
use vumi_kit::{account::AccountId, clock::Timestamp, sms_options::Occasion};

use super::{Fixed, Tx};
use crate::schema::{accounts, consent_now, sms};

define_sql_function! {
    /// The first of these that is not null. Asked by key: whether such a row exists PostgreSQL would also find out by reading all
    /// of the table.
    fn coalesce(first: Nullable<Integer>, second: Nullable<Integer>, third: Integer) -> Integer;
}

/// An occasion as its column has it.
pub(crate) const fn occasion_number(occasion: Occasion) -> i32 {
    match occasion {
        Occasion::Unasked => 0,
        Occasion::Answer => 1,
        Occasion::ConsentAnswer => FOR_THOSE_OUT,
    }
}

/// From this occasion on an SMS goes to people who are out, too.
const FOR_THOSE_OUT: i32 = 2;

/// Whether an SMS goes out though its person is out.
pub(super) const fn goes_to_those_out(occasion: Occasion) -> bool {
    occasion_number(occasion) >= FOR_THOSE_OUT
}

/// Its time has not run out, its account is not stopped, and its person is not out: what they said of its sender counts, else
/// what they said of all.
#[auto_type(no_type_alias)]
pub(crate) fn may_go_out(now: Timestamp) -> _ {
    let now: i64 = now.micros();
    let stopped = accounts::stopped_at.is_not_null().and(accounts::id.eq(sms::account));
    let (all, not_out, for_those_out): (&'static str, i32, i32) = (super::consent::ALL, 0, FOR_THOSE_OUT);
    let of_sender = consent_now::table
        .filter(consent_now::msisdn.eq(sms::recipient).and(consent_now::scope.eq(sms::sender)))
        .select(consent_now::is_out)
        .single_value();
    let of_all = consent_now::table
        .filter(consent_now::msisdn.eq(sms::recipient).and(consent_now::scope.eq(all)))
        .select(consent_now::is_out)
        .single_value();
    sms::give_up_at
        .gt(now)
        .and(not(exists(accounts::table.filter(stopped).select(accounts::id))))
        .and(sms::occasion.ge(for_those_out).or(coalesce(of_sender, of_all, not_out).eq(not_out)))
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
