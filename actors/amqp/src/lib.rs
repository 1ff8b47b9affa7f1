//! The broker: connectors whose transport or campaign lives in another process, or in another program of the
//! Vumi family.
//!
//! For the router such a connector is one more component. What the router hands it is published, and counts as taken
//! when the broker has confirmed it. What the other side publishes is consumed, and acknowledged when what it caused is
//! done. Bottom up: `connector`, `topology`, `wire` (the family's JSON), `publication`, `in_flight` (deliveries whose
//! consequences are awaited), `sms_watch`; `core`, which the tasks share; the tasks `link` (keeps the connection),
//! `intake` (consumes), `event_publisher`, `watch` (follows the SMS of campaigns elsewhere); `endpoints`, which the
//! router calls; `actor`. `dead` lists and replays what could not be used.
//!
//! A new kind of message between the two sides: its JSON in the kit, its queue in `topology`, its handler in `intake`.

mod actor;
mod connection;
mod connector;
mod context;
mod core;
pub mod dead;
mod endpoints;
mod event_publisher;
mod explain;
mod in_flight;
mod intake;
mod link;
mod outbound_sms;
mod publication;
mod settings;
mod sms_watch;
#[cfg(test)]
mod tests;
mod topology;
mod watch;
mod wire;

pub use actor::{AmqpComponent, AmqpFrontEnd, start};
pub use connection::{CannotConnect, try_connect};
pub use context::AmqpContext;
pub use settings::{AmqpSettings, ConnectorSettings, Peers, Side};
