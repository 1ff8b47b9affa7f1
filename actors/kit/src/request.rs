//! Requests to the store: a typed operation with its own reply channel.
//!
//! An actix answer is lost when the caller gives up before the message was handled; a write must not be lost with it.
//! A [`Request`] carries the channel for its answer: once the store has it, it is done whether or not anyone still waits.
//!
//! To add one: a struct beside its relatives, `impl Operation` with its [`Access`](Operation::Access) and answer, a line in
//! its `store_address!`, and `impl Write` or `impl Read` in the store's `queries/`.

use std::sync::Arc;

use actix::{Message, Recipient, dev::SendError};
use tokio::sync::oneshot;

use crate::start_token::StartToken;

/// What the store can be asked to do: a [`Command`] or a [`Query`].
pub trait Operation: Send + 'static {
    /// [`Writes`] or [`Reads`].
    type Access;
    /// What comes back.
    type Answer: Send + 'static;
}

/// The access of an operation that the store's one writer carries out, in order and within a transaction.
#[derive(Debug)]
pub enum Writes {}

/// The access of an operation that the store's readers carry out, beside the writer.
#[derive(Debug)]
pub enum Reads {}

/// An operation that writes.
pub trait Command: Operation<Access = Writes> {}
impl<O: Operation<Access = Writes>> Command for O {}

/// An operation that only reads.
pub trait Query: Operation<Access = Reads> {}
impl<O: Operation<Access = Reads>> Query for O {}

/// An operation on its way to the store.
#[derive(Debug)]
pub struct Request<O: Operation> {
    /// What is to be done.
    pub operation: O,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<O::Answer, StoreError>>,
    /// Whether the caller would lose something if it were refused: it waits for as long as it takes. Others are refused
    /// with [`StoreError::Busy`] where they would wait for too long.
    pub patient: bool,
    /// Who asks: the store refuses a component that was replaced.
    pub token: StartToken,
}

impl<O: Operation> Request<O> {
    /// An operation that no component asks for, and that waits for as long as it takes.
    #[must_use]
    pub fn new(operation: O, reply: oneshot::Sender<Result<O::Answer, StoreError>>) -> Self {
        Self { operation, reply, patient: true, token: StartToken::default() }
    }
}

impl<O: Operation> Message for Request<O> {
    type Result = ();
}

/// Why the store did not do what it was asked. The texts of the database are in whatever language it is set to: to be shown,
/// never compared.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Its queue is full, or as much waits in it as takes too long: nothing was written, try again in a moment.
    #[error("the store has more to do than it can; nothing was written, try again in a moment")]
    Busy,
    /// A query took longer than a query may, and was given up.
    #[error("the query took longer than store.read_limit and was given up")]
    TooSlow,
    /// It has stopped, or the component that asks was replaced: nothing more is written for it, now or later.
    #[error("the store has stopped, or takes no more from this component, which was replaced")]
    Stopped,
    /// The database is away, or keeps nothing; nothing was written, try again later. With the database's error.
    #[error("the database failed: {0}")]
    Unavailable(Arc<str>),
    /// The commit failed, or the connection was lost with it: what was written may or may not be kept.
    #[error("the database did not confirm the commit: {0}")]
    Unconfirmed(Arc<str>),
    /// The database keeps what others write and not this; nothing of it was written, and it would be refused again.
    #[error("the database refused it: {0}")]
    Rejected(Arc<str>),
    /// What was to be created exists already.
    #[error("{0} exists already")]
    Exists(Existing),
}

impl StoreError {
    /// What sort of error it is, for the log: the same for all of one sort.
    #[must_use]
    pub const fn sort(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TooSlow => "too slow",
            Self::Stopped => "stopped",
            Self::Unavailable(_) => "unavailable",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::Rejected(_) => "rejected",
            Self::Exists(_) => "exists",
        }
    }
}

/// What exists already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Existing {
    /// An account of this name.
    #[error("the account `{0}`")]
    Account(String),
}

/// An address that takes operations of type `O`.
pub trait Accepts<O: Operation> {
    /// Where to send them.
    fn recipient(&self) -> &Recipient<Request<O>>;

    /// Who sends them.
    fn start_token(&self) -> &StartToken;
}

/// Asking, for every address that [`Accepts`] an operation.
pub trait Ask {
    /// Asks, and fails with [`StoreError::Busy`] at once when the mailbox is full or the store is behind: for callers who
    /// can refuse their own callers.
    fn ask<O: Operation>(&self, operation: O) -> impl Future<Output = Result<O::Answer, StoreError>>
    where
        Self: Accepts<O>;

    /// Asks, and waits while the mailbox is full: for callers who would otherwise lose something.
    fn ask_waiting<O: Operation>(&self, operation: O) -> impl Future<Output = Result<O::Answer, StoreError>>
    where
        Self: Accepts<O>;
}

impl<A> Ask for A {
    async fn ask<O: Operation>(&self, operation: O) -> Result<O::Answer, StoreError>
    where
        A: Accepts<O>,
    {
        let (reply, answer) = oneshot::channel();
        let request = Request { operation, reply, patient: false, token: self.start_token().clone() };
        self.recipient().try_send(request).map_err(|refused| match refused {
            SendError::Full(_) => StoreError::Busy,
            SendError::Closed(_) => StoreError::Stopped,
        })?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    async fn ask_waiting<O: Operation>(&self, operation: O) -> Result<O::Answer, StoreError>
    where
        A: Accepts<O>,
    {
        let (reply, answer) = oneshot::channel();
        let request = Request { operation, reply, patient: true, token: self.start_token().clone() };
        self.recipient().send(request).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

/// Declares the address of one of the store's actors: a struct with a recipient for each operation it takes.
macro_rules! store_address {
    ($(#[$doc:meta])* $Address:ident { $($field:ident: $Request:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $Address {
            $($field: actix::Recipient<$crate::request::Request<$Request>>,)+
            token: $crate::start_token::StartToken,
        }

        impl $Address {
            /// The address of an actor that takes all of these operations.
            pub fn of<A>(actor: &actix::Addr<A>) -> Self
            where
                A: actix::Actor<Context = actix::Context<A>>
                    $(+ actix::Handler<$crate::request::Request<$Request>>)+,
            {
                Self { $($field: actor.clone().recipient(),)+ token: $crate::start_token::StartToken::default() }
            }

            /// The same address for one start of a component.
            #[must_use]
            pub fn with_token(&self, token: &$crate::start_token::StartToken) -> Self {
                Self { token: token.clone(), ..self.clone() }
            }

            /// The start of the component that has this address.
            #[must_use]
            pub const fn token(&self) -> &$crate::start_token::StartToken {
                &self.token
            }
        }

        $(impl $crate::request::Accepts<$Request> for $Address {
            fn recipient(&self) -> &actix::Recipient<$crate::request::Request<$Request>> {
                &self.$field
            }

            fn start_token(&self) -> &$crate::start_token::StartToken {
                &self.token
            }
        })+

        impl std::fmt::Debug for $Address {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($Address))
            }
        }
    };
}
pub(crate) use store_address;
