//! A message for the broker, published with a confirm.

use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions, types::ShortString};

use super::{explain::explain, topology::EXCHANGE};

/// Why a message is not known to be with the broker.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unpublished {
    /// There is no broker now: it was not sent.
    #[error("the broker is away: {0}")]
    Away(String),
    /// It was sent, and not confirmed in time: it may have arrived.
    #[error("the broker did not confirm it in time")]
    Unsure,
    /// The broker has no queue for it.
    #[error("the broker has no queue `{0}`")]
    Unroutable(String),
    /// The broker refused it.
    #[error("the broker refused it")]
    Refused,
}

/// A message for the broker.
pub(super) struct Publication {
    /// The family's exchange, or none for a queue by its name.
    pub(super) exchange: &'static str,
    pub(super) queue: String,
    pub(super) body: Vec<u8>,
    pub(super) properties: BasicProperties,
}

impl Publication {
    /// A message to a connector's queue.
    pub(super) fn json(queue: &str, id: &str, body: Vec<u8>) -> Self {
        let properties = BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(2);
        // An id of a peer's can be longer than a property may be; the body has it whole.
        let properties = match ShortString::try_new(id) {
            Ok(id) => properties.with_message_id(id),
            Err(_) => properties,
        };
        Self { exchange: EXCHANGE, queue: queue.to_owned(), body, properties }
    }
}

/// Why the broker has not confirmed a publication.
pub(super) enum PublishFailure {
    /// The broker said so.
    Of(Unpublished),
    /// The channel failed: it may have arrived. In words.
    Lost(String),
}

/// Publishes, and waits for the confirm.
pub(super) async fn publish_on(channel: &Channel, publication: Publication) -> Result<(), PublishFailure> {
    let Publication { exchange, queue, body, properties } = publication;
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let lost = |error: lapin::Error| PublishFailure::Lost(explain(&error));
    let confirm = channel.basic_publish(exchange.into(), queue.as_str().into(), mandatory, &body, properties).await;
    match confirm.map_err(lost)?.await.map_err(lost)? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(PublishFailure::Of(Unpublished::Unroutable(queue))),
        Confirmation::Nack(_) | Confirmation::NotRequested => Err(PublishFailure::Of(Unpublished::Refused)),
    }
}
