//! Broadcasts: a text for many people, kept line by line before the first SMS, then taken into the ledger in steps.
//!
//! A broadcast is loaded, then started. Its lines are numbered from 1, and `taken` of them have become SMS or were refused: a step
//! takes the next ones in one transaction with the SMS that they become, so that each line is one SMS, whatever crashes.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::time::Duration;

use crate::{
    account::AccountId,
    address::Address,
    campaign_sms::PreparedSms,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads, Writes},
    sms::SmsId,
};

/// The number of a broadcast.
pub type BroadcastId = i64;

/// The most lines of a broadcast.
pub const MAX_LINES: u64 = 1_000_000;
/// The most lines that are added at once.
pub const MAX_ADDED: usize = 1_000;
/// The most lines that a step takes.
pub const MAX_STEP: usize = 100;
/// The most broadcasts of an account that are neither done nor cancelled.
pub const MAX_OPEN: i64 = 100;
/// The most broadcasts that a list has, the newest ones.
pub const MAX_LISTED: i64 = 100;

/// What a broadcast is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastSpec {
    /// The Mustache template of its texts.
    pub template: String,
    /// The transport that sends them; none: `[[outbound]]` chooses.
    pub transport: Option<Name>,
    /// The sender shown to people.
    pub from: Address,
    /// How many SMS a second it becomes at the most; none: as fast as they are accepted.
    pub pace: Option<u32>,
}

/// Where a broadcast is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroadcastState {
    /// Lines are added; none is sent.
    Loading,
    /// Its lines become SMS.
    Running,
    /// None of its lines become SMS until it is resumed.
    Paused,
    /// None of the lines that were left becomes an SMS; they are gone.
    Cancelled,
    /// All of its lines were taken.
    Done,
}

impl BroadcastState {
    const ALL: [Self; 5] = [Self::Loading, Self::Running, Self::Paused, Self::Cancelled, Self::Done];

    /// As the API and the database spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// That of a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A broadcast, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub account: AccountId,
    pub username: String,
    /// Its name, of which the account has one.
    pub name: Name,
    /// What it is to be.
    pub spec: BroadcastSpec,
    pub state: BroadcastState,
    /// How many lines it has; none: it was not started.
    pub lines: Option<u64>,
    /// How many lines it was given.
    pub loaded: u64,
    /// How many of them have become SMS or were refused.
    pub taken: u64,
    /// How many have become SMS of the ledger.
    pub accepted: u64,
    /// How many were refused.
    pub refused: u64,
    /// Why it waits, if it waits for something.
    pub why: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
}

/// A line: an SMS that is not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastLine {
    /// Its number within the broadcast, from 1.
    pub line: u64,
    pub to: String,
    pub text: String,
}

/// Makes a broadcast; one of the same name is made once.
#[derive(Clone, Debug)]
pub struct CreateBroadcast {
    pub account: AccountId,
    pub username: String,
    pub name: Name,
    /// What it is to be.
    pub spec: BroadcastSpec,
}
impl Operation for CreateBroadcast {
    type Access = Writes;
    type Answer = CreatedBroadcast;
}

/// The result of [`CreateBroadcast`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreatedBroadcast {
    New(Broadcast),
    /// There was the same already.
    Existing(Broadcast),
    /// There is another one of this name.
    Different,
    /// The account has [`MAX_OPEN`] already.
    TooMany,
}

/// Adds lines to a broadcast that is loaded: those it has already are left out.
#[derive(Clone, Debug)]
pub struct AddBroadcastLines {
    pub account: AccountId,
    pub name: Name,
    /// Lines with consecutive numbers, [`MAX_ADDED`] at the most.
    pub lines: Vec<BroadcastLine>,
}
impl Operation for AddBroadcastLines {
    type Access = Writes;
    type Answer = AddedLines;
}

/// The result of [`AddBroadcastLines`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddedLines {
    /// It has them all.
    Loaded(Broadcast),
    /// They begin behind the next line, which is this one.
    Gap(u64),
    /// It would have more than [`MAX_LINES`].
    TooMany,
    /// It has been started.
    Started(Broadcast),
    /// There is none of this name.
    NotFound,
}

/// What is done with a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroadcastStep {
    /// Starts one that has all of its lines, which are so many. Again: nothing.
    Start(u64),
    /// Pauses one that runs.
    Pause,
    /// Resumes one that is paused.
    Resume,
    /// Takes back all lines that have not become SMS. One that was not started is gone then, and its name is free.
    Cancel,
}

/// Starts, pauses, resumes or cancels a broadcast.
#[derive(Clone, Debug)]
pub struct SteerBroadcast {
    pub account: AccountId,
    pub name: Name,
    pub step: BroadcastStep,
}
impl Operation for SteerBroadcast {
    type Access = Writes;
    type Answer = SteeredBroadcast;
}

/// The result of [`SteerBroadcast`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SteeredBroadcast {
    /// As it is now.
    Now(Broadcast),
    /// That can't be done with it as it is.
    Refused(Broadcast),
    /// There is none of this name.
    NotFound,
}

/// Finds a broadcast, with the first [`MAX_LISTED`] of its refused lines and why.
#[derive(Clone, Debug)]
pub struct FindBroadcast {
    pub account: AccountId,
    pub name: Name,
}
impl Operation for FindBroadcast {
    type Access = Reads;
    type Answer = Option<(Broadcast, Vec<(u64, String)>)>;
}

/// Lists an account's broadcasts, the newest first, [`MAX_LISTED`] at the most.
#[derive(Clone, Debug)]
pub struct ListBroadcasts {
    pub account: AccountId,
}
impl Operation for ListBroadcasts {
    type Access = Reads;
    type Answer = Vec<Broadcast>;
}

/// Finds the broadcasts whose next lines are due, so many at the most, each with up to [`MAX_STEP`] lines.
#[derive(Clone, Debug)]
pub struct FindDueBroadcasts {
    /// How many at the most.
    pub limit: usize,
}
impl Operation for FindDueBroadcasts {
    type Access = Reads;
    type Answer = Vec<(Broadcast, Vec<BroadcastLine>)>;
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// It becomes this SMS.
    Accept(Box<PreparedSms>),
    /// It becomes none, and why.
    Refuse(String),
}

/// What the next lines of a broadcast become: all in one transaction with the count of those taken.
#[derive(Clone, Debug)]
pub struct TakeBroadcastLines {
    pub id: BroadcastId,
    /// How many lines were taken before: another number, and nothing is done.
    pub taken: u64,
    /// Of the lines behind those, in their order.
    pub outcomes: Vec<LineOutcome>,
    /// When the next ones are due, from now.
    pub wait: Duration,
    /// Why it waits; none: for its pace alone.
    pub why: Option<String>,
    /// Whether it is paused with that.
    pub pause: bool,
}
impl Operation for TakeBroadcastLines {
    type Access = Writes;
    type Answer = TakenLines;
}

/// The result of [`TakeBroadcastLines`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenLines {
    /// How many lines were taken.
    pub lines: usize,
    /// One of the SMS that they became.
    pub first: Option<SmsId>,
}
