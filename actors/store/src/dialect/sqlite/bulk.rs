//! Many rows, one by one: each costs no round trip, and its statement is prepared.

use diesel::prelude::*;
use vumi_kit::sms::{SmsId, Submission};

use super::{
    Conn,
    queries::{Attempt, Change, Fixed, Incoming, insert_one},
};
use crate::schema::{sms, sms_attempts};

pub(super) fn insert_sms(conn: &mut Conn, incoming: &[Incoming]) -> QueryResult<Vec<SmsId>> {
    incoming.iter().map(|one| insert_one(conn, one)).collect()
}

pub(super) fn add_attempts(conn: &mut Conn, attempts: Vec<Attempt>) -> QueryResult<()> {
    for Attempt { sms, attempt, at, detail } in attempts {
        diesel::insert_into(sms_attempts::table)
            .values((
                sms_attempts::sms.eq(sms),
                sms_attempts::attempt.eq(attempt),
                sms_attempts::at.eq(at),
                sms_attempts::said.eq(detail),
            ))
            .execute(conn)?;
    }
    Ok(())
}

pub(super) fn change_sms(conn: &mut Conn, changes: Vec<Change>, now: i64) -> QueryResult<()> {
    for change in changes {
        Fixed(diesel::update(sms::table.find(change.id)).set((
            sms::status.eq(change.status),
            sms::provider_said.eq(change.provider_response),
            sms::provider_id.eq(change.provider_id),
            sms::attempts.eq(change.attempts),
            sms::delivered_at.eq(change.delivered_at),
            sms::next_attempt_at.eq(change.next_attempt_at),
            sms::claimed_by.eq(None::<String>),
            sms::unsure.eq(change.unknown_outcomes),
            sms::updated_at.eq(now),
        )))
        .execute(conn)?;
    }
    Ok(())
}

pub(super) fn claim_sms(conn: &mut Conn, claimed: &[Submission], claim_token: &str) -> QueryResult<()> {
    for submission in claimed {
        Fixed(diesel::update(sms::table.find(submission.id)).set((
            sms::next_attempt_at.eq(Some(submission.lease_until.micros())),
            sms::claimed_by.eq(Some(claim_token)),
            sms::unsure.eq(submission.unknown_outcomes),
        )))
        .execute(conn)?;
    }
    Ok(())
}
