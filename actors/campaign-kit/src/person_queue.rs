//! The queue of a campaign's messages: those of one person are answered one after the other, those of different people at
//! the same time.

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
    given_up::GivenUp,
    session_store::{SessionStore, TurnError},
};
use vumi_kit::{
    clock::Clock,
    component::CALL_LIMIT,
    keyed_queue::{Arrival, KeyedQueue},
    log_limiter::LogLimiter,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Outbound, Refused, RouterAddress},
    session::CloseSession,
};

/// How long the router may take to accept an answer.
const HAND_OVER_LIMIT: Duration = CALL_LIMIT;

/// A store or router that is away fails every message: one line for each campaign and cause is enough.
static FAILURES: LogLimiter = LogLimiter::new();

/// What became of the messages so far.
#[derive(Debug, Default)]
pub(super) struct CampaignCounts {
    pub(super) handled: Cell<u64>,
    /// Of those handled: the campaign or the store failed.
    pub(super) failed: Cell<u64>,
    /// Of those handled: the router did not take the answer.
    pub(super) unsent: Cell<u64>,
}

/// Takes messages, asks the campaign for the answers and sends them, on one thread.
pub(super) struct PersonQueue<C> {
    campaign: C,
    name: Name,
    limits: Limits,
    sessions: Rc<dyn SessionStore>,
    router: RouterAddress,
    clock: Clock,
    pub(super) counts: CampaignCounts,
    /// By person, as [`person`] writes them.
    queue: RefCell<KeyedQueue<String, UserMessage>>,
    given_up: GivenUp,
    draining: Cell<bool>,
    drained: Notify,
}

impl<C: Campaign> PersonQueue<C> {
    pub(super) fn new(
        campaign: C,
        name: Name,
        sessions: Rc<dyn SessionStore>,
        router: RouterAddress,
        clock: Clock,
    ) -> Self {
        let limits = campaign.limits();
        Self {
            queue: RefCell::new(KeyedQueue::new(limits.at_once, limits.waiting_per_person)),
            given_up: GivenUp::new(limits.at_once),
            campaign,
            name,
            limits,
            sessions,
            router,
            clock,
            counts: CampaignCounts::default(),
            draining: Cell::new(false),
            drained: Notify::new(),
        }
    }

    /// How many messages the actor's mailbox holds.
    pub(super) const fn mailbox(&self) -> usize {
        self.limits.at_once
    }

    /// What is wrong with the campaign now.
    pub(super) fn trouble(&self) -> Option<String> {
        self.campaign.trouble()
    }

    /// How many messages were taken and are not done.
    pub(super) fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Takes a message, or refuses it where the queue is full.
    pub(super) fn take(self: &Rc<Self>, message: UserMessage) -> Result<(), Refused> {
        if self.draining.get() {
            return Err(Refused::Away(self.name.clone()));
        }
        let person = person(self.campaign.known_by(), &message);
        match self.queue.borrow_mut().arrive(person.clone(), message) {
            // A task of its own, not a future of the actor's context: that polls all of them for each that wakes.
            Arrival::Begin(message) => drop(actix_rt::spawn(self.clone().serve(person, message))),
            Arrival::Waits => {}
            Arrival::Full(_) => return Err(Refused::Busy(self.name.clone())),
        }
        Ok(())
    }

    /// Takes no more, and waits until everything taken is done.
    pub(super) async fn drain(&self) {
        self.draining.set(true);
        while self.len() > 0 {
            self.drained.notified().await;
        }
    }

    /// Answers a person's messages, one after the other, until none waits.
    async fn serve(self: Rc<Self>, person: String, first: UserMessage) {
        let mut next = Some(first);
        while let Some(message) = next {
            self.answer(&person, message).await;
            increment(&self.counts.handled);
            next = self.queue.borrow_mut().next(&person);
        }
        if self.len() == 0 {
            self.drained.notify_waiters();
        }
    }

    async fn answer(&self, person: &str, message: UserMessage) {
        let screen = match self.turn(person, &message).await {
            Ok(Some(screen)) => screen,
            Ok(None) => return,
            Err((error, last_message)) => {
                let Some(screen) = self.apologise(person, &message, &error, last_message).await else { return };
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

    /// Takes a turn of the dialogue. A failure comes with the last message of the session that the turn began from.
    async fn turn(&self, person: &str, message: &UserMessage) -> Result<Option<Screen>, (TurnError, Option<String>)> {
        let given_up = self.given_up.take(person);
        let dialogue = Dialogue {
            campaign: &self.campaign,
            name: &self.name,
            limits: &self.limits,
            sessions: &self.sessions,
            now: self.clock.now(),
            given_up: &given_up,
            last_message: RefCell::default(),
        };
        // What a panic leaves half done belongs to this one session, which is closed.
        let turn = AssertUnwindSafe(dialogue.turn(person, message)).catch_unwind();
        let done = match timeout(self.limits.answer_within, turn).await {
            Ok(Ok(done)) => done,
            Ok(Err(_panic)) => Err(TurnError::Panic),
            Err(_) => Err(TurnError::Timeout(self.limits.answer_within)),
        };
        let last_message = dialogue.last_message.take();
        if let Err(error) = &done
            && error.is_late()
        {
            self.given_up.note(person, given_up, &message.message_id);
        }
        done.map_err(|error| (error, last_message))
    }

    /// The screen that stands in for an answer. None where the message is delivered again by itself, or where the person
    /// has hung up.
    async fn apologise(
        &self,
        person: &str,
        message: &UserMessage,
        error: &TurnError,
        last_message: Option<String>,
    ) -> Option<Screen> {
        increment(&self.counts.failed);
        let (campaign, id) = (&self.name, &message.message_id);
        let goes_on = message.session_event != Some(SessionEvent::Close);
        let is_routed_again = error.is_transient() && message.transport_type == TransportType::Sms;
        if error.is_late() && goes_on && !is_routed_again {
            if let Some(left_out) = FAILURES.due(&format!("{campaign}: late")) {
                warn!(%campaign, message = %id, %error, left_out, "no answer in time: the person is asked to answer again");
            }
            return Some(Screen::ask(self.campaign.delayed()));
        }
        if error.is_transient() {
            if let Some(left_out) = FAILURES.due(&format!("{campaign}: no answer")) {
                warn!(%campaign, message = %id, %error, left_out, "no answer could be made");
            }
            if is_routed_again {
                return None;
            }
        } else {
            if let Some(left_out) = FAILURES.due(&format!("{campaign}: failed")) {
                error!(%campaign, message = %id, %error, left_out, "the campaign failed: the session it began from is closed");
            }
            self.close_session(person, last_message, id).await;
        }
        goes_on.then(|| Screen::end(self.campaign.sorry()))
    }

    /// Closes the session that a failed turn began from, unless another process has changed it meanwhile.
    async fn close_session(&self, person: &str, last_message: Option<String>, id: &str) {
        if last_message.is_none() {
            return;
        }
        let (owner, person) = (self.name.clone(), person.to_owned());
        let close = CloseSession { owner, person, after: last_message, answers: Vec::new(), sms: Vec::new() };
        if let Err(error) = self.sessions.close(close).await
            && let Some(left_out) = FAILURES.due(&format!("{}: not closed", self.name))
        {
            warn!(campaign = %self.name, message = %id, %error, left_out, "the session could not be closed");
        }
    }

    async fn send(&self, reply: UserMessage) {
        let id = reply.message_id.clone();
        let refused = match timeout(HAND_OVER_LIMIT, self.router.outbound.send(Outbound(reply))).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(refused))) => refused.to_string(),
            Ok(Err(_)) => "the router is not running".to_owned(),
            Err(_) => format!("the router had no capacity within {HAND_OVER_LIMIT:?}"),
        };
        increment(&self.counts.unsent);
        if let Some(left_out) = FAILURES.due(&format!("{}: not sent", self.name)) {
            warn!(campaign = %self.name, message = %id, %refused, left_out, "an answer could not be sent");
        }
    }
}

fn increment(count: &Cell<u64>) {
    count.set(count.get() + 1);
}
