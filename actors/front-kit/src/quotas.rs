//! The quotas of an account, where SMS are accepted: recipients a minute, SMS waiting, a budget.

use std::sync::Arc;

use vumi_kit::{
    account::{Account, AccountQuotas, OverQuota, QuotaCharge},
    address::Msisdn,
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, Ledger},
    price::PriceTable,
    sms::NewSms,
    store::{Ask, StoreError},
};

use crate::recipient_rates::{RecipientRates, TooManyRecipients};

/// Accepts what accounts may send. Cheap to clone: a process has one, so that its front-ends count recipients together, also
/// after one of them is started again.
#[derive(Clone, Debug, Default)]
pub struct QuotaKeeper {
    prices: PriceTable,
    rates: Arc<RecipientRates>,
}

/// Whether who sends can be refused while the store is behind, as [`Ask`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It is told to try again: [`Ask::ask`].
    CanBeRefused,
    /// It waits: [`Ask::ask_waiting`].
    Waits,
}

/// Why nothing was kept.
#[derive(Debug)]
pub enum QuotaRefusal {
    /// Too many recipients in a minute.
    TooMany {
        /// Whether it helps to wait.
        refused: TooManyRecipients,
        /// As many as may be.
        per_minute: u32,
        /// As many as were asked for.
        recipients: usize,
    },
    /// No price is known for these numbers.
    NoPrice(Vec<Msisdn>),
    /// The store's count is against it.
    Over(OverQuota),
    /// The store did not keep it.
    Store(StoreError),
}

impl From<StoreError> for QuotaRefusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl QuotaKeeper {
    /// With these prices of segments, for budgets in money.
    #[must_use]
    pub fn new(prices: PriceTable) -> Self {
        Self { prices, rates: Arc::default() }
    }

    /// Accepts what the account's quotas allow: all of it, or nothing. A repetition that the ledger knows by its key takes
    /// nothing of a budget, and counts as recipients again: callers look for it before.
    pub async fn accept(
        &self,
        ledger: &Ledger,
        account: &Account,
        accept: AcceptSms,
        patience: Patience,
    ) -> Result<Accepted, QuotaRefusal> {
        let (quotas, recipients) = (&account.quotas, accept.batch.len());
        if let Some(per_minute) = quotas.recipients_per_minute {
            let taken = self.rates.take(account.id, per_minute, recipients);
            taken.map_err(|refused| QuotaRefusal::TooMany { refused, per_minute, recipients })?;
        }
        if !quotas.is_counted() {
            return Ok(match patience {
                Patience::CanBeRefused => ledger.ask(accept).await?,
                Patience::Waits => ledger.ask_waiting(accept).await?,
            });
        }
        let charge = self.charge(quotas, &accept.batch)?;
        let counted = AcceptWithinQuota { accept, account: account.id, charge };
        let answer = match patience {
            Patience::CanBeRefused => ledger.ask(counted).await?,
            Patience::Waits => ledger.ask_waiting(counted).await?,
        };
        match answer {
            AcceptedWithinQuota::Accepted(accepted) => Ok(accepted),
            AcceptedWithinQuota::Over(over) => Err(QuotaRefusal::Over(over)),
        }
    }

    /// Takes an SMS that is kept together with something else from the rate of the account's recipients. Answers what it takes
    /// from the account's quotas where they count it.
    pub fn charge_one(&self, account: &Account, sms: &NewSms) -> Result<Option<QuotaCharge>, QuotaRefusal> {
        let quotas = &account.quotas;
        if let Some(per_minute) = quotas.recipients_per_minute {
            let taken = self.rates.take(account.id, per_minute, 1);
            taken.map_err(|refused| QuotaRefusal::TooMany { refused, per_minute, recipients: 1 })?;
        }
        quotas.is_counted().then(|| self.charge(quotas, std::slice::from_ref(sms))).transpose()
    }

    fn charge(&self, quotas: &AccountQuotas, batch: &[NewSms]) -> Result<QuotaCharge, QuotaRefusal> {
        let Some(unit) = quotas.budget.map(|budget| budget.unit) else { return Ok(QuotaCharge::default()) };
        let (mut unpriced, mut of_each) = (Vec::new(), Vec::with_capacity(batch.len()));
        for sms in batch {
            match self.prices.charge(unit, sms) {
                Some(charge) => of_each.push(charge),
                None => unpriced.push(sms.to.clone()),
            }
        }
        if unpriced.is_empty() {
            Ok(QuotaCharge { unit: Some(unit), of_each })
        } else {
            Err(QuotaRefusal::NoPrice(unpriced))
        }
    }
}
