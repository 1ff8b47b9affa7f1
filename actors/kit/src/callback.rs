//! Callbacks: the clients' URLs, what is to be posted to them, and what came of it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use url::Url;

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
    /// Receipts of the SMS that name a `callback_url` of their own: they are posted there, as this callback says how.
    SmsCallbackUrl,
}

impl CallbackName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SmsReceived, Self::SmsReceipt, Self::SmsCallbackUrl];

    /// As clients write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SmsReceived => "sms_received",
            Self::SmsReceipt => "sms_receipt",
            Self::SmsCallbackUrl => "sms_callback_url",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// The longest URL of a callback, in bytes.
pub const MAX_CALLBACK_URL: usize = 2000;

/// Whether a text can be the URL of a callback: http or https, with a host. Where it leads is checked at each post. The error
/// says what is expected.
pub fn check_callback_url(text: &str) -> Result<(), String> {
    let good = text.len() <= MAX_CALLBACK_URL
        && !text.contains(char::is_control)
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if good {
        Ok(())
    } else {
        Err(format!("must be an http:// or https:// URL of {MAX_CALLBACK_URL} bytes at the most"))
    }
}

/// A new signing secret, as the Standard Webhooks specification has it: 32 random bytes.
#[must_use]
pub fn new_secret() -> String {
    format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>()))
}

/// The most callbacks of one account that are told of the same: each event is written and posted once for each.
pub const MAX_PER_NAME: usize = 10;

/// How a callback's posts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackFormat {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`: an object of the same fields, whose values are texts.
    Json,
}

impl CallbackFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Form, Self::Json];

    /// As clients write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Json => "json",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The media type of the posts.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }
}

/// That nothing is posted to a callback until its client changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackDisabled {
    /// Since when.
    pub at: Timestamp,
    /// What its URL did.
    pub reason: String,
}

/// A callback as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// The number of the last delivery that was looked at, among those that were parked at that moment.
    pub id: CallbackId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is told of.
    pub name: CallbackName,
    /// Where to post; empty where each SMS names a URL of its own.
    pub url: String,
    /// The signing secret of the Standard Webhooks specification, `whsec_` and base64: shown once, at creation.
    pub secret: String,
    /// How posts are written.
    pub format: CallbackFormat,
    /// Whether it is disabled. What happens meanwhile is not posted later either.
    pub disabled: Option<CallbackDisabled>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its client last changed it.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Callback({}, {})", self.id, self.name.as_str())
    }
}

/// Creates a callback, unless the account has one of this name and URL.
#[derive(Clone)]
pub struct CreateCallback {
    /// Whose it is.
    pub account: AccountId,
    /// What it is told of.
    pub name: CallbackName,
    /// Where to post.
    pub url: String,
    /// The format of the bodies that are posted.
    pub format: CallbackFormat,
    /// See [`Callback::secret`].
    pub secret: String,
}
impl Operation for CreateCallback {
    type Access = Writes;
    type Answer = CreatedCallback;
}

/// What [`CreateCallback`] led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreatedCallback {
    /// It is new.
    New(Callback),
    /// The account had it, maybe in another format. It was not changed.
    Existing(Callback),
    /// The account has [`MAX_PER_NAME`] of this name.
    Full,
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

/// Changes a callback; a field left out keeps its value. A disabled callback is enabled, whatever changes.
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
    /// How to post what happens from now on.
    pub format: Option<CallbackFormat>,
}
impl Operation for ChangeCallback {
    type Access = Writes;
    type Answer = ChangedCallback;
}

/// What [`ChangeCallback`] led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedCallback {
    /// It is changed.
    Changed(Callback),
    /// The account has no such callback.
    NotFound,
    /// The account has another one of this name and URL.
    Taken(CallbackId),
    /// The account has [`MAX_PER_NAME`] of the new name.
    Full,
    /// It stands for the URLs that SMS name themselves: only its format can change.
    FormatOnly,
}

/// Callbacks that are disabled, the latest first: for the operator.
#[derive(Clone, Debug)]
pub struct ListDisabled {
    /// How many at the most.
    pub limit: usize,
}
impl Operation for ListDisabled {
    type Access = Reads;
    type Answer = Vec<Callback>;
}

/// Deletes a callback. What was still to be posted to it is never posted, and goes with the sweep. Answers whether there was
/// one.
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
    /// How the body is written: as the callback's format was when the event happened.
    pub format: CallbackFormat,
    /// What is posted, in the callback's format.
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
/// answer. Those claimed and not yet recorded are included in each of the bounds but `limit`. One claim looks at a bounded
/// number of callbacks; the next goes on behind them.
#[derive(Clone, Debug)]
pub struct ClaimDeliveries {
    /// Looks at the callbacks above this number.
    pub after: CallbackId,
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
    type Answer = ClaimedDeliveries;
}

/// What [`ClaimDeliveries`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimedDeliveries {
    /// What is to be posted.
    pub deliveries: Vec<Delivery>,
    /// The last callback that was looked at, if others with work may follow.
    pub next: Option<CallbackId>,
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
    /// The URL wants no more posts: parked, and the callback is disabled.
    Gone,
}

/// Records attempts. A callback with a delivery that was given up, and to which nothing was delivered for some time, is
/// disabled. What was still to be posted to a disabled callback is parked.
#[derive(Clone, Debug)]
pub struct RecordDeliveryAttempts {
    /// The attempts.
    pub attempts: Vec<DeliveryAttempt>,
    /// How long nothing was delivered.
    pub disable_after: Duration,
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
    type Answer = ParkedDeliveries;
}

/// What [`ListParked`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedDeliveries {
    /// As many as were asked for.
    pub listed: Vec<ParkedDelivery>,
    /// How many there are.
    pub total: usize,
    /// The callbacks of which too many were parked.
    pub dropped: Vec<DroppedDeliveries>,
}

/// Parked deliveries that were deleted, the oldest first, since more were parked than may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedDeliveries {
    /// The callback that they were to be posted to.
    pub callback: CallbackId,
    /// Where they were to go.
    pub url: String,
    /// How many there were.
    pub count: usize,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedDelivery {
    /// The number of the last delivery that was looked at, among those that were parked at that moment.
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

/// Makes parked deliveries due again, step by step, so that others' writes go in between. Those of disabled callbacks stay
/// parked.
#[derive(Clone, Debug)]
pub struct ReplayParked {
    /// Which.
    pub which: ParkedSelection,
}

impl ReplayParked {
    /// So many in one step.
    pub const MOST: usize = 500;
}

/// Which parked deliveries to replay.
#[derive(Clone, Debug)]
pub enum ParkedSelection {
    /// [`ReplayParked::MOST`] at the most.
    These(Vec<DeliveryId>),
    /// All that were parked when the first step was made, behind a cursor.
    All(Option<ParkedCursor>),
}

/// Where the next step of a replay goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedCursor {
    /// When the last one that was looked at was parked.
    pub parked_at: Timestamp,
    /// Its number.
    pub id: DeliveryId,
    /// What was parked later is not replayed.
    pub until: Timestamp,
}

impl Operation for ReplayParked {
    type Access = Writes;
    type Answer = ReplayedDeliveries;
}

/// What [`ReplayParked`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayedDeliveries {
    /// So many are due.
    pub due: usize,
    /// So many stay parked, since their callbacks are disabled.
    pub of_disabled: usize,
    /// Where the next step goes on, if there may be more.
    pub next: Option<ParkedCursor>,
}

store_address! {
    /// The address of the callbacks' persistence actor.
    Callbacks {
        create: CreateCallback,
        list: ListCallbacks,
        find: FindCallback,
        change: ChangeCallback,
        disabled: ListDisabled,
        delete: DeleteCallback,
        claim: ClaimDeliveries,
        record: RecordDeliveryAttempts,
        parked: ListParked,
        replay: ReplayParked,
    }
}

#[cfg(test)]
mod tests {
    use super::new_secret;

    #[test]
    fn a_secret_is_long_and_new() {
        let secret = new_secret();
        assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
        assert_ne!(secret, new_secret());
    }
}
