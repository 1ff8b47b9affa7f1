//! Who gets a message: routes messages between transports and campaigns.
//!
//! It holds the routing table (address to campaign) and the components' endpoints, and does no I/O. It waits for nobody: SMS
//! for a transport whose mailbox is full stay in the ledger; a message for a busy campaign is refused with a reason, which the
//! transport tells the person. Only received SMS are queued here, to be offered in order.
//!
//! `outbound` chooses the transport of an SMS whose client names none.
//!
//! A new kind of address belongs in `table.rs`; a new message between components in the kit and `actor.rs`.

mod actor;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod outbound;
mod passage;
mod received_queues;
mod settings;
mod table;
mod unowned;

pub use actor::Router;
pub use outbound::{
    FailoverSettings, OutboundProblem, OutboundRoute, OutboundRouter, OutboundTable, RouteTransport, Standing,
    TransportAbilities, TransportWatch, WatchedTransport,
};
pub use settings::RouterSettings;
pub use table::{Route, RouteProblem, RoutingTable};
