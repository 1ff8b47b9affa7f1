//! SMS from people: kept, given to their account, routed to a campaign, and settled with its answer.

use std::{fmt, sync::Arc};

use super::{IdempotencyKey, StatusCursor};
use crate::{
    account::AccountId,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads, Writes},
    sms::{InboundSms, Received, ReceivedId, Sms},
    sms_options::SmsOptions,
};

/// Keeps SMS from people, in the order given, to be posted to the callbacks and routed to a campaign. A part of a longer
/// SMS waits for the others: the answer has the SMS that are whole. [`Self::MOST`] in one command at the most.
#[derive(Clone, Debug)]
pub struct KeepReceived {
    pub owner: SmsOwner,
    pub transport: Name,
    pub inbound: Vec<InboundSms>,
}
impl KeepReceived {
    /// SMS of one command.
    pub const MOST: usize = 200;
}
impl Operation for KeepReceived {
    type Access = Writes;
    type Answer = Vec<Received>;
}

/// Whose SMS from people are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmsOwner {
    /// This account's.
    Account(AccountId),
    /// That of the account of this name, if there is one; else nobody's yet.
    Named(String),
    /// Nobody's yet: they wait for [`OwnReceived`], and are neither posted nor routed before.
    Nobody,
}

/// Tells whose an SMS from a person is: the name of the account of its route, else of its transport.
#[derive(Clone, Default)]
pub struct SmsOwners(Option<Arc<OwnerOf>>);

type OwnerOf = dyn Fn(&Name, &InboundSms) -> Option<String> + Send + Sync;

impl SmsOwners {
    /// Asks this function, with the transport and the SMS.
    pub fn new(owner: impl Fn(&Name, &InboundSms) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(owner)))
    }

    /// Whose an SMS over a transport is.
    #[must_use]
    pub fn of(&self, transport: &Name, sms: &InboundSms) -> SmsOwner {
        let named = self.0.as_ref().and_then(|owner| owner(transport, sms));
        named.map_or(SmsOwner::Nobody, SmsOwner::Named)
    }
}

impl fmt::Debug for SmsOwners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmsOwners")
    }
}

/// Lists received SMS that belong to no account yet, in the order in which they came.
#[derive(Clone, Debug)]
pub struct ListUnowned {
    /// The last one of the page before; 0 for the first page.
    pub after: ReceivedId,
    pub limit: usize,
}
impl Operation for ListUnowned {
    type Access = Reads;
    type Answer = Vec<Received>;
}

/// Lists received SMS of an account and transport, in the order in which they became the account's.
#[derive(Clone, Debug)]
pub struct ListReceived {
    pub account: AccountId,
    pub transport: Name,
    /// Those that did at this moment or later.
    pub since: Timestamp,
    /// Only those that come after this cursor.
    pub after: Option<StatusCursor>,
    pub limit: usize,
}
impl Operation for ListReceived {
    type Access = Reads;
    type Answer = Vec<Received>;
}

/// Gives received SMS that belong to no account to the one of this name: then they are posted and routed. Answers whether
/// there is such an account.
#[derive(Clone, Debug)]
pub struct OwnReceived {
    pub username: String,
    pub ids: Vec<ReceivedId>,
}
impl Operation for OwnReceived {
    type Access = Writes;
    type Answer = bool;
}

/// Claims received SMS that are due to be routed: released ones, and those whose lease has expired.
#[derive(Clone, Debug)]
pub struct ClaimReceived {
    pub limit: usize,
}
impl Operation for ClaimReceived {
    type Access = Writes;
    type Answer = Vec<Received>;
}

/// Releases received SMS that no campaign could take: due at once.
#[derive(Clone, Debug)]
pub struct ReleaseReceived {
    pub ids: Vec<ReceivedId>,
}
impl Operation for ReleaseReceived {
    type Access = Writes;
    type Answer = ();
}

/// Ends the routing of a received SMS; its reply, if any, is accepted in the same transaction. Answers `None` where the SMS
/// is unknown, and without an `answer_key` also where it was settled before with the same reply, or has none now.
#[derive(Clone, Debug)]
pub struct SettleReceived {
    /// [`Received::message_id`].
    pub message_id: String,
    /// How it ended, in words for the operator.
    pub outcome: String,
    pub reply: Option<String>,
    /// Which message the answer is. An answer to an SMS that was settled before is kept and sent as an SMS of its own;
    /// with a key the same message is known when it comes again, without one by its text.
    pub answer_key: Option<IdempotencyKey>,
    /// What is asked of the answer beside its text.
    pub options: Arc<SmsOptions>,
}
impl SettleReceived {
    /// A campaign has dealt with a received SMS, and has this answer or none. Everybody who settles for a campaign does
    /// it by this, so that the outcome reads the same.
    #[must_use]
    pub fn by_campaign(message_id: String, reply: Option<String>, answer_key: Option<IdempotencyKey>) -> Self {
        let outcome = if reply.is_some() { "answered" } else { "no answer" }.to_owned();
        Self { message_id, outcome, reply, answer_key, options: SmsOptions::none() }
    }
}
impl Operation for SettleReceived {
    type Access = Writes;
    type Answer = Option<Settled>;
}

/// A settled received SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub received: ReceivedId,
    pub reply: Option<Sms>,
    /// The `answer_key` was used for another answer: this one was not kept.
    pub key_reused: bool,
}
