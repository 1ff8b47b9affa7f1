//! What an account's ESMEs are told: receipts of the SMS that they submitted, and SMS from people. It waits in the queue of
//! the callbacks, for the callback that stands for them.

use std::time::Duration;

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    callback::CallbackName,
    clock::Timestamp,
    esme::{ClaimEsmeEvents, EsmeDelivery, EsmeEvent, EsmeReceipt, EsmeSms, FindEsmeWork, GiveUpEsmeEvents},
    sms::{Received, Sms, SmsId},
};

use super::{Conn, Failed, Read, Tx, Write, callbacks as callback_rows, deliveries, parked, rows};
use crate::schema::{callback_deliveries, callbacks};

/// Tells of SMS that have ended, where their ESMEs asked for it.
pub(super) fn tell_ended(tx: &mut Tx<'_>, ids: &[SmsId]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    for sms in rows::find_sms(tx.conn, ids, tx.now)? {
        tell(tx, &sms)?;
    }
    Ok(())
}

/// Tells of an SMS, where it has ended and its ESME asked for that.
pub(super) fn tell(tx: &mut Tx<'_>, sms: &Sms) -> QueryResult<()> {
    let status = sms.shown_status();
    let Some(request) = sms.receipts.filter(|request| request.wants(status)) else { return Ok(()) };
    let receipt = EsmeReceipt {
        id: sms.id,
        from: sms.from.clone(),
        from_plan: request.from,
        to: sms.to.clone(),
        to_plan: request.to,
        status,
        accepted_at: sms.created_at.micros(),
        ended_at: sms.delivered_at.unwrap_or(tx.now).micros(),
        bind: request.bind,
    };
    enqueue(tx, sms.account, CallbackName::SmsReceipt, Some(sms.id), &EsmeEvent::Receipt(receipt))
}

/// Tells of an SMS from a person.
pub(super) fn tell_received(tx: &mut Tx<'_>, account: AccountId, received: &Received) -> QueryResult<()> {
    let sms = EsmeSms {
        from: received.sms.from.to_string(),
        to: received.sms.to.to_string(),
        message: received.sms.message.clone(),
    };
    enqueue(tx, account, CallbackName::SmsReceived, None, &EsmeEvent::Sms(sms))
}

fn enqueue(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: CallbackName,
    sms: Option<SmsId>,
    event: &EsmeEvent,
) -> QueryResult<()> {
    let Some(callback) = callback_rows::of_esmes(tx.conn, account)? else { return Ok(()) };
    let body =
        serde_json::to_string(event).map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    deliveries::enqueue_for_esmes(tx, callback, name, sms, &body)
}

impl Read for FindEsmeWork {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<AccountId>, Failed> {
        let accounts = self.accounts.into_iter().take(Self::MOST);
        let due = callback_deliveries::table
            .filter(callback_deliveries::callback.eq(callbacks::id))
            .filter(callback_deliveries::next_attempt_at.le(now.micros()));
        let with_work = callbacks::table
            .filter(callbacks::account.eq_any(accounts))
            .filter(callbacks::name.eq(CallbackName::Esme.as_str()))
            .filter(diesel::dsl::exists(due))
            .select(callbacks::account);
        Ok(with_work.load(conn)?)
    }
}

impl Write for ClaimEsmeEvents {
    fn rows(&self) -> usize {
        self.accounts.iter().map(|(_, most)| *most).sum()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<EsmeDelivery>, Failed> {
        let lease_until = tx.now.plus(Duration::from_secs(self.lease_s));
        let mut claimed = Vec::new();
        for (account, most) in self.accounts {
            let Some(callback) = callback_rows::of_esmes(tx.conn, account)? else { continue };
            for row in deliveries::due_of(tx, callback, most)? {
                deliveries::claim(tx, row.id, lease_until)?;
                claimed.push(EsmeDelivery {
                    id: row.id,
                    account,
                    event: serde_json::from_str(&row.body).ok(),
                    attempts: row.attempts,
                    created_at: Timestamp::from_micros(row.created_at),
                    lease_until,
                });
            }
        }
        Ok(claimed)
    }
}

impl Write for GiveUpEsmeEvents {
    fn rows(&self) -> usize {
        Self::MOST
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<usize, Failed> {
        let of_esmes = callbacks::table.filter(callbacks::name.eq(CallbackName::Esme.as_str())).select(callbacks::id);
        // What waits for an ESME that is away is due since it happened.
        let old = callback_deliveries::table
            .filter(callback_deliveries::callback.eq_any(of_esmes))
            .filter(callback_deliveries::next_attempt_at.le(self.before.micros()))
            .limit(rows::as_limit(Self::MOST))
            .select(callback_deliveries::id);
        let old: Vec<i64> = skip_locked!(old).load(tx.conn)?;
        Ok(parked::park_these(tx, &old, "no ESME took it in time")?)
    }
}
