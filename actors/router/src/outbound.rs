//! Routes outwards: which transport sends an SMS that names none.
//!
//! [`OutboundRoute`] is a line of `[[outbound]]`; [`OutboundTable`] holds the lines, checked, and chooses: a pure function
//! of the SMS, of how the transports are and of chance. [`Recovery`](recovery::Recovery) says how much traffic a transport gets
//! while its provider fails and after it works again. [`OutboundRouter`] joins them with the transports' own word.

mod choice;
mod receipt_window;
mod recovery;
mod settings;
mod table;
mod watch;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use vumi_kit::{
    name::Name,
    outbound::{ChooseTransport, Routable, RouteChoice, RouteExplanation},
    rerouting::WayOut,
    transport_board::TransportBoard,
};

pub use choice::Standing;
pub use recovery::FailoverSettings;
pub use settings::{OutboundProblem, OutboundRoute, RouteTransport};
pub use table::{OutboundTable, TransportAbilities};
pub use watch::{TransportWatch, WatchedTransport};

use recovery::Recovery;

/// Chooses by the table and by how the transports are at this moment.
#[derive(Debug)]
pub struct OutboundRouter {
    table: OutboundTable,
    board: TransportBoard,
    recovery: Mutex<Recovery>,
}

impl OutboundRouter {
    /// Chooses by this table, for transports that tell this board how they are.
    #[must_use]
    pub fn new(table: OutboundTable, board: TransportBoard, settings: FailoverSettings) -> Self {
        for transport in table.transports() {
            board.of(transport).set_routed();
        }
        Self { table, board, recovery: Mutex::new(Recovery::new(settings)) }
    }

    /// The transports of routes that have failed for so long, each with why, and where what waits for it can go.
    fn stuck(&self, for_at_least: Duration, now: Instant) -> Vec<(Name, &'static str, Vec<WayOut>)> {
        let failing = |name: &&Name| {
            let condition = self.standing(name, now).condition;
            let recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
            recovery.has_failed_for(name, now).is_some_and(|time| time >= for_at_least).then_some(condition)
        };
        let failing = self.table.transports().filter_map(|name| Some((name, failing(&name)?)));
        let stuck = failing.map(|(name, condition)| {
            let ways = self.table.ways_out(name, |transport| self.standing(transport, now));
            (name.clone(), condition, ways)
        });
        stuck.filter(|(.., ways)| !ways.is_empty()).collect()
    }

    fn standing(&self, transport: &Name, now: Instant) -> Standing {
        let gauge = self.board.of(transport);
        let mut recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        recovery.standing(transport, gauge.sendability(), gauge.wants_probe(), now)
    }
}

impl ChooseTransport for OutboundRouter {
    fn choose(&self, sms: &Routable<'_>) -> Option<RouteChoice> {
        let now = Instant::now();
        let standing = |transport: &Name| self.standing(transport, now);
        let take_probe = |transport: &Name| self.board.of(transport).take_probe();
        self.table.choose(sms, standing, take_probe, rand::random::<f64>)
    }

    fn explain(&self, sms: &Routable<'_>) -> RouteExplanation {
        let now = Instant::now();
        self.table.explain(sms, |transport| self.standing(transport, now))
    }
}

#[cfg(test)]
mod tests;
