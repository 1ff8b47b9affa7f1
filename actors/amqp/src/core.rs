//! What the front-end's tasks share, on one thread: the link, the books, and publishing.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use lapin::{
    Channel, ConnectionStatus,
    options::{BasicAckOptions, BasicNackOptions},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::{sleep, timeout},
};
use vumi_kit::{
    clock::{Clock, Timestamp},
    message::Event,
    name::Name,
    router::RouterAddress,
    store::Store,
};

use super::{
    connector::{Connector, ConnectorEnd},
    context::AmqpContext,
    in_flight::{DeliveryKey, InFlight},
    publication::{Publication, PublishFailure, Unpublished, publish_on},
    settings::AmqpSettings,
    sms_watch::SmsWatch,
};

/// The wait before the broker gets a delivery back that nobody could take.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether there is a broker.
pub(super) enum Link {
    Down { since: Timestamp, why: String },
    Up { since: Timestamp, channel: Channel, status: ConnectionStatus },
}

/// An event on its way to the broker, and the delivery that is done when it is there.
pub(super) struct Telling {
    pub(super) queue: String,
    pub(super) event: Event,
    pub(super) settles: Option<DeliveryKey>,
}

/// What happened so far, for the operator.
#[derive(Default)]
pub(super) struct BrokerCounts {
    /// Deliveries that were read, and are not handled yet.
    pub(super) unhandled: Cell<usize>,
    /// Events being published.
    pub(super) telling: Cell<usize>,
    /// Deliveries being acknowledged or given back.
    pub(super) letting_go: Cell<usize>,
    /// Deliveries put into the queue for dead letters.
    pub(super) dead: Cell<u64>,
    /// Deliveries acknowledged although what they caused was not heard of in time.
    pub(super) overdue: Cell<u64>,
    /// Events that found no room.
    pub(super) events_lost: Cell<u64>,
}

pub(super) fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get().saturating_add(more));
}

pub(super) struct AmqpCore {
    pub(super) settings: AmqpSettings,
    pub(super) connectors: Vec<Rc<Connector>>,
    pub(super) router: RouterAddress,
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// All transports of the settings, here and elsewhere.
    pub(super) transports: Vec<Name>,
    pub(super) in_flight: RefCell<InFlight>,
    pub(super) link: RefCell<Link>,
    /// Counts connections: a delivery of an earlier one comes again.
    pub(super) generation: Cell<u64>,
    pub(super) unconfirmed: Arc<Semaphore>,
    pub(super) events: RefCell<VecDeque<Telling>>,
    pub(super) event_waits: Notify,
    pub(super) watch: RefCell<SmsWatch>,
    pub(super) watch_begun: Notify,
    /// The link is not to be trusted any more, and why.
    pub(super) suspicion: RefCell<Option<String>>,
    pub(super) suspected: Notify,
    /// Something was finished.
    pub(super) progress: Notify,
    pub(super) stopping: watch::Sender<bool>,
    pub(super) counts: BrokerCounts,
}

impl AmqpCore {
    pub(super) fn new(context: AmqpContext, settings: AmqpSettings) -> Self {
        Self {
            connectors: Connector::all(&settings),
            in_flight: RefCell::new(InFlight::new(settings.remember)),
            link: RefCell::new(Link::Down { since: context.clock.now(), why: "connecting".to_owned() }),
            generation: Cell::new(0),
            unconfirmed: Arc::new(Semaphore::new(settings.unconfirmed)),
            events: RefCell::default(),
            event_waits: Notify::new(),
            watch: RefCell::new(SmsWatch::new(settings.remember)),
            watch_begun: Notify::new(),
            suspicion: RefCell::default(),
            suspected: Notify::new(),
            progress: Notify::new(),
            stopping: watch::Sender::new(false),
            counts: BrokerCounts::default(),
            router: context.router,
            store: context.store,
            clock: context.clock,
            transports: context.transports,
            settings,
        }
    }

    /// The channel to publish on, or why there is none.
    fn channel(&self) -> Result<Channel, Unpublished> {
        match &*self.link.borrow() {
            Link::Down { why, .. } => Err(Unpublished::Away(why.clone())),
            Link::Up { status, .. } if status.blocked() => {
                Err(Unpublished::Away("it takes nothing while its alarm lasts".to_owned()))
            }
            Link::Up { channel, .. } => Ok(channel.clone()),
        }
    }

    /// Publishes, and waits for the confirm: without it nothing is known to be in good hands.
    pub(super) async fn publish(self: &Rc<Self>, publication: Publication) -> Result<(), Unpublished> {
        let permit = timeout(self.settings.confirm_within, self.unconfirmed.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Unpublished::Away("too much is unconfirmed".to_owned())) };
        self.publish_with(permit, publication).await
    }

    /// As [`AmqpCore::publish`]; the permit is given back when the broker has spoken, however late.
    pub(super) async fn publish_with(
        self: &Rc<Self>,
        permit: OwnedSemaphorePermit,
        publication: Publication,
    ) -> Result<(), Unpublished> {
        let channel = self.channel()?;
        let (tell, told) = oneshot::channel();
        let core = self.clone();
        // A task of its own: given up half way, it would leave half a message, or a confirm nobody collects.
        actix_rt::spawn(async move {
            let outcome = publish_on(&channel, publication).await;
            if let Err(PublishFailure::Lost(why)) | Err(PublishFailure::Of(Unpublished::Unroutable(why))) = &outcome {
                core.suspect(why);
            }
            let _nobody_waits = tell.send(outcome);
            drop(permit);
            core.progress.notify_waiters();
        });
        match timeout(self.settings.confirm_within, told).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(PublishFailure::Of(why)))) => Err(why),
            Ok(Ok(Err(PublishFailure::Lost(_))) | Err(_)) | Err(_) => Err(Unpublished::Unsure),
        }
    }

    /// The connection is no good: it is made anew.
    pub(super) fn suspect(&self, why: &str) {
        self.suspicion.borrow_mut().get_or_insert_with(|| why.to_owned());
        self.suspected.notify_one();
    }

    /// What a delivery caused is done: acknowledges it.
    pub(super) async fn settle(&self, key: &DeliveryKey) {
        let acker = self.in_flight.borrow_mut().settle(key);
        self.acknowledge(acker).await;
    }

    /// Acknowledges a delivery. If that fails, the connection is gone and the delivery comes again, and is known.
    pub(super) async fn acknowledge(&self, acker: Option<lapin::Acker>) {
        if let Some(acker) = acker {
            self.counts.letting_go.set(self.counts.letting_go.get() + 1);
            let _comes_again = acker.ack(BasicAckOptions::default()).await;
            self.counts.letting_go.set(self.counts.letting_go.get().saturating_sub(1));
        }
        self.progress.notify_waiters();
    }

    /// Nothing came of a delivery: the broker has it back after a pause.
    pub(super) fn give_back(self: &Rc<Self>, key: &DeliveryKey) {
        if let Some(acker) = self.in_flight.borrow_mut().give_back(key) {
            self.return_later(acker);
        }
    }

    /// The broker has a delivery back after a pause.
    pub(super) fn return_later(self: &Rc<Self>, acker: lapin::Acker) {
        let core = self.clone();
        core.counts.letting_go.set(core.counts.letting_go.get() + 1);
        actix_rt::spawn(async move {
            if !core.is_stopping() {
                sleep(PAUSE).await;
            }
            let _comes_again = acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await;
            core.counts.letting_go.set(core.counts.letting_go.get().saturating_sub(1));
            core.progress.notify_waiters();
        });
    }

    /// Has the other side told what became of its message.
    pub(super) fn tell(&self, telling: Telling) {
        let mut events = self.events.borrow_mut();
        if events.len() >= self.settings.events_waiting {
            add(&self.counts.events_lost, 1);
            tracing::warn!(
                queue = telling.queue,
                message = telling.event.user_message_id,
                "an event is lost: as many wait for the broker as `amqp.events_waiting` allows"
            );
            return;
        }
        events.push_back(telling);
        self.event_waits.notify_one();
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.borrow().held() == 0
            && self.counts.unhandled.get() == 0
            && self.counts.letting_go.get() == 0
            && self.counts.telling.get() == 0
            && self.events.borrow().is_empty()
            && self.unconfirmed.available_permits() >= self.settings.unconfirmed
    }

    /// A message's delivery: of the connector that it came by.
    pub(super) fn key(&self, id: String, otherwise: &Connector) -> DeliveryKey {
        let number = self.in_flight.borrow().came_by.get(&id).map_or(otherwise.number, |connector| connector.number);
        (number, id)
    }

    /// The connector that leads to a transport: that by which the message came that is answered, or the first.
    pub(super) fn towards(&self, transport: &Name, in_reply_to: Option<&str>) -> Option<Rc<Connector>> {
        let leads_there = |connector: &&Rc<Connector>| {
            matches!(connector.end, ConnectorEnd::Transport | ConnectorEnd::PeersTransport)
                && connector.transports.contains(transport)
        };
        let in_flight = self.in_flight.borrow();
        let came_by = in_reply_to.and_then(|id| in_flight.came_by.get(id)).filter(leads_there);
        came_by.or_else(|| self.connectors.iter().find(leads_there)).cloned()
    }
}
