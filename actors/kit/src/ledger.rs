//! The ledger's questions: it keeps every SMS, and it is the outbox.
//!
//! An accepted SMS is a committed row before anyone hears of it. Where its transport has room, the row is
//! born claimed and handed on in memory ([`HandOver`]); where it has not, it waits in the ledger until the
//! transport asks ([`ClaimSms`]). A claim is a lease: what a crash leaves behind is claimed again.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    clock::Timestamp,
    name::Name,
    sms::{InboundSms, NewSms, Receipt, Received, ReceivedId, Sms, SmsId, Submission, TransportStatus},
    store::{Operation, Reads, Writes, store_address},
    text::keepable,
};

/// Keeps SMS to be sent; all of a batch in one transaction. Answers them in the order given, committed.
#[derive(Clone, Debug)]
pub struct AcceptSms {
    /// The batch.
    pub batch: Vec<NewSms>,
    /// The client's `Idempotency-Key`: with one, the answer may be an earlier one.
    pub idempotency: Option<IdempotencyKey>,
}
impl Operation for AcceptSms {
    type Access = Writes;
    type Answer = Accepted;
}

/// A client's word that a repeated request is the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The header's value.
    pub key: String,
    /// A digest of the method, the path and the body.
    pub request_digest: Vec<u8>,
    /// How long the key is kept, in seconds.
    pub keep_s: u64,
}

/// What became of [`AcceptSms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Kept.
    Now(Arc<[Sms]>),
    /// Kept before, under the same key: nothing was added.
    Before(Arc<[Sms]>),
    /// The key was used for another request: nothing was kept.
    KeyReused,
}

/// One SMS of an account and transport.
#[derive(Clone, Debug)]
pub struct FindSms {
    /// Whose.
    pub account: AccountId,
    /// The transport.
    pub transport: Name,
    /// Which.
    pub id: SmsId,
}
impl Operation for FindSms {
    type Access = Reads;
    type Answer = Option<Sms>;
}

/// SMS of an account and transport.
#[derive(Clone, Debug)]
pub struct ListSms {
    /// Whose.
    pub account: AccountId,
    /// The transport.
    pub transport: Name,
    /// Which.
    pub which: Which,
    /// How many to skip.
    pub start: usize,
    /// How many at the most.
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
        /// The moment.
        at: Timestamp,
        /// From which end.
        order: Order,
        /// Only those after this position.
        after: Option<StatusCursor>,
    },
    /// Those with these numbers, newest first.
    Ids(Vec<SmsId>),
}

/// From which end a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest change first.
    #[default]
    NewestFirst,
    /// The earliest change first: what changes while one reads is met again at the end, and nothing is missed.
    OldestFirst,
}

/// A position in a list by time of change: that of an SMS. A count of SMS to skip points elsewhere as soon as one of
/// them changes; this does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusCursor {
    /// When that SMS had changed.
    pub updated_at: Timestamp,
    /// Its number.
    pub id: SmsId,
}

impl StatusCursor {
    /// The position of an SMS.
    #[must_use]
    pub const fn of(sms: &Sms) -> Self {
        Self { updated_at: sms.updated_at, id: sms.id }
    }
}

/// What happened to one SMS, in order of time; `None` if the account has no such SMS.
#[derive(Clone, Debug)]
pub struct SmsTimeline {
    /// Whose.
    pub account: AccountId,
    /// The transport.
    pub transport: Name,
    /// Which.
    pub id: SmsId,
}
impl Operation for SmsTimeline {
    type Access = Reads;
    type Answer = Option<Vec<TimelineEvent>>;
}

/// A thing that happened to an SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// When.
    pub at: Timestamp,
    /// `accepted`, `attempt`, `receipt` or `callback`.
    pub what: &'static str,
    /// In words: the provider's answer, the receipt's status, the callback's HTTP status.
    pub detail: String,
}

/// A transport has started (again) and has room for so many submissions at once: what it held before is due again.
/// Answers how long a claim holds.
#[derive(Clone, Debug)]
pub struct OpenOutbox {
    /// The transport.
    pub transport: Name,
    /// How many submissions it can hold, in flight and waiting.
    pub room: usize,
}
impl Operation for OpenOutbox {
    type Access = Writes;
    type Answer = Duration;
}

/// A transport is stopping: nothing more is handed to it, what is accepted waits in the ledger.
#[derive(Clone, Debug)]
pub struct CloseOutbox {
    /// The transport.
    pub transport: Name,
}
impl Operation for CloseOutbox {
    type Access = Writes;
    type Answer = ();
}

/// Claims SMS that are due, longest due first.
#[derive(Clone, Debug)]
pub struct ClaimSms {
    /// The transport.
    pub transport: Name,
    /// How many at the most.
    pub limit: usize,
}
impl Operation for ClaimSms {
    type Access = Writes;
    type Answer = Vec<Submission>;
}

/// What came of one submission, as its transport decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which.
    pub id: SmsId,
    /// When.
    pub at: Timestamp,
    /// What the provider said, or what went wrong; secrets redacted.
    pub said: String,
    /// What follows.
    pub then: Then,
}

impl Outcome {
    /// The same with no text that can't be kept: an outcome is not refused for a NUL in what the provider said.
    #[must_use]
    pub fn keepable(self) -> Self {
        let then = match self.then {
            Then::Done { status, provider_id } => Then::Done { status, provider_id: provider_id.map(keepable) },
            other => other,
        };
        Self { said: keepable(self.said), then, ..self }
    }
}

/// What follows a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// The provider has it, or it failed for good.
    Done {
        /// Its new status.
        status: TransportStatus,
        /// The provider's id for it.
        provider_id: Option<String>,
    },
    /// To be tried again then.
    Again {
        /// When.
        at: Timestamp,
        /// It may have arrived all the same: one more attempt whose result nobody knows.
        unsure: bool,
    },
    /// Not tried at all: due again then, and no attempt is counted.
    Untried {
        /// When: [`Submission::due_at`] gives it back its place in the line.
        at: Timestamp,
        /// The [`Submission::lease_until`] of the claim that is given back. Where somebody else has claimed the SMS
        /// since, nothing changes.
        held_until: Timestamp,
    },
}

/// Records what came of submissions. Answers whether more SMS wait in the ledger for this transport.
#[derive(Clone, Debug)]
pub struct RecordOutcomes {
    /// The transport.
    pub transport: Name,
    /// The outcomes.
    pub outcomes: Vec<Outcome>,
}
impl Operation for RecordOutcomes {
    type Access = Writes;
    type Answer = OutboxState;
}

/// Whether SMS wait in the ledger that were not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// None that the store knows of: new ones will be handed over.
    Empty,
    /// Some: claim them.
    Waiting,
}

/// Gives back submissions that could not be handed over: due again at once, no attempt counted.
#[derive(Clone, Debug)]
pub struct ReleaseSms {
    /// The transport.
    pub transport: Name,
    /// Which.
    pub ids: Vec<SmsId>,
}
impl Operation for ReleaseSms {
    type Access = Writes;
    type Answer = ();
}

/// Keeps receipts and changes what they speak of; in the order given.
#[derive(Clone, Debug)]
pub struct RecordReceipts {
    /// Whose SMS they may speak of.
    pub account: AccountId,
    /// The transport.
    pub transport: Name,
    /// The receipts.
    pub receipts: Vec<Receipt>,
}
impl Operation for RecordReceipts {
    type Access = Writes;
    type Answer = Vec<ReceiptMatch>;
}

/// What became of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptMatch {
    /// It speaks of this SMS.
    Matched(Box<Sms>),
    /// It was here before: nothing changed.
    Repeated(Box<Sms>),
    /// It matches no SMS of the account, yet: kept, and matched when its id is known.
    Unmatched,
}

/// Keeps SMS from people; in the order given. They are posted to the callbacks and routed to a campaign.
#[derive(Clone, Debug)]
pub struct KeepReceived {
    /// Whose.
    pub account: AccountId,
    /// The transport.
    pub transport: Name,
    /// The SMS.
    pub inbound: Vec<InboundSms>,
}
impl Operation for KeepReceived {
    type Access = Writes;
    type Answer = Vec<Received>;
}

/// Claims received SMS whose routing nobody finished: at start-up, and after a full mailbox.
#[derive(Clone, Debug)]
pub struct ClaimReceived {
    /// How many at the most.
    pub limit: usize,
}
impl Operation for ClaimReceived {
    type Access = Writes;
    type Answer = Vec<Received>;
}

/// Gives back received SMS that nobody could take: due at once.
#[derive(Clone, Debug)]
pub struct ReleaseReceived {
    /// Which.
    pub ids: Vec<ReceivedId>,
}
impl Operation for ReleaseReceived {
    type Access = Writes;
    type Answer = ();
}

/// The campaign has dealt with a received SMS; its answer, if any, is kept to be sent in the same transaction.
/// Answers `None` where the SMS is unknown, and without an `answer_key` also where it was settled before.
#[derive(Clone, Debug)]
pub struct SettleReceived {
    /// [`Received::message_id`].
    pub message_id: String,
    /// How it ended: the campaign's name, or why nobody got it.
    pub outcome: String,
    /// The answer's text.
    pub reply: Option<String>,
    /// Which message the answer is. With it, an answer to an SMS that was settled before is kept and sent as an SMS of
    /// its own, and the same message is known when it comes again.
    pub answer_key: Option<IdempotencyKey>,
}
impl Operation for SettleReceived {
    type Access = Writes;
    type Answer = Option<Settled>;
}

/// A settled received SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The received SMS.
    pub received: ReceivedId,
    /// The answer as kept, if there was one.
    pub reply: Option<Sms>,
    /// The `answer_key` was used for another answer: this one was not kept.
    pub key_reused: bool,
}

/// Counts the SMS that are due and that nobody holds, of each transport that has any. The cost does not grow with them.
#[derive(Clone, Debug)]
pub struct CountBacklog;
impl Operation for CountBacklog {
    type Access = Reads;
    type Answer = Vec<(Name, Backlog)>;
}

/// The SMS of a transport that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// How many; counted up to one more than [`Self::MOST_COUNTED`].
    pub due: u32,
    /// Seconds for which the oldest of them has been due.
    pub oldest_s: u64,
}

impl Backlog {
    /// A larger backlog is not counted any further.
    pub const MOST_COUNTED: u32 = 10_000;
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.due {
            due if due > Self::MOST_COUNTED => write!(f, "{}+ SMS due", Self::MOST_COUNTED)?,
            due => write!(f, "{due} SMS due")?,
        }
        match self.oldest_s {
            s if s < 120 => write!(f, ", the oldest for {s} s"),
            s if s < 120 * 60 => write!(f, ", the oldest for {} min", s / 60),
            s => write!(f, ", the oldest for {} h", s / 3600),
        }
    }
}

/// Receipts that matched nothing, newest first: for the operator.
#[derive(Clone, Debug)]
pub struct ListUnmatchedReceipts {
    /// How many at the most.
    pub limit: usize,
}
impl Operation for ListUnmatchedReceipts {
    type Access = Reads;
    type Answer = Vec<(Timestamp, Name, Receipt)>;
}

store_address! {
    /// The address of the ledger's actor.
    Ledger {
        accept: AcceptSms,
        find: FindSms,
        list: ListSms,
        timeline: SmsTimeline,
        open_outbox: OpenOutbox,
        close_outbox: CloseOutbox,
        claim: ClaimSms,
        record_outcomes: RecordOutcomes,
        release: ReleaseSms,
        record_receipts: RecordReceipts,
        keep_received: KeepReceived,
        claim_received: ClaimReceived,
        release_received: ReleaseReceived,
        settle_received: SettleReceived,
        count_backlog: CountBacklog,
        unmatched_receipts: ListUnmatchedReceipts,
    }
}

/// What the store passes to the router after a commit: over a bounded channel, in batches. What does not fit
/// is released again by the store itself.
#[derive(Debug)]
pub enum HandOver {
    /// Claimed SMS for a transport.
    Submissions {
        /// The transport.
        transport: Name,
        /// The SMS.
        batch: Vec<Submission>,
    },
    /// Received SMS for the campaigns.
    Received(Vec<Received>),
}

#[cfg(test)]
mod tests {
    use super::Backlog;

    #[test]
    fn a_backlog_shows_its_count_up_to_the_bound_and_its_age() {
        let shown = |due, oldest_s| Backlog { due, oldest_s }.to_string();
        assert_eq!(shown(1, 0), "1 SMS due, the oldest for 0 s");
        assert_eq!(shown(10_000, 600), "10000 SMS due, the oldest for 10 min");
        assert_eq!(shown(10_001, 3 * 3600), "10000+ SMS due, the oldest for 3 h");
    }
}
