//! A component: a running transport, campaign or front-end; what it gets at its start and what it gives back.

use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::{
    campaign_sms::CampaignSmsOffice,
    clock::Clock,
    health::AskHealth,
    ledger::SmsOwners,
    name::Name,
    router::{Endpoints, RouterAddress},
    store::Store,
    transport_board::TransportBoard,
};

/// What a component gets at its start.
#[derive(Clone, Debug)]
pub struct ComponentContext {
    /// Its own name, from the settings.
    pub name: Name,
    /// Takes its messages.
    pub router: RouterAddress,
    /// Takes its requests.
    pub store: Store,
    /// Tells whose SMS from people are.
    pub owners: SmsOwners,
    /// Where transports tell how they are.
    pub board: TransportBoard,
    /// Prepares the SMS that campaigns send beside their answers.
    pub campaign_sms: CampaignSmsOffice,
    /// Timestamps come from it; deadlines within the process do not.
    pub clock: Clock,
}

/// A started component.
#[derive(Debug)]
pub struct Component {
    /// None where the router never calls it: it is not registered there.
    pub endpoints: Option<Endpoints>,
    /// Answers at once, from what the component knows.
    pub health: Recipient<AskHealth>,
    /// Answers when everything under way is finished.
    pub drain: Recipient<Drain>,
    /// Resolves when its actor is gone, whether it stopped or panicked.
    pub ended: Terminated,
}

/// Asks a component to take no more work, at once, and to finish what is under way. It answers when that is done; the sender
/// sets the time limit.
///
/// What is in the store and outlives the process, such as an open session, stays as it is: a stop does not end it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Held by a component's actor for as long as it lives: its drop tells the supervisor that the actor is gone.
#[derive(Debug)]
pub struct Lifeline(#[expect(dead_code, reason = "held for its drop")] oneshot::Sender<()>);

/// Resolves when its [`Lifeline`] is dropped.
#[derive(Debug)]
pub struct Terminated(oneshot::Receiver<()>);

/// Makes a lifeline for an actor, and its other end for the supervisor.
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

/// Why a component could not start, in words that tell the operator what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// The time limit of an outside call unless a setting says otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);
