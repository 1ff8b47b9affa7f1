//! What the front-end gets at its start.

use vumi_kit::{clock::Clock, name::Name, router::RouterAddress, store::Store};

use super::topology::AmqpTopology;

/// What the front-end gets at its start, beside its settings.
#[derive(Clone, Debug)]
pub struct AmqpContext {
    /// Takes messages.
    pub router: RouterAddress,
    /// Holds the ledger and the accounts.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// All transports of the settings, here and elsewhere: a campaign elsewhere may send SMS by each of them.
    pub transports: Vec<Name>,
    /// The connectors of this process.
    pub topology: AmqpTopology,
}
