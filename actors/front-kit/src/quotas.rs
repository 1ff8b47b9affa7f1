//! The quotas of an account, where SMS are accepted: recipients a minute, SMS waiting, a budget.

use vumi_kit::{
    account::{Account, AccountQuotas, OverQuota, QuotaCharge},
    address::Msisdn,
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, Ledger},
    price::PriceTable,
    sms::NewSms,
    store::{Ask, StoreError},
};

use crate::recipient_rates::{RecipientRates, TooManyRecipients};

/// Accepts what accounts may send.
#[derive(Clone, Copy)]
pub struct QuotaKeeper<'a> {
    /// Keeps the SMS.
    pub ledger: &'a Ledger,
    /// What segments cost.
    pub prices: &'a PriceTable,
    /// Recipients a minute, as this process counts them.
    pub rates: &'a RecipientRates,
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

impl QuotaKeeper<'_> {
    /// Accepts what the account's quotas allow: all of it, or nothing.
    pub async fn accept(&self, account: &Account, accept: AcceptSms) -> Result<Accepted, QuotaRefusal> {
        let (quotas, recipients) = (&account.quotas, accept.batch.len());
        if let Some(per_minute) = quotas.recipients_per_minute {
            let taken = self.rates.take(account.id, per_minute, recipients);
            taken.map_err(|refused| QuotaRefusal::TooMany { refused, per_minute, recipients })?;
        }
        if !quotas.is_counted() {
            return Ok(self.ledger.ask(accept).await?);
        }
        let charge = self.charge(quotas, &accept.batch)?;
        match self.ledger.ask(AcceptWithinQuota { accept, account: account.id, charge }).await? {
            AcceptedWithinQuota::Accepted(accepted) => Ok(accepted),
            AcceptedWithinQuota::Over(over) => Err(QuotaRefusal::Over(over)),
        }
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
