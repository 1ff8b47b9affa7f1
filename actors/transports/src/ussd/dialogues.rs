//! The dialogues of a transport.

use std::rc::Rc;

use tokio::sync::Notify;
use vumi_kit::{
    address::Msisdn,
    clock::Clock,
    message::{SessionEvent, UserMessage},
    name::Name,
    router::Refused,
};

use super::{
    network::{DialogueKey, ScreenNetwork, ScreensState},
    pushed_dialogues::RecentPushes,
    replies::Replies,
    settings::DialogueSettings,
    ussd_handler::{UndeliveredMessage, UssdHandler, UssdInput},
    ussd_sessions::UssdSessions,
};

/// The open sessions, and the replies of the campaigns within them.
///
/// One value on one thread, changed by short synchronous calls; each that may write a screen is given the network.
pub(crate) struct Dialogues<D> {
    pub(super) settings: Rc<DialogueSettings>,
    pub(super) clock: Clock,
    pub(super) sessions: UssdSessions<D>,
    pub(super) replies: Replies,
    pub(super) pushes: RecentPushes,
    /// No new sessions any more.
    pub(crate) draining: bool,
}

impl<D: DialogueKey> Dialogues<D> {
    pub(crate) fn new(transport: Name, clock: Clock, settings: DialogueSettings) -> Self {
        let settings = Rc::new(settings);
        Self {
            sessions: UssdSessions::new(transport.clone(), settings.lifetime, settings.max_sessions),
            replies: Replies::new(transport, settings.clone()),
            pushes: RecentPushes::default(),
            draining: false,
            settings,
            clock,
        }
    }

    /// How many sessions are open.
    pub(crate) fn len(&self) -> usize {
        self.sessions.table.len()
    }

    /// Events wait for the router.
    pub(super) fn has_events(&self) -> Rc<Notify> {
        self.replies.has_events.clone()
    }

    /// Whether more messages of people can be taken.
    pub(crate) fn lets_read(&self) -> bool {
        self.sessions.to_router.len() < self.settings.window && self.sessions.to_store.len() < self.settings.queue
    }

    /// Router and store know everything, and nobody waits for a screen, as far as `up` says that one could be shown.
    pub(crate) fn is_settled(&self, up: bool) -> bool {
        (!up || self.sessions.table.waiting() == 0)
            && self.sessions.to_router.len() == 0
            && self.sessions.to_store.len() == 0
            && self.replies.events.is_empty()
    }

    fn handler<'a, N: ScreenNetwork<D>>(&'a mut self, network: &'a mut N) -> UssdHandler<'a, D, N> {
        UssdHandler { settings: &self.settings, sessions: &mut self.sessions, network, draining: self.draining }
    }

    /// A message of a person.
    pub(crate) fn on_input(&mut self, input: UssdInput<D>, network: &mut impl ScreenNetwork<D>) {
        self.handler(network).handle(input);
    }

    /// The router did not take a message. `later`: it may take the next one.
    pub(crate) fn not_routed(
        &mut self,
        person: &Msisdn,
        undelivered: &UndeliveredMessage,
        why: String,
        later: bool,
        network: &mut impl ScreenNetwork<D>,
    ) {
        let now = self.clock.now();
        self.handler(network).not_routed(person, undelivered, why, later, now);
    }

    /// Takes a campaign's reply, or a push.
    pub(crate) fn take(&mut self, message: UserMessage, network: &mut impl ScreenNetwork<D>) -> Result<(), Refused> {
        if message.session_event == Some(SessionEvent::New) {
            return self.push(message, network);
        }
        self.replies.take(message, &mut self.sessions, network, self.clock.now())
    }

    /// What was held is shown, held further, or refused.
    pub(crate) fn retry_held(&mut self, network: &mut impl ScreenNetwork<D>) {
        self.replies.retry_held(&mut self.sessions, network, self.clock.now());
    }

    /// Ends sessions whose lifetime is over, and refuses the replies that were held within them.
    pub(crate) fn sweep(&mut self, network: &mut impl ScreenNetwork<D>) {
        let now = self.clock.now();
        self.sessions.sweep(now);
        self.pushes.forget(now);
        if network.state() != ScreensState::Starting {
            self.retry_held(network);
        }
    }
}
