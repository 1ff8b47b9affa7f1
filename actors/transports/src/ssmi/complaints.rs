//! What goes wrong often: counted each time, logged now and then.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use vumi_kit::name::Name;

/// A kind of trouble is logged at most once in this time.
const PAUSE: Duration = Duration::from_secs(30);

/// Counts trouble by kind; the kinds are few, they stand in the code.
#[derive(Debug)]
pub(super) struct Complaints {
    transport: Name,
    kinds: HashMap<&'static str, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    logged: Option<Instant>,
}

impl Complaints {
    pub(super) fn new(transport: Name) -> Self {
        Self { transport, kinds: HashMap::new() }
    }

    /// Something went wrong again; `detail` shows no text and no number of a person.
    pub(super) fn add(&mut self, what: &'static str, detail: impl std::fmt::Display) {
        let kind = self.kinds.entry(what).or_default();
        kind.count += 1;
        if kind.logged.is_none_or(|logged| logged.elapsed() >= PAUSE) {
            kind.logged = Some(Instant::now());
            tracing::warn!(transport = %self.transport, count_since_start = kind.count, %detail, "{what}");
        }
    }

    /// The counts, for an operator; empty where nothing went wrong.
    pub(super) fn summary(&self) -> String {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(what, kind)| format!("{what}: {}", kind.count)).collect();
        kinds.sort_unstable();
        kinds.join("; ")
    }
}
