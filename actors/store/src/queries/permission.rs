//! Whether an SMS may go out: the one predicate, asked where an SMS is claimed and again where it is marked as begun, just
//! before its first byte goes out. What is to hold SMS back is added here.

use diesel::prelude::*;
use vumi_kit::clock::Timestamp;

use crate::schema::sms;

/// Its time has not run out.
#[diesel::dsl::auto_type(no_type_alias)]
pub(crate) fn may_go_out(now: Timestamp) -> _ {
    let now: i64 = now.micros();
    sms::give_up_at.gt(now)
}
