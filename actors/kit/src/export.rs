//! Reading the ledger from end to end, for the operator: page by page along the numbers, so that neither memory nor a read
//! grows with the ledger.

use crate::{
    account::AccountId,
    address::Msisdn,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads},
    sms::{Received, ReceivedId, Sms, SmsId},
};

/// Answers the highest numbers of the ledger. Everything that was accepted before is there when it is read up to them, and
/// nothing of a lower number comes later.
#[derive(Clone, Debug)]
pub struct FindLedgerEnd;
impl Operation for FindLedgerEnd {
    type Access = Reads;
    type Answer = LedgerEnd;
}

/// The highest numbers of the ledger; 0 where there is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerEnd {
    /// Of SMS to people.
    pub sms: SmsId,
    /// Of SMS from people.
    pub received: ReceivedId,
}

/// Which SMS an export is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Those of an account.
    pub account: Option<AccountId>,
    /// Those over a transport.
    pub transport: Option<Name>,
    /// Those that came at this moment or later.
    pub from: Option<Timestamp>,
    /// Those that came before this moment.
    pub to: Option<Timestamp>,
    /// Those to or from one of these numbers; none: all.
    pub numbers: Vec<Msisdn>,
}

/// The numbers that are still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRange {
    /// Those above this one.
    pub after: i64,
    /// Up to this one.
    pub up_to: i64,
}

/// A page of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPage<T> {
    /// Those of the page that the filter lets through, by their numbers.
    pub rows: Vec<T>,
    /// Where the next page begins; none: this was the last one.
    pub next: Option<i64>,
}

/// Numbers that a page looks at.
pub const EXPORT_PAGE: usize = 5_000;

/// Reads a page of the SMS to people.
#[derive(Clone, Debug)]
pub struct ExportSms {
    /// The numbers that are still to be read; the page looks at the first [`EXPORT_PAGE`] of them.
    pub range: NumberRange,
    /// Which of the SMS with these numbers the page has.
    pub filter: ExportFilter,
}
impl Operation for ExportSms {
    type Access = Reads;
    type Answer = ExportPage<Sms>;
}

/// Reads a page of the SMS from people.
#[derive(Clone, Debug)]
pub struct ExportReceived {
    /// The numbers that are still to be read; the page looks at the first [`EXPORT_PAGE`] of them.
    pub range: NumberRange,
    /// Which of the SMS with these numbers the page has.
    pub filter: ExportFilter,
}
impl Operation for ExportReceived {
    type Access = Reads;
    type Answer = ExportPage<Received>;
}
