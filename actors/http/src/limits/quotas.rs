//! The quotas of an account, at a call that sends: recipients a minute, SMS waiting, a budget.

use vumi_kit::{
    account::{Account, AccountQuotas, BudgetUnit, OverQuota, QuotaCharge},
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota},
    sms::NewSms,
    store::Ask,
};

use super::recipient_rates::TooManyRecipients;
use crate::{
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
    },
    state::ApiState,
};

/// When a client may ask again whose SMS wait to be sent, in seconds: they go out meanwhile.
const WAITING_RETRY_S: u64 = 30;
/// When a client may try smaller batches, in seconds.
const SMALLER_RETRY_S: u64 = 1;

/// Accepts what the account's quotas allow: all of it, or nothing.
pub(crate) async fn accept(state: &ApiState, account: &Account, accept: AcceptSms) -> Result<Accepted, ApiError> {
    let quotas = &account.quotas;
    if let Some(per_minute) = quotas.recipients_per_minute {
        let taken = state.recipient_rates.take(account.id, per_minute, accept.batch.len());
        taken.map_err(|refused| too_many(refused, per_minute, accept.batch.len()))?;
    }
    if !quotas.is_counted() {
        return Ok(state.store.ledger.ask(accept).await?);
    }
    let charge = charge(state, quotas, &accept.batch)?;
    match state.store.ledger.ask(AcceptWithinQuota { accept, account: account.id, charge }).await? {
        AcceptedWithinQuota::Accepted(accepted) => Ok(accepted),
        AcceptedWithinQuota::Over(over) => Err(refusal(&account.username, &over)),
    }
}

fn charge(state: &ApiState, quotas: &AccountQuotas, batch: &[NewSms]) -> Result<QuotaCharge, ApiError> {
    let Some(unit) = quotas.budget.map(|budget| budget.unit) else { return Ok(QuotaCharge::default()) };
    let mut errors = FieldErrors::default();
    let mut of_each = Vec::with_capacity(batch.len());
    for sms in batch {
        match state.prices.charge(unit, sms) {
            Some(charge) => of_each.push(charge),
            None => errors.push(FieldError::new("to_msisdn", sms.to.as_str(), "no price is known for this number")),
        }
    }
    if errors.is_empty() { Ok(QuotaCharge { unit: Some(unit), of_each }) } else { Err(ApiError::InvalidFields(errors)) }
}

fn too_many(refused: TooManyRecipients, per_minute: u32, recipients: usize) -> ApiError {
    match refused {
        TooManyRecipients::Wait(wait_s) => {
            let what = format!(
                "the account may send to {per_minute} recipients a minute: nothing was kept, try again in {wait_s} s"
            );
            ApiError::OverQuota(wait_s, what)
        }
        TooManyRecipients::Never => {
            let what = format!(
                "the account may send to {per_minute} recipients a minute, and this call has {recipients}: nothing was kept, \
                 send smaller batches"
            );
            ApiError::OverQuota(SMALLER_RETRY_S, what)
        }
    }
}

fn refusal(username: &str, over: &OverQuota) -> ApiError {
    match over {
        OverQuota::Waiting { most, waiting, asked } => {
            let what = format!(
                "{waiting} SMS of the account wait to be sent, {most} may, and this call has {asked}: nothing was kept, send \
                 them later or in smaller batches"
            );
            ApiError::OverQuota(WAITING_RETRY_S, what)
        }
        OverQuota::Budget { unit, balance, asked } => {
            let unit = match unit {
                BudgetUnit::Segments => " segments",
                BudgetUnit::Money => "",
            };
            ApiError::PaymentRequired(format!(
                "the account's budget has {balance}{unit} left, and this call takes {asked}: nothing was kept; the operator adds \
                 to it: `vumi account budget {username} --add AMOUNT`"
            ))
        }
        OverQuota::Changed => ApiError::Unavailable(1, "the account's quotas are being changed, nothing was kept"),
    }
}
