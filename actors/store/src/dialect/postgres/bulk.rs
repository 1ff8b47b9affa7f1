//! Many rows in one statement, whose text is the same for any number: on a network each statement is a round trip.

use diesel::{
    prelude::*,
    sql_types::{Array, BigInt, Integer, Nullable, Text},
};
use vumi_kit::{
    clock::Timestamp,
    rerouting::TransportBeat,
    sms::{SmsId, Submission, TransportStatus},
};

use super::{
    Conn,
    queries::{Attempt, Change, Incoming, as_count, insert_one, may_go_out},
};
use crate::schema::sms;

#[derive(QueryableByName)]
struct Drawn {
    #[diesel(sql_type = BigInt)]
    id: SmsId,
}

pub(super) fn insert_sms(conn: &mut Conn, incoming: &[Incoming]) -> QueryResult<Vec<SmsId>> {
    if let [one] = incoming {
        return insert_one(conn, one, None).map(|id| vec![id]);
    }
    // Numbers first: the order in which an insert returns its rows is nobody's promise.
    let count = i64::try_from(incoming.len()).unwrap_or(i64::MAX);
    let draw = "SELECT nextval(pg_get_serial_sequence('sms', 'id')) AS id FROM generate_series(1, $1)";
    let drawn: Vec<Drawn> = diesel::sql_query(draw).bind::<BigInt, _>(count).load(conn)?;
    let mut ids: Vec<SmsId> = drawn.into_iter().map(|drawn| drawn.id).collect();
    ids.sort_unstable();
    let texts = |value: fn(&Incoming) -> &str| incoming.iter().map(value).collect::<Vec<_>>();
    let may_be = |value: fn(&Incoming) -> Option<&str>| incoming.iter().map(value).collect::<Vec<_>>();
    let small = |value: fn(&Incoming) -> i32| incoming.iter().map(value).collect::<Vec<_>>();
    let numbers = |value: fn(&Incoming) -> i64| incoming.iter().map(value).collect::<Vec<_>>();
    diesel::sql_query(
        "INSERT INTO sms (id, account, transport, recipient, sender, message, status, attempts, created_at, \
         updated_at, give_up_at, next_attempt_at, claimed_by, unsure, begun, priority, scheduled_at, segments, batch, \
         reference, callback_url, content, udh, route, charged, occasion) \
         SELECT id, account, transport, recipient, sender, message, $10, 0, created_at, created_at, give_up_at, due, \
         claimed_by, 0, begun, priority, scheduled_at, segments, nullif($13, id), reference, callback_url, content, udh, route, \
         charged, occasion FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $11::text[], $12::integer[], $14::integer[], $15::bigint[], $16::integer[], \
         $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::integer[]) \
         AS new (id, account, transport, recipient, sender, message, created_at, give_up_at, due, claimed_by, begun, \
         priority, scheduled_at, segments, reference, callback_url, content, udh, route, charged, occasion)",
    )
    .bind::<Array<BigInt>, _>(&ids)
    .bind::<Array<BigInt>, _>(numbers(|one| one.new.account))
    .bind::<Array<Text>, _>(texts(|one| one.new.transport.as_str()))
    .bind::<Array<Text>, _>(texts(|one| one.new.to.as_str()))
    .bind::<Array<Text>, _>(texts(|one| one.new.from.as_str()))
    .bind::<Array<Text>, _>(texts(|one| &one.new.message))
    .bind::<Array<BigInt>, _>(numbers(|one| one.created_at))
    .bind::<Array<BigInt>, _>(numbers(|one| one.give_up_at))
    .bind::<Array<BigInt>, _>(numbers(|one| one.due))
    .bind::<Integer, _>(i32::from(TransportStatus::Pending))
    .bind::<Array<Nullable<Text>>, _>(may_be(|one| one.claimed_by.as_deref()))
    .bind::<Array<Integer>, _>(small(|one| i32::from(one.begun)))
    .bind::<Nullable<BigInt>, _>(ids.first())
    .bind::<Array<Integer>, _>(small(Incoming::priority))
    .bind::<Array<Nullable<BigInt>>, _>(incoming.iter().map(Incoming::scheduled_at).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(small(Incoming::segments))
    .bind::<Array<Nullable<Text>>, _>(may_be(|one| one.new.options.reference.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(incoming.iter().map(Incoming::told).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(incoming.iter().map(|one| one.content().0).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(may_be(|one| one.content().1))
    .bind::<Array<Nullable<Text>>, _>(may_be(Incoming::route))
    .bind::<Array<Nullable<BigInt>>, _>(incoming.iter().map(|one| one.charged).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(small(Incoming::occasion))
    .execute(conn)?;
    Ok(ids)
}

pub(super) fn add_attempts(conn: &mut Conn, attempts: Vec<Attempt>) -> QueryResult<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&Attempt) -> i64| attempts.iter().map(value).collect::<Vec<_>>();
    diesel::sql_query(
        "INSERT INTO sms_attempts (sms, attempt, at, said) SELECT * FROM \
         unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[])",
    )
    .bind::<Array<BigInt>, _>(column(|attempt| attempt.sms))
    .bind::<Array<Integer>, _>(attempts.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(|attempt| attempt.at))
    .bind::<Array<Text>, _>(attempts.iter().map(|attempt| &attempt.detail).collect::<Vec<_>>())
    .execute(conn)
    .map(drop)
}

pub(super) fn change_sms(conn: &mut Conn, changes: Vec<Change>, now: i64) -> QueryResult<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let numbers = |value: fn(&Change) -> i32| changes.iter().map(value).collect::<Vec<_>>();
    let times = |value: fn(&Change) -> Option<i64>| changes.iter().map(value).collect::<Vec<_>>();
    let texts = |value: fn(&Change) -> Option<&str>| changes.iter().map(value).collect::<Vec<_>>();
    diesel::sql_query(
        "UPDATE sms SET status = new.status, provider_said = new.provider_said, provider_id = new.provider_id, \
         attempts = new.attempts, delivered_at = new.delivered_at, next_attempt_at = new.next_attempt_at, \
         claimed_by = NULL, unsure = new.unsure, begun = 0, updated_at = $9 \
         FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[], \
         $8::integer[]) \
         AS new (id, status, provider_said, provider_id, attempts, delivered_at, next_attempt_at, unsure) \
         WHERE sms.id = new.id",
    )
    .bind::<Array<BigInt>, _>(changes.iter().map(|change| change.id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(numbers(|change| change.status))
    .bind::<Array<Nullable<Text>>, _>(texts(|change| change.provider_response.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(texts(|change| change.provider_id.as_deref()))
    .bind::<Array<Integer>, _>(numbers(|change| change.attempts))
    .bind::<Array<Nullable<BigInt>>, _>(times(|change| change.delivered_at))
    .bind::<Array<Nullable<BigInt>>, _>(times(|change| change.next_attempt_at))
    .bind::<Array<Integer>, _>(numbers(|change| change.unknown_outcomes))
    .bind::<BigInt, _>(now)
    .execute(conn)
    .map(drop)
}

pub(super) fn claim_sms(conn: &mut Conn, claimed: &[Submission], claim_token: &str) -> QueryResult<()> {
    if claimed.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "UPDATE sms SET next_attempt_at = new.next_attempt_at, claimed_by = $4, unsure = new.unsure, begun = new.begun \
         FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $5::integer[]) \
         AS new (id, next_attempt_at, unsure, begun) WHERE sms.id = new.id",
    )
    .bind::<Array<BigInt>, _>(claimed.iter().map(|submission| submission.id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(claimed.iter().map(|submission| submission.lease_until.micros()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(claimed.iter().map(|submission| submission.unknown_outcomes).collect::<Vec<_>>())
    .bind::<Text, _>(claim_token)
    .bind::<Array<Integer>, _>(claimed.iter().map(|submission| i32::from(submission.begun)).collect::<Vec<_>>())
    .execute(conn)
    .map(drop)
}

/// Marks those as begun that are still held under the claim token and may go out; answers them.
pub(super) fn begin_sms(conn: &mut Conn, ids: &[SmsId], claim_token: &str, now: Timestamp) -> QueryResult<Vec<SmsId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let held = sms::table.filter(sms::id.eq_any(ids)).filter(sms::claimed_by.eq(claim_token)).filter(sms::begun.eq(0));
    let held = held.filter(sms::next_attempt_at.is_not_null()).filter(may_go_out(now));
    diesel::update(held).set(sms::begun.eq(1)).returning(sms::id).get_results(conn)
}

/// How this process's transports are.
pub(super) fn beat(conn: &mut Conn, node: &str, now: Timestamp, beats: &[TransportBeat]) -> QueryResult<()> {
    let numbers = |value: fn(&TransportBeat) -> i64| beats.iter().map(value).collect::<Vec<_>>();
    let told = beats.iter().map(|beat| beat.sendability.map(|told| i32::from(told.number())));
    diesel::sql_query(
        "INSERT INTO transport_beats (node, transport, at, sendability, wants_probe, submitted, receipts) \
         SELECT $1, transport, $2, sendability, wants_probe, submitted, receipts \
         FROM unnest($3::text[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[]) \
         AS new (transport, sendability, wants_probe, submitted, receipts) \
         ON CONFLICT (node, transport) DO UPDATE SET at = excluded.at, sendability = excluded.sendability, \
         wants_probe = excluded.wants_probe, submitted = excluded.submitted, receipts = excluded.receipts",
    )
    .bind::<Text, _>(node)
    .bind::<BigInt, _>(now.micros())
    .bind::<Array<Text>, _>(beats.iter().map(|beat| beat.transport.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(told.collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(beats.iter().map(|beat| i32::from(beat.wants_probe)).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(numbers(|beat| as_count(beat.submitted)))
    .bind::<Array<BigInt>, _>(numbers(|beat| as_count(beat.receipts)))
    .execute(conn)
    .map(drop)
}
