//! The broker: connectors whose transport or campaign lives in another process, or in another program of the Vumi
//! family. docs/broker.md describes what stands on the broker.
//!
//! The router knows such a component by `endpoints`, like any other. EventKind the router hands over is published, and
//! taken when the broker has confirmed it. EventKind the other side publishes is consumed, and acknowledged when what it
//! caused is done.
//!
//! | module | what it does |
//! |---|---|
//! | `settings`, `topology`, `queues` | the `[amqp]` table; the connectors of a process; exchange and queues |
//! | `connection`, `connection_loop` | opens a connection; keeps it |
//! | `message_codec`, `publication`, `publisher` | the family's JSON; a message for the broker; publishing with confirms |
//! | `intake`, `delivery_handler`, `offer` | consumes; handles a delivery; offers it to the router |
//! | `in_flight`, `deliveries` | deliveries that are not acknowledged; acknowledging and returning them |
//! | `outbound_sms`, `asked_options`, `sms_follower`, `event_publisher` | accepts SMS of campaigns elsewhere, with what they ask for; follows them, publishes their events |
//! | `dead_letters` | the queue for what can't be used |
//!
//! A new kind of message between the two sides: its JSON in the kit, its queue in `queues`, its handler in
//! `delivery_handler`.

mod actor;
mod asked_options;
mod connection;
mod connection_loop;
mod context;
mod correlation;
mod counter;
pub mod dead_letters;
mod deliveries;
mod delivery_handler;
mod endpoints;
mod event_publisher;
mod event_queue;
mod explain;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod in_flight;
mod intake;
mod message_codec;
mod offer;
mod outbound_sms;
mod publication;
mod publisher;
mod queues;
mod received_sms;
mod recent;
mod settings;
mod shutdown;
mod sms_events;
mod sms_follower;
mod sms_tracker;
mod state;
#[cfg(test)]
mod tests;
mod topology;

pub use actor::{AmqpComponent, AmqpFrontEnd, start};
pub use connection::{CannotConnect, try_connect};
pub use context::{AmqpContext, SmsTransport};
pub use settings::{AmqpSettings, ConnectorSettings, ConnectorSide};
pub use topology::{AmqpTopology, PeerComponents};
