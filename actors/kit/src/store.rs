//! The store as the other components know it: the addresses of its actors, and how to ask them.

use crate::{account::Accounts, callback::Callbacks, ledger::Ledger, session::Sessions, start_token::StartToken};

pub use crate::request::{Accepts, Ask, Command, Existing, Operation, Query, Reads, Request, StoreError, Writes};

/// The addresses of the store's actors.
#[derive(Clone, Debug)]
pub struct Store {
    /// SMS sent and received, their receipts, the outbox.
    pub ledger: Ledger,
    /// Callback URLs, what is to be posted to them, the outcome of each attempt.
    pub callbacks: Callbacks,
    /// USSD sessions, and what people answered.
    pub sessions: Sessions,
    /// Who may use the HTTP API.
    pub accounts: Accounts,
}

impl Store {
    /// The same store for one start of a component: once that is replaced, the store refuses what it asks.
    #[must_use]
    pub fn with_token(&self, token: &StartToken) -> Self {
        Self {
            ledger: self.ledger.with_token(token),
            callbacks: self.callbacks.with_token(token),
            sessions: self.sessions.with_token(token),
            accounts: self.accounts.with_token(token),
        }
    }
}
