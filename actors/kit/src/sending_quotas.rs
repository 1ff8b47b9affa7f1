//! What the quotas of an account allow it to send, asked by every front-end that clients send over: recipients a minute, SMS
//! waiting, a budget. A process has one of these, so that its front-ends count together.

use std::sync::Arc;

use crate::{
    account::{Account, AccountQuotas, BudgetUnit, OverQuota, QuotaCharge},
    address::Msisdn,
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, Ledger},
    price::PriceTable,
    request::{Ask, StoreError},
    sms::NewSms,
};

mod recipient_rates;

use recipient_rates::{RecipientRates, TooManyRecipients};

/// Whether who sends can be refused while the store is behind, as [`Ask`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It is told to try again: [`Ask::ask`].
    CanBeRefused,
    /// It waits: [`Ask::ask_waiting`].
    Waits,
}

/// Why nothing of a batch was kept.
#[derive(Clone, Debug)]
pub enum NotWithinQuotas {
    /// It goes beyond a quota.
    Refused(QuotaRefusal),
    /// A budget in money, and numbers that the price table has no price for.
    NoPrice(Vec<Msisdn>),
    /// The quotas are being changed at this moment: it may be tried again.
    Changing,
    /// The store failed.
    Store(StoreError),
}

/// Which quota a batch goes beyond. Its text says what the quota is, for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaRefusal {
    /// Too many recipients a minute.
    #[error("the account may send to {per_minute} recipients a minute")]
    Recipients {
        /// As many may be.
        per_minute: u32,
        /// As many are in the batch.
        asked: usize,
        /// In so many seconds it would be taken; none: it has more than are ever taken at once.
        wait_s: Option<u64>,
    },
    /// Too many would wait to be sent.
    #[error("{waiting} SMS of the account wait to be sent, and {most} may")]
    Waiting {
        /// As many may.
        most: u64,
        /// As many do.
        waiting: u64,
        /// As many are in the batch.
        asked: u64,
    },
    /// The budget has not enough.
    #[error("the account's budget has {left} left, and {asked} is asked for")]
    Budget {
        /// What is left, with its unit.
        left: String,
        /// What the batch takes.
        asked: String,
    },
}

/// See the module. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct SendingQuotas {
    prices: PriceTable,
    rates: Arc<RecipientRates>,
}

impl SendingQuotas {
    /// With these prices, for budgets in money.
    #[must_use]
    pub fn new(prices: PriceTable) -> Self {
        Self { prices, rates: Arc::default() }
    }

    /// Accepts what the account's quotas allow: all of it, or nothing. A repetition that the ledger knows by its key takes
    /// nothing of a budget, and counts as recipients again: callers ask for it before.
    pub async fn accept(
        &self,
        ledger: &Ledger,
        account: &Account,
        accept: AcceptSms,
        patience: Patience,
    ) -> Result<Accepted, NotWithinQuotas> {
        let quotas = &account.quotas;
        if let Some(per_minute) = quotas.recipients_per_minute {
            let asked = accept.batch.len();
            let refused = |wait_s| QuotaRefusal::Recipients { per_minute, asked, wait_s };
            self.rates.take(account.id, per_minute, asked).map_err(|too_many| match too_many {
                TooManyRecipients::Wait(wait_s) => NotWithinQuotas::Refused(refused(Some(wait_s))),
                TooManyRecipients::Never => NotWithinQuotas::Refused(refused(None)),
            })?;
        }
        if !quotas.is_counted() {
            let accepted = match patience {
                Patience::CanBeRefused => ledger.ask(accept).await,
                Patience::Waits => ledger.ask_waiting(accept).await,
            };
            return accepted.map_err(NotWithinQuotas::Store);
        }
        let charge = self.charge(quotas, &accept.batch)?;
        let counted = AcceptWithinQuota { accept, account: account.id, charge };
        let answer = match patience {
            Patience::CanBeRefused => ledger.ask(counted).await,
            Patience::Waits => ledger.ask_waiting(counted).await,
        };
        match answer.map_err(NotWithinQuotas::Store)? {
            AcceptedWithinQuota::Accepted(accepted) => Ok(accepted),
            AcceptedWithinQuota::Over(over) => Err(over.into()),
        }
    }

    fn charge(&self, quotas: &AccountQuotas, batch: &[NewSms]) -> Result<QuotaCharge, NotWithinQuotas> {
        let Some(unit) = quotas.budget.map(|budget| budget.unit) else { return Ok(QuotaCharge::default()) };
        let (mut of_each, mut without_price) = (Vec::with_capacity(batch.len()), Vec::new());
        for sms in batch {
            match self.prices.charge(unit, sms) {
                Some(charge) => of_each.push(charge),
                None => without_price.push(sms.to.clone()),
            }
        }
        if without_price.is_empty() {
            Ok(QuotaCharge { unit: Some(unit), of_each })
        } else {
            Err(NotWithinQuotas::NoPrice(without_price))
        }
    }
}

impl From<OverQuota> for NotWithinQuotas {
    fn from(over: OverQuota) -> Self {
        Self::Refused(match over {
            OverQuota::Waiting { most, waiting, asked } => QuotaRefusal::Waiting { most, waiting, asked },
            OverQuota::Budget { unit, balance, asked } => {
                let unit = match unit {
                    BudgetUnit::Segments => " segments",
                    BudgetUnit::Money => "",
                };
                QuotaRefusal::Budget { left: format!("{balance}{unit}"), asked: asked.to_string() }
            }
            OverQuota::Changed => return Self::Changing,
        })
    }
}
