//! The messages of a campaign: a queue for each person who waits, a task for each who is being answered.

use std::{
    cell::{Cell, RefCell},
    panic::AssertUnwindSafe,
    rc::Rc,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{sync::Notify, time::timeout};
use tracing::{error, warn};

use super::{
    Campaign, Limits, Screen,
    dialogue::{Dialogue, person},
    session_store::{SessionStore, TurnError},
};
use vumi_kit::{
    clock::Clock,
    component::CALL_LIMIT,
    keyed_queue::{Arrival, KeyedQueue},
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Outbound, Refused, RouterAddress},
    session::CloseSession,
};

/// How much time an answer has.
const HAND_OVER_LIMIT: Duration = CALL_LIMIT;

/// What became of the messages so far.
#[derive(Debug, Default)]
pub(super) struct QueueCounts {
    /// Messages done.
    pub(super) handled: Cell<u64>,
    /// Of those, how many the campaign or the store failed on.
    pub(super) failed: Cell<u64>,
    /// Of those, how many answers the router did not take.
    pub(super) unsent: Cell<u64>,
}

/// Where people's messages wait and are answered, on one thread.
pub(super) struct PersonQueue<C> {
    pub(super) campaign: C,
    pub(super) name: Name,
    pub(super) limits: Limits,
    pub(super) keep: Rc<dyn SessionStore>,
    pub(super) router: RouterAddress,
    pub(super) clock: Clock,
    pub(super) counts: QueueCounts,
    closed: Cell<bool>,
    quiet: Notify,
    queue: RefCell<KeyedQueue<String, UserMessage>>,
}

impl<C: Campaign> PersonQueue<C> {
    pub(super) fn new(
        campaign: C,
        name: Name,
        keep: Rc<dyn SessionStore>,
        router: RouterAddress,
        clock: Clock,
    ) -> Self {
        let limits = campaign.limits();
        Self {
            queue: RefCell::new(KeyedQueue::new(limits.at_once, limits.waiting_per_person)),
            limits,
            campaign,
            name,
            keep,
            router,
            clock,
            counts: QueueCounts::default(),
            closed: Cell::new(false),
            quiet: Notify::new(),
        }
    }

    /// Takes a message, or refuses it where there is no room.
    pub(super) fn take(self: &Rc<Self>, message: UserMessage) -> Result<(), Refused> {
        if self.closed.get() {
            return Err(Refused::Away(self.name.clone()));
        }
        let person = person(&message);
        match self.queue.borrow_mut().arrive(person.clone(), message) {
            // A task of its own, not a future of the actor's context: that polls all of them for each that wakes.
            Arrival::Begin(message) => drop(actix_rt::spawn(self.clone().serve(person, message))),
            Arrival::Waits => {}
            Arrival::Full(_) => return Err(Refused::Busy(self.name.clone())),
        }
        Ok(())
    }

    /// Messages taken and not done.
    pub(super) fn in_work(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Takes no more, and waits until everything taken is done.
    pub(super) async fn drain(&self) {
        self.closed.set(true);
        while self.in_work() > 0 {
            self.quiet.notified().await;
        }
    }

    /// Answers a person's messages, one after the other, until none waits.
    async fn serve(self: Rc<Self>, person: String, first: UserMessage) {
        let mut next = Some(first);
        while let Some(message) = next {
            self.answer(&person, message).await;
            bump(&self.counts.handled);
            next = self.queue.borrow_mut().next(&person);
        }
        if self.in_work() == 0 {
            self.quiet.notify_waiters();
        }
    }

    async fn answer(&self, person: &str, message: UserMessage) {
        let screen = match self.turn(person, &message).await {
            Ok(Some(screen)) => screen,
            Ok(None) => return,
            Err((trouble, found)) => {
                let Some(screen) = self.apologise(person, &message, &trouble, found).await else { return };
                screen
            }
        };
        let (content, event) = match screen {
            Screen::Ask(text) => (Some(text), None),
            Screen::End(text) => (Some(text), Some(SessionEvent::Close)),
            Screen::Silence if message.transport_type == TransportType::Ussd => {
                (Some(String::new()), Some(SessionEvent::Close))
            }
            Screen::Silence => (None, None),
        };
        self.send(message.into_reply(content, event, self.clock.now())).await;
    }

    /// Takes a turn. If that fails: why, and the last message of the session that it began from.
    async fn turn(&self, person: &str, message: &UserMessage) -> Result<Option<Screen>, (TurnError, Option<String>)> {
        let dialogue = Dialogue {
            campaign: &self.campaign,
            name: &self.name,
            limits: &self.limits,
            keep: &self.keep,
            now: self.clock.now(),
            found: RefCell::default(),
        };
        // Whatever a panic leaves half done is this one session's, and that is forgotten.
        let turn = AssertUnwindSafe(dialogue.turn(person, message)).catch_unwind();
        let done = match timeout(self.limits.answer_within, turn).await {
            Ok(Ok(done)) => done,
            Ok(Err(_panic)) => Err(TurnError::Panicked),
            Err(_) => Err(TurnError::Slow(self.limits.answer_within)),
        };
        done.map_err(|trouble| (trouble, dialogue.found.take()))
    }

    /// What a person is told when there is no answer. Nothing where the message comes again by itself, or where
    /// nobody is there any more.
    async fn apologise(
        &self,
        person: &str,
        message: &UserMessage,
        trouble: &TurnError,
        found: Option<String>,
    ) -> Option<Screen> {
        bump(&self.counts.failed);
        let (campaign, id) = (&self.name, &message.message_id);
        if trouble.passes() {
            warn!(%campaign, message = %id, error = %trouble, "no answer could be made");
            if message.transport_type == TransportType::Sms {
                return None;
            }
        } else {
            error!(%campaign, message = %id, error = %trouble, "the campaign failed: the session it began from is forgotten");
            if found.is_some() {
                let (owner, person) = (self.name.clone(), person.to_owned());
                // Not one that another process took further meanwhile: that one is well.
                let close = CloseSession { owner, person, after: found, answers: Vec::new() };
                if let Err(trouble) = self.keep.close(close).await {
                    warn!(%campaign, message = %id, error = %trouble, "the session could not be forgotten");
                }
            }
        }
        (message.session_event != Some(SessionEvent::Close)).then(|| Screen::end(self.campaign.sorry()))
    }

    async fn send(&self, reply: UserMessage) {
        let id = reply.message_id.clone();
        let refused = match timeout(HAND_OVER_LIMIT, self.router.outbound.send(Outbound(reply))).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(refused))) => refused.to_string(),
            Ok(Err(_)) => "the router is not running".to_owned(),
            Err(_) => format!("the router had no room within {HAND_OVER_LIMIT:?}"),
        };
        bump(&self.counts.unsent);
        warn!(campaign = %self.name, message = %id, %refused, "an answer could not be sent");
    }
}

fn bump(count: &Cell<u64>) {
    count.set(count.get() + 1);
}
