//! What the rooms say to the router, and it to them.

use actix::{Message, Recipient};

use crate::{component::Endpoints, message, message::UserMessage, name::Name, sms::Submission};

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
    /// The address of the service the message came from: it finds the campaign.
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
    /// The one it was for has no room: later, perhaps.
    #[error("{0} is busy")]
    Busy(Name),
    /// The one it was for is not running now.
    #[error("{0} is not running")]
    Away(Name),
    /// No route leads anywhere.
    #[error("no campaign serves {0}")]
    NoRoute(String),
    /// There is no transport of that name, or it takes no such messages.
    #[error("there is no transport {0} for this message")]
    NoTransport(Name),
}

/// A room has come, come back, or gone: the supervisor tells the router.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Place {
    /// The room.
    pub name: Name,
    /// Its addresses; none when it is gone.
    pub endpoints: Option<Endpoints>,
}

/// The router, as the other rooms know it.
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
