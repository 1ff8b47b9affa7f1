//! A request that the writer works on: done within the transaction, again where that was rolled back, and answered once its
//! fate is known.

use std::{any::type_name, sync::Arc, time::Instant};

use diesel::{
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error},
};
use tokio::sync::oneshot;
use vumi_kit::store::{Request, StoreError};

use super::{
    super::{Evidence, Failed, Tx, Write},
    CONFLICTS, Undone, WAITED,
};

/// How a transaction deals with a request that fails.
#[derive(Clone, Copy)]
pub(crate) enum Care {
    /// It ends the transaction: most never fail, and a savepoint costs statements.
    None,
    /// It is rolled back alone. One that failed after a wait ends the transaction so many times more.
    Savepoints { conflicts: usize },
}

impl Care {
    pub(super) const fn less(self) -> Self {
        match self {
            Self::None => Self::Savepoints { conflicts: CONFLICTS },
            Self::Savepoints { conflicts } => Self::Savepoints { conflicts: conflicts.saturating_sub(1) },
        }
    }
}

/// Whether the error says by its kind that the request alone is at fault.
const fn is_the_requests(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound
            | Error::DeserializationError(_)
            | Error::SerializationError(_)
            | Error::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::CheckViolation
                    | DatabaseErrorKind::ExclusionViolation
                    | DatabaseErrorKind::RestrictViolation,
                _
            )
    )
}

/// A request that the writer works on, whatever its command.
pub(crate) trait Work {
    /// The name of its command's type.
    fn kind(&self) -> &'static str;

    /// What it is to have for itself.
    fn lock_keys(&self) -> Vec<String>;

    /// Does it, within the transaction; again if an earlier one was rolled back.
    fn perform(&mut self, tx: &mut Tx<'_>, care: Care) -> Result<(), Undone>;

    /// Whether the database refused it and did not say whose fault that is.
    fn is_refused(&self) -> bool;

    /// Whether the database kept what it wrote.
    fn is_done(&self) -> bool;

    /// A row that tells whether it was committed.
    fn evidence(&self) -> Option<Evidence>;

    /// Tells who asked, now that the transaction's fate is known.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct Underway<M: Write> {
    ask: M,
    reply: oneshot::Sender<Result<M::Answer, StoreError>>,
    answer: Option<Result<M::Answer, StoreError>>,
    refused: bool,
}

impl<M: Write> Work for Underway<M> {
    fn kind(&self) -> &'static str {
        type_name::<M>()
    }

    fn lock_keys(&self) -> Vec<String> {
        self.ask.lock_keys()
    }

    fn is_refused(&self) -> bool {
        self.refused
    }

    fn is_done(&self) -> bool {
        matches!(self.answer, Some(Ok(_)))
    }

    fn evidence(&self) -> Option<Evidence> {
        self.answer.as_ref().and_then(|answer| answer.as_ref().ok()).and_then(M::evidence)
    }

    fn perform(&mut self, tx: &mut Tx<'_>, care: Care) -> Result<(), Undone> {
        let ask = self.ask.clone();
        self.refused = false;
        let answer = match care {
            Care::None => Ok(ask.write(tx).map_err(|_| Undone::Request)?),
            Care::Savepoints { conflicts } => attempt(ask, tx, conflicts)?.map_err(|failed| {
                self.refused = matches!(&failed, Failed::Database(error) if !is_the_requests(error));
                failed.into()
            }),
        };
        self.answer = Some(answer);
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let answer = match (failed, self.answer) {
            (Some(why), _) => Err(why.clone()),
            (None, Some(answer)) => answer,
            (None, None) => return,
        };
        let _nobody_waits = self.reply.send(answer);
    }
}

/// A command's request as this dialect carries it out.
pub(crate) fn underway<M: Write>(question: Request<M>) -> Box<dyn Work> {
    let Request { operation: ask, reply, .. } = question;
    Box::new(Underway { ask, reply, answer: None, refused: false })
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Database(error) => Self::Rejected(detail(&error.to_string())),
            Failed::Exists(what) => Self::Exists(what),
        }
    }
}

/// Does one request so that its failure is its answer, and leaves nothing behind.
fn attempt<M: Write>(ask: M, tx: &mut Tx<'_>, conflicts: usize) -> Result<Result<M::Answer, Failed>, Undone> {
    let (mark, started) = (tx.state.mark(), Instant::now());
    tx.conn.batch_execute("SAVEPOINT request").map_err(Undone::Database)?;
    let answer = ask.write(tx);
    if let Err(Failed::Database(error)) = &answer {
        let serialization = matches!(error, Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _));
        let waited = started.elapsed() >= WAITED && !is_the_requests(error);
        if conflicts > 0
            && (serialization || waited)
            && let Err(Failed::Database(error)) = answer
        {
            return Err(Undone::Conflict(error));
        }
    }
    if answer.is_err() {
        // A transaction that goes on over this connection: so it was the request.
        tx.conn.batch_execute("ROLLBACK TO request").map_err(Undone::Database)?;
        tx.state.restore(mark);
    }
    tx.conn.batch_execute("RELEASE request").map_err(Undone::Database)?;
    Ok(answer)
}

/// An error's text on one line.
pub(super) fn detail(text: &str) -> Arc<str> {
    text.split_whitespace().collect::<Vec<_>>().join(" ").into()
}
