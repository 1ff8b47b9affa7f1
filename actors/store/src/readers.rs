//! The readers, whichever the database.

use tokio::sync::OwnedSemaphorePermit;
use vumi_kit::store::{Query, Request};

use crate::dialect::{postgres, sqlite};

/// A query that every dialect answers.
pub(crate) trait ReadAnywhere: sqlite::queries::Read + postgres::queries::Read + Query {}
impl<M: sqlite::queries::Read + postgres::queries::Read + Query> ReadAnywhere for M {}

/// The readers of the database that was opened.
#[derive(Clone)]
pub(crate) enum AnyReaders {
    Sqlite(sqlite::queries::Readers),
    Postgres(postgres::queries::Readers),
}

impl AnyReaders {
    /// A permit for one more read, if one is free now.
    pub(crate) fn try_admit(&self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Sqlite(readers) => readers.try_admit(),
            Self::Postgres(readers) => readers.try_admit(),
        }
    }

    /// A permit for one more read, as soon as one is free.
    pub(crate) async fn admit(self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Sqlite(readers) => readers.admit().await,
            Self::Postgres(readers) => readers.admit().await,
        }
    }

    /// Answers a request that has its permit.
    pub(crate) async fn answer<M: ReadAnywhere>(self, request: Request<M>, permit: OwnedSemaphorePermit) {
        match self {
            Self::Sqlite(readers) => readers.answer(request, permit).await,
            Self::Postgres(readers) => readers.answer(request, permit).await,
        }
    }
}
