//! What the store is asked about consent.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use super::{ConsentScope, ConsentSource, ConsentState};
use crate::{
    account::AccountId,
    address::Msisdn,
    audit::AuditActor,
    clock::Timestamp,
    request::{Operation, Reads, Writes},
};

/// An entry of the ledger of consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRecord {
    /// Its number: a higher one is newer.
    pub id: i64,
    /// Whose consent it is.
    pub msisdn: Msisdn,
    /// What it counts for.
    pub scope: ConsentScope,
    /// Whether they get SMS from then on.
    pub state: ConsentState,
    /// When it was written.
    pub at: Timestamp,
    pub by: ConsentSource,
    /// What the person wrote, or why somebody else wrote it.
    pub words: String,
}

/// Finds what is known of a person's consent.
#[derive(Clone, Debug)]
pub struct FindConsent {
    /// The person, in international form.
    pub msisdn: Msisdn,
}
impl FindConsent {
    /// Entries of the answer's history, and of its present ones.
    pub const MOST: usize = 200;
}
impl Operation for FindConsent {
    type Access = Reads;
    type Answer = PersonConsent;
}

/// What a person said last for each scope, and the entries behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonConsent {
    /// The entries that count, at the most one for each scope.
    pub current: Vec<ConsentRecord>,
    /// The last entries, the newest first.
    pub history: Vec<ConsentRecord>,
}

/// A person's consent changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentChange {
    /// The person, in international form.
    pub msisdn: Msisdn,
    /// What the change counts for.
    pub scope: ConsentScope,
    /// Whether they get SMS from then on.
    pub state: ConsentState,
    /// When they said so; none: now. A file from elsewhere knows it.
    pub at: Option<Timestamp>,
    /// Why; [`Self::LONGEST_WORDS`] characters are kept.
    pub words: String,
}

impl ConsentChange {
    /// Characters of `words` that are kept.
    pub const LONGEST_WORDS: usize = 160;
}

/// Changes the consent of people, in the order given, [`Self::MOST`] at the most. What is so already is not written again.
#[derive(Clone, Debug)]
pub struct SetConsent {
    pub changes: Vec<ConsentChange>,
    /// Who does it, for the ledger of consent and the audit trail.
    pub by: AuditActor,
    /// The account that does it; none: an operator.
    pub account: Option<AccountId>,
}
impl SetConsent {
    /// Changes of one command.
    pub const MOST: usize = 200;
}
impl Operation for SetConsent {
    type Access = Writes;
    type Answer = ConsentDone;
}

/// What came of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsentDone {
    /// Changes that were written.
    pub changed: usize,
    /// Those that said what was so already.
    pub unchanged: usize,
    /// SMS that were about to go out and were taken back.
    pub taken_back: usize,
}

/// Reads the ledger of consent in the order of its numbers.
#[derive(Clone, Debug)]
pub struct ExportConsent {
    /// The last number of the page before; 0 for the first page.
    pub after: i64,
    /// Only entries that count now.
    pub current: bool,
}
impl ExportConsent {
    /// Entries that one page looks at.
    pub const PAGE: usize = 1_000;
}
impl Operation for ExportConsent {
    type Access = Reads;
    type Answer = ConsentPage;
}

/// A page of the ledger of consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentPage {
    pub records: Vec<ConsentRecord>,
    /// Where the next page goes on; none: this is the last one.
    pub next: Option<i64>,
}
