//! What the outbox of a transport asks of the ledger: to be opened and closed, claims, releases, and to keep outcomes.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    name::Name,
    provider_text::{bounded_id, bounded_words},
    request::{Operation, Reads, Writes},
    sent_parts::TakenPart,
    sms::{SmsId, Submission, TransportStatus},
};

/// Opens the outbox of a transport that has started (again): its earlier claims are due at once.
#[derive(Clone, Debug)]
pub struct OpenOutbox {
    pub transport: Name,
    /// Submissions it can hold, in flight and waiting.
    pub capacity: usize,
    /// How many of them may be begun at once: so many may have been sent and have no outcome after a crash.
    pub window: usize,
}
impl Operation for OpenOutbox {
    type Access = Writes;
    type Answer = OpenedOutbox;
}

/// The result of [`OpenOutbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedOutbox {
    /// How long a claim holds.
    pub lease: Duration,
    /// What [`Submission::claim_token`] is of what this outbox claims, and of nothing that an earlier one claimed.
    pub claim_token: Arc<str>,
}

/// Closes the outbox of a transport that stops: nothing more is handed over to it, accepted SMS wait in the ledger.
#[derive(Clone, Debug)]
pub struct CloseOutbox {
    pub transport: Name,
}
impl Operation for CloseOutbox {
    type Access = Writes;
    type Answer = ();
}

/// Claims SMS that are due: of each priority and account its share, counted in segments; of one account those due for longest
/// first.
#[derive(Clone, Debug)]
pub struct ClaimSms {
    pub transport: Name,
    pub limit: usize,
    /// Submissions that the outbox can hold now, in flight and waiting: no more is handed over to it.
    pub capacity: usize,
}
impl Operation for ClaimSms {
    type Access = Writes;
    type Answer = Vec<Submission>;
}

/// The outcome of a submission, as its transport decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub id: SmsId,
    pub at: Timestamp,
    /// [`Submission::attempts`]: an outcome that is recorded a second time, since nobody knew whether it was kept, is known by
    /// it.
    pub attempts: i32,
    /// The provider's response, or what went wrong; secrets redacted.
    pub detail: String,
    pub then: Then,
    /// The parts that the provider took in this attempt, where the transport submits them one by one.
    pub parts: Vec<TakenPart>,
}

impl Outcome {
    /// The same with texts that every database can keep, and a bounded id: neither a NUL nor a long id in the provider's
    /// response must lose the outcome.
    #[must_use]
    pub fn keepable(self) -> Self {
        let then = match self.then {
            Then::Done { status, provider_id } => Then::Done { status, provider_id: provider_id.map(bounded_id) },
            other => other,
        };
        let parts = self.parts.into_iter().map(TakenPart::keepable).collect();
        Self { id: self.id, at: self.at, attempts: self.attempts, detail: bounded_words(self.detail), then, parts }
    }
}

/// What an outcome does with the SMS.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// Ends it: the provider has it, or it failed for good.
    Done { status: TransportStatus, provider_id: Option<String> },
    /// Ends it: it was submitted, its answers were lost, and it is not submitted again. It may have arrived.
    Unknown,
    /// Makes it due again at that time.
    Again {
        at: Timestamp,
        /// It may have arrived all the same: counted in [`Submission::unknown_outcomes`].
        unknown_outcome: bool,
    },
    /// Makes it due again at that time; it was not tried, and no attempt is counted.
    Untried {
        /// [`Submission::due_at`] restores its position in the order of what is due.
        at: Timestamp,
        /// The [`Submission::lease_until`] of the claim that is released. Where the SMS was claimed again since, nothing
        /// changes.
        held_until: Timestamp,
    },
}

/// Records the outcomes of submissions, and marks as begun what takes their places, in one transaction.
#[derive(Clone, Debug)]
pub struct RecordOutcomes {
    pub transport: Name,
    pub outcomes: Vec<Outcome>,
    /// Held SMS that are to go out next, the first first.
    pub begin: Vec<SmsId>,
}
impl Operation for RecordOutcomes {
    type Access = Writes;
    type Answer = RecordedOutcomes;
}

/// The result of [`RecordOutcomes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedOutcomes {
    /// Whether more SMS wait in the ledger for this transport.
    pub state: OutboxState,
    /// Those that may go out now. Of the ids to begin, those that are neither here nor in `gone` are still held: as many
    /// are begun as the window allows.
    pub begun: Vec<SmsId>,
    /// Those that are not this outbox's any more: ended, or claimed by another.
    pub gone: Vec<SmsId>,
}

/// Whether SMS wait in the ledger that were not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// None that the store knows of: new SMS are handed over.
    Empty,
    /// Some: the transport is to claim them.
    Waiting,
}

/// Releases submissions that could not be handed over: due again at once, no attempt counted.
#[derive(Clone, Debug)]
pub struct ReleaseSms {
    pub transport: Name,
    pub ids: Vec<SmsId>,
}
impl Operation for ReleaseSms {
    type Access = Writes;
    type Answer = ();
}

/// Counts the SMS that are due and that nobody holds, of each transport that has any. The cost does not grow with them.
#[derive(Clone, Debug)]
pub struct CountBacklog;
impl Operation for CountBacklog {
    type Access = Reads;
    type Answer = Vec<(Name, Backlog)>;
}

/// The SMS of a transport that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// How many; counted up to one more than [`Self::MOST_COUNTED`].
    pub due: u32,
    /// Seconds for which the oldest of them has been due.
    pub oldest_s: u64,
}

impl Backlog {
    /// A larger backlog is not counted any further.
    pub const MOST_COUNTED: u32 = 10_000;
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.due {
            due if due > Self::MOST_COUNTED => write!(f, "{}+ SMS due", Self::MOST_COUNTED)?,
            due => write!(f, "{due} SMS due")?,
        }
        match self.oldest_s {
            s if s < 120 => write!(f, ", the oldest for {s} s"),
            s if s < 120 * 60 => write!(f, ", the oldest for {} min", s / 60),
            s => write!(f, ", the oldest for {} h", s / 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;

    #[test]
    fn a_backlog_shows_its_count_up_to_the_bound_and_its_age() {
        let shown = |due, oldest_s| Backlog { due, oldest_s }.to_string();
        assert_eq!(shown(1, 0), "1 SMS due, the oldest for 0 s");
        assert_eq!(shown(10_000, 600), "10000 SMS due, the oldest for 10 min");
        assert_eq!(shown(10_001, 3 * 3600), "10000+ SMS due, the oldest for 3 h");
    }
}
