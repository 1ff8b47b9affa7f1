//! SMS of a campaign's dialogue come in, in one transaction with the turn that sends them.

use vumi_kit::{
    account::{AccountId, OverQuota},
    campaign_sms::DialogueSms,
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota},
};

use super::{Failed, Tx, Write};

/// What other processes may be keeping at this moment.
pub(super) fn lock_keys(sms: &[DialogueSms]) -> impl Iterator<Item = String> {
    sms.iter().map(|sms| format!("idempotency {} {}", sms.prepared.sms.account, sms.key.key))
}

/// Keeps them, each once for its key. What the account may not send any more is left out: the turn is kept all the same.
pub(super) fn keep(tx: &mut Tx<'_>, all: Vec<DialogueSms>) -> Result<(), Failed> {
    for DialogueSms { key, prepared } in all {
        let account = prepared.sms.account;
        let accept = AcceptSms { batch: vec![prepared.sms], idempotency: Some(key) };
        let accepted = match prepared.charge {
            None => AcceptedWithinQuota::Accepted(accept.write(tx)?),
            Some(charge) => AcceptWithinQuota { accept, account, charge }.write(tx)?,
        };
        match accepted {
            AcceptedWithinQuota::Accepted(Accepted::Now(_) | Accepted::Before(_)) => {}
            AcceptedWithinQuota::Accepted(Accepted::AccountStopped) => left_out(account, "its account is stopped"),
            AcceptedWithinQuota::Accepted(Accepted::KeyReused) => {
                left_out(account, "the campaign sent another one in the same step of the same turn");
            }
            AcceptedWithinQuota::Over(OverQuota::Changed) => {
                left_out(account, "the account's quotas were being changed")
            }
            AcceptedWithinQuota::Over(_) => left_out(account, "it is beyond the account's quotas"),
        }
    }
    Ok(())
}

fn left_out(account: AccountId, why: &'static str) {
    vumi_kit::warn_limited!(why, account, why, "an SMS of a campaign's dialogue is not sent");
}
