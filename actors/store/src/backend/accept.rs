//! SMS come in: one insert each.

use diesel::prelude::*;
use vumi_kit::{
    ledger::{AcceptSms, Accepted},
    sms::{NewSms, Sms, Submission, TransportStatus},
};

use super::{Failed, Tx, Write, idempotency};
use crate::schema::sms;

impl Write for AcceptSms {
    fn write(self, tx: &mut Tx<'_>) -> Result<Accepted, Failed> {
        let key = self.idempotency.and_then(|key| self.batch.first().map(|sms| (sms.account, key)));
        if let Some((account, key)) = &key
            && let Some(earlier) = idempotency::earlier(tx, *account, key)?
        {
            return Ok(earlier);
        }
        let kept = self.batch.into_iter().map(|new| insert(tx, new)).collect::<QueryResult<Vec<_>>>()?;
        if let Some((account, key)) = &key {
            idempotency::keep(tx, *account, key, &kept)?;
        }
        Ok(Accepted::Now(kept.into()))
    }
}

/// Keeps an SMS: claimed and to be handed over where its transport has room for it, else waiting.
pub(super) fn insert(tx: &mut Tx<'_>, new: NewSms) -> QueryResult<Sms> {
    let credit = tx.memory.outboxes.credit(&new.transport);
    let (now, lease_until, give_up_at) = (tx.now, tx.lease_until(), tx.now.plus(tx.rules.give_up_after));
    let due = if credit.is_some() { lease_until } else { now };
    let id = diesel::insert_into(sms::table)
        .values((
            sms::account.eq(new.account),
            sms::transport.eq(new.transport.as_str()),
            sms::recipient.eq(new.to.as_str()),
            sms::sender.eq(new.from.as_str()),
            sms::message.eq(&new.message),
            sms::status.eq(i32::from(TransportStatus::PENDING.0)),
            sms::attempts.eq(0),
            sms::created_at.eq(now.micros()),
            sms::updated_at.eq(now.micros()),
            sms::give_up_at.eq(give_up_at.micros()),
            sms::next_attempt_at.eq(Some(due.micros())),
            sms::claimed_by.eq(credit.as_deref()),
            sms::unsure.eq(0),
        ))
        .returning(sms::id)
        .get_result::<i64>(tx.conn)?;
    if credit.is_some() {
        tx.memory.outboxes.taken(&new.transport, 1);
        let submission = Submission {
            id,
            to: new.to.clone(),
            from: new.from.clone(),
            message: new.message.clone(),
            attempts: 0,
            unsure: 0,
            due_at: now,
            lease_until,
            give_up_at,
        };
        tx.memory.submissions.push((new.transport.clone(), submission));
    } else {
        tx.memory.outboxes.set_waiting(&new.transport, true);
    }
    Ok(Sms {
        id,
        account: new.account,
        transport: new.transport,
        to: new.to,
        from: new.from,
        message: new.message,
        status: TransportStatus::PENDING,
        provider_said: None,
        provider_id: None,
        attempts: 0,
        delivered_at: None,
        created_at: now,
        updated_at: now,
    })
}
