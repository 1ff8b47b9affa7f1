//! A room: one running transport or campaign, what it gets at its start and what it gives back.

use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    health::AskHealth,
    name::Name,
    router::{Happened, Inbound, Outbound, RouterAddress, Submit},
    store::Store,
};

/// What a room gets at its start: its name and everything it may talk to.
#[derive(Clone, Debug)]
pub struct ComponentContext {
    /// The room's own name, from the settings.
    pub name: Name,
    /// Where its messages go.
    pub router: RouterAddress,
    /// Where what must be kept is kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// The addresses the router knows a room by. A room has those that its work calls for.
#[derive(Clone, Default)]
pub struct Endpoints {
    /// A campaign's: takes messages from people.
    pub inbound: Option<Recipient<Inbound>>,
    /// A transport's: takes messages to people, within a session.
    pub outbound: Option<Recipient<Outbound>>,
    /// A transport's: takes SMS from the outbox.
    pub submit: Option<Recipient<Submit>>,
    /// A campaign's, if it wants to know what became of its messages.
    pub happened: Option<Recipient<Happened>>,
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints")
            .field("inbound", &self.inbound.is_some())
            .field("outbound", &self.outbound.is_some())
            .field("submit", &self.submit.is_some())
            .field("happened", &self.happened.is_some())
            .finish()
    }
}

/// A started room.
#[derive(Debug)]
pub struct Component {
    /// For the router.
    pub endpoints: Endpoints,
    /// Answers how it is.
    pub health: Recipient<AskHealth>,
    /// Finishes what is under way, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when the room's actor is gone, whether it stopped or panicked.
    pub ended: Terminated,
}

/// Take no more work, at once; then finish what is under way; answered when done. Whoever asks sets the bound.
///
/// What is in the store and outlives the process, such as an open session, is left as it is: it is not ended by a stop.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Kept by a room's actor for as long as it lives: its drop tells the supervisor that the actor is gone.
#[derive(Debug)]
pub struct Lifeline(#[expect(dead_code, reason = "held for its drop")] oneshot::Sender<()>);

/// The other end of a [`Lifeline`].
#[derive(Debug)]
pub struct Terminated(oneshot::Receiver<()>);

/// A life line and its other end.
#[must_use]
pub fn lifeline() -> (Lifeline, Terminated) {
    let (held, watched) = oneshot::channel();
    (Lifeline(held), Terminated(watched))
}

impl Terminated {
    /// Waits until the actor is gone.
    pub async fn wait(self) {
        let _gone = self.0.await;
    }
}

/// A room that could not start: in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// How long an outside call may take unless a setting says otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);
