//! What the front-end gets at its start.

use std::collections::BTreeMap;

use vumi_kit::{clock::Clock, name::Name, router::RouterAddress, store::Store, transport_settings::TransportSettings};

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
    pub transports: BTreeMap<Name, TransportSettings>,
    /// The connectors of this process.
    pub topology: AmqpTopology,
}
