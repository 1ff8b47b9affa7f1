//! Handles what the other side published: it is offered to the router or accepted by the ledger, and acknowledged
//! when what it caused is done.
//!
//! A message from a person is acknowledged when the broker has confirmed the campaign's answer. A message to a person
//! is acknowledged when its ack or nack is confirmed. So whatever kills this process, another one gets what was not
//! finished.

use std::rc::Rc;

use actix::{Message, Recipient};
use lapin::{Acker, message::Delivery};
use vumi_kit::{
    message::{Event, SessionEvent, TransportType, UserMessage},
    router::{Happened, Inbound, Outbound, Refused},
};

use super::{
    dead_letters::dead_letter,
    in_flight::{DeliveryArrival, DeliveryKey},
    message_codec::Undecodable,
    offer::{OfferOutcome, offer},
    outbound_sms::SmsNotAccepted,
    state::AmqpState,
    topology::{Connector, ConnectorRole},
};

/// A delivery that was read.
pub(super) struct IncomingDelivery {
    pub(super) connector: Rc<Connector>,
    pub(super) queue: String,
    /// The connection that it came on.
    pub(super) generation: u64,
    pub(super) delivery: Delivery,
    pub(super) body: Result<DeliveryBody, Undecodable>,
}

/// What a delivery says, by the kind of its queue.
pub(super) enum DeliveryBody {
    Inbound(Box<UserMessage>),
    Outbound(Box<UserMessage>),
    Event(Box<Event>),
}

/// Handles a delivery. It may be in flight still when this returns.
pub(super) async fn handle(state: &Rc<AmqpState>, incoming: IncomingDelivery) {
    let IncomingDelivery { connector, queue, generation, delivery, body } = incoming;
    if generation != state.publisher.generation() {
        // Its connection is gone: the broker delivers it again on the present one.
        return;
    }
    let Delivery { data, acker, .. } = delivery;
    if state.shutdown.is_begun() {
        return state.deliveries.return_later(acker);
    }
    let handler = DeliveryHandler { state, connector, queue, data };
    match body {
        Err(undecodable) => handler.bury(acker, &undecodable.to_string(), None).await,
        Ok(DeliveryBody::Inbound(message)) => handler.inbound(*message, acker).await,
        Ok(DeliveryBody::Outbound(message)) => handler.outbound(*message, acker).await,
        Ok(DeliveryBody::Event(event)) => handler.event(*event, acker).await,
    }
}

/// Handles one delivery.
struct DeliveryHandler<'a> {
    state: &'a Rc<AmqpState>,
    connector: Rc<Connector>,
    queue: String,
    /// The body as it came.
    data: Vec<u8>,
}

impl DeliveryHandler<'_> {
    /// A message from a person.
    async fn inbound(&self, message: UserMessage, acker: Acker) {
        let for_peers = self.connector.role == ConnectorRole::OwnCampaign;
        let transports = if for_peers { &self.state.transports } else { &self.connector.transports };
        if !transports.contains(&message.transport_name) {
            let reason = format!(
                "an answer would not find its way: transport `{}` is not among the `transports` of this connector",
                message.transport_name
            );
            return self.bury(acker, &reason, None).await;
        }
        if for_peers && message.transport_type == TransportType::Sms {
            return self.sms_from_peer(message, acker).await;
        }
        let Some(key) = self.hold(&message.message_id, acker).await else { return };
        self.state.correlation.record_arrival(&message.message_id, &self.connector);
        let hung_up = message.session_event == Some(SessionEvent::Close);
        match self.offer(&self.state.router.inbound, || Inbound(message.clone())).await {
            // The person is gone: no answer follows.
            OfferOutcome::Taken if hung_up => self.state.deliveries.settle(&key).await,
            OfferOutcome::Taken => {}
            OfferOutcome::Refused(reason) => self.bury_held(&key, &reason, None).await,
            OfferOutcome::Later => self.state.deliveries.give_back(&key),
        }
    }

    /// An SMS from a person. The shared ledger has it and hands it over until it is answered: the broker need not keep
    /// it once the campaign has it.
    async fn sms_from_peer(&self, message: UserMessage, acker: Acker) {
        match self.offer(&self.state.router.inbound, || Inbound(message.clone())).await {
            OfferOutcome::Taken => self.state.deliveries.acknowledge(acker).await,
            OfferOutcome::Refused(reason) => self.bury(acker, &reason, None).await,
            OfferOutcome::Later => self.state.deliveries.return_later(acker),
        }
    }

    /// A message to a person.
    async fn outbound(&self, message: UserMessage, acker: Acker) {
        let Some(key) = self.hold(&message.message_id, acker).await else { return };
        if self.connector.role == ConnectorRole::OwnTransport {
            // Its event goes to its campaign's connector, and settles this connector's delivery.
            self.state.correlation.record_arrival(&message.message_id, &self.connector);
        }
        let is_sms = message.transport_type == TransportType::Sms;
        let for_another_ledger =
            self.state.correlation.answers_another_ledger(&message.transport_name, message.in_reply_to.as_deref());
        if is_sms && !for_another_ledger {
            return self.accept_sms(&message, &key).await;
        }
        match self.offer(&self.state.router.outbound, || Outbound(message.clone())).await {
            // It is published for the other ledger, which sends no event that the router could hand on.
            OfferOutcome::Taken if is_sms => self.state.queue_ack(&self.connector, &message, key),
            OfferOutcome::Taken => {}
            OfferOutcome::Refused(reason) => self.bury_held(&key, &reason, Some(&message)).await,
            OfferOutcome::Later => self.state.deliveries.give_back(&key),
        }
    }

    /// An SMS to a person that the ledger sends.
    async fn accept_sms(&self, message: &UserMessage, key: &DeliveryKey) {
        match self.state.outbound_sms.accept(&self.connector, message).await {
            Ok(Some(sms)) => self.state.sms_follower.follow(&self.connector, &message.message_id, &sms).await,
            Ok(None) => self.state.queue_ack(&self.connector, message, key.clone()),
            Err(SmsNotAccepted::Never(reason)) => self.bury_held(key, &reason, Some(message)).await,
            Err(SmsNotAccepted::Later(why)) => {
                tracing::warn!(queue = self.queue, message = message.message_id, %why, "an SMS is not accepted yet");
                self.state.deliveries.give_back(key);
            }
        }
    }

    /// An event about a message that this process published.
    async fn event(&self, event: Event, acker: Acker) {
        let Some(key) = self.hold(&event.event_id, acker).await else { return };
        match self.state.correlation.service_of(&event.user_message_id) {
            Some(service) => self.tell_router(service, event).await,
            None => tracing::debug!(
                queue = self.queue,
                message = event.user_message_id,
                "an event about a message that this process did not publish, or published long ago"
            ),
        }
        self.state.deliveries.settle(&key).await;
    }

    async fn tell_router(&self, service: String, event: Event) {
        // Waits while the mailbox is full. If the router is gone, the process ends.
        let _the_process_ends = self.state.router.happened.send(Happened { service, event }).await;
    }

    async fn offer<M>(&self, to: &Recipient<M>, message: impl FnMut() -> M) -> OfferOutcome
    where
        M: Message<Result = Result<(), Refused>> + Send + 'static,
    {
        offer(to, message, self.state.settings.offer_for, &self.state.shutdown).await
    }

    /// Holds a delivery; `None` where there is nothing to do for it.
    async fn hold(&self, id: &str, acker: Acker) -> Option<DeliveryKey> {
        let key = DeliveryKey { connector: self.connector.number, message_id: id.to_owned() };
        match self.state.deliveries.arrive(&key, acker) {
            DeliveryArrival::New => Some(key),
            DeliveryArrival::InFlight => None,
            DeliveryArrival::Settled(acker) => {
                tracing::debug!(queue = self.queue, message = id, "delivered again: it was settled before");
                self.state.deliveries.acknowledge(acker).await;
                None
            }
        }
    }

    /// A held delivery fails for good.
    async fn bury_held(&self, key: &DeliveryKey, reason: &str, nack: Option<&UserMessage>) {
        if let Some(acker) = self.state.deliveries.take(key) {
            self.bury(acker, reason, nack).await;
        }
    }

    /// Makes a delivery a dead letter, and sends a nack for `nack`. The delivery is acknowledged when the broker has
    /// the dead letter.
    async fn bury(&self, acker: Acker, reason: &str, nack: Option<&UserMessage>) {
        let state = self.state;
        let letter =
            dead_letter(&state.settings.dead_letters, &self.queue, reason, state.clock.now(), self.data.clone());
        if let Err(error) = state.publisher.publish(letter).await {
            tracing::warn!(queue = self.queue, %error, "a dead letter can't be published now: it is delivered again");
            return state.deliveries.return_later(acker);
        }
        state.dead_letters.increment();
        // The reason can quote the message: it stands in the letter's header, not in the log.
        tracing::warn!(queue = self.queue, "a delivery can't be used: it is a dead letter, see `vumi dead list`");
        if let Some(message) = nack {
            self.nack(message, reason).await;
        }
        state.deliveries.acknowledge(acker).await;
    }

    async fn nack(&self, message: &UserMessage, reason: &str) {
        let event = Event::nack(message, reason, self.state.clock.now());
        if self.connector.role == ConnectorRole::OwnTransport {
            self.tell_router(message.from_addr.clone(), event).await;
        } else {
            self.state.queue_event(&self.connector, event, None);
        }
    }
}
