//! Callbacks: the clients' URLs, what is to be posted to them, and what came of it.

mod delivery;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::delivery::{
    ClaimDeliveries, ClaimedDeliveries, Delivery, DeliveryAttempt, DeliveryId, DeliveryThen, DroppedDeliveries,
    ListParked, ParkedCursor, ParkedDeliveries, ParkedDelivery, ParkedSelection, RecordDeliveryAttempts, ReplayParked,
    ReplayedDeliveries,
};
use crate::{
    account::AccountId,
    clock::Timestamp,
    esme::{ClaimEsmeEvents, FindEsmeWork, GiveUpEsmeEvents},
    request::{Operation, Reads, Writes, store_address},
};

/// The number of a callback.
pub type CallbackId = i64;

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
    /// Receipts and SMS for the account's ESMEs, which bind for them: nothing is posted. An operator makes and removes it, with
    /// the account's password for SMPP.
    Esme,
}

impl CallbackName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SmsReceived, Self::SmsReceipt, Self::SmsCallbackUrl, Self::Esme];

    /// Those that clients make and change.
    pub const OF_CLIENTS: [Self; 3] = [Self::SmsReceived, Self::SmsReceipt, Self::SmsCallbackUrl];

    /// As clients write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SmsReceived => "sms_received",
            Self::SmsReceipt => "sms_receipt",
            Self::SmsCallbackUrl => "sms_callback_url",
            Self::Esme => "esme",
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
        find_esme_work: FindEsmeWork,
        claim_esme_events: ClaimEsmeEvents,
        give_up_esme_events: GiveUpEsmeEvents,
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
