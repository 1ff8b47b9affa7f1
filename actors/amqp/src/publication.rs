//! A message on its way to the broker.

use lapin::{BasicProperties, types::ShortString};

use super::queues::EXCHANGE;

/// Persistent messages survive a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// A message for the broker.
pub(super) struct Publication {
    /// The family's exchange, or the empty name to reach a queue directly.
    pub(super) exchange: &'static str,
    pub(super) queue: String,
    pub(super) body: Vec<u8>,
    pub(super) properties: BasicProperties,
    /// The queue is that of a process which may have ended: that it is gone says nothing of the connection.
    pub(super) may_be_gone: bool,
}

impl Publication {
    /// A message to a connector's queue.
    pub(super) fn json(queue: &str, id: &str, body: Vec<u8>) -> Self {
        // A property holds 255 bytes at the most: a longer id stands in the body alone.
        let properties = match ShortString::try_new(id) {
            Ok(id) => json_properties().with_message_id(id),
            Err(_) => json_properties(),
        };
        Self { exchange: EXCHANGE, queue: queue.to_owned(), body, properties, may_be_gone: false }
    }
}

/// The properties of every message in the family's format.
pub(super) fn json_properties() -> BasicProperties {
    BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(PERSISTENT)
}
