//! The readers, whichever the database.

use vumi_kit::store::{Query, Request};

use crate::dialect::{postgres, sqlite};

/// A query that every dialect answers.
pub(crate) trait ReadAnywhere: sqlite::queries::Read + postgres::queries::Read + Query {}
impl<M: sqlite::queries::Read + postgres::queries::Read + Query> ReadAnywhere for M {}

/// Keeps a reader until it is told, or the other end is dropped.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) struct HoldReader(pub(crate) std::sync::Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>);
#[cfg(test)]
impl vumi_kit::store::Operation for HoldReader {
    type Access = vumi_kit::store::Reads;
    type Answer = ();
}

/// The readers of the database that was opened.
#[derive(Clone)]
pub(crate) enum AnyReaders {
    Sqlite(sqlite::queries::Readers),
    Postgres(postgres::queries::Readers),
}

impl AnyReaders {
    /// Sees to a request, without keeping the caller.
    pub(crate) fn dispatch<M: ReadAnywhere>(&self, request: Request<M>) {
        match self {
            Self::Sqlite(readers) => readers.dispatch(request),
            Self::Postgres(readers) => readers.dispatch(request),
        }
    }
}
