//! The ledger: every SMS with its attempts and receipts, and the queue that the outboxes claim from.
//!
//! An accepted SMS is a committed row before anyone hears of it. Where its transport has free capacity, the row is written
//! as claimed and handed over in memory after the commit ([`HandOver`]); where it has none, the row waits in the ledger
//! until the transport claims it ([`ClaimSms`]). A claim is a lease: when it expires, the SMS is claimed again.

#![expect(missing_docs, reason = "fields whose name and type say it all")]

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    account::{AccountId, OverQuota, QuotaCharge},
    clock::Timestamp,
    export::{ExportReceived, ExportSms, FindLedgerEnd},
    levers::{CancelSms, PullLever, SearchSms},
    name::Name,
    provider_text::{bounded_id, bounded_words},
    request::{Operation, Reads, Writes, store_address},
    rerouting::{BeatTransports, RerouteSms},
    sent_parts::TakenPart,
    sms::{InboundSms, NewSms, Receipt, Received, ReceivedId, Sms, SmsId, Submission, TransportStatus},
    sms_options::SmsOptions,
    subscriber::{ErasePerson, FindMentions, FindPerson},
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
    /// What they take.
    pub charge: QuotaCharge,
}
impl Operation for AcceptWithinQuota {
    type Access = Writes;
    type Answer = AcceptedWithinQuota;
}

/// The result of [`AcceptWithinQuota`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedWithinQuota {
    /// As without quotas.
    Accepted(Accepted),
    /// Nothing was kept.
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

/// Opens the outbox of a transport that has started (again): its earlier claims are due at once.
#[derive(Clone, Debug)]
pub struct OpenOutbox {
    pub transport: Name,
    /// Submissions it can hold, in flight and waiting.
    pub capacity: usize,
    /// How many of them may be begun at once: so many may have been sent and have no outcome after a crash.
    pub window: usize,
}
impl Operation for OpenOutbox {
    type Access = Writes;
    type Answer = OpenedOutbox;
}

/// The result of [`OpenOutbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedOutbox {
    /// How long a claim holds.
    pub lease: Duration,
    /// What [`Submission::claim_token`] is of what this outbox claims, and of nothing that an earlier one claimed.
    pub claim_token: Arc<str>,
}

/// Closes the outbox of a transport that stops: nothing more is handed over to it, accepted SMS wait in the ledger.
#[derive(Clone, Debug)]
pub struct CloseOutbox {
    pub transport: Name,
}
impl Operation for CloseOutbox {
    type Access = Writes;
    type Answer = ();
}

/// Claims SMS that are due: of each priority and account its share, counted in segments; of one account those due for longest
/// first.
#[derive(Clone, Debug)]
pub struct ClaimSms {
    pub transport: Name,
    pub limit: usize,
    /// Submissions that the outbox can hold now, in flight and waiting: no more is handed over to it.
    pub capacity: usize,
}
impl Operation for ClaimSms {
    type Access = Writes;
    type Answer = Vec<Submission>;
}

/// The outcome of a submission, as its transport decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub id: SmsId,
    pub at: Timestamp,
    /// [`Submission::attempts`]: an outcome that is recorded a second time, since nobody knew whether it was kept, is known by
    /// it.
    pub attempts: i32,
    /// The provider's response, or what went wrong; secrets redacted.
    pub detail: String,
    pub then: Then,
    /// The parts that the provider took in this attempt, where the transport submits them one by one.
    pub parts: Vec<TakenPart>,
}

impl Outcome {
    /// The same with texts that every database can keep, and a bounded id: neither a NUL nor a long id in the provider's
    /// response must lose the outcome.
    #[must_use]
    pub fn keepable(self) -> Self {
        let then = match self.then {
            Then::Done { status, provider_id } => Then::Done { status, provider_id: provider_id.map(bounded_id) },
            other => other,
        };
        let parts = self.parts.into_iter().map(TakenPart::keepable).collect();
        Self { id: self.id, at: self.at, attempts: self.attempts, detail: bounded_words(self.detail), then, parts }
    }
}

/// What an outcome does with the SMS.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// Ends it: the provider has it, or it failed for good.
    Done { status: TransportStatus, provider_id: Option<String> },
    /// Ends it: it was submitted, its answers were lost, and it is not submitted again. It may have arrived.
    Unknown,
    /// Makes it due again at that time.
    Again {
        at: Timestamp,
        /// It may have arrived all the same: counted in [`Submission::unknown_outcomes`].
        unknown_outcome: bool,
    },
    /// Makes it due again at that time; it was not tried, and no attempt is counted.
    Untried {
        /// [`Submission::due_at`] restores its position in the order of what is due.
        at: Timestamp,
        /// The [`Submission::lease_until`] of the claim that is released. Where the SMS was claimed again since, nothing
        /// changes.
        held_until: Timestamp,
    },
}

/// Records the outcomes of submissions, and marks as begun what takes their places, in one transaction.
#[derive(Clone, Debug)]
pub struct RecordOutcomes {
    pub transport: Name,
    pub outcomes: Vec<Outcome>,
    /// Held SMS that are to go out next, the first first.
    pub begin: Vec<SmsId>,
}
impl Operation for RecordOutcomes {
    type Access = Writes;
    type Answer = RecordedOutcomes;
}

/// The result of [`RecordOutcomes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedOutcomes {
    /// Whether more SMS wait in the ledger for this transport.
    pub state: OutboxState,
    /// Those that may go out now. Of the ids to begin, those that are neither here nor in `gone` are still held: as many
    /// are begun as the window allows.
    pub begun: Vec<SmsId>,
    /// Those that are not this outbox's any more: ended, or claimed by another.
    pub gone: Vec<SmsId>,
}

/// Whether SMS wait in the ledger that were not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// None that the store knows of: new SMS are handed over.
    Empty,
    /// Some: the transport is to claim them.
    Waiting,
}

/// Releases submissions that could not be handed over: due again at once, no attempt counted.
#[derive(Clone, Debug)]
pub struct ReleaseSms {
    pub transport: Name,
    pub ids: Vec<SmsId>,
}
impl Operation for ReleaseSms {
    type Access = Writes;
    type Answer = ();
}

/// Keeps receipts and changes the SMS they belong to, in the order given. An SMS is found by its transport and the ids,
/// and its own account is told. [`Self::MOST`] in one command at the most: other writes go in between.
#[derive(Clone, Debug)]
pub struct RecordReceipts {
    pub transport: Name,
    pub receipts: Vec<Receipt>,
}
impl RecordReceipts {
    /// Receipts of one command.
    pub const MOST: usize = 200;
}
impl Operation for RecordReceipts {
    type Access = Writes;
    type Answer = Vec<ReceiptMatch>;
}

/// Whether a receipt matched an SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptMatch {
    /// It belongs to this SMS.
    Matched(Box<Sms>),
    /// It was recorded before, or as many as are kept of one SMS were: nothing changed.
    Repeated(Box<Sms>),
    /// It matches no SMS of the transport yet: kept, and matched when an SMS gets its id.
    Unmatched,
}

impl ReceiptMatch {
    /// How many of these say what became of an SMS in the end.
    #[must_use]
    pub fn new_reports(matches: &[Self]) -> u64 {
        let is_new = |one: &&Self| matches!(one, Self::Matched(sms) if sms.status.is_final());
        u64::try_from(matches.iter().filter(is_new).count()).unwrap_or(u64::MAX)
    }
}

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

/// Lists receipts that matched no SMS, newest first: for the operator.
#[derive(Clone, Debug)]
pub struct ListUnmatchedReceipts {
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
        accept_within_quota: AcceptWithinQuota,
        find_accepted: FindAccepted,
        find: FindSms,
        list: ListSms,
        timeline: SmsTimeline,
        search: SearchSms,
        cancel: CancelSms,
        pull_lever: PullLever,
        open_outbox: OpenOutbox,
        close_outbox: CloseOutbox,
        reroute: RerouteSms,
        beat_transports: BeatTransports,
        claim: ClaimSms,
        record_outcomes: RecordOutcomes,
        release: ReleaseSms,
        record_receipts: RecordReceipts,
        keep_received: KeepReceived,
        list_unowned: ListUnowned,
        list_received: ListReceived,
        own_received: OwnReceived,
        claim_received: ClaimReceived,
        release_received: ReleaseReceived,
        settle_received: SettleReceived,
        count_backlog: CountBacklog,
        unmatched_receipts: ListUnmatchedReceipts,
        find_end: FindLedgerEnd,
        export: ExportSms,
        export_received: ExportReceived,
        find_person: FindPerson,
        find_mentions: FindMentions,
        erase_person: ErasePerson,
    }
}

/// What the store hands over to the router after a commit, in batches over a bounded channel. What does not fit into it
/// the store releases again.
#[derive(Debug)]
pub enum HandOver {
    /// Claimed SMS for a transport.
    Submissions { transport: Name, batch: Vec<Submission> },
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
