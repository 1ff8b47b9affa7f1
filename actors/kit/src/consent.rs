//! Consent: who wants no SMS, from one sender or from all. The ledger of consent is only added to, and the newest entry
//! that concerns a sender wins.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

mod requests;
mod settings;
mod words;

use std::{fmt, str::FromStr};

pub use self::{
    requests::{
        ConsentChange, ConsentDone, ConsentPage, ConsentRecord, ExportConsent, FindConsent, PersonConsent, SetConsent,
    },
    settings::{ConsentSettings, ConsentWordSettings, OptOutScope},
    words::{ConsentRules, ConsentWord},
};
use crate::address::{Address, Msisdn};

/// What an SMS to a person who is out says of itself: `provider_status`.
pub const OPTED_OUT: &str = "opted out";

/// Whether a person gets SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    Out,
    /// They want them, or want them again.
    In,
}

impl ConsentState {
    /// As requests, lists and files write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

impl FromStr for ConsentState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "out" => Ok(Self::Out),
            "in" => Ok(Self::In),
            _ => Err("expected `out` or `in`".to_owned()),
        }
    }
}

/// What an entry counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentScope {
    /// SMS of every sender.
    All,
    /// SMS of this sender.
    Sender(Address),
}

impl ConsentScope {
    /// What [`fmt::Display`] writes for every sender, and no address can be.
    const ALL: &'static str = "all senders";

    /// Reads a sender as requests and files write it; an empty text is every sender.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text == Self::ALL {
            return Ok(Self::All);
        }
        Address::sender(text).map(Self::Sender).map_err(|wrong| wrong.to_string())
    }

    /// The one sender; none: it counts for all.
    #[must_use]
    pub const fn sender(&self) -> Option<&Address> {
        match self {
            Self::All => None,
            Self::Sender(sender) => Some(sender),
        }
    }
}

impl fmt::Display for ConsentScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sender().map_or(Self::ALL, Address::as_str))
    }
}

/// Who wrote an entry, as a text: `SMS NUMBER` of a received one, `account NAME` or `operator NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentSource(pub String);

/// What a received SMS said of consent, as it was kept with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentNotice {
    /// Its person wants no more SMS: it is confirmed once.
    Out,
    /// The same, and they were out already: it is not confirmed again.
    OutBefore,
    /// Its person wants SMS, which was not known before: it is confirmed once.
    In,
    /// Its person asks for help, which even those get who are out.
    Help,
}

impl ConsentNotice {
    const ALL: [Self; 4] = [Self::Out, Self::OutBefore, Self::In, Self::Help];

    /// As the ledger keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::OutBefore => "out before",
            Self::In => "in",
            Self::Help => "help",
        }
    }

    /// Reads what the ledger kept; none: a later version's.
    #[must_use]
    pub fn kept(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.as_str() == text)
    }

    /// Whether its answer goes out though its person is out.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::OutBefore)
    }
}

/// Whether a person gets SMS of a sender: what is said of this sender alone is newer than what is said of all, or it would
/// not be kept. None: nobody said anything.
#[must_use]
pub fn consent_for<'a>(current: &'a [ConsentRecord], sender: &Address) -> Option<&'a ConsentRecord> {
    let of = |scope: Option<&Address>| current.iter().find(|record| record.scope.sender() == scope);
    of(Some(sender)).or_else(|| of(None))
}

/// How a person is called where their number must not stand: by its last digits.
#[must_use]
pub fn masked(msisdn: &Msisdn) -> String {
    let text = msisdn.as_str();
    let last = text.get(text.len().saturating_sub(3)..).unwrap_or_default();
    format!("…{last}")
}
