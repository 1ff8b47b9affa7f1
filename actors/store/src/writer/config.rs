//! The writer's configuration, whichever the database.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use vumi_kit::{clock::Clock, consent::ConsentRules, ledger::HandOver};

use super::{
    health::{Lifelines, WriterHealth},
    queue::QueueReceiver,
};
use crate::{
    settings::{OldTexts, StoreSettings},
    storage::Storage,
};

/// How long a provider may repeat an SMS from a person: its ids may begin again, and people write the same words again.
pub(crate) const REPEATED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules that the writer follows.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The name of this process in claims.
    pub(crate) node: String,
    /// How long a claim holds.
    pub(crate) lease: Duration,
    /// How long an SMS is tried before it expires.
    pub(crate) give_up_after: Duration,
    /// How long a receipt that matches no SMS is kept.
    pub(crate) keep_unmatched_receipts: Duration,
    /// How long the parts of an SMS from a person wait for each other.
    pub(crate) join_parts_within: Duration,
    /// How long an entry of the audit trail is kept.
    pub(crate) keep_audit: Duration,
    /// How many deliveries may wait for one callback, and how many may be parked.
    pub(crate) waiting_per_callback: usize,
    /// What is kept, and for how long.
    pub(crate) retention: RetentionRules,
    /// Which words of people end SMS to them.
    pub(crate) consent: ConsentRules,
}

/// How long SMS are kept after their last state; none: for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetentionRules {
    /// `store.keep_texts`: then the texts go, and the rows stay.
    pub(crate) texts: Option<Duration>,
    /// `store.keep_rows`: then the rows go, with attempts and receipts.
    pub(crate) rows: Option<Duration>,
    /// What becomes of an old text.
    pub(crate) old_texts: OldTexts,
}

impl RetentionRules {
    pub(crate) const fn of(settings: &StoreSettings) -> Self {
        Self { texts: settings.keep_texts, rows: settings.keep_rows, old_texts: settings.old_texts }
    }

    /// Whether anything ever goes.
    pub(crate) const fn is_set(&self) -> bool {
        self.texts.is_some() || self.rows.is_some()
    }
}

/// What the writer is given beside its connection.
pub(crate) struct WriterParts {
    pub(crate) queue: QueueReceiver,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) handover: mpsc::Sender<HandOver>,
    pub(crate) health: Arc<WriterHealth>,
    /// SQLite's file; none where the database is elsewhere.
    pub(crate) storage: Option<Arc<Storage>>,
    /// Dropped with the writer, also when it panics: then the watchers end the process.
    pub(crate) lifelines: Lifelines,
}
