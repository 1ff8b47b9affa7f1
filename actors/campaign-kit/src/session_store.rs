//! Where sessions and answers are stored, and why a turn of a dialogue fails.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use vumi_kit::{
    campaign_sms::{CampaignSms, CampaignSmsOffice, CampaignSmsRefused, PreparedSms},
    name::Name,
    session::{CloseSession, CountAnswers, FindAnswers, FindSession, SaveSession, SessionRecord, Sessions},
    store::{Accepts, Ask, Operation, StoreError},
};

/// The time limit of a request to the store: less than a person waits, so that there is time to say sorry.
const STORE_LIMIT: Duration = Duration::from_secs(4);

/// Why a turn has no screen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not answer in time.
    #[error("the store did not answer within {0:?}")]
    StoreTimeout(Duration),
    /// Another process changed the session since it was read.
    #[error("other processes took the same person's dialogue further")]
    Conflict,
    /// The campaign's state can't be written.
    #[error("its state is not JSON: {0}")]
    State(#[from] serde_json::Error),
    /// The campaign panicked.
    #[error("it panicked; the panic stands in the log")]
    Panic,
    /// What the campaign asks outside gave no answer.
    #[error("{why}")]
    Unanswered {
        /// Why, for the log: no text and no number of a person.
        why: String,
        /// It took too long, and the person may be asked to answer again.
        late: bool,
    },
    /// The campaign took too long.
    #[error("it took longer than {0:?}")]
    Timeout(Duration),
}

impl TurnError {
    /// Whether the same message may succeed when it is delivered again.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            // The database keeps what others write, and would refuse this again.
            Self::Store(StoreError::Rejected(_)) => false,
            Self::Store(_) | Self::StoreTimeout(_) | Self::Conflict | Self::Unanswered { .. } => true,
            Self::State(_) | Self::Panic | Self::Timeout(_) => false,
        }
    }
}

impl TurnError {
    /// Whether the turn took too long, so that the person is asked to answer again. It may have been saved all the same.
    pub(crate) const fn is_late(&self) -> bool {
        matches!(self, Self::StoreTimeout(_) | Self::Timeout(_) | Self::Unanswered { late: true, .. })
    }
}

/// Stores sessions and answers: the router's store, or a map in a test.
#[async_trait(?Send)]
pub(crate) trait SessionStore {
    async fn find(&self, owner: Name, person: String) -> Result<Option<SessionRecord>, TurnError>;
    /// Whether it was saved; not where another process has changed the session meanwhile.
    async fn save(&self, save: SaveSession) -> Result<bool, TurnError>;
    /// Whether it was closed; not where another process has changed the session meanwhile.
    async fn close(&self, close: CloseSession) -> Result<bool, TurnError>;
    async fn counts(&self, campaign: Name, question: String) -> Result<Vec<(String, u64)>, TurnError>;
    async fn answers(&self, campaign: Name, person: String) -> Result<Vec<(String, String)>, TurnError>;
    /// An SMS as it is to be kept with the session; nothing is kept yet.
    async fn prepare_sms(&self, asked: CampaignSms) -> Result<PreparedSms, CampaignSmsRefused>;
}

/// Sessions and answers in the router's store.
pub(crate) struct StoredSessions(pub(crate) Sessions, pub(crate) CampaignSmsOffice);

impl StoredSessions {
    /// Waits where the store's mailbox is full: a person waits for the answer, and there is time to.
    async fn ask<O: Operation>(&self, ask: O) -> Result<O::Answer, TurnError>
    where
        Sessions: Accepts<O>,
    {
        match timeout(STORE_LIMIT, self.0.ask_waiting(ask)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(TurnError::StoreTimeout(STORE_LIMIT)),
        }
    }
}

#[async_trait(?Send)]
impl SessionStore for StoredSessions {
    async fn find(&self, owner: Name, person: String) -> Result<Option<SessionRecord>, TurnError> {
        self.ask(FindSession { owner, person }).await
    }

    async fn save(&self, save: SaveSession) -> Result<bool, TurnError> {
        self.ask(save).await
    }

    async fn close(&self, close: CloseSession) -> Result<bool, TurnError> {
        self.ask(close).await
    }

    async fn counts(&self, campaign: Name, question: String) -> Result<Vec<(String, u64)>, TurnError> {
        self.ask(CountAnswers { campaign, question }).await
    }

    async fn answers(&self, campaign: Name, person: String) -> Result<Vec<(String, String)>, TurnError> {
        self.ask(FindAnswers { campaign, person }).await
    }

    async fn prepare_sms(&self, asked: CampaignSms) -> Result<PreparedSms, CampaignSmsRefused> {
        self.1.prepare(asked).await
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::store::StoreError;

    use super::TurnError;

    #[test]
    fn what_the_database_would_refuse_again_is_not_tried_again() {
        assert!(!TurnError::Store(StoreError::Rejected("a key is too long".into())).is_transient());
        assert!(TurnError::Store(StoreError::Unavailable("away".into())).is_transient());
    }
}
