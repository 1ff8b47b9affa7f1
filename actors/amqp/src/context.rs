//! What the front-end gets at its start.

use vumi_kit::{clock::Clock, name::Name, router::RouterAddress, store::Store};

/// What the front-end gets at its start.
#[derive(Clone, Debug)]
pub struct AmqpContext {
    /// Where messages go.
    pub router: RouterAddress,
    /// Where everything is kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// All transports of the settings: SMS of a campaign's own accord go to one of these.
    pub transports: Vec<Name>,
}
