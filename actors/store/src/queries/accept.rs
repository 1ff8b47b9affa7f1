//! SMS come in.

use std::sync::Arc;

use diesel::prelude::*;
use vumi_kit::{
    ledger::{AcceptSms, Accepted},
    sms::{NewSms, Sms, SmsId, Submission, TransportStatus},
};

use super::{Conn, Evidence, Failed, Tx, Write, bulk, idempotency};
use crate::{schema::sms, writer::queue::Lane};

impl Write for AcceptSms {
    const GROWS: bool = true;

    fn rows(&self) -> usize {
        self.batch.len()
    }

    fn lane(&self) -> Lane {
        Lane::of_batch(self.batch.len())
    }

    /// The same request may be with another process at this moment.
    fn lock_keys(&self) -> Vec<String> {
        let key = self.idempotency.as_ref().zip(self.batch.first());
        key.map(|(key, sms)| format!("idempotency {} {}", sms.account, key.key)).into_iter().collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Accepted, Failed> {
        let key = self.idempotency.and_then(|key| self.batch.first().map(|sms| (sms.account, key)));
        if let Some((account, key)) = &key
            && let Some(earlier) = idempotency::earlier(tx.conn, tx.now, *account, key)?
        {
            return Ok(earlier);
        }
        let kept = insert(tx, self.batch)?;
        if let Some((account, key)) = &key {
            idempotency::keep(tx, *account, key, &kept)?;
        }
        Ok(Accepted::Now(kept.into()))
    }

    fn evidence(answer: &Accepted) -> Option<Evidence> {
        match answer {
            Accepted::Now(kept) => kept.first().map(|sms| Evidence::Sms(sms.id)),
            Accepted::Before(_) | Accepted::KeyReused => None,
        }
    }
}

/// An SMS on its way into the ledger.
pub(crate) struct Incoming {
    pub(crate) new: NewSms,
    /// When it is due; where it is born claimed, the end of its lease.
    pub(crate) due: i64,
    /// Who claims it.
    pub(crate) claimed_by: Option<Arc<str>>,
    /// Whether it may go out as soon as it is committed.
    pub(crate) begun: bool,
    pub(crate) created_at: i64,
    pub(crate) give_up_at: i64,
}

/// Keeps SMS: claimed and to be handed over where their transport has room for them, else waiting.
pub(super) fn insert(tx: &mut Tx<'_>, batch: Vec<NewSms>) -> QueryResult<Vec<Sms>> {
    let (now, lease_until, give_up_at) = (tx.now, tx.lease_until(), tx.now.plus(tx.rules.give_up_after));
    let mut incoming = Vec::with_capacity(batch.len());
    for new in batch {
        let claim = tx.state.outboxes.claim_new(&new.transport);
        let due = if claim.is_some() {
            lease_until
        } else {
            tx.state.outboxes.set_waiting(&new.transport, true);
            now
        };
        let (claimed_by, begun) = claim.map_or((None, false), |(claim_token, begun)| (Some(claim_token), begun));
        let (due, created_at, give_up_at) = (due.micros(), now.micros(), give_up_at.micros());
        incoming.push(Incoming { new, due, claimed_by, begun, created_at, give_up_at });
    }
    let ids = bulk::insert_sms(tx.conn, &incoming)?;
    let mut kept = Vec::with_capacity(ids.len());
    for (id, Incoming { new, claimed_by, begun, .. }) in ids.into_iter().zip(incoming) {
        if claimed_by.is_some() {
            let submission = Submission {
                id,
                to: new.to.clone(),
                from: new.from.clone(),
                message: new.message.clone(),
                attempts: 0,
                unknown_outcomes: 0,
                due_at: now,
                lease_until,
                give_up_at,
                begun,
                renewed: false,
            };
            tx.state.submissions.push((new.transport.clone(), submission));
        }
        kept.push(Sms {
            id,
            account: new.account,
            transport: new.transport,
            to: new.to,
            from: new.from,
            message: new.message,
            status: TransportStatus::Pending,
            provider_response: None,
            provider_id: None,
            attempts: 0,
            delivered_at: None,
            created_at: now,
            updated_at: now,
        });
    }
    Ok(kept)
}

/// The statement for one, prepared once.
pub(crate) fn insert_one(conn: &mut Conn, incoming: &Incoming) -> QueryResult<SmsId> {
    let Incoming { new, due, claimed_by, begun, created_at, give_up_at } = incoming;
    diesel::insert_into(sms::table)
        .values((
            sms::account.eq(new.account),
            sms::transport.eq(new.transport.as_str()),
            sms::recipient.eq(new.to.as_str()),
            sms::sender.eq(new.from.as_str()),
            sms::message.eq(&new.message),
            sms::status.eq(i32::from(TransportStatus::Pending)),
            sms::attempts.eq(0),
            sms::created_at.eq(created_at),
            sms::updated_at.eq(created_at),
            sms::give_up_at.eq(give_up_at),
            sms::next_attempt_at.eq(Some(due)),
            sms::claimed_by.eq(claimed_by.as_deref()),
            sms::unsure.eq(0),
            sms::begun.eq(i32::from(*begun)),
        ))
        .returning(sms::id)
        .get_result(conn)
}
