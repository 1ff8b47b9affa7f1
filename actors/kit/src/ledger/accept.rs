//! SMS to be sent are taken into the ledger: once for each `Idempotency-Key`, and within their account's quotas.

use std::sync::Arc;

use crate::{
    account::{AccountId, OverQuota, QuotaCharge},
    request::{Operation, Reads, Writes},
    sms::{NewSms, Sms},
};

/// Keeps SMS to be sent, all of a batch in one transaction. Answers them in the order given, committed.
#[derive(Clone, Debug)]
pub struct AcceptSms {
    pub batch: Vec<NewSms>,
    /// The client's `Idempotency-Key`: with one, the answer may be that of an earlier request.
    pub idempotency: Option<IdempotencyKey>,
}
impl Operation for AcceptSms {
    type Access = Writes;
    type Answer = Accepted;
}

/// Does [`AcceptSms`] for an account whose quotas count what it sends (`AccountQuotas::is_counted`): all of the batch is
/// kept and taken from the quotas, or nothing.
#[derive(Clone, Debug)]
pub struct AcceptWithinQuota {
    pub accept: AcceptSms,
    /// Whose SMS these are, all of them.
    pub account: AccountId,
    /// What the whole batch takes, made for the quotas that the account had when the call came.
    pub charge: QuotaCharge,
}
impl Operation for AcceptWithinQuota {
    type Access = Writes;
    type Answer = AcceptedWithinQuota;
}

/// The result of [`AcceptWithinQuota`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedWithinQuota {
    /// All of the batch was kept and taken from the quotas, or a repeated key gave the earlier answer and took nothing.
    Accepted(Accepted),
    /// A quota has not enough for all of the batch: none of it was kept.
    Over(OverQuota),
}

/// The `Idempotency-Key` of a request: a repeated request with the same key is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The header's value.
    pub key: String,
    /// A digest of the method, the path and the body.
    pub request_digest: Vec<u8>,
    /// How long the key is kept, in seconds.
    pub keep_s: u64,
}

/// The result of [`AcceptSms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Kept.
    Now(Arc<[Sms]>),
    /// Kept before, under the same key: nothing was added.
    Before(Arc<[Sms]>),
    /// The key was used for another request: nothing was kept.
    KeyReused,
}

/// Finds what came of an earlier request with the same key: a repetition costs the writer nothing then. [`AcceptSms`] asks again,
/// within its transaction.
#[derive(Clone, Debug)]
pub struct FindAccepted {
    pub account: AccountId,
    pub key: IdempotencyKey,
}
impl Operation for FindAccepted {
    type Access = Reads;
    type Answer = Option<Accepted>;
}
