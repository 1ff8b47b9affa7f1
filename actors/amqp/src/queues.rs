//! The objects on the broker: one exchange, three queues for each connector and one for its parked events, one queue for
//! dead letters.
//!
//! None has arguments: RabbitMQ refuses a peer that declares the same object without them (docs/broker.md).

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
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

/// How long a queue for replies outlives its last use, in milliseconds.
const REPLIES_UNUSED_MS: i32 = 60_000;

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
    /// `outbound` is this process's own: it has replies to the calls that this process has, and ends with its connection.
    pub(super) is_for_replies: bool,
}

impl ConnectorQueues {
    pub(super) fn of(connector: &Name) -> Self {
        let queue = |kind: &str| format!("{connector}.{kind}");
        Self {
            inbound: queue("inbound"),
            outbound: queue("outbound"),
            event: queue("event"),
            parked: queue("event.parked"),
            is_for_replies: false,
        }
    }

    /// The same, with a queue for replies of a process's own.
    pub(super) fn with_replies_to(self, node: &str) -> Self {
        Self { outbound: format!("{}.{node}", self.outbound), is_for_replies: true, ..self }
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
        if queues.is_for_replies && *queue == queues.outbound {
            declare_replies(channel, queue).await?;
        } else {
            declare_queue(channel, queue).await?;
        }
        let (name, key) = (queue.as_str().into(), queue.as_str().into());
        channel.queue_bind(name, EXCHANGE.into(), key, QueueBindOptions::default(), FieldTable::default()).await?;
    }
    Ok(())
}

/// Declares a queue for replies to calls. Nobody else declares it, so it may have arguments: it ends with the process that
/// consumes it, or unused for a minute, and no policy makes it of a type that outlives its consumers.
async fn declare_replies(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments.insert("x-expires".into(), AMQPValue::LongInt(REPLIES_UNUSED_MS));
    channel.queue_declare(queue.into(), options, arguments).await.map(drop)
}

/// Declares a queue that only this side of a connector knows.
pub(super) async fn declare_queue(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.map(drop)
}
