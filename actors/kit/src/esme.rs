//! What an account's ESMEs are told: clients that speak SMPP (external short message entities). Receipts of the SMS that
//! they submitted, and SMS from people. They wait in the same queue as what is posted to callbacks, and one process claims
//! them that holds a bind of the account.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    address::{Address, Msisdn},
    callback::DeliveryId,
    clock::Timestamp,
    request::{Operation, Reads, Writes},
    sms::{SmsId, TransportStatus},
};

/// Type of number and numbering plan of an address, as an ESME wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberPlan {
    /// Type of number: 1 international, 2 national, 5 a name, ...
    pub ton: u8,
    /// Numbering plan: 1 E.164, ...
    pub npi: u8,
}

/// The receipts that an ESME asks of an SMS (`registered_delivery`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// Whether a receipt is wanted for an SMS that arrived.
    pub success: bool,
    /// Whether a receipt is wanted for an SMS that did not arrive.
    pub failure: bool,
    /// Type of number and numbering plan of the sender, as the ESME gave them.
    pub from: NumberPlan,
    /// Type of number and numbering plan of the recipient, as the ESME gave them.
    pub to: NumberPlan,
    /// The bind that submitted it: it is told first, while it lasts.
    pub bind: u64,
}

/// What a kept request begins with, in the column that else has the URL of an SMS's callbacks.
const KEPT: &str = "esme:";

impl ReceiptRequest {
    /// Whether an SMS that ended with this status is to be told of.
    #[must_use]
    pub const fn wants(&self, status: TransportStatus) -> bool {
        match status {
            TransportStatus::Delivered => self.success,
            other => other.is_final() && self.failure,
        }
    }
}

impl fmt::Display for ReceiptRequest {
    /// As the store keeps it; no URL of a callback looks like it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = u8::from(self.success) + 2 * u8::from(self.failure);
        let (from, to) = (self.from, self.to);
        write!(f, "{KEPT}{wanted}.{}.{}.{}.{}.{}", from.ton, from.npi, to.ton, to.npi, self.bind)
    }
}

/// A text that is no kept [`ReceiptRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not what an ESME asked for")]
pub struct NotAReceiptRequest;

impl FromStr for ReceiptRequest {
    type Err = NotAReceiptRequest;

    fn from_str(text: &str) -> Result<Self, NotAReceiptRequest> {
        let mut parts = text.strip_prefix(KEPT).ok_or(NotAReceiptRequest)?.split('.');
        let mut octet = || parts.next().and_then(|part| part.parse::<u8>().ok()).ok_or(NotAReceiptRequest);
        let wanted = octet()?;
        let from = NumberPlan { ton: octet()?, npi: octet()? };
        let to = NumberPlan { ton: octet()?, npi: octet()? };
        let bind = parts.next().and_then(|part| part.parse().ok()).ok_or(NotAReceiptRequest)?;
        Ok(Self { success: wanted & 1 != 0, failure: wanted & 2 != 0, from, to, bind })
    }
}

/// What an ESME is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EsmeEvent {
    /// What became of an SMS that one of the account's ESMEs submitted.
    Receipt(EsmeReceipt),
    /// An SMS from a person.
    Sms(EsmeSms),
}

/// What became of an SMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EsmeReceipt {
    /// Its number, which the ESME knows as `message_id`.
    pub id: SmsId,
    /// The sender that the ESME gave; the receipt names it as its recipient.
    pub from: Address,
    /// As the ESME gave it; given back in the receipt.
    pub from_plan: NumberPlan,
    /// The recipient of the SMS; the receipt names it as its sender.
    pub to: Msisdn,
    /// As the ESME gave it; given back in the receipt.
    pub to_plan: NumberPlan,
    /// The state that is told, final or not.
    pub status: TransportStatus,
    /// When it was accepted, in microseconds since 1970.
    pub accepted_at: i64,
    /// When it ended, in microseconds since 1970.
    pub ended_at: i64,
    /// The bind that submitted it.
    pub bind: u64,
}

/// An SMS from a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EsmeSms {
    /// The number or the name of who wrote.
    pub from: String,
    /// The short code or number they wrote to.
    pub to: String,
    /// The text as the person wrote it.
    pub message: String,
}

/// Which of these accounts have something to be told now; at the most [`Self::MOST`] are looked at.
#[derive(Clone, Debug)]
pub struct FindEsmeWork {
    /// Accounts that have a bind here.
    pub accounts: Vec<AccountId>,
}

impl FindEsmeWork {
    /// Accounts of one query.
    pub const MOST: usize = 500;
}

impl Operation for FindEsmeWork {
    type Access = Reads;
    type Answer = Vec<AccountId>;
}

/// Claims what an account's ESMEs are to be told: the oldest first, no more than so many of each account. What comes of
/// it is recorded as attempts ([`crate::callback::RecordDeliveryAttempts`]).
#[derive(Clone, Debug)]
pub struct ClaimEsmeEvents {
    /// Accounts, each with how many its binds can take now.
    pub accounts: Vec<(AccountId, usize)>,
    /// How long the claim holds, in seconds.
    pub lease_s: u64,
}

impl Operation for ClaimEsmeEvents {
    type Access = Writes;
    type Answer = Vec<EsmeDelivery>;
}

/// Gives up what was to be told before a moment and nobody holds, [`Self::MOST`] in one step. Answers how many that were.
#[derive(Clone, Copy, Debug)]
pub struct GiveUpEsmeEvents {
    /// What happened before then.
    pub before: Timestamp,
}

impl GiveUpEsmeEvents {
    /// Deliveries of one step.
    pub const MOST: usize = 500;
}

impl Operation for GiveUpEsmeEvents {
    type Access = Writes;
    type Answer = usize;
}

/// Something that an account's ESMEs are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EsmeDelivery {
    /// Its number in the queue.
    pub id: DeliveryId,
    /// The account whose ESMEs may take it.
    pub account: AccountId,
    /// What happened; none: its text was removed after the time for which texts are kept.
    pub event: Option<EsmeEvent>,
    /// How often it was tried before.
    pub attempts: i32,
    /// When the event happened, on the ledger's clock.
    pub created_at: Timestamp,
    /// Until when the claim holds.
    pub lease_until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{NumberPlan, ReceiptRequest};
    use crate::sms::TransportStatus as S;

    #[test]
    fn a_request_is_kept_and_read_again_and_no_url_is_one() {
        let (from, to) = (NumberPlan { ton: 5, npi: 0 }, NumberPlan { ton: 1, npi: 1 });
        for (success, failure) in [(false, false), (true, false), (false, true), (true, true)] {
            let request = ReceiptRequest { success, failure, from, to, bind: u64::MAX };
            assert_eq!(request.to_string().parse(), Ok(request));
            assert_eq!((request.wants(S::Delivered), request.wants(S::Expired)), (success, failure));
            assert!(!request.wants(S::Accepted));
        }
        for other in ["https://client.example/", "esme:", "esme:1.2.3.4.5", "esme:256.1.1.1.1.1", "esme:x"] {
            assert!(other.parse::<ReceiptRequest>().is_err(), "{other}");
        }
    }
}
