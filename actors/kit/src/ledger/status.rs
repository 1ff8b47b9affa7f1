//! What became of SMS to be sent, for the account that sent them.

use std::borrow::Cow;

use crate::{
    account::AccountId,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads},
    sms::{Sms, SmsId},
};

/// Finds an SMS of an account and transport.
#[derive(Clone, Debug)]
pub struct FindSms {
    pub account: AccountId,
    /// None: it is one whose transport a route chose, whichever carries it.
    pub transport: Option<Name>,
    pub id: SmsId,
}
impl Operation for FindSms {
    type Access = Reads;
    type Answer = Option<Sms>;
}

/// Lists SMS of an account and transport.
#[derive(Clone, Debug)]
pub struct ListSms {
    pub account: AccountId,
    /// None: those whose transport a route chose, whichever carries them.
    pub transport: Option<Name>,
    pub which: Which,
    /// SMS to skip.
    pub start: usize,
    pub limit: usize,
}
impl Operation for ListSms {
    type Access = Reads;
    type Answer = Vec<Sms>;
}

/// Which SMS [`ListSms`] wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those changed at or after a moment, by the time of their last change and then by number.
    Since {
        at: Timestamp,
        /// From which end.
        order: Order,
        /// Only those that come after this cursor.
        after: Option<StatusCursor>,
    },
    /// Those with these numbers, newest first.
    Ids(Vec<SmsId>),
    /// Those of this reference of their client's, newest first.
    Reference(String),
}

/// From which end a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest change first.
    #[default]
    NewestFirst,
    /// The earliest change first: an SMS that changes meanwhile is listed again at the end, and none is missed.
    OldestFirst,
}

/// The position of an SMS in a list by time of change. Unlike a count of SMS to skip, it stays valid when one of them
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusCursor {
    pub updated_at: Timestamp,
    pub id: SmsId,
}

impl StatusCursor {
    /// The position of an SMS.
    #[must_use]
    pub const fn of(sms: &Sms) -> Self {
        Self { updated_at: sms.updated_at, id: sms.id }
    }
}

/// Lists what happened to an SMS, in order of time; `None` if the account has no such SMS.
#[derive(Clone, Debug)]
pub struct SmsTimeline {
    pub account: AccountId,
    /// None: it is one whose transport a route chose, whichever carries it.
    pub transport: Option<Name>,
    pub id: SmsId,
}
impl Operation for SmsTimeline {
    type Access = Reads;
    type Answer = Option<Vec<TimelineEvent>>;
}

/// An entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    pub at: Timestamp,
    /// `accepted`, `attempt`, `receipt`, `callback`, or what was done with it: `held`, `released`, `cancelled`, `resent`, ...
    pub what: Cow<'static, str>,
    /// The provider's response, the receipt's status, the callback's HTTP status, or why it was done.
    pub detail: String,
    /// The provider's id for what it is about.
    pub provider_id: Option<String>,
}
