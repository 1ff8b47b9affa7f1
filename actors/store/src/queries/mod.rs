//! The operations of the kit as queries: `impl Write for AcceptSms` in `accept.rs`, `impl Read for FindSms` in `status.rs`,
//! and so on, a file for each concern; and what runs them on a connection, `writer.rs` and `readers.rs`.
//!
//! This folder is compiled twice. `dialect/sqlite.rs` and `dialect/postgres.rs` both name it with `#[path]`, each for its
//! own connection type `Conn`, so that every query is plain diesel on a concrete connection and is written once. What
//! differs comes from `super`: `Conn` and its set-up, `BEGIN`, how rows are locked where several processes write
//! (`for_update!`, `skip_locked!`, `alone`), and how many are read and written at once (`find_all!`, `bulk`).
//!
//! To answer a new command or query: `impl Write` or `impl Read` for it in one of these files.

mod accept;
mod accounts;
mod answers;
mod audit;
mod backlog;
mod broadcasts;
mod callbacks;
mod claims;
mod consent;
mod conversations;
mod deliveries;
mod dialogue_sms;
mod esmes;
mod expanding;
mod export;
mod fair_claims;
mod fixed;
mod idempotency;
mod ledger_clock;
mod life;
mod lookups;
mod near_misses;
mod outcomes;
mod parked;
mod parts;
mod permission;
mod quota;
mod readers;
mod receipts;
mod received;
mod received_parts;
mod rerouting;
mod retention;
mod rows;
mod sessions;
mod status;
mod subscriber;
mod sweep;
mod timeline;
mod waiting;
mod writer;

use std::collections::HashMap;

use diesel::result::Error;
use vumi_kit::{
    account::AccountId,
    callback::CallbackId,
    clock::Timestamp,
    name::Name,
    sms::{Received, ReceivedId, SmsId, Submission},
    store::{Command, Existing, Query},
};

use super::{
    BEGIN, Conn, TEST_ON_CHECK_OUT, alone, await_senders, bulk, configure, finish, hold_off_senders, into_work,
    is_lost, ledger_end, within,
};
use crate::{
    fair_shares::FairShares,
    outboxes::Outboxes,
    writer::{config::Rules, queue::Lane},
};
pub(crate) use accept::{Incoming, insert_one};
pub(crate) use fixed::Fixed;
pub(crate) use outcomes::{Attempt, Change};
pub(crate) use permission::may_go_out;
pub(crate) use readers::Readers;
pub(crate) use rerouting::as_count;
pub(crate) use writer::{Work, Writer, underway};

/// A command as the writer does it, within a transaction that others share.
#[allow(
    dead_code,
    reason = "the queue asks one dialect how large a command is and where it waits: the other says the same"
)]
pub(crate) trait Write: Command + Clone {
    /// Rows that it may write, roughly.
    fn rows(&self) -> usize {
        1
    }

    /// The lane of the writer's queue that it waits in.
    fn lane(&self) -> Lane {
        Lane::of_rows(self.rows())
    }

    /// Whether it brings new work, and is refused while there is little room for what is under way.
    const GROWS: bool = false;

    /// Names of what other processes may be creating at this moment, so that no row is there to be locked. The transaction
    /// locks all of them before its first command: locked one by one, processes would wait for each other.
    fn lock_keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// Does it.
    fn write(self, tx: &mut Tx<'_>) -> Result<Self::Answer, Failed>;

    /// A row that is there only if the transaction with this answer was committed; none: nothing tells.
    fn evidence(answer: &Self::Answer) -> Option<Evidence> {
        let _tells_nothing = answer;
        None
    }
}

/// A row with a number of its own, by which a transaction is known whose commit was not confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Evidence {
    /// An SMS that it added.
    Sms(SmsId),
    /// A received SMS that it added.
    Received(ReceivedId),
}

/// A query as a reader does it.
pub(crate) trait Read: Query + Clone {
    /// A row by its key, asked for often and answered at once: it has a connection of its own, so that it never waits behind
    /// a list.
    const LOOKUP: bool = false;

    /// Does it.
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Self::Answer, Failed>;
}

/// Why an operation failed.
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
    /// By the machine's clock.
    wall: Timestamp,
    rules: &'a Rules,
    state: &'a mut WriterState,
    /// Which accounts are stopped, of those that were asked for.
    stopped: HashMap<AccountId, bool>,
    /// Whether nobody ever said anything of consent, where it was asked for.
    nobody_is_out: Option<bool>,
}

/// What the writer knows beside the database, and what is to be handed over once the transaction is committed.
#[derive(Debug, Default)]
struct WriterState {
    outboxes: Outboxes,
    /// Whose SMS wait: a hint, not rolled back.
    fair_shares: FairShares,
    submissions: Vec<(Name, Submission)>,
    received: Vec<Received>,
    /// Where the sweep of sessions continues: a hint, not rolled back.
    swept_to: (String, String),
    /// The callback behind which the sweep of deliveries continues: a hint, not rolled back.
    swept_callback: CallbackId,
    /// What retention looks at next: a hint, not rolled back.
    retention: retention::RetentionPlace,
    /// Which callbacks have as much waiting as they may: a hint, not rolled back.
    backlogs: deliveries::CallbackBacklogs,
    /// Somebody's consent changed in this transaction. Not rolled back: to wait in vain does no harm.
    consent_changed: bool,
}

/// The writer's state at some moment, to roll it back.
#[derive(Clone)]
struct Mark {
    outboxes: Outboxes,
    submissions: usize,
    received: usize,
}

impl WriterState {
    fn mark(&self) -> Mark {
        Mark { outboxes: self.outboxes.clone(), submissions: self.submissions.len(), received: self.received.len() }
    }

    fn restore(&mut self, mark: Mark) {
        self.outboxes = mark.outboxes;
        self.submissions.truncate(mark.submissions);
        self.received.truncate(mark.received);
    }
}

/// Does a command without the writer, for tests that watch its statements.
#[cfg(test)]
pub(crate) fn write_alone<M: Write>(ask: M, conn: &mut Conn, now: Timestamp) -> Result<M::Answer, Failed> {
    use std::time::Duration;
    let (lease, give_up_after) = (Duration::from_secs(120), Duration::from_secs(24 * 3600));
    let rules = Rules {
        node: "local".to_owned(),
        lease,
        give_up_after,
        keep_unmatched_receipts: give_up_after,
        join_parts_within: lease,
        keep_audit: give_up_after,
        waiting_per_callback: 10,
        retention: crate::writer::config::RetentionRules {
            texts: Some(give_up_after),
            rows: Some(give_up_after),
            old_texts: crate::settings::OldTexts::Remove,
        },
        consent: vumi_kit::consent::ConsentRules::new(&vumi_kit::consent::ConsentSettings::default()),
    };
    let state = &mut WriterState::default();
    ask.write(&mut Tx { conn, now, wall: now, rules: &rules, state, stopped: HashMap::new(), nobody_is_out: None })
}
