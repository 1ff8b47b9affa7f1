//! Receipts (delivery reports) are kept and matched with their SMS.

use crate::{
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads, Writes},
    sms::{Receipt, Sms},
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
