//! The broker: connectors whose transport or campaign lives in another process, or in another program of the
//! Vumi family.
//!
//! To the dispatcher such a connector is one more room: what it hands over is published, and is in good hands when
//! the broker has confirmed it; what the other side publishes is consumed, and acknowledged when what it caused is
//! done. `link` keeps the connection, `intake` consumes, `endpoints` are what the router sees, `in_flight` remembers what is
//! under way, `watch` follows the SMS of campaigns elsewhere, `wire` turns messages into the family's JSON and back, `dead` handles what could not be used.
//!
//! A new kind of message between the two sides: its JSON in the kit, its queue in `topology`, its handler in `intake`.

mod actor;
mod core;
pub mod dead;
mod endpoints;
mod event_publisher;
mod explain;
mod in_flight;
mod intake;
mod link;
mod outbound_sms;
mod settings;
#[cfg(test)]
mod tests;
mod topology;
mod watch;
mod wire;

pub use actor::{AmqpComponent, AmqpContext, AmqpFrontEnd, start};
pub use link::{CannotConnect, try_connect};
pub use settings::{AmqpSettings, ConnectorSettings, Peers, Side};
