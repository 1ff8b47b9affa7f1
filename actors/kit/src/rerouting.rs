//! Requests to the ledger about transports that fail: what waits for one goes to another, and processes tell each other how
//! theirs are.

#![expect(missing_docs, reason = "fields whose name and type say it all")]

use crate::{
    name::Name,
    request::{Operation, Writes},
    transport_board::Sendability,
};

/// Moves SMS of routes that wait for a transport to others: those longest due first, [`Self::STEP`] at the most. SMS that have
/// begun, that are scheduled or held, or that may have been sent already stay. Answers how many were moved.
#[derive(Clone, Debug)]
pub struct RerouteSms {
    pub from: Name,
    /// Where the SMS of each route go.
    pub ways: Vec<WayOut>,
    /// Why, in words for the timeline.
    pub because: String,
}
impl RerouteSms {
    /// SMS of one command.
    pub const STEP: usize = 500;
}
impl Operation for RerouteSms {
    type Access = Writes;
    type Answer = usize;
}

/// Where SMS of a route can go from a transport that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// The route of the SMS.
    pub route: Name,
    /// The transport that works.
    pub to: Name,
    /// Whether SMS that may have been sent already may go, too.
    pub resend_unknown: bool,
}

/// Tells other processes of the same database how this one's transports are; answers what the others told in the last
/// [`Self::LIVE_FOR`].
#[derive(Clone, Debug)]
pub struct BeatTransports {
    pub beats: Vec<TransportBeat>,
}
impl BeatTransports {
    /// After so long without a beat a process counts as gone.
    pub const LIVE_FOR: std::time::Duration = std::time::Duration::from_secs(4);
}
impl Operation for BeatTransports {
    type Access = Writes;
    /// Each with the process's name in its claims.
    type Answer = Vec<(String, TransportBeat)>;
}

/// How a transport is in one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportBeat {
    pub transport: Name,
    /// None: it does not run there, and its receipts may come there all the same.
    pub sendability: Option<Sendability>,
    pub wants_probe: bool,
    /// SMS that its provider took, since the start of the process.
    pub submitted: u64,
    /// SMS of which a receipt came, since the start of the process.
    pub receipts: u64,
}
