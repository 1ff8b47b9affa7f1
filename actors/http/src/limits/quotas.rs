//! The quotas of an account, at a call that sends: recipients a minute, SMS waiting, a budget.

use vumi_kit::{
    account::Account,
    ledger::{AcceptSms, Accepted},
    sending_quotas::{NotWithinQuotas, Patience, QuotaRefusal},
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
    let accepted = state.quotas.accept(&state.store.ledger, account, accept, Patience::CanBeRefused).await;
    accepted.map_err(|refused| match refused {
        NotWithinQuotas::Store(error) => error.into(),
        NotWithinQuotas::Refused(which) => refusal(&account.username, &which),
        NotWithinQuotas::Changing => {
            ApiError::Unavailable(1, "the account's quotas are being changed, nothing was kept")
        }
        NotWithinQuotas::NoPrice(numbers) => {
            let mut errors = FieldErrors::default();
            for number in numbers {
                errors.push(FieldError::new("to_msisdn", number.as_str(), "no price is known for this number"));
            }
            ApiError::InvalidFields(errors)
        }
    })
}

fn refusal(username: &str, which: &QuotaRefusal) -> ApiError {
    match which {
        QuotaRefusal::Recipients { wait_s: Some(wait_s), .. } => {
            ApiError::OverQuota(*wait_s, format!("{which}: nothing was kept, try again in {wait_s} s"))
        }
        QuotaRefusal::Recipients { asked, wait_s: None, .. } => {
            let what = format!("{which}, and this call has {asked}: nothing was kept, send smaller batches");
            ApiError::OverQuota(SMALLER_RETRY_S, what)
        }
        QuotaRefusal::Waiting { asked, .. } => {
            let what =
                format!("{which}; this call has {asked}: nothing was kept, send them later or in smaller batches");
            ApiError::OverQuota(WAITING_RETRY_S, what)
        }
        QuotaRefusal::Budget { .. } => ApiError::PaymentRequired(format!(
            "{which}: nothing was kept; the operator adds to it: `vumi account budget {username} --add AMOUNT`"
        )),
    }
}
