//! Receipts (delivery reports) are kept and matched with their SMS.

use std::time::Duration;

use crate::{
    address::Msisdn,
    clock::Timestamp,
    life::SmsState,
    name::Name,
    request::{Operation, Reads, Writes},
    sms::{Receipt, Sms, SmsId},
};

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

/// Lists receipts that matched no SMS, newest first: for the operator.
#[derive(Clone, Debug)]
pub struct ListUnmatchedReceipts {
    pub limit: usize,
}
impl Operation for ListUnmatchedReceipts {
    type Access = Reads;
    type Answer = Vec<(Timestamp, Name, Receipt)>;
}

/// Finds SMS that a receipt without an SMS may have been meant for, those with an id that is alike first; [`Self::MOST`] of
/// each sort at the most.
#[derive(Clone, Debug)]
pub struct FindNearMisses {
    pub transport: Name,
    /// Ways to write the receipt's id; [`Self::MOST_IDS`] are looked for.
    pub ids: Vec<String>,
    /// The recipient that the receipt names.
    pub to: Option<Msisdn>,
    /// When the receipt came.
    pub came_at: Timestamp,
}
impl FindNearMisses {
    /// SMS of one sort in an answer.
    pub const MOST: usize = 3;
    /// Ids that are looked for.
    pub const MOST_IDS: usize = 12;
    /// How long before the receipt an SMS to its recipient was accepted, at the most.
    pub const WITHIN: Duration = Duration::from_secs(3 * 24 * 3600);
}
impl Operation for FindNearMisses {
    type Access = Reads;
    type Answer = Vec<NearMiss>;
}

/// An SMS that a receipt may have been meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    pub sms: SmsId,
    pub why: NearMissReason,
    /// The provider's id of the SMS, or of the part that is alike.
    pub provider_id: Option<String>,
    pub to: Msisdn,
    pub state: SmsState,
    pub created_at: Timestamp,
}

/// Why an SMS is a near miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearMissReason {
    /// Its id, or that of a part, is the receipt's but for case, leading zeros or base; recipient or settings differ.
    AlikeId,
    /// It went to the receipt's recipient in the time before it.
    SameRecipient,
}
