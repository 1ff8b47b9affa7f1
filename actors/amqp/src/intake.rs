//! What the other side says: read from a queue, offered to the router, and acknowledged when what it caused is done.
//!
//! A message from a person is acknowledged when the broker has confirmed the campaign's answer; a message to a person
//! when the transport has told what became of it, and that is confirmed; an SMS when the ledger has it. So whatever
//! kills this process, another one gets what was not finished.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::{Message, Recipient};
use futures_util::StreamExt;
use lapin::{Acker, Channel, Consumer, message::Delivery};
use tokio::time::{Instant, sleep, timeout};
use vumi_kit::{
    backoff::Backoff,
    component::CALL_LIMIT,
    keyed_queue::{self, KeyedQueue},
    message::{Event, SessionEvent, TransportType, UserMessage},
    router::{Happened, Inbound, Outbound, Refused},
};

use super::{
    connector::{Connector, ConnectorEnd, IntakeSource},
    core::{AmqpCore, Telling, add},
    dead::burial,
    explain::explain,
    in_flight::{DeliveryArrival, DeliveryKey},
    outbound_sms::{OutboundFailure, answer, push},
    watch::watch,
    wire::{Undecodable, read_event, read_message},
};

/// The waits before a delivery is offered again.
const OFFER_AGAIN: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// A queue that is consumed.
pub(super) struct Stream {
    pub(super) connector: Rc<Connector>,
    pub(super) source: IntakeSource,
    pub(super) channel: Channel,
    pub(super) consumer: Consumer,
}

/// A delivery, read.
struct IntakeJob {
    connector: Rc<Connector>,
    source: IntakeSource,
    generation: u64,
    delivery: Delivery,
    content: Result<Content, Undecodable>,
}

enum Content {
    Message(Box<UserMessage>),
    Event(Box<Event>),
}

/// Reads a queue until it can't be read any more, and says why.
pub(super) async fn consume(core: Rc<AmqpCore>, stream: Stream) -> String {
    let Stream { connector, source, channel: _held, mut consumer } = stream;
    let generation = core.generation.get();
    let intake = Intake::new(core.clone());
    while let Some(delivery) = consumer.next().await {
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => return explain(&error),
        };
        if core.is_stopping() {
            core.return_later(delivery.acker);
            continue;
        }
        let content = match source {
            IntakeSource::Event => read_event(&delivery.data).map(|event| Content::Event(Box::new(event))),
            _ => read_message(&delivery.data).map(|message| Content::Message(Box::new(message))),
        };
        intake.take(IntakeJob { connector: connector.clone(), source, generation, delivery, content });
    }
    format!("the broker ended the consumer of `{}`: was the queue deleted?", source.queue(&connector))
}

/// The deliveries of a queue: those of one person in their order, those of different people at the same time.
struct Intake {
    core: Rc<AmqpCore>,
    queue: RefCell<KeyedQueue<String, IntakeJob>>,
}

impl Intake {
    fn new(core: Rc<AmqpCore>) -> Rc<Self> {
        // The broker sends no more than `prefetch` before something is acknowledged.
        let most = usize::from(core.settings.prefetch);
        Rc::new(Self { core, queue: RefCell::new(KeyedQueue::new(most, most)) })
    }

    fn take(self: &Rc<Self>, job: IntakeJob) {
        let key = job.key();
        match self.queue.borrow_mut().arrive(key.clone(), job) {
            keyed_queue::Arrival::Begin(job) => {
                self.count(1);
                actix_rt::spawn(self.clone().serve(key, job));
            }
            keyed_queue::Arrival::Waits => self.count(1),
            // More than the broker was asked for: it has it back after a pause.
            keyed_queue::Arrival::Full(job) => self.core.return_later(job.delivery.acker),
        }
    }

    async fn serve(self: Rc<Self>, key: String, first: IntakeJob) {
        let mut next = Some(first);
        while let Some(job) = next {
            handle(&self.core, job).await;
            next = self.queue.borrow_mut().next(&key);
            self.count(-1);
            self.core.progress.notify_waiters();
        }
    }

    fn count(&self, more: isize) {
        let unhandled = &self.core.counts.unhandled;
        unhandled.set(unhandled.get().saturating_add_signed(more));
    }
}

impl IntakeJob {
    /// Whose turn the delivery has to wait for.
    fn key(&self) -> String {
        match (&self.content, self.source) {
            (Ok(Content::Message(message)), IntakeSource::Outbound) => message.to_addr.clone(),
            (Ok(Content::Message(message)), _) => message.from_addr.clone(),
            (Ok(Content::Event(event)), _) => event.user_message_id.clone(),
            (Err(_), _) => String::new(),
        }
    }
}

async fn handle(core: &Rc<AmqpCore>, job: IntakeJob) {
    let IntakeJob { connector, source, generation, delivery, content } = job;
    if generation != core.generation.get() {
        // Its connection is gone: it comes again, on the present one.
        return;
    }
    let Delivery { data, acker, .. } = delivery;
    if core.is_stopping() {
        return core.return_later(acker);
    }
    let work = IntakeWork { core, queue: source.queue(&connector).to_owned(), connector: connector.clone() };
    match content {
        Err(undecodable) => work.bury(acker, &data, &undecodable.to_string(), None).await,
        Ok(Content::Message(message)) if source == IntakeSource::Outbound => {
            work.outbound(*message, acker, &data).await
        }
        Ok(Content::Message(message)) => work.inbound(*message, acker, &data).await,
        Ok(Content::Event(event)) => work.event(*event, acker).await,
    }
}

/// What became of an offer to a component.
enum OfferedMessage {
    Taken,
    /// For good, and why.
    Refused(String),
    Later,
}

struct IntakeWork<'a> {
    core: &'a Rc<AmqpCore>,
    queue: String,
    connector: Rc<Connector>,
}

impl IntakeWork<'_> {
    fn key(&self, id: &str) -> DeliveryKey {
        (self.connector.number, id.to_owned())
    }

    /// Holds a delivery; answers false where there is nothing to do.
    async fn is_new(&self, key: &DeliveryKey, acker: Acker) -> bool {
        let until = Instant::now() + self.core.settings.hold_for;
        let arrival = self.core.in_flight.borrow_mut().arrive(key, acker, until);
        match arrival {
            DeliveryArrival::New => true,
            DeliveryArrival::Held => false,
            DeliveryArrival::Done(acker) => {
                tracing::debug!(queue = self.queue, message = key.1, "delivered again: it was dealt with before");
                self.core.acknowledge(Some(acker)).await;
                false
            }
        }
    }

    /// A message from a person.
    async fn inbound(&self, message: UserMessage, acker: Acker, body: &[u8]) {
        let peers = self.connector.end == ConnectorEnd::OwnCampaign;
        let transports = if peers { &self.core.transports } else { &self.connector.transports };
        if !transports.contains(&message.transport_name) {
            let reason = format!(
                "an answer would not find its way: transport `{}` is not among the `transports` of this connector",
                message.transport_name
            );
            return self.bury(acker, body, &reason, None).await;
        }
        if peers && message.transport_type == TransportType::Sms {
            return self.sms_from_peer(message, acker, body).await;
        }
        let key = self.key(&message.message_id);
        if !self.is_new(&key, acker).await {
            return;
        }
        self.core.in_flight.borrow_mut().came_by.insert(key.1.clone(), self.connector.clone());
        let hung_up = message.session_event == Some(SessionEvent::Close);
        match self.offer(&self.core.router.inbound, || Inbound(message.clone())).await {
            // Nobody is there to be answered.
            OfferedMessage::Taken if hung_up => self.core.settle(&key).await,
            OfferedMessage::Taken => {}
            OfferedMessage::Refused(reason) => self.give_up(&key, body, &reason, None).await,
            OfferedMessage::Later => self.core.give_back(&key),
        }
    }

    /// An SMS from a person that the ledger has, and brings again until it is answered: once the campaign has it, the
    /// broker need not.
    async fn sms_from_peer(&self, message: UserMessage, acker: Acker, body: &[u8]) {
        match self.offer(&self.core.router.inbound, || Inbound(message.clone())).await {
            OfferedMessage::Taken => self.core.acknowledge(Some(acker)).await,
            OfferedMessage::Refused(reason) => self.bury(acker, body, &reason, None).await,
            OfferedMessage::Later => self.core.return_later(acker),
        }
    }

    /// A message to a person.
    async fn outbound(&self, message: UserMessage, acker: Acker, body: &[u8]) {
        let key = self.key(&message.message_id);
        if !self.is_new(&key, acker).await {
            return;
        }
        if self.connector.end == ConnectorEnd::OwnTransport {
            // What becomes of it is told by its campaign's connector, and this one's delivery is done then.
            self.core.in_flight.borrow_mut().came_by.insert(key.1.clone(), self.connector.clone());
        }
        let sms = message.transport_type == TransportType::Sms;
        // The ledger sends SMS; the answer to one that came out of another ledger goes back there.
        let answers = |id: &String| self.core.towards(&message.transport_name, Some(id));
        let to_another =
            message.in_reply_to.as_ref().and_then(answers).is_some_and(|to| to.end == ConnectorEnd::Transport);
        if sms && !to_another {
            return self.keep(&message, &key, body).await;
        }
        match self.offer(&self.core.router.outbound, || Outbound(message.clone())).await {
            // It is with the broker again, and no event comes of it that the router could hand on.
            OfferedMessage::Taken if sms => self.tell(Event::ack(&message, self.core.clock.now()), Some(key)),
            OfferedMessage::Taken => {}
            OfferedMessage::Refused(reason) => self.give_up(&key, body, &reason, Some(&message)).await,
            OfferedMessage::Later => self.core.give_back(&key),
        }
    }

    /// An SMS, for the ledger.
    async fn keep(&self, message: &UserMessage, key: &DeliveryKey, body: &[u8]) {
        let kept = match &message.in_reply_to {
            None => push(self.core, &self.connector, message).await,
            Some(id) => answer(self.core, id, message.content.clone()).await,
        };
        match kept {
            Ok(Some(sms)) => watch(self.core, &self.connector, &message.message_id, &sms).await,
            Ok(None) => self.tell(Event::ack(message, self.core.clock.now()), Some(key.clone())),
            Err(OutboundFailure::Never(reason)) => self.give_up(key, body, &reason, Some(message)).await,
            Err(OutboundFailure::Later(why)) => {
                tracing::warn!(queue = self.queue, message = message.message_id, %why, "an SMS is not kept yet");
                self.core.give_back(key);
            }
        }
    }

    /// What became of a message that we published.
    async fn event(&self, event: Event, acker: Acker) {
        let key = self.key(&event.event_id);
        if !self.is_new(&key, acker).await {
            return;
        }
        let service = self.core.in_flight.borrow().sent_for.get(&event.user_message_id).cloned();
        if let Some(service) = service {
            // A full mailbox is waited for; a router that is gone ends the process.
            let _the_process_ends = self.core.router.happened.send(Happened { service, event }).await;
        } else {
            tracing::debug!(
                queue = self.queue,
                message = event.user_message_id,
                "an event of a message that this process did not publish, or long ago"
            );
        }
        self.core.settle(&key).await;
    }

    async fn offer<M>(&self, component: &Recipient<M>, mut message: impl FnMut() -> M) -> OfferedMessage
    where
        M: Message<Result = Result<(), Refused>> + Send + 'static,
    {
        let until = Instant::now() + self.core.settings.offer_for;
        let mut tries = 0;
        loop {
            match timeout(CALL_LIMIT, component.send(message())).await {
                Ok(Ok(Ok(()))) => return OfferedMessage::Taken,
                Ok(Ok(Err(refused @ (Refused::NoRoute(_) | Refused::NoTransport(_))))) => {
                    return OfferedMessage::Refused(refused.to_string());
                }
                Ok(Ok(Err(Refused::Busy(_) | Refused::Away(_))) | Err(_)) | Err(_) => tries += 1,
            }
            if Instant::now() >= until || self.core.is_stopping() {
                return OfferedMessage::Later;
            }
            sleep(OFFER_AGAIN.wait(tries)).await;
        }
    }

    fn tell(&self, event: Event, settles: Option<DeliveryKey>) {
        self.core.tell(Telling { queue: self.connector.queues.event.clone(), event, settles });
    }

    /// A held delivery fails for good.
    async fn give_up(&self, key: &DeliveryKey, body: &[u8], reason: &str, nack: Option<&UserMessage>) {
        let acker = self.core.in_flight.borrow_mut().give_back(key);
        if let Some(acker) = acker {
            self.bury(acker, body, reason, nack).await;
        }
    }

    /// Puts a delivery into the queue for dead letters; it is acknowledged when it is there.
    async fn bury(&self, acker: Acker, body: &[u8], reason: &str, nack: Option<&UserMessage>) {
        let core = self.core;
        let buried = burial(&core.settings.dead_letters, &self.queue, reason, core.clock.now(), body.to_vec());
        if let Err(error) = core.publish(buried).await {
            tracing::warn!(queue = self.queue, %error, "a dead letter can't be put away now: it is delivered again");
            return core.return_later(acker);
        }
        add(&core.counts.dead, 1);
        // The reason can hold what somebody wrote: it stands in the letter's header, not in the log.
        tracing::warn!(queue = self.queue, "a delivery can't be used: it is a dead letter, see `vumi dead list`");
        if let Some(message) = nack {
            let event = Event::nack(message, reason, core.clock.now());
            if self.connector.end == ConnectorEnd::OwnTransport {
                let service = message.from_addr.clone();
                // A full mailbox is waited for; a router that is gone ends the process.
                let _the_process_ends = core.router.happened.send(Happened { service, event }).await;
            } else {
                self.tell(event, None);
            }
        }
        core.acknowledge(Some(acker)).await;
    }
}
