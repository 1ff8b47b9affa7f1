//! The quotas of an account, at a call that sends: what its client is told of them.

use vumi_front_kit::{
    quotas::{QuotaKeeper, QuotaRefusal},
    recipient_rates::TooManyRecipients,
};
use vumi_kit::{
    account::{Account, BudgetUnit, OverQuota},
    ledger::{AcceptSms, Accepted},
};

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
    let keeper = QuotaKeeper { ledger: &state.store.ledger, prices: &state.prices, rates: &state.recipient_rates };
    keeper.accept(account, accept).await.map_err(|refused| match refused {
        QuotaRefusal::TooMany { refused, per_minute, recipients } => too_many(refused, per_minute, recipients),
        QuotaRefusal::NoPrice(numbers) => {
            let mut errors = FieldErrors::default();
            for number in numbers {
                errors.push(FieldError::new("to_msisdn", number.as_str(), "no price is known for this number"));
            }
            ApiError::InvalidFields(errors)
        }
        QuotaRefusal::Over(over) => refusal(&account.username, &over),
        QuotaRefusal::Store(error) => error.into(),
    })
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
