//! The objects on the broker: one exchange, three queues for each connector and one for its parked events, one queue for
//! dead letters.
//!
//! None has arguments: RabbitMQ refuses a peer that declares the same object without them (docs/broker.md).

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use vumi_kit::name::Name;

use super::settings::AmqpSettings;

/// The exchange of the Vumi family.
pub(super) const EXCHANGE: &str = "vumi";

/// What the messages of a queue are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    /// Messages from people.
    Inbound,
    /// Messages to people.
    Outbound,
    /// Acks, nacks and delivery reports of messages to people.
    Event,
    /// Events about messages that nobody who had them so far knows. They wait here for the process that does, so that they
    /// delay no others.
    ParkedEvent,
}

impl QueueKind {
    /// Deliveries of a queue that may be in work at once.
    pub(super) const fn prefetch(self, settings: &AmqpSettings) -> u16 {
        match self {
            Self::ParkedEvent => PARKED_PREFETCH,
            _ => settings.prefetch,
        }
    }
}

/// Parked events do nothing but wait.
const PARKED_PREFETCH: u16 = 2_000;

/// The names of a connector's queues; each is also the routing key that binds the queue to the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectorQueues {
    pub(super) inbound: String,
    pub(super) outbound: String,
    pub(super) event: String,
    /// Bound to no exchange: only those who consume events know it.
    pub(super) parked: String,
}

impl ConnectorQueues {
    pub(super) fn of(connector: &Name) -> Self {
        let queue = |kind: &str| format!("{connector}.{kind}");
        Self {
            inbound: queue("inbound"),
            outbound: queue("outbound"),
            event: queue("event"),
            parked: queue("event.parked"),
        }
    }

    pub(super) fn name(&self, kind: QueueKind) -> &str {
        match kind {
            QueueKind::Inbound => &self.inbound,
            QueueKind::Outbound => &self.outbound,
            QueueKind::Event => &self.event,
            QueueKind::ParkedEvent => &self.parked,
        }
    }

    /// The queue that the other side published into.
    pub(super) fn origin(&self, kind: QueueKind) -> &str {
        match kind {
            QueueKind::ParkedEvent => &self.event,
            _ => self.name(kind),
        }
    }
}

/// Declares the exchange and the queue for dead letters.
pub(super) async fn declare_own(channel: &Channel, dead_letters: &str) -> lapin::Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    declare_queue(channel, dead_letters).await
}

/// Declares and binds the queues of a connector, so that nothing is lost when the other side starts later.
pub(super) async fn declare_connector(channel: &Channel, queues: &ConnectorQueues) -> lapin::Result<()> {
    for queue in [&queues.inbound, &queues.outbound, &queues.event] {
        declare_queue(channel, queue).await?;
        let (name, key) = (queue.as_str().into(), queue.as_str().into());
        channel.queue_bind(name, EXCHANGE.into(), key, QueueBindOptions::default(), FieldTable::default()).await?;
    }
    Ok(())
}

/// Declares a queue that only this side of a connector knows.
pub(super) async fn declare_queue(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.map(drop)
}
