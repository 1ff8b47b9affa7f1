//! The parts of a sent SMS, where its transport submits them one by one, and the ways in which a provider writes one id.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use crate::{
    provider_text::bounded_id,
    request::{Operation, Reads},
    sms::{SmsId, TransportStatus},
};

/// A part that the provider has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// Counted from 1.
    /// Which part it is, counted from 1.
    pub number: u8,
    /// The provider's id for it, where the provider gave one.
    pub provider_id: Option<String>,
}

/// A part that the provider took in one attempt, for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenPart {
    /// Number and id.
    pub part: SentPart,
    /// How receipts may write the id, where they may write it otherwise.
    pub spellings: Option<IdSpellings>,
    /// The SMS is delivered only when this part is.
    pub must_report: bool,
}

impl TakenPart {
    /// The same with ids that every database can keep.
    #[must_use]
    pub fn keepable(self) -> Self {
        let SentPart { number, provider_id } = self.part;
        Self {
            part: SentPart { number, provider_id: provider_id.map(bounded_id) },
            spellings: self.spellings.map(IdSpellings::keepable),
            ..self
        }
    }
}

/// How a provider may write an id elsewhere than where it gave it: in capitals, padded with zeros, in another base. An id
/// with spellings is matched with an SMS only where the recipients agree, and these by their last digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSpellings {
    /// In small letters and without leading zeros: the same for all ids that differ in nothing else.
    pub folded: String,
    /// Folded, too, in other bases; the likelier first.
    pub others: Vec<String>,
}

impl IdSpellings {
    /// All of them, the likelier first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.folded.as_str()).chain(self.others.iter().map(String::as_str))
    }

    /// The same with texts that every database can keep.
    #[must_use]
    pub fn keepable(self) -> Self {
        let others = self.others.into_iter().map(bounded_id).collect();
        Self { folded: bounded_id(self.folded), others }
    }
}

/// Lists the parts of an SMS of which something is known by itself, in their order: those that its transport submitted one
/// by one, or that its provider reported. At most 255; none where the SMS is known as a whole only.
#[derive(Clone, Debug)]
pub struct ListSentParts {
    /// The SMS, whoever's it is.
    pub sms: SmsId,
}
impl Operation for ListSentParts {
    type Access = Reads;
    type Answer = Vec<SentPartStatus>;
}

/// What is known of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPartStatus {
    pub number: u8,
    /// The provider's id for it, as the answer to its submission wrote it.
    pub provider_id: Option<String>,
    /// The same in small letters and without leading zeros, where that differs: receipts that write the id otherwise are
    /// found by it.
    pub folded_id: Option<String>,
    /// The last status that was reported of it.
    pub status: TransportStatus,
    /// Whether the SMS is delivered only when this part is.
    pub must_report: bool,
}
