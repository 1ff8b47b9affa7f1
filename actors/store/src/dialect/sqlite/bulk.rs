//! Many rows, one by one where each has values of its own: it costs no round trip, and its statement is prepared.

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    rerouting::TransportBeat,
    sms::{SmsId, Submission},
};

use super::{
    Conn,
    queries::{Attempt, Change, Fixed, Incoming, as_count, insert_one, may_go_out},
};
use crate::schema::{sms, sms_attempts, transport_beats};

pub(super) fn insert_sms(conn: &mut Conn, incoming: &[Incoming]) -> QueryResult<Vec<SmsId>> {
    let mut ids: Vec<SmsId> = Vec::with_capacity(incoming.len());
    for one in incoming {
        let batch = ids.first().copied();
        ids.push(insert_one(conn, one, batch)?);
    }
    Ok(ids)
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
            sms::begun.eq(0),
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
            sms::begun.eq(i32::from(submission.begun)),
        )))
        .execute(conn)?;
    }
    Ok(())
}

/// Marks those as begun that are still held under the claim token and may go out; answers them.
pub(super) fn begin_sms(conn: &mut Conn, ids: &[SmsId], claim_token: &str, now: Timestamp) -> QueryResult<Vec<SmsId>> {
    let held = sms::table.filter(among!(sms::id, "sms.id", ids)).filter(sms::claimed_by.eq(claim_token));
    let held = held.filter(sms::begun.eq(0)).filter(sms::next_attempt_at.is_not_null()).filter(may_go_out(now));
    Fixed(diesel::update(held).set(sms::begun.eq(1)).returning(sms::id)).get_results(conn)
}

/// How this process's transports are.
pub(super) fn beat(conn: &mut Conn, node: &str, now: Timestamp, beats: &[TransportBeat]) -> QueryResult<()> {
    for TransportBeat { transport, sendability, wants_probe, submitted, receipts } in beats {
        let told = (
            transport_beats::at.eq(now.micros()),
            transport_beats::sendability.eq(sendability.map(|told| i32::from(told.number()))),
            transport_beats::wants_probe.eq(i32::from(*wants_probe)),
            transport_beats::submitted.eq(as_count(*submitted)),
            transport_beats::receipts.eq(as_count(*receipts)),
        );
        let key = (transport_beats::node.eq(node), transport_beats::transport.eq(transport.as_str()));
        diesel::insert_into(transport_beats::table)
            .values((key, told))
            .on_conflict((transport_beats::node, transport_beats::transport))
            .do_update()
            .set(told)
            .execute(conn)?;
    }
    Ok(())
}
