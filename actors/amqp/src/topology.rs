//! The objects on the broker: one exchange, three queues for each connector, one for what is dead. None has
//! arguments: a peer that declares them plainly would be refused otherwise.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use vumi_kit::name::Name;

/// The exchange of the Vumi family.
pub(super) const EXCHANGE: &str = "vumi";

/// The queues of a connector: each bound to the exchange with its own name as routing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectorQueues {
    /// Messages from people.
    pub(super) inbound: String,
    /// Messages to people.
    pub(super) outbound: String,
    /// What became of those.
    pub(super) event: String,
}

impl ConnectorQueues {
    pub(super) fn of(connector: &Name) -> Self {
        let queue = |end: &str| format!("{connector}.{end}");
        Self { inbound: queue("inbound"), outbound: queue("outbound"), event: queue("event") }
    }
}

/// Declares the exchange, and the queue for what is dead.
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
