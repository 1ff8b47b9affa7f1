//! The messages between the router and the components, and the addresses by which each calls the other.

use actix::{Message, Recipient};

use crate::{message, message::UserMessage, name::Name, sms::Submission};

/// A message from a person: a transport hands it to the router, the router to the campaign that serves its address.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refused>")]
pub struct Inbound(pub UserMessage);

/// A message to a person: a campaign hands it to the router, the router to its transport.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refused>")]
pub struct Outbound(pub UserMessage);

/// What became of an outbound message: a transport hands it to the router, the router to the campaign that sent it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Happened {
    /// The address of the service the message came from: the router finds the campaign by it.
    pub service: String,
    /// The event.
    pub event: message::Event,
}

/// Claimed SMS for a transport.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Submit(pub Vec<Submission>);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The component has no capacity now; it may have later.
    #[error("{0} is busy")]
    Busy(Name),
    /// The component is not running now.
    #[error("{0} is not running")]
    Away(Name),
    /// No route matches the address.
    #[error("no campaign serves {0}")]
    NoRoute(String),
    /// There is no transport of that name.
    #[error("there is no transport {0} for this message")]
    NoTransport(Name),
    /// The transport holds no sessions: it takes SMS only.
    #[error("the transport {0} takes no messages but SMS")]
    NoSessions(Name),
}

/// Where the router reaches a component.
#[derive(Clone)]
pub enum Endpoints {
    /// A campaign, of this process or behind the broker.
    Campaign {
        /// Takes messages from people.
        inbound: Recipient<Inbound>,
        /// Takes what became of the campaign's messages, where it wants to know.
        events: Option<Recipient<Happened>>,
    },
    /// A transport of this process: its SMS come from the ledger.
    Transport {
        /// Takes claimed SMS.
        submit: Recipient<Submit>,
        /// Takes messages to people within a session, where it holds sessions.
        outbound: Option<Recipient<Outbound>>,
    },
    /// A transport behind the broker, with an outbox of its own: it takes all messages to people.
    Remote {
        /// Takes messages to people.
        outbound: Recipient<Outbound>,
    },
}

impl Endpoints {
    /// Takes messages from people.
    #[must_use]
    pub const fn inbound(&self) -> Option<&Recipient<Inbound>> {
        match self {
            Self::Campaign { inbound, .. } => Some(inbound),
            Self::Transport { .. } | Self::Remote { .. } => None,
        }
    }

    /// Takes what became of messages.
    #[must_use]
    pub const fn events(&self) -> Option<&Recipient<Happened>> {
        match self {
            Self::Campaign { events, .. } => events.as_ref(),
            Self::Transport { .. } | Self::Remote { .. } => None,
        }
    }

    /// Takes claimed SMS.
    #[must_use]
    pub const fn submit(&self) -> Option<&Recipient<Submit>> {
        match self {
            Self::Transport { submit, .. } => Some(submit),
            Self::Campaign { .. } | Self::Remote { .. } => None,
        }
    }

    /// Takes messages to people.
    #[must_use]
    pub const fn outbound(&self) -> Option<&Recipient<Outbound>> {
        match self {
            Self::Transport { outbound, .. } => outbound.as_ref(),
            Self::Remote { outbound } => Some(outbound),
            Self::Campaign { .. } => None,
        }
    }
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Campaign { .. } => "Campaign",
            Self::Transport { .. } => "Transport",
            Self::Remote { .. } => "Remote",
        })
    }
}

/// A component has started, for the first time or again: the router calls it from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Register {
    /// Its name.
    pub name: Name,
    /// Where it is reached.
    pub endpoints: Endpoints,
}

/// A component has ended: the router calls it no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deregister {
    /// Its name.
    pub name: Name,
}

/// The router, as the components know it.
#[derive(Clone)]
pub struct RouterAddress {
    /// Takes messages from people.
    pub inbound: Recipient<Inbound>,
    /// Takes messages to people.
    pub outbound: Recipient<Outbound>,
    /// Takes what became of messages.
    pub happened: Recipient<Happened>,
}

impl std::fmt::Debug for RouterAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RouterAddress")
    }
}
