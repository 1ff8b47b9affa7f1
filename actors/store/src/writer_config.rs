//! What the writer is given, whichever the database.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use vumi_kit::{clock::Clock, ledger::HandOver};

use crate::{
    write_queue::Queued,
    writer_health::{Gauge, Lifelines},
};

/// What the writer goes by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The name of this process in claims.
    pub(crate) node: String,
    /// How long a claim holds.
    pub(crate) lease: Duration,
    /// How long an SMS is tried.
    pub(crate) give_up_after: Duration,
    /// Rows that share a transaction.
    pub(crate) most_per_commit: usize,
}

/// Everything but its connection.
pub(crate) struct WriterParts {
    pub(crate) jobs: mpsc::Receiver<Queued>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) handover: mpsc::Sender<HandOver>,
    pub(crate) gauge: Arc<Gauge>,
    /// Dropped with the writer, also when it panics: then whoever watches ends the process.
    pub(crate) lifelines: Lifelines,
}
