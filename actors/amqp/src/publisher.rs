//! Publishes to the broker, and knows whether there is one.

use std::{
    cell::{Cell, Ref, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use lapin::{Channel, Confirmation, ConnectionStatus, options::BasicPublishOptions};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};
use vumi_kit::clock::Timestamp;

use super::{explain::explain, publication::Publication, settings::AmqpSettings, shutdown::Shutdown};

/// Whether there is a broker.
pub(super) enum BrokerLink {
    Down { since: Timestamp, why: String },
    Up { since: Timestamp, channel: Channel, status: ConnectionStatus },
}

/// Why a message is not known to be with the broker.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unpublished {
    /// There is no broker now: it was not sent.
    #[error("the broker is away: {0}")]
    Away(String),
    /// It was sent and not confirmed in time: it may have arrived.
    #[error("the broker did not confirm it in time")]
    Unconfirmed,
    /// The broker has no queue for it.
    #[error("the broker has no queue `{0}`")]
    Unroutable(String),
    /// The broker refused it.
    #[error("the broker refused it")]
    Refused,
}

/// Why one attempt to publish failed.
enum PublishFailure {
    Answered(Unpublished),
    /// The connection is gone, and why.
    Lost(String),
}

/// Publishes over the present connection.
pub(super) struct Publisher {
    link: RefCell<BrokerLink>,
    /// Counts connections: a delivery of an earlier one comes again.
    generation: Cell<u64>,
    unconfirmed: Arc<Semaphore>,
    /// How many messages may be unconfirmed.
    window: usize,
    confirm_within: Duration,
    /// Why the connection is to be made anew.
    suspicion: RefCell<Option<String>>,
    suspected: Notify,
    shutdown: Rc<Shutdown>,
}

impl Publisher {
    pub(super) fn new(settings: &AmqpSettings, now: Timestamp, shutdown: Rc<Shutdown>) -> Self {
        Self {
            link: RefCell::new(BrokerLink::Down { since: now, why: "connecting".to_owned() }),
            generation: Cell::new(0),
            unconfirmed: Arc::new(Semaphore::new(settings.unconfirmed)),
            window: settings.unconfirmed,
            confirm_within: settings.confirm_within,
            suspicion: RefCell::default(),
            suspected: Notify::new(),
            shutdown,
        }
    }

    pub(super) fn link(&self) -> Ref<'_, BrokerLink> {
        self.link.borrow()
    }

    /// A connection is made: `channel` has confirms on.
    pub(super) fn connected(&self, now: Timestamp, channel: Channel, status: ConnectionStatus) {
        self.generation.set(self.generation.get() + 1);
        self.suspicion.take();
        *self.link.borrow_mut() = BrokerLink::Up { since: now, channel, status };
    }

    /// There is no connection. Answers whether that, or its reason, is new.
    pub(super) fn disconnected(&self, now: Timestamp, why: &str) -> bool {
        let mut link = self.link.borrow_mut();
        let (since, is_new) = match &*link {
            BrokerLink::Down { since, why: before } => (*since, before != why),
            BrokerLink::Up { .. } => (now, true),
        };
        *link = BrokerLink::Down { since, why: why.to_owned() };
        is_new
    }

    /// The number of the present connection, or of the last.
    pub(super) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// The right to have one message unconfirmed, if there is one now.
    pub(super) fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.unconfirmed.clone().try_acquire_owned().ok()
    }

    /// Publishes and waits for the confirm: without it nobody knows that the broker has the message.
    pub(super) async fn publish(self: &Rc<Self>, publication: Publication) -> Result<(), Unpublished> {
        let permit = timeout(self.confirm_within, self.unconfirmed.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Unpublished::Away("too much is unconfirmed".to_owned())) };
        self.publish_with(permit, publication).await
    }

    /// As [`Publisher::publish`]; the permit is given back when the broker has answered, however late.
    pub(super) async fn publish_with(
        self: &Rc<Self>,
        permit: OwnedSemaphorePermit,
        publication: Publication,
    ) -> Result<(), Unpublished> {
        let channel = self.channel()?;
        let (reply, outcome) = oneshot::channel();
        let (publisher, may_be_gone) = (self.clone(), publication.may_be_gone);
        // A task of its own: cancelled half way, it would leave half a message, or a confirm that nobody collects.
        actix_rt::spawn(async move {
            let outcome = publish_on(&channel, publication).await;
            match &outcome {
                Err(PublishFailure::Answered(Unpublished::Unroutable(_))) if may_be_gone => {}
                Err(PublishFailure::Lost(why) | PublishFailure::Answered(Unpublished::Unroutable(why))) => {
                    publisher.suspect(why);
                }
                _ => {}
            }
            let _nobody_waits = reply.send(outcome);
            drop(permit);
            publisher.shutdown.progressed();
        });
        match timeout(self.confirm_within, outcome).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(PublishFailure::Answered(why)))) => Err(why),
            Ok(Ok(Err(PublishFailure::Lost(_))) | Err(_)) | Err(_) => Err(Unpublished::Unconfirmed),
        }
    }

    /// Resolves with the reason when the present connection is to be made anew.
    pub(super) async fn suspicion(&self) -> String {
        loop {
            self.suspected.notified().await;
            // A suspicion against an earlier connection was dropped when this one was made.
            if let Some(why) = self.suspicion.take() {
                return why;
            }
        }
    }

    /// Whether every message is confirmed.
    pub(super) fn is_idle(&self) -> bool {
        self.unconfirmed.available_permits() >= self.window
    }

    fn suspect(&self, why: &str) {
        self.suspicion.borrow_mut().get_or_insert_with(|| why.to_owned());
        self.suspected.notify_one();
    }

    fn channel(&self) -> Result<Channel, Unpublished> {
        match &*self.link.borrow() {
            _ if self.shutdown.is_replaced() => Err(Unpublished::Away("this front-end was replaced".to_owned())),
            BrokerLink::Down { why, .. } => Err(Unpublished::Away(why.clone())),
            BrokerLink::Up { status, .. } if status.blocked() => {
                Err(Unpublished::Away("it takes nothing while its alarm lasts".to_owned()))
            }
            BrokerLink::Up { channel, .. } => Ok(channel.clone()),
        }
    }
}

async fn publish_on(channel: &Channel, publication: Publication) -> Result<(), PublishFailure> {
    let Publication { exchange, queue, body, properties, may_be_gone: _ } = publication;
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let lost = |error: lapin::Error| PublishFailure::Lost(explain(&error));
    let confirm = channel.basic_publish(exchange.into(), queue.as_str().into(), mandatory, &body, properties).await;
    match confirm.map_err(lost)?.await.map_err(lost)? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(PublishFailure::Answered(Unpublished::Unroutable(queue))),
        Confirmation::Nack(_) | Confirmation::NotRequested => Err(PublishFailure::Answered(Unpublished::Refused)),
    }
}
