//! The messages between the router and the components, and the addresses by which each calls the other.

use std::fmt;

use actix::{
    Actor, Addr, Context, Handler, Message, Recipient,
    dev::{RecipientRequest, SendError},
};

use crate::{message, message::UserMessage, name::Name, sms::Submission, start_token::StartToken};

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
    /// The component that sends it was replaced by a fresh one.
    #[error("its sender was replaced by a fresh one")]
    Replaced,
    /// A middleware refuses it, and why.
    #[error("{0}")]
    Middleware(String),
    /// The transport holds no sessions: it takes SMS only.
    #[error("the transport {0} takes no messages but SMS")]
    NoSessions(Name),
    /// The transport has no connection now, and what it was asked for can't wait.
    #[error("the transport {0} is not connected to its network now")]
    NotConnected(Name),
    /// The person is in a dialogue already: a network has one for each.
    #[error("the person is in a USSD dialogue already: try again when it is over")]
    InDialogue,
    /// The dialogue that the network is to begin is not possible, and why.
    #[error("{0}")]
    UnfitPush(String),
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

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// Which start of it this is: the router calls it no more once it is replaced.
    pub token: StartToken,
}

/// A component has ended: the router calls it no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deregister {
    /// Its name.
    pub name: Name,
}

/// A message to the router, and who sends it: the router refuses a component that was replaced.
#[derive(Debug)]
pub struct FromComponent<M> {
    /// What the router refuses once that start is replaced.
    pub message: M,
    /// The start of the component that sends it.
    pub token: StartToken,
}

impl<M: Message> Message for FromComponent<M> {
    type Result = M::Result;
}

/// Where a component sends one kind of message to the router.
pub struct RouterPort<M>
where
    M: Message + Send,
    M::Result: Send,
{
    recipient: Recipient<FromComponent<M>>,
    token: StartToken,
}

impl<M> RouterPort<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    /// Sends, and waits while the mailbox is full.
    pub fn send(&self, message: M) -> RecipientRequest<FromComponent<M>> {
        self.recipient.send(self.signed(message))
    }

    /// Sends, unless the mailbox is full.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        self.recipient.try_send(self.signed(message)).map_err(|refused| match refused {
            SendError::Full(FromComponent { message, .. }) => SendError::Full(message),
            SendError::Closed(FromComponent { message, .. }) => SendError::Closed(message),
        })
    }

    fn signed(&self, message: M) -> FromComponent<M> {
        FromComponent { message, token: self.token.clone() }
    }

    fn with_token(&self, token: &StartToken) -> Self {
        Self { recipient: self.recipient.clone(), token: token.clone() }
    }
}

impl<M> Clone for RouterPort<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        self.with_token(&self.token)
    }
}

/// The router, as the components know it.
#[derive(Clone)]
pub struct RouterAddress {
    /// Takes messages from people.
    pub inbound: RouterPort<Inbound>,
    /// Takes messages to people.
    pub outbound: RouterPort<Outbound>,
    /// Takes what became of messages.
    pub happened: RouterPort<Happened>,
}

impl RouterAddress {
    /// The address of an actor that takes all of these messages.
    pub fn of<A>(router: &Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<FromComponent<Inbound>>
            + Handler<FromComponent<Outbound>>
            + Handler<FromComponent<Happened>>,
    {
        let token = StartToken::default();
        Self {
            inbound: RouterPort { recipient: router.clone().recipient(), token: token.clone() },
            outbound: RouterPort { recipient: router.clone().recipient(), token: token.clone() },
            happened: RouterPort { recipient: router.clone().recipient(), token },
        }
    }

    /// The same address for one start of a component: once that is replaced, the router refuses what it sends.
    #[must_use]
    pub fn with_token(&self, token: &StartToken) -> Self {
        Self {
            inbound: self.inbound.with_token(token),
            outbound: self.outbound.with_token(token),
            happened: self.happened.with_token(token),
        }
    }
}

impl fmt::Debug for RouterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouterAddress")
    }
}

/// Has a test's router take from components what it takes by itself, whoever sends it.
#[cfg(any(test, feature = "testing"))]
#[macro_export]
macro_rules! takes_from_components {
    ($Router:ty) => {
        $crate::takes_from_components!($Router: Inbound, Outbound, Happened);
    };
    ($Router:ty: $($Message:ident),+) => {
        $(impl actix::Handler<$crate::router::FromComponent<$crate::router::$Message>> for $Router {
            type Result = <Self as actix::Handler<$crate::router::$Message>>::Result;

            fn handle(
                &mut self,
                from: $crate::router::FromComponent<$crate::router::$Message>,
                ctx: &mut Self::Context,
            ) -> Self::Result {
                actix::Handler::<$crate::router::$Message>::handle(self, from.message, ctx)
            }
        })+
    };
}
