//! The pool that reads, whichever the database.

use tokio::sync::OwnedSemaphorePermit;
use vumi_kit::store::{Query, Request};

use crate::dialect::{postgres, sqlite};

/// What every back-end can read.
pub(crate) trait ReadAnywhere: sqlite::queries::Read + postgres::queries::Read + Query {}
impl<M: sqlite::queries::Read + postgres::queries::Read + Query> ReadAnywhere for M {}

/// The back-end's pool.
#[derive(Clone)]
pub(crate) enum AnyReaders {
    Sqlite(sqlite::queries::Readers),
    Postgres(postgres::queries::Readers),
}

impl AnyReaders {
    /// Room for one more read, if there is some now.
    pub(crate) fn try_admit(&self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Sqlite(readers) => readers.try_admit(),
            Self::Postgres(readers) => readers.try_admit(),
        }
    }

    /// Room for one more read, as soon as there is some.
    pub(crate) async fn admit(self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Sqlite(readers) => readers.admit().await,
            Self::Postgres(readers) => readers.admit().await,
        }
    }

    /// Answers a question that has room.
    pub(crate) async fn answer<M: ReadAnywhere>(self, question: Request<M>, room: OwnedSemaphorePermit) {
        match self {
            Self::Sqlite(readers) => readers.answer(question, room).await,
            Self::Postgres(readers) => readers.answer(question, room).await,
        }
    }
}
