//! What is posted to a callback: claimed, tried, recorded, and parked where it was given up.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{CallbackFormat, CallbackId, CallbackName};
use crate::{
    clock::Timestamp,
    request::{Operation, Reads, Writes},
};

/// The number of something to be posted to a callback.
pub type DeliveryId = i64;

/// Something to be posted to a callback. The store writes one for each callback of the account in the same
/// transaction as the event itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number; the `webhook-id` of every attempt, so that the client can tell a repeated one.
    pub id: DeliveryId,
    /// The callback that the delivery is of; its account set it.
    pub callback: CallbackId,
    /// The event that is told, as the client named it when it set the callback.
    pub name: CallbackName,
    /// The address to post to, as the account has it now.
    pub url: String,
    /// The key of the signature: [`Callback::secret`](super::Callback::secret).
    pub secret: String,
    /// How the body is written: as the callback's format was when the event happened.
    pub format: CallbackFormat,
    /// What is posted, in the callback's format.
    pub body: String,
    /// Attempts that have ended; the one that is claimed is not counted yet.
    pub attempts: i32,
    /// When the event happened, or was replayed: the give-up time counts from here.
    pub created_at: Timestamp,
    /// Until when the claim holds.
    pub lease_until: Timestamp,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({}, callback {}, attempt {})", self.id, self.callback, self.attempts + 1)
    }
}

/// Claims deliveries that are due, oldest first, `most_per_callback` of any one callback at the most, so that
/// a dead URL with a long queue leaves room for the others; and however many URLs hang, they leave room for those that
/// answer. Those claimed and not yet recorded are included in each of the bounds but `limit`. One claim looks at a bounded
/// number of callbacks; the next goes on behind them.
#[derive(Clone, Debug)]
pub struct ClaimDeliveries {
    /// Looks at the callbacks above this number.
    pub after: CallbackId,
    /// How many in all.
    pub limit: usize,
    /// How many of one callback.
    pub most_per_callback: usize,
    /// The callbacks that lately answered promptly. Of any other one at a time is claimed,
    pub prompt: Arc<HashSet<CallbackId>>,
    /// and so many of all others together.
    pub most_of_others: usize,
    /// How long the claim holds, in seconds.
    pub lease_s: u64,
}
impl Operation for ClaimDeliveries {
    type Access = Writes;
    type Answer = ClaimedDeliveries;
}

/// What [`ClaimDeliveries`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimedDeliveries {
    /// What is to be posted.
    pub deliveries: Vec<Delivery>,
    /// The last callback that was looked at, if others with work may follow.
    pub next: Option<CallbackId>,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// Which delivery was attempted; one claimed by this process.
    pub delivery: DeliveryId,
    /// The [`Delivery::lease_until`] of the claim it was made under. Where the delivery was claimed again since, the
    /// attempt is kept, and what follows is up to the one who holds it now.
    pub held_until: Timestamp,
    /// When the attempt ended, on the ledger's clock.
    pub at: Timestamp,
    /// The HTTP status, where there was one.
    pub http_status: Option<u16>,
    /// What went wrong, where something did.
    pub error: Option<String>,
    /// What becomes of the delivery after this attempt.
    pub then: DeliveryThen,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryThen {
    /// The URL answered with a status from 200 to 299: nothing follows.
    Done,
    /// Another attempt, no sooner than this time.
    Again(Timestamp),
    /// Given up: it waits until an operator replays it.
    Parked,
    /// The URL wants no more posts: parked, and the callback is disabled.
    Gone,
}

/// Records attempts. A callback with a delivery that was given up, and to which nothing was delivered for some time, is
/// disabled. What was still to be posted to a disabled callback is parked.
#[derive(Clone, Debug)]
pub struct RecordDeliveryAttempts {
    /// Attempts in the order in which they ended; each is recorded once.
    pub attempts: Vec<DeliveryAttempt>,
    /// How long nothing was delivered.
    pub disable_after: Duration,
}
impl Operation for RecordDeliveryAttempts {
    type Access = Writes;
    type Answer = ();
}

/// Deliveries that were given up, newest first: for the operator.
#[derive(Clone, Debug)]
pub struct ListParked {
    /// How many at the most.
    pub limit: usize,
}
impl Operation for ListParked {
    type Access = Reads;
    type Answer = ParkedDeliveries;
}

/// What [`ListParked`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedDeliveries {
    /// As many as were asked for.
    pub listed: Vec<ParkedDelivery>,
    /// How many there are.
    pub total: usize,
    /// The callbacks of which too many were parked.
    pub dropped: Vec<DroppedDeliveries>,
}

/// Parked deliveries that were deleted, the oldest first, since more were parked than may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedDeliveries {
    /// The callback that they were to be posted to.
    pub callback: CallbackId,
    /// Where they were to go.
    pub url: String,
    /// How many there were.
    pub count: usize,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedDelivery {
    /// The number of the last delivery that was looked at, among those that were parked at that moment.
    pub id: DeliveryId,
    /// The event that was to be told.
    pub name: CallbackName,
    /// Where it was to go.
    pub url: String,
    /// All attempts, those before a replay included.
    pub attempts: i32,
    /// What the last attempt came to: a status or the connection's error, no words of the URL's.
    pub error: String,
    /// When the event happened.
    pub created_at: Timestamp,
}

/// Makes parked deliveries due again, step by step, so that others' writes go in between. Those of disabled callbacks stay
/// parked.
#[derive(Clone, Debug)]
pub struct ReplayParked {
    /// Which of the parked ones are meant.
    pub which: ParkedSelection,
}

impl ReplayParked {
    /// So many in one step.
    pub const MOST: usize = 500;
}

/// Which parked deliveries to replay.
#[derive(Clone, Debug)]
pub enum ParkedSelection {
    /// [`ReplayParked::MOST`] at the most.
    These(Vec<DeliveryId>),
    /// All that were parked when the first step was made, behind a cursor.
    All(Option<ParkedCursor>),
}

/// Where the next step of a replay goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedCursor {
    /// When the last one that was looked at was parked.
    pub parked_at: Timestamp,
    /// Its number, by which a replay names it.
    pub id: DeliveryId,
    /// What was parked later is not replayed.
    pub until: Timestamp,
}

impl Operation for ReplayParked {
    type Access = Writes;
    type Answer = ReplayedDeliveries;
}

/// What [`ReplayParked`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayedDeliveries {
    /// So many are due.
    pub due: usize,
    /// So many stay parked, since their callbacks are disabled.
    pub of_disabled: usize,
    /// Where the next step goes on, if there may be more.
    pub next: Option<ParkedCursor>,
}
