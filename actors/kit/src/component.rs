//! A component: a running transport, campaign or front-end; what it gets at its start and what it gives back.

use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    health::AskHealth,
    name::Name,
    router::{Endpoints, RouterAddress},
    store::Store,
};

/// What a component gets at its start: its name and everything it may talk to.
#[derive(Clone, Debug)]
pub struct ComponentContext {
    /// Its own name, from the settings.
    pub name: Name,
    /// Where its messages go.
    pub router: RouterAddress,
    /// Where what must be kept is kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// A started component.
#[derive(Debug)]
pub struct Component {
    /// Where the router reaches it; none: the router never calls it.
    pub endpoints: Option<Endpoints>,
    /// Answers how it is.
    pub health: Recipient<AskHealth>,
    /// Finishes what is under way, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when its actor is gone, whether it stopped or panicked.
    pub ended: Terminated,
}

/// Take no more work, at once; then finish what is under way; answered when done. Whoever asks sets the bound.
///
/// What is in the store and outlives the process, such as an open session, is left as it is: it is not ended by a stop.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Held by a component's actor for as long as it lives: its drop tells the supervisor that the actor is gone.
#[derive(Debug)]
pub struct Lifeline(#[expect(dead_code, reason = "held for its drop")] oneshot::Sender<()>);

/// The other end of a [`Lifeline`].
#[derive(Debug)]
pub struct Terminated(oneshot::Receiver<()>);

/// A lifeline and its other end.
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

/// Why a component could not start, in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// How long an outside call may take unless a setting says otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);
