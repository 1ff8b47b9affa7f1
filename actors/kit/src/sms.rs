//! An SMS: its status scale, what a client hands in, what the ledger keeps, what a transport gets to send.

mod status;

use std::{sync::Arc, time::Duration};

pub use self::status::TransportStatus;
use crate::{
    account::AccountId,
    address::{Address, Msisdn},
    clock::Timestamp,
    consent::ConsentNotice,
    esme::ReceiptRequest,
    life::SmsState,
    name::Name,
    outbound::RouteChoice,
    provider_text::{bounded_id, bounded_name},
    sent_parts::{IdSpellings, SentPart},
    sms_options::{Content, Priority, SmsOptions},
    text::{keepable, measure},
};

/// The number of a sent SMS in the ledger; clients see it as `id`, Clickatell as `climsgid`.
pub type SmsId = i64;

/// The number of a received SMS in the ledger.
pub type ReceivedId = i64;

/// An SMS handed in, to be kept and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSms {
    /// Whose it is.
    pub account: AccountId,
    /// The transport that is to send it.
    pub transport: Name,
    /// The recipient.
    pub to: Msisdn,
    /// The sender shown to the recipient.
    pub from: Address,
    /// The text; octets in hex where the options say that it is binary.
    pub message: String,
    /// The choice of the outbound route that chose the transport; none: the client named it.
    pub route: Option<Box<RouteChoice>>,
    /// What is asked beside.
    pub options: Arc<SmsOptions>,
}

impl NewSms {
    /// How many parts it takes.
    #[must_use]
    pub fn segments(&self) -> u32 {
        match &self.options.content {
            Content::Text | Content::Flash => measure(&self.message).segments.max(1),
            Content::Binary { .. } | Content::Raw { .. } => 1,
        }
    }
}

/// An SMS as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sms {
    /// Its number.
    pub id: SmsId,
    /// Whose it is.
    pub account: AccountId,
    /// The transport that sends it.
    pub transport: Name,
    /// The recipient.
    pub to: Msisdn,
    /// The sender shown to the recipient.
    pub from: Address,
    /// The text.
    pub message: String,
    /// Where it is in its life.
    pub state: SmsState,
    /// The last status that was reported of it; what clients see is [`Self::shown_status`].
    pub status: TransportStatus,
    /// What the provider last said of it, as it said it.
    pub provider_response: Option<String>,
    /// The provider's id for it.
    pub provider_id: Option<String>,
    /// How often it was submitted, or tried to be.
    pub attempts: i32,
    /// When it reached the phone.
    pub delivered_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// How many parts it takes.
    pub segments: u32,
    /// How urgent it is: of a transport's SMS those of a higher priority go first.
    pub priority: Priority,
    /// What its text is.
    pub content: Content,
    /// Not to be sent before; none: at once.
    pub scheduled_at: Option<Timestamp>,
    /// After this moment it is not tried again.
    pub expires_at: Timestamp,
    /// The client's own name for it.
    pub reference: Option<String>,
    /// Where its events are posted, beside the account's callbacks.
    pub callback_url: Option<String>,
    /// The receipts that an ESME asked for.
    pub receipts: Option<ReceiptRequest>,
    /// The outbound route that chose the transport; none: the client named it.
    pub route: Option<Name>,
}

impl Sms {
    /// What has just been accepted.
    #[must_use]
    pub fn accepted(id: SmsId, new: NewSms, segments: u32, at: Timestamp, expires_at: Timestamp) -> Self {
        let NewSms { account, transport, to, from, message, route, options } = new;
        let waits = options.send_at.is_some_and(|send_at| send_at > at);
        let state = match (&options.held, waits) {
            (Some(_), _) => SmsState::Held,
            (None, true) => SmsState::Scheduled,
            (None, false) => SmsState::Accepted,
        };
        Self {
            id,
            account,
            transport,
            to,
            from,
            message,
            state,
            status: TransportStatus::Pending,
            provider_response: None,
            provider_id: None,
            attempts: 0,
            delivered_at: None,
            created_at: at,
            updated_at: at,
            segments,
            priority: options.priority,
            content: options.content.clone(),
            scheduled_at: options.send_at,
            expires_at,
            reference: options.reference.clone(),
            callback_url: options.callback_url.clone(),
            receipts: options.receipts,
            route: route.map(|choice| choice.route),
        }
    }

    /// Its status as clients see it.
    #[must_use]
    pub const fn shown_status(&self) -> TransportStatus {
        self.state.shown(self.status)
    }
}

/// An SMS on its way to a transport: claimed, committed, to be submitted once. It may go out only while it is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number in the ledger.
    pub id: SmsId,
    /// The recipient.
    pub to: Msisdn,
    /// The sender shown to the recipient.
    pub from: Address,
    /// The text; octets in hex where it is binary.
    pub message: String,
    /// What its text is.
    pub content: Content,
    /// How many parts it takes.
    pub segments: u32,
    /// How urgent it is beside the others of its transport.
    pub priority: Priority,
    /// The client's own name for it.
    pub reference: Option<String>,
    /// Attempts made before.
    pub attempts: i32,
    /// Attempts that may have been made and whose result nobody knows (a lost answer, a crash): above 0, ask the
    /// provider first where it can be asked.
    pub unknown_outcomes: i32,
    /// Since when it was due as it was claimed: its place in the line, should it be given back untried.
    pub due_at: Timestamp,
    /// Until when the claim holds; a submission not begun by then belongs to whoever claims it next.
    pub lease_until: Timestamp,
    /// Its parts that the provider took in earlier attempts: they are not submitted again.
    pub parts: Vec<SentPart>,
    /// After this moment it is not tried again.
    pub give_up_at: Timestamp,
    /// Whether its client limited how long it may wait: the provider is told.
    pub limited: bool,
    /// Marked as begun in the ledger: after a crash it counts as one that may have been sent. One that is only held has
    /// to be marked first, by [`RecordOutcomes::begin`](crate::ledger::RecordOutcomes::begin).
    pub begun: bool,
    /// This outbox had claimed it before, and the lease ended: it may still have it in hand.
    pub renewed: bool,
    /// Whose claim it is, by [`OpenedOutbox::claim_token`](crate::ledger::OpenedOutbox::claim_token): one that an earlier
    /// start of the transport claimed is due again already.
    pub claim_token: Arc<str>,
}

impl Submission {
    /// For how long it may still be delivered, where its client limited that.
    #[must_use]
    pub fn remaining_validity(&self, now: Timestamp) -> Option<Duration> {
        self.limited.then(|| self.give_up_at.since(now))
    }

    /// The same in whole minutes, as most providers take it: never more than remain, but one at the least.
    #[must_use]
    pub fn validity_minutes(&self, now: Timestamp) -> Option<u32> {
        let minutes = self.remaining_validity(now)?.as_secs() / 60;
        Some(u32::try_from(minutes).unwrap_or(u32::MAX).max(1))
    }
}

/// What came of submitting an SMS: the provider's answer as a decision, never an HTTP library's error.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The provider has it.
    Accepted {
        /// Its id there, where the provider gives one.
        provider_id: Option<String>,
        /// [`TransportStatus::Queued`] or [`TransportStatus::AtGateway`].
        status: TransportStatus,
        /// Its answer.
        provider_response: String,
    },
    /// Later, though nothing is wrong with the SMS: unreachable, time-out, 5xx, an unreadable answer.
    Retry {
        /// Its answer, or why there is none.
        provider_response: String,
        /// The SMS may have arrived: its submission was written, and no readable answer came.
        unknown_outcome: bool,
    },
    /// Too many at once: the whole transport pauses.
    Throttled {
        /// For how long, where the provider names it.
        retry_after_s: Option<u64>,
        /// Its answer.
        provider_response: String,
    },
    /// Never: the fault is in this SMS.
    Rejected {
        /// The failure on the scale.
        status: TransportStatus,
        /// Its answer, or why it can't be submitted.
        provider_response: String,
    },
    /// The provider takes no SMS until an operator mends something: credentials, credit, the account.
    Misconfigured {
        /// Its answer, or why it can't be submitted.
        provider_response: String,
    },
}

/// A delivery receipt, read from a provider's form into ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id for the SMS, or for one of its parts.
    pub provider_id: Option<String>,
    /// How else the answer to the submission may have written the id; none: as here.
    pub spellings: Option<IdSpellings>,
    /// Our number for the SMS, where the provider hands it back: then the receipt is about this SMS.
    pub sms: Option<SmsId>,
    /// With both ids given, both must match: the provider gives each SMS one id, whatever its parts.
    pub both_ids: bool,
    /// Which of the SMS's parts, counted from 1, where the provider says it.
    pub part: Option<u8>,
    /// The recipient, where one provider id covers several.
    pub to: Option<Msisdn>,
    /// Its status on our scale.
    pub status: TransportStatus,
    /// The status in the provider's words, with its code where there is one.
    pub provider_status: Option<String>,
    /// When the provider says it happened.
    pub at: Option<Timestamp>,
    /// Every field as the provider sent it, in its order: kept, and handed on to callbacks.
    pub fields: Vec<(String, String)>,
}

/// An SMS from a person, read from a provider's form into ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundSms {
    /// The person; or what the carrier names in place of a number.
    pub from: Address,
    /// The short code or number they wrote to.
    pub to: Address,
    /// What they wrote.
    pub message: String,
    /// The character set the provider named.
    pub charset: Option<String>,
    /// The provider's id for it; with the transport's name it tells a repeated one.
    pub provider_id: Option<String>,
    /// When the provider got it.
    pub at: Option<Timestamp>,
    /// Which part of a longer SMS it is; none: it is whole.
    pub part: Option<InboundPart>,
}

/// A part's place in the SMS that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundPart {
    /// What the parts of one SMS have in common.
    pub reference: String,
    /// How many there are, 2 at the least.
    pub total: u8,
    /// Which one it is, counted from 1.
    pub number: u8,
    /// How long it waits for the others, by its transport's settings; none: as long as the store's say.
    pub waits: Option<Duration>,
}

impl InboundPart {
    /// None: not a part of several.
    #[must_use]
    pub fn new(reference: impl Into<String>, total: u8, number: u8) -> Option<Self> {
        let is_part = total > 1 && (1..=total).contains(&number);
        is_part.then(|| Self { reference: bounded_id(reference.into()), total, number, waits: None })
    }
}

impl InboundSms {
    /// A whole SMS of which the provider says no more.
    #[must_use]
    pub fn whole(from: impl Into<Address>, to: impl Into<Address>, message: impl Into<String>) -> Self {
        let (from, to, message) = (from.into(), to.into(), message.into());
        Self { from, to, message, charset: None, provider_id: None, at: None, part: None }
    }

    /// The same with texts that every database can keep, and bounded ids: what a person writes is not refused for a
    /// NUL in it, nor for a long id.
    #[must_use]
    pub fn keepable(self) -> Self {
        let (charset, provider_id) = (self.charset.map(bounded_name), self.provider_id.map(bounded_id));
        Self { message: keepable(self.message), charset, provider_id, ..self }
    }
}

/// An SMS from a person as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub id: ReceivedId,
    /// Whose it is; none: nobody's yet.
    pub account: Option<AccountId>,
    /// The transport that brought it.
    pub transport: Name,
    /// Its id as a message between components.
    pub message_id: String,
    /// What it says and of whom.
    pub sms: InboundSms,
    /// The provider sent it before; nothing was stored, posted or routed a second time.
    pub repeated: bool,
    /// It came in parts, and some of them did not come in time: what it says is what was there.
    pub incomplete: bool,
    /// What middleware noted of it, for its campaign; not kept.
    pub tags: Vec<String>,
    /// What it says of its person's consent, which the ledger has noted; none: it is an ordinary SMS.
    pub consent: Option<ConsentNotice>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it became its account's.
    pub updated_at: Timestamp,
}
