//! The objects on the broker: one exchange, three queues for each connector, one queue for dead letters.
//!
//! None has arguments: RabbitMQ refuses a peer that declares the same object without them (docs/broker.md).

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use vumi_kit::name::Name;

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
}

/// The names of a connector's queues; each is also the routing key that binds the queue to the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectorQueues {
    pub(super) inbound: String,
    pub(super) outbound: String,
    pub(super) event: String,
}

impl ConnectorQueues {
    pub(super) fn of(connector: &Name) -> Self {
        let queue = |kind: &str| format!("{connector}.{kind}");
        Self { inbound: queue("inbound"), outbound: queue("outbound"), event: queue("event") }
    }

    pub(super) fn name(&self, kind: QueueKind) -> &str {
        match kind {
            QueueKind::Inbound => &self.inbound,
            QueueKind::Outbound => &self.outbound,
            QueueKind::Event => &self.event,
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

async fn declare_queue(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.map(drop)
}
