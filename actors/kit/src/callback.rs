//! Callbacks: the clients' URLs, what is to be posted to them, and what came of it.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    clock::Timestamp,
    request::{Operation, Reads, Writes, store_address},
};

/// The number of a callback.
pub type CallbackId = i64;

/// The number of something to be posted to a callback.
pub type DeliveryId = i64;

/// What a callback is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackName {
    /// An SMS from a person came in.
    SmsReceived,
    /// A receipt for a sent SMS came in.
    SmsReceipt,
}

impl CallbackName {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::SmsReceived, Self::SmsReceipt];

    /// As clients write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SmsReceived => "sms_received",
            Self::SmsReceipt => "sms_receipt",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// A callback as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// Its number.
    pub id: CallbackId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is told of.
    pub name: CallbackName,
    /// Where to post.
    pub url: String,
    /// The signing secret of the Standard Webhooks specification, `whsec_` and base64: shown once, at creation.
    pub secret: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Callback({}, {})", self.id, self.name.as_str())
    }
}

/// Creates a callback.
#[derive(Clone)]
pub struct CreateCallback {
    /// Whose it is.
    pub account: AccountId,
    /// What it is told of.
    pub name: CallbackName,
    /// Where to post.
    pub url: String,
    /// See [`Callback::secret`].
    pub secret: String,
}
impl Operation for CreateCallback {
    type Access = Writes;
    type Answer = Callback;
}

/// An account's callbacks, oldest first.
#[derive(Clone, Debug)]
pub struct ListCallbacks {
    /// Whose.
    pub account: AccountId,
}
impl Operation for ListCallbacks {
    type Access = Reads;
    type Answer = Vec<Callback>;
}

/// One callback of an account.
#[derive(Clone, Debug)]
pub struct FindCallback {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub id: CallbackId,
}
impl Operation for FindCallback {
    type Access = Reads;
    type Answer = Option<Callback>;
}

/// Changes a callback; a field left out keeps its value.
#[derive(Clone, Debug)]
pub struct ChangeCallback {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub id: CallbackId,
    /// What it is told of from now on.
    pub name: Option<CallbackName>,
    /// Where to post from now on.
    pub url: Option<String>,
}
impl Operation for ChangeCallback {
    type Access = Writes;
    type Answer = Option<Callback>;
}

/// Deletes a callback and what was still to be posted to it. Answers whether there was one.
#[derive(Clone, Debug)]
pub struct DeleteCallback {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub id: CallbackId,
}
impl Operation for DeleteCallback {
    type Access = Writes;
    type Answer = bool;
}

/// Something to be posted to a callback. The store writes one for each callback of the account in the same
/// transaction as the event itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number; the `webhook-id` of every attempt, so that the client can tell a repeated one.
    pub id: DeliveryId,
    /// The callback.
    pub callback: CallbackId,
    /// What happened.
    pub name: CallbackName,
    /// Where to post.
    pub url: String,
    /// See [`Callback::secret`].
    pub secret: String,
    /// The body, form-encoded.
    pub body: String,
    /// Attempts made before.
    pub attempts: i32,
    /// When the event happened, or was replayed: the give-up time counts from here.
    pub created_at: Timestamp,
    /// Until when the claim holds.
    pub lease_until: Timestamp,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({}, callback {}, attempt {})", self.id, self.callback, self.attempts + 1)
    }
}

/// Claims deliveries that are due, oldest first, `most_per_callback` of any one callback at the most, so that
/// a dead URL with a long queue leaves room for the others; and however many URLs hang, they leave room for those that
/// answer. Those claimed and not yet recorded are included in each of the bounds but `limit`.
#[derive(Clone, Debug)]
pub struct ClaimDeliveries {
    /// How many in all.
    pub limit: usize,
    /// How many of one callback.
    pub most_per_callback: usize,
    /// The callbacks that lately answered promptly. Of any other one at a time is claimed,
    pub prompt: Arc<HashSet<CallbackId>>,
    /// and so many of all others together.
    pub most_of_others: usize,
    /// How long the claim holds, in seconds.
    pub lease_s: u64,
}
impl Operation for ClaimDeliveries {
    type Access = Writes;
    type Answer = Vec<Delivery>;
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The [`Delivery::lease_until`] of the claim it was made under. Where the delivery was claimed again since, the
    /// attempt is kept, and what follows is up to the one who holds it now.
    pub held_until: Timestamp,
    /// When.
    pub at: Timestamp,
    /// The HTTP status, where there was one.
    pub http_status: Option<u16>,
    /// What went wrong, where something did.
    pub error: Option<String>,
    /// What follows.
    pub then: DeliveryThen,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryThen {
    /// It arrived.
    Done,
    /// Try again then.
    Again(Timestamp),
    /// Given up: it waits until an operator replays it.
    Parked,
}

/// Records attempts.
#[derive(Clone, Debug)]
pub struct RecordDeliveryAttempts {
    /// The attempts.
    pub attempts: Vec<DeliveryAttempt>,
}
impl Operation for RecordDeliveryAttempts {
    type Access = Writes;
    type Answer = ();
}

/// Deliveries that were given up, newest first: for the operator.
#[derive(Clone, Debug)]
pub struct ListParked {
    /// How many at the most.
    pub limit: usize,
}
impl Operation for ListParked {
    type Access = Reads;
    type Answer = Vec<ParkedDelivery>;
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// What happened.
    pub name: CallbackName,
    /// Where it was to go.
    pub url: String,
    /// Attempts made.
    pub attempts: i32,
    /// The last error.
    pub error: String,
    /// When the event happened.
    pub created_at: Timestamp,
}

/// Makes parked deliveries due again; `None`: all of them. Answers how many.
#[derive(Clone, Debug)]
pub struct ReplayParked {
    /// Which.
    pub ids: Option<Vec<DeliveryId>>,
}
impl Operation for ReplayParked {
    type Access = Writes;
    type Answer = usize;
}

store_address! {
    /// The address of the callbacks' persistence actor.
    Callbacks {
        create: CreateCallback,
        list: ListCallbacks,
        find: FindCallback,
        change: ChangeCallback,
        delete: DeleteCallback,
        claim: ClaimDeliveries,
        record: RecordDeliveryAttempts,
        parked: ListParked,
        replay: ReplayParked,
    }
}
