//! How a component asks the store: a typed question with its own reply channel.
//!
//! An actor's answer is lost when the asker gives up before the message was handled; a write must not be.
//! So a question carries the channel its answer goes back on, and what was handed to the store happens
//! whether or not anyone still waits for it.

use std::sync::Arc;

use actix::{Message, Recipient, dev::SendError};
use tokio::sync::oneshot;

use crate::{account::Accounts, callback::Callbacks, ledger::Ledger, session::Sessions};

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

/// A message on its way to the store.
#[derive(Debug)]
pub struct Request<M: Operation> {
    /// What to do or to look up.
    pub operation: M,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<M::Answer, StoreError>>,
}

impl<M: Operation> Message for Request<M> {
    type Result = ();
}

/// Why the store did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Its queue is full: nothing was written, try again in a moment.
    #[error("the store's queue is full; nothing was written, try again in a moment")]
    Busy,
    /// It has stopped: nothing more is written.
    #[error("the store has stopped")]
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

/// What exists already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Existing {
    /// An account of this name.
    #[error("the account `{0}`")]
    Account(String),
}

/// An address that takes questions of type `M`.
pub trait Accepts<M: Operation> {
    /// Where to send them.
    fn recipient(&self) -> &Recipient<Request<M>>;
}

/// Asking, for everything that [`Accepts`] a question.
pub trait Ask {
    /// Asks, and fails with [`StoreError::Busy`] at once if there is no room: for callers who can say no.
    fn ask<M: Operation>(&self, operation: M) -> impl Future<Output = Result<M::Answer, StoreError>>
    where
        Self: Accepts<M>;

    /// Asks, and waits for room: for callers who would otherwise lose something.
    fn ask_waiting<M: Operation>(&self, operation: M) -> impl Future<Output = Result<M::Answer, StoreError>>
    where
        Self: Accepts<M>;
}

impl<A> Ask for A {
    async fn ask<M: Operation>(&self, operation: M) -> Result<M::Answer, StoreError>
    where
        A: Accepts<M>,
    {
        let (reply, answer) = oneshot::channel();
        self.recipient().try_send(Request { operation, reply }).map_err(|refused| match refused {
            SendError::Full(_) => StoreError::Busy,
            SendError::Closed(_) => StoreError::Stopped,
        })?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    async fn ask_waiting<M: Operation>(&self, operation: M) -> Result<M::Answer, StoreError>
    where
        A: Accepts<M>,
    {
        let (reply, answer) = oneshot::channel();
        self.recipient().send(Request { operation, reply }).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

/// Declares the address of a persistence actor: a struct with a recipient for each question it takes.
macro_rules! store_address {
    ($(#[$doc:meta])* $Address:ident { $($field:ident: $Request:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $Address {
            $($field: actix::Recipient<$crate::store::Request<$Request>>,)+
        }

        impl $Address {
            /// The address of an actor that answers all of these questions.
            pub fn of<A>(actor: &actix::Addr<A>) -> Self
            where
                A: actix::Actor<Context = actix::Context<A>>
                    $(+ actix::Handler<$crate::store::Request<$Request>>)+,
            {
                Self { $($field: actor.clone().recipient(),)+ }
            }
        }

        $(impl $crate::store::Accepts<$Request> for $Address {
            fn recipient(&self) -> &actix::Recipient<$crate::store::Request<$Request>> {
                &self.$field
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

/// The persistence actors, as the other components know them.
#[derive(Clone, Debug)]
pub struct Store {
    /// SMS sent and received, their receipts, the outbox.
    pub ledger: Ledger,
    /// Callback URLs, what is to be posted to them and what came of it.
    pub callbacks: Callbacks,
    /// USSD sessions and what people answered.
    pub sessions: Sessions,
    /// Who may use the HTTP API.
    pub accounts: Accounts,
}
