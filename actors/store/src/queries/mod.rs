//! Everything that is the same text on every back-end: the questions and the writer.
//!
//! One body, expanded per connection type: a back-end's module (`sqlite.rs`, `postgres.rs`) names this folder with
//! `#[path]` and brings what differs: `Conn` and how one is set up, `BEGIN`, which errors mean what, and how rows are
//! locked where several processes write (`for_update!`, `skip_locked!`, `alone`), and how many are read and written
//! at once (`find_all!`, `bulk`). So queries are plain diesel on a
//! concrete connection.
//! To answer a new command or query: `impl Write` or `impl Read` for it in one of these files.

mod accept;
mod accounts;
mod backlog;
mod callbacks;
mod claims;
mod deliveries;
mod fixed;
mod idempotency;
mod outcomes;
mod readers;
mod receipts;
mod received;
mod rows;
mod sessions;
mod status;
mod sweep;
mod timeline;
mod writer;

use diesel::result::Error;
use vumi_kit::{
    clock::Timestamp,
    name::Name,
    sms::{Received, Submission},
    store::{Command, Existing, Query},
};

use super::{BEGIN, Conn, TEST_ON_CHECK_OUT, alone, bulk, configure, into_work, is_lost};
use crate::{outboxes::Outboxes, writer_config::Rules};
pub(crate) use accept::{Incoming, insert_one};
pub(crate) use fixed::Fixed;
pub(crate) use outcomes::{Attempt, Change};
pub(crate) use readers::Readers;
pub(crate) use writer::{Work, Writer, underway};

/// A question whose answer writes, within a transaction that others share.
pub(crate) trait Write: Command + Clone {
    /// How many rows it may write, about.
    fn rows(&self) -> usize {
        1
    }

    /// The names under which others may work on the same at this moment, though no row says so yet. The transaction has
    /// them for itself, all of them before its first question: asked for one by one, processes would wait for each other.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Answered at once, before the commit of what stands beside it: only for what writes nothing, and whose asker
    /// has waited for the commit of what it looks for.
    const ANSWERED_AT_ONCE: bool = false;

    /// Does it.
    fn write(self, tx: &mut Tx<'_>) -> Result<Self::Answer, Failed>;
}

/// A question whose answer only reads.
pub(crate) trait Read: Query {
    /// Does it.
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Self::Answer, Failed>;
}

/// Why a question could not be answered.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The database refused.
    Database(Error),
    /// What was to be created exists.
    Exists(Existing),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// An open transaction.
pub(crate) struct Tx<'a> {
    conn: &'a mut Conn,
    now: Timestamp,
    rules: &'a Rules,
    memory: &'a mut Memory,
}

/// What the writer knows beside the database, and what is to be handed over once the transaction is committed.
#[derive(Debug, Default)]
struct Memory {
    outboxes: Outboxes,
    submissions: Vec<(Name, Submission)>,
    received: Vec<Received>,
    /// Where the sweep of sessions goes on: a hint, not rolled back.
    swept_to: (String, String),
}

/// How the memory was at some moment.
#[derive(Clone)]
struct Mark {
    outboxes: Outboxes,
    submissions: usize,
    received: usize,
}

impl Memory {
    fn mark(&self) -> Mark {
        Mark { outboxes: self.outboxes.clone(), submissions: self.submissions.len(), received: self.received.len() }
    }

    fn restore(&mut self, mark: Mark) {
        self.outboxes = mark.outboxes;
        self.submissions.truncate(mark.submissions);
        self.received.truncate(mark.received);
    }
}

/// Answers a question without the writer, for tests that watch its statements.
#[cfg(test)]
pub(crate) fn write_alone<M: Write>(ask: M, conn: &mut Conn, now: Timestamp) -> Result<M::Answer, Failed> {
    use std::time::Duration;
    let (lease, give_up_after) = (Duration::from_secs(120), Duration::from_secs(24 * 3600));
    let rules = Rules { node: "local".to_owned(), lease, give_up_after, most_per_commit: 1 };
    ask.write(&mut Tx { conn, now, rules: &rules, memory: &mut Memory::default() })
}
