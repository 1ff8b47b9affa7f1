//! Where sessions and answers are kept, and why a turn fails.

use std::time::Duration;

use async_trait::async_trait;
use vumi_kit::{
    name::Name,
    session::{CloseSession, SaveSession, SessionRecord},
    store::StoreError,
};

/// Why no answer could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not answer in time.
    #[error("the store did not answer within {0:?}")]
    StoreSlow(Duration),
    /// Another process took the dialogue further since it was found.
    #[error("other processes took the same person's dialogue further")]
    Overtaken,
    /// The campaign's state can't be written.
    #[error("its state is not JSON: {0}")]
    State(#[from] serde_json::Error),
    /// The campaign panicked.
    #[error("it panicked; the panic stands in the log")]
    Panicked,
    /// The campaign took too long.
    #[error("it took longer than {0:?}")]
    Slow(Duration),
}

impl TurnError {
    /// Whether the same message may fare better when it comes again.
    pub(crate) const fn passes(&self) -> bool {
        matches!(self, Self::Store(_) | Self::StoreSlow(_) | Self::Overtaken)
    }
}

/// Where sessions and answers are kept: the store, or a test's memory.
#[async_trait(?Send)]
pub(crate) trait SessionStore {
    async fn find(&self, owner: Name, person: String) -> Result<Option<SessionRecord>, TurnError>;
    async fn save(&self, save: SaveSession) -> Result<bool, TurnError>;
    async fn close(&self, close: CloseSession) -> Result<bool, TurnError>;
    async fn counts(&self, campaign: Name, question: String) -> Result<Vec<(String, u64)>, TurnError>;
    async fn answers(&self, campaign: Name, person: String) -> Result<Vec<(String, String)>, TurnError>;
}
