//! Handles what the other side published: it is offered to the router or accepted by the ledger, and acknowledged
//! when what it caused is done.
//!
//! A message from a person is acknowledged when the broker has confirmed the campaign's answer. A message to a person
//! is acknowledged when its ack or nack is confirmed. So whatever kills this process, another one gets what was not
//! finished.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    time::Duration,
};

use actix::Message;
use lapin::{Acker, message::Delivery};
use serde_json::{Map, Value};
use vumi_kit::{
    backoff::Backoff,
    ids,
    message::{Event, EventKind, SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Happened, Inbound, Outbound, Refused, RouterPort},
};

use super::{
    asked_options::asked_of,
    counter::Counter,
    dead_letters::dead_letter,
    endpoints::SENT_BY,
    in_flight::{Arriving, DeliveryArrival, DeliveryKey, Fingerprint},
    message_codec::{Undecodable, read_unreadable},
    offer::{OfferOutcome, OfferRules, offer},
    outbound_sms::{EMPTY, KEY_REUSED, SmsNotAccepted, text_of},
    publication::{Publication, json_properties},
    queues::QueueKind,
    state::AmqpState,
    topology::{Connector, ConnectorRole},
};

/// How often a parked event about a message that is unknown here goes back to the broker: another process on the same
/// connector may have published that message. The broker may hand it to the same process again, so that few are too few.
const UNKNOWN_EVENT_RETURNS: u32 = 12;

/// Then it is a dead letter.
const UNKNOWN_EVENT: &str = "no running process published the message that this event is about, or long ago";

/// The pauses before that. By chance, so that two processes do not return events in step and get their own ones back.
const RETURN_EVENT: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

/// The longest reason in bytes: a header of a dead letter has to fit into a frame.
const LONGEST_REASON: usize = 1_000;

/// A delivery that was read.
pub(super) struct IncomingDelivery {
    pub(super) connector: Rc<Connector>,
    pub(super) queue: String,
    pub(super) kind: QueueKind,
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

/// Handles a delivery. It may be in flight still when this returns. `waiting` counts those of the same queue that are
/// offered again.
pub(super) async fn handle(state: &Rc<AmqpState>, incoming: IncomingDelivery, waiting: &Rc<Counter>) {
    let IncomingDelivery { connector, queue, kind, generation, delivery, body } = incoming;
    if generation != state.publisher.generation() {
        // Its connection is gone: the broker delivers it again on the present one.
        return;
    }
    let Delivery { data, acker, .. } = delivery;
    if state.shutdown.is_begun() {
        return state.deliveries.return_later(acker);
    }
    let handler = DeliveryHandler { state, connector, queue, generation, data, waiting };
    match body {
        Err(undecodable) => handler.undecodable(kind, acker, &undecodable).await,
        Ok(DeliveryBody::Inbound(message)) => handler.inbound(*message, acker).await,
        Ok(DeliveryBody::Outbound(message)) => handler.outbound(*message, acker).await,
        Ok(DeliveryBody::Event(event)) => handler.event(kind, *event, acker).await,
    }
}

/// Handles one delivery.
struct DeliveryHandler<'a> {
    state: &'a Rc<AmqpState>,
    connector: Rc<Connector>,
    queue: String,
    generation: u64,
    /// The body as it came.
    data: Vec<u8>,
    waiting: &'a Rc<Counter>,
}

/// What a nack says of the message that is refused.
struct RefusedMessage {
    message_id: String,
    transport: Name,
    /// The service that sent it, where it is known.
    from: Option<String>,
    sent_by: Option<Name>,
}

impl From<&UserMessage> for RefusedMessage {
    fn from(message: &UserMessage) -> Self {
        Self {
            message_id: message.message_id.clone(),
            transport: message.transport_name.clone(),
            from: Some(message.from_addr.clone()),
            sent_by: message.sent_by.clone(),
        }
    }
}

impl DeliveryHandler<'_> {
    /// A body that is no message. What was to be sent to a person gets a nack where its id can be read.
    async fn undecodable(&self, kind: QueueKind, acker: Acker, why: &Undecodable) {
        let unread = if kind == QueueKind::Outbound { read_unreadable(&self.data) } else { None };
        let refused = unread.map(|unread| RefusedMessage {
            message_id: unread.message_id,
            transport: unread.transport.unwrap_or_else(|| self.connector.sole_transport().clone()),
            from: unread.from,
            sent_by: None,
        });
        self.bury(vec![acker], &why.to_string(), refused).await;
    }

    /// A message from a person.
    async fn inbound(&self, message: UserMessage, acker: Acker) {
        let for_peers = self.connector.role == ConnectorRole::OwnCampaign;
        let transports = if for_peers { &self.state.transports } else { &self.connector.transports };
        if !transports.contains(&message.transport_name) {
            let reason = format!(
                "an answer would not find its way: transport `{}` is not among the `transports` of this connector",
                message.transport_name
            );
            return self.bury(vec![acker], &reason, None).await;
        }
        if for_peers && message.transport_type == TransportType::Sms {
            return self.sms_from_peer(message, acker).await;
        }
        let Some(key) = self.hold_message(&message, acker, None).await else { return };
        self.state.correlation.record_arrival(&message.message_id, &self.connector);
        let hung_up = message.session_event == Some(SessionEvent::Close);
        match self.offer(&self.state.router.inbound, || Inbound(message.clone())).await {
            // The person is gone: no answer follows.
            OfferOutcome::Taken if hung_up => self.state.deliveries.settle(&key).await,
            OfferOutcome::Taken => {}
            OfferOutcome::Refused(reason) => self.bury_held(&key, &reason, None).await,
            OfferOutcome::Later(why) => self.give_back(&key, &why, None).await,
        }
    }

    /// An SMS from a person. The shared ledger has it and hands it over until it is answered: the broker need not keep
    /// it once the campaign has it.
    async fn sms_from_peer(&self, message: UserMessage, acker: Acker) {
        match self.offer(&self.state.router.inbound, || Inbound(message.clone())).await {
            OfferOutcome::Taken => self.state.deliveries.acknowledge(acker).await,
            OfferOutcome::Refused(reason) => self.bury(vec![acker], &reason, None).await,
            OfferOutcome::Later(_) if self.is_returned_too_often(&self.key(&message.message_id)) => {
                self.state.deliveries.acknowledge(acker).await;
            }
            OfferOutcome::Later(_) => self.state.deliveries.return_later(acker),
        }
    }

    /// A message to a person.
    async fn outbound(&self, mut message: UserMessage, acker: Acker) {
        self.complete(&mut message);
        let Some(key) = self.hold_message(&message, acker, Some((&message).into())).await else { return };
        if self.connector.role == ConnectorRole::OwnTransport {
            // Its event goes to its campaign's connector, and settles this connector's delivery.
            self.state.correlation.record_arrival(&message.message_id, &self.connector);
        }
        let (is_sms, way) = (message.transport_type == TransportType::Sms, self.state.correlation.way_of(&message));
        if is_sms && way != Some(ConnectorRole::FamilyTransport) {
            return self.accept_sms(&message, &key).await;
        }
        if is_sms && text_of(&message).is_none() {
            return self.bury_held(&key, EMPTY, Some(&message)).await;
        }
        match self.offer(&self.state.router.outbound, || Outbound(message.clone())).await {
            // The peer that has it tells the campaign itself.
            OfferOutcome::Taken if way == Some(ConnectorRole::PeerTransport) => {
                self.state.deliveries.settle(&key).await;
            }
            OfferOutcome::Taken => {}
            OfferOutcome::Refused(reason) => self.bury_held(&key, &reason, Some(&message)).await,
            OfferOutcome::Later(why) => self.give_back(&key, &why, Some(&message)).await,
        }
    }

    /// Adds what the other side does not say: who is told what becomes of the message, and the transport where it names
    /// the connector instead.
    fn complete(&self, message: &mut UserMessage) {
        let from_peer = message.other.remove(SENT_BY);
        message.sent_by = match self.connector.role {
            ConnectorRole::FamilyCampaign => Some(self.connector.name.clone()),
            ConnectorRole::OwnTransport => {
                from_peer.as_ref().and_then(Value::as_str).and_then(|name| Name::parse(name).ok())
            }
            _ => None,
        };
        let transports = &self.state.transports;
        if !self.connector.is_called(&message.transport_name) || transports.contains(&message.transport_name) {
            return;
        }
        let answered = message.in_reply_to.as_deref().and_then(|id| self.state.correlation.brought_by(id));
        let only = || if let [only] = transports.as_slice() { Some(only.clone()) } else { None };
        if let Some(transport) = answered.or_else(|| self.connector.transport.clone()).or_else(only) {
            message.transport_name = transport;
        }
    }

    /// An SMS to a person that the ledger sends.
    async fn accept_sms(&self, message: &UserMessage, key: &DeliveryKey) {
        match self.state.outbound_sms.accept(&self.connector, message).await {
            Ok(sms) => self.state.sms_follower.follow(&self.connector, &message.message_id, &sms).await,
            Err(SmsNotAccepted::Never(reason)) => self.bury_held(key, &reason, Some(message)).await,
            Err(SmsNotAccepted::Later(why)) => {
                vumi_kit::warn_limited!(&self.queue, queue = self.queue, message = message.message_id, %why, "an SMS is not accepted yet");
                self.state.deliveries.give_back(key);
            }
        }
    }

    /// An event about a message that this process or another one on the same connector published.
    async fn event(&self, kind: QueueKind, mut event: Event, acker: Acker) {
        let Some(key) = self.hold(&event.event_id, 0, acker, None).await else { return };
        if let Some(published) = self.state.correlation.published(&event.user_message_id) {
            event.sent_by = published.sent_by;
            self.tell_router(published.service, event).await;
            return self.state.deliveries.settle(&key).await;
        }
        if kind == QueueKind::Event {
            return self.park(&key).await;
        }
        let returns = self.state.deliveries.count_return(&key);
        if returns <= UNKNOWN_EVENT_RETURNS {
            return self.state.deliveries.give_back_after(&key, RETURN_EVENT.wait(returns));
        }
        self.state.deliveries.forget_returns(&key);
        self.bury_held(&key, UNKNOWN_EVENT, None).await;
    }

    /// Puts an event that is unknown here where it waits for others, so that it holds no place of those that follow.
    async fn park(&self, key: &DeliveryKey) {
        let ackers = self.state.deliveries.take(key);
        let queue = self.connector.queues.parked.clone();
        let parked = Publication {
            exchange: "",
            queue,
            body: self.data.clone(),
            properties: json_properties(),
            may_be_gone: false,
        };
        match self.state.publisher.publish(parked).await {
            Ok(()) => self.state.deliveries.acknowledge_all(ackers).await,
            Err(error) => {
                tracing::debug!(queue = self.queue, %error, "an event can't be parked now: it is delivered again");
                ackers.into_iter().for_each(|acker| self.state.deliveries.return_later(acker));
            }
        }
    }

    async fn tell_router(&self, service: String, event: Event) {
        // Waits while the mailbox is full. If the router is gone, the process ends.
        let _the_process_ends = self.state.router.happened.send(Happened { service, event }).await;
    }

    async fn offer<M>(&self, to: &RouterPort<M>, message: impl FnMut() -> M) -> OfferOutcome
    where
        M: Message<Result = Result<(), Refused>> + Send + 'static,
    {
        let rules = OfferRules {
            offer_for: self.state.settings.offer_for,
            transports: &self.state.transports,
            waiting: self.waiting,
            most_waiting: u64::from(self.state.settings.prefetch / 2),
            shutdown: &self.state.shutdown,
        };
        offer(to, message, rules).await
    }

    fn key(&self, id: &str) -> DeliveryKey {
        DeliveryKey { connector: self.connector.number, message_id: id.to_owned() }
    }

    /// Holds the delivery of a message; `None` where there is nothing to do for it.
    async fn hold_message(
        &self,
        message: &UserMessage,
        acker: Acker,
        nack: Option<RefusedMessage>,
    ) -> Option<DeliveryKey> {
        self.hold(&message.message_id, fingerprint(message), acker, nack).await
    }

    /// Holds a delivery; `None` where there is nothing to do for it. One that is another than the earlier one of its id
    /// is a dead letter.
    async fn hold(
        &self,
        id: &str,
        fingerprint: Fingerprint,
        acker: Acker,
        nack: Option<RefusedMessage>,
    ) -> Option<DeliveryKey> {
        let key = self.key(id);
        let arriving = Arriving { acker, generation: self.generation, fingerprint };
        match self.state.deliveries.arrive(&key, arriving) {
            DeliveryArrival::New => Some(key),
            DeliveryArrival::InFlight => None,
            DeliveryArrival::Settled(acker) => {
                tracing::debug!(queue = self.queue, message = id, "delivered again: it was settled before");
                self.state.deliveries.acknowledge(acker).await;
                None
            }
            DeliveryArrival::IdReused(acker) => {
                self.bury(vec![acker], KEY_REUSED, nack).await;
                None
            }
        }
    }

    /// The broker has a held delivery back; one that went back too often is a dead letter.
    async fn give_back(&self, key: &DeliveryKey, why: &str, nack: Option<&UserMessage>) {
        if !self.state.shutdown.is_begun() && self.is_returned_too_often(key) {
            let reason = format!("it was given back {} times: {why}", self.state.settings.max_returns);
            return self.bury_held(key, &reason, nack).await;
        }
        self.state.deliveries.give_back(key);
    }

    fn is_returned_too_often(&self, key: &DeliveryKey) -> bool {
        self.state.deliveries.count_return(key) > self.state.settings.max_returns
    }

    /// A held delivery fails for good.
    async fn bury_held(&self, key: &DeliveryKey, reason: &str, nack: Option<&UserMessage>) {
        let ackers = self.state.deliveries.take(key);
        if !ackers.is_empty() {
            self.bury(ackers, reason, nack.map(Into::into)).await;
        }
    }

    /// Makes a delivery a dead letter, and sends a nack for `nack`. The delivery is acknowledged when the broker has
    /// both.
    async fn bury(&self, ackers: Vec<Acker>, reason: &str, nack: Option<RefusedMessage>) {
        let state = self.state;
        let reason = shortened(reason);
        let letter =
            dead_letter(&state.settings.dead_letters, &self.queue, reason, state.clock.now(), self.data.clone());
        if let Err(error) = state.publisher.publish(letter).await {
            vumi_kit::warn_limited!(&self.queue, queue = self.queue, %error, "a dead letter can't be published now: it is delivered again");
            return ackers.into_iter().for_each(|acker| state.deliveries.return_later(acker));
        }
        state.dead_letters.increment();
        // The reason can quote the message: it stands in the letter's header, not in the log.
        vumi_kit::warn_limited!(
            &self.queue,
            queue = self.queue,
            "a delivery can't be used: it is a dead letter, see `vumi dead list`"
        );
        match nack {
            Some(message) => self.nack(message, reason, ackers).await,
            None => state.deliveries.acknowledge_all(ackers).await,
        }
    }

    async fn nack(&self, message: RefusedMessage, reason: &str, ackers: Vec<Acker>) {
        let RefusedMessage { message_id, transport, from, sent_by } = message;
        let event = Event {
            event_id: ids::message_id(),
            timestamp: self.state.clock.now(),
            user_message_id: message_id,
            transport_name: transport,
            what: EventKind::Nack { reason: reason.to_owned() },
            transport_metadata: Map::new(),
            helper_metadata: Map::new(),
            routing_metadata: Map::new(),
            sent_by,
            other: Map::new(),
        };
        if self.connector.role == ConnectorRole::OwnTransport {
            self.tell_router(from.unwrap_or_default(), event).await;
            self.state.deliveries.acknowledge_all(ackers).await;
        } else {
            self.state.queue_nack(&self.connector, event, ackers).await;
        }
    }
}

/// Without the transport: the name of the connector can stand for another one when the message comes again.
fn fingerprint(message: &UserMessage) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    let UserMessage { to_addr, from_addr, content, in_reply_to, session_event, .. } = message;
    (to_addr, from_addr, content, in_reply_to).hash(&mut hasher);
    session_event.as_ref().map(std::mem::discriminant).hash(&mut hasher);
    if let Some(asked) = asked_of(message) {
        asked.to_string().hash(&mut hasher);
    }
    hasher.finish()
}

fn shortened(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(LONGEST_REASON)).unwrap_or(reason)
}
