//! What operators and clients do with SMS that wait or have ended: hold, release, cancel, send again; and how they are
//! found.
//!
//! Every request is bounded: a search looks at so many rows and says where the next one goes on, a lever is pulled for
//! so many SMS in one transaction, so that the ledger's other work goes in between.

use std::sync::Arc;

use crate::{
    account::AccountId,
    address::Msisdn,
    clock::Timestamp,
    life::{LifeEvent, SmsState},
    name::Name,
    request::{Operation, Reads, Writes},
    sms::{Sms, SmsId},
};

/// What is done with SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lever {
    /// Holds them back until they are released. Their time runs on.
    Hold,
    /// Lets them go on.
    Release,
    /// Ends those that have not begun to go out: they are not sent.
    Cancel,
    /// Makes those that ended due again, with a fresh deadline; their attempts go on counting.
    Resend,
}

impl Lever {
    /// What it is in the life of an SMS.
    #[must_use]
    pub const fn event(self) -> LifeEvent {
        match self {
            Self::Hold => LifeEvent::Hold,
            Self::Release => LifeEvent::Release,
            Self::Cancel => LifeEvent::Cancel,
            Self::Resend => LifeEvent::Resend,
        }
    }

    /// What was done, as the timeline says it.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Hold => "held",
            Self::Release => "released",
            Self::Cancel => "cancelled",
            Self::Resend => "resent",
        }
    }
}

/// Pulls a lever for SMS by their numbers, whoever's they are, as far as their states allow it. [`Self::MOST`] in one
/// command at the most.
#[derive(Clone, Debug)]
pub struct PullLever {
    /// What is done with those whose states allow it.
    pub lever: Lever,
    /// The numbers of the SMS; those that do not exist are not counted.
    pub ids: Vec<SmsId>,
    /// Why, for the timeline.
    pub reason: Arc<str>,
}
impl PullLever {
    /// SMS of one command.
    pub const MOST: usize = 200;
}
impl Operation for PullLever {
    type Access = Writes;
    type Answer = PulledLever;
}

/// How many of the SMS a [`PullLever`] moved, and why the others stayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PulledLever {
    /// With so many it was done.
    pub done: usize,
    /// So many are going out at this moment: their transports have begun to submit them.
    pub begun: usize,
    /// So many are in states that do not allow it.
    pub not_allowed: usize,
}

/// Cancels an SMS of an account; `None` if the account has no such SMS.
#[derive(Clone, Debug)]
pub struct CancelSms {
    /// The account that cancels: it finds its own SMS alone.
    pub account: AccountId,
    /// Over this transport; none: over whichever one an outbound route chose.
    pub transport: Option<Name>,
    /// The number of the SMS.
    pub id: SmsId,
}
impl Operation for CancelSms {
    type Access = Writes;
    type Answer = Option<CancelResult>;
}

/// What [`CancelSms`] led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelResult {
    /// It is cancelled, now or before.
    Cancelled(Box<Sms>),
    /// It has begun: its transport is submitting it.
    Begun,
    /// It has been submitted, or has ended otherwise.
    TooLate(SmsState),
}

/// Which SMS: those that fulfil all that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsFilter {
    /// These numbers; none: any.
    pub ids: Vec<SmsId>,
    /// Those of this account; none: of any.
    pub account: Option<AccountId>,
    /// Of the call whose first SMS this is.
    pub batch: Option<SmsId>,
    /// Those that this transport sends, or is to send; none: any.
    pub transport: Option<Name>,
    /// In one of these states; none: in any.
    pub states: Vec<SmsState>,
    /// Those to this number; none: to anybody.
    pub to: Option<Msisdn>,
    /// Accepted at or after this moment.
    pub newer: Option<Timestamp>,
    /// Accepted before this moment.
    pub older: Option<Timestamp>,
}

/// Looks for SMS, in the order of their numbers. The cost of one search is bounded; the next goes on where it ended.
#[derive(Clone, Debug)]
pub struct SearchSms {
    /// What is looked for among the rows.
    pub filter: SmsFilter,
    /// Behind this number: [`SmsPage::next`] of the search before, 0 at first.
    pub after: SmsId,
    /// How many to find at the most, [`Self::MOST`] at the most.
    pub limit: usize,
}
impl SearchSms {
    /// SMS that one search finds.
    pub const MOST: usize = 1_000;
}
impl Operation for SearchSms {
    type Access = Reads;
    type Answer = SmsPage;
}

/// A page of SMS, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsPage {
    /// Those that were found, fewer than asked for where the search looked at as many rows as it may.
    pub found: Vec<Sms>,
    /// Where the next search goes on; none: that was all.
    pub next: Option<SmsId>,
}
