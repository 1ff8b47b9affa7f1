//! Faults that may come often: counted each time, logged at most twice a minute.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use vumi_kit::name::Name;

/// The shortest time between two log lines of one kind.
const PAUSE: Duration = Duration::from_secs(30);

/// Counts faults by kind. The kinds are constants of the code, so their number is bounded.
#[derive(Debug)]
pub(crate) struct FaultLog {
    transport: Name,
    kinds: HashMap<&'static str, FaultCount>,
}

#[derive(Debug, Default)]
struct FaultCount {
    count: u64,
    logged: Option<Instant>,
}

impl FaultLog {
    pub(crate) fn new(transport: Name) -> Self {
        Self { transport, kinds: HashMap::new() }
    }

    /// Counts a fault. `detail` goes to the log: no text and no number of a person.
    pub(crate) fn record(&mut self, what: &'static str, detail: impl std::fmt::Display) {
        let kind = self.kinds.entry(what).or_default();
        kind.count += 1;
        if kind.logged.is_none_or(|logged| logged.elapsed() >= PAUSE) {
            kind.logged = Some(Instant::now());
            tracing::warn!(transport = %self.transport, count_since_start = kind.count, %detail, "{what}");
        }
    }

    /// The counts, for an operator; empty where there was no fault.
    pub(crate) fn summary(&self) -> String {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(what, kind)| format!("{what}: {}", kind.count)).collect();
        kinds.sort_unstable();
        kinds.join("; ")
    }
}
