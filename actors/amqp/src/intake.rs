//! Consumes the queues: reads each delivery, and handles those of one person in their order.

use std::{cell::RefCell, rc::Rc};

use futures_util::StreamExt;
use lapin::{Channel, Consumer, message::Delivery};
use vumi_kit::keyed_queue::{Arrival, KeyedQueue};

use super::{
    counter::Counter,
    delivery_handler::{DeliveryBody, IncomingDelivery, handle},
    explain::explain,
    message_codec::{read_event, read_message},
    queues::QueueKind,
    state::AmqpState,
    topology::Connector,
};

/// A queue that is consumed.
pub(super) struct ConsumedQueue {
    pub(super) connector: Rc<Connector>,
    pub(super) kind: QueueKind,
    pub(super) channel: Channel,
    pub(super) consumer: Consumer,
}

/// Consumes a queue until that is not possible any more, and answers why.
pub(super) async fn consume(state: Rc<AmqpState>, queue: ConsumedQueue) -> String {
    let ConsumedQueue { connector, kind, channel: _held, mut consumer } = queue;
    let generation = state.publisher.generation();
    let deliveries = OrderedDeliveries::new(state.clone(), kind);
    while let Some(delivery) = consumer.next().await {
        match delivery {
            Ok(delivery) if state.shutdown.is_begun() => state.deliveries.return_later(delivery.acker),
            Ok(delivery) => deliveries.take(read(connector.clone(), kind, generation, delivery)),
            Err(error) => return explain(&error),
        }
    }
    format!("the broker ended the consumer of `{}`: was the queue deleted?", connector.queues.name(kind))
}

/// The deliveries of a queue: those with one key in their order, those with different keys at the same time.
struct OrderedDeliveries {
    state: Rc<AmqpState>,
    queue: RefCell<KeyedQueue<String, IncomingDelivery>>,
    /// Deliveries that are offered again.
    waiting: Rc<Counter>,
}

impl OrderedDeliveries {
    fn new(state: Rc<AmqpState>, kind: QueueKind) -> Rc<Self> {
        // The broker sends no more before something is acknowledged.
        let capacity = usize::from(kind.prefetch(&state.settings));
        let queue = RefCell::new(KeyedQueue::new(capacity, capacity));
        Rc::new(Self { state, queue, waiting: Rc::default() })
    }

    fn take(self: &Rc<Self>, incoming: IncomingDelivery) {
        let key = order_key(&incoming).to_owned();
        match self.queue.borrow_mut().arrive(key.clone(), incoming) {
            Arrival::Begin(first) => {
                self.state.unhandled.increment();
                actix_rt::spawn(self.clone().handle_in_order(key, first));
            }
            Arrival::Waits => self.state.unhandled.increment(),
            // More than the broker was asked for.
            Arrival::Full(incoming) => self.state.deliveries.return_later(incoming.delivery.acker),
        }
    }

    async fn handle_in_order(self: Rc<Self>, key: String, first: IncomingDelivery) {
        let mut next = Some(first);
        while let Some(incoming) = next {
            handle(&self.state, incoming, &self.waiting).await;
            next = self.queue.borrow_mut().next(&key);
            self.state.unhandled.decrement();
            self.state.shutdown.progressed();
        }
    }
}

fn read(connector: Rc<Connector>, kind: QueueKind, generation: u64, delivery: Delivery) -> IncomingDelivery {
    let body = match kind {
        QueueKind::Event | QueueKind::ParkedEvent => {
            read_event(&delivery.data, connector.sole_transport()).map(|event| DeliveryBody::Event(Box::new(event)))
        }
        QueueKind::Inbound => read_message(&delivery.data).map(|message| DeliveryBody::Inbound(Box::new(message))),
        QueueKind::Outbound => read_message(&delivery.data).map(|message| DeliveryBody::Outbound(Box::new(message))),
    };
    IncomingDelivery { queue: connector.queues.origin(kind).to_owned(), connector, kind, generation, delivery, body }
}

/// Deliveries with the same key are handled in their order.
fn order_key(incoming: &IncomingDelivery) -> &str {
    match &incoming.body {
        Ok(DeliveryBody::Inbound(message)) => &message.from_addr,
        Ok(DeliveryBody::Outbound(message)) => &message.to_addr,
        Ok(DeliveryBody::Event(event)) => &event.user_message_id,
        Err(_) => "",
    }
}
