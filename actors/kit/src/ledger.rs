//! The ledger: every SMS with its attempts and receipts, and the queue that the outboxes claim from.
//!
//! An accepted SMS is a committed row before anyone hears of it. Where its transport has free capacity, the row is written
//! as claimed and handed over in memory after the commit ([`HandOver`]); where it has none, the row waits in the ledger
//! until the transport claims it ([`ClaimSms`]). A claim is a lease: when it expires, the SMS is claimed again.

#![expect(missing_docs, reason = "fields whose name and type say it all")]

mod accept;
mod outbox;
mod receipts;
mod received;
mod status;

pub use self::{
    accept::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, FindAccepted, IdempotencyKey},
    outbox::{
        Backlog, ClaimSms, CloseOutbox, CountBacklog, OpenOutbox, OpenedOutbox, OutboxState, Outcome, RecordOutcomes,
        RecordedOutcomes, ReleaseSms, Then,
    },
    receipts::{FindNearMisses, ListUnmatchedReceipts, NearMiss, NearMissReason, ReceiptMatch, RecordReceipts},
    received::{
        AnswerNotSent, ClaimReceived, KeepReceived, ListReceived, ListUnowned, OwnReceived, ReleaseReceived,
        SettleReceived, Settled, SmsOwner, SmsOwners,
    },
    status::{FindSms, ListSms, Order, SmsTimeline, StatusCursor, TimelineEvent, Which},
};
use crate::{
    broadcast::{
        AddBroadcastLines, CreateBroadcast, FindBroadcast, FindDueBroadcasts, ListBroadcasts, SteerBroadcast,
        TakeBroadcastLines,
    },
    consent::{ExportConsent, FindConsent, SetConsent},
    export::{ExportReceived, ExportSms, FindLedgerEnd},
    levers::{CancelSms, PullLever, SearchSms},
    name::Name,
    request::store_address,
    rerouting::{BeatTransports, RerouteSms},
    sent_parts::ListSentParts,
    sms::{Received, Submission},
    subscriber::{ErasePerson, FindMentions, FindPerson},
};

store_address! {
    /// The address of the ledger's actor.
    Ledger {
        accept: AcceptSms,
        create_broadcast: CreateBroadcast,
        add_broadcast_lines: AddBroadcastLines,
        steer_broadcast: SteerBroadcast,
        find_broadcast: FindBroadcast,
        list_broadcasts: ListBroadcasts,
        find_due_broadcasts: FindDueBroadcasts,
        take_broadcast_lines: TakeBroadcastLines,
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
        near_misses: FindNearMisses,
        list_parts: ListSentParts,
        find_end: FindLedgerEnd,
        export: ExportSms,
        export_received: ExportReceived,
        find_person: FindPerson,
        find_mentions: FindMentions,
        erase_person: ErasePerson,
        find_consent: FindConsent,
        set_consent: SetConsent,
        export_consent: ExportConsent,
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
