//! The writer's queue: requests of any command.

use vumi_kit::store::{Command, Operation, Request, StoreError, Writes};

use crate::dialect::{postgres, sqlite};

/// Makes due again what an earlier process of this name had claimed and no transport will ask for: done at every start.
#[derive(Clone, Debug)]
pub(crate) struct TakeOver;
impl Operation for TakeOver {
    type Access = Writes;
    type Answer = ();
}

/// Removes a bounded number of rows that have expired. Answers whether there may be many more.
#[derive(Clone, Debug)]
pub(crate) struct Sweep;
impl Operation for Sweep {
    type Access = Writes;
    type Answer = bool;
}

/// Panics in the writer's thread.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) struct Panic;
#[cfg(test)]
impl Operation for Panic {
    type Access = Writes;
    type Answer = ();
}

/// A command that every dialect carries out.
pub(crate) trait WriteAnywhere: Command + sqlite::queries::Write + postgres::queries::Write {}
impl<C: Command + sqlite::queries::Write + postgres::queries::Write> WriteAnywhere for C {}

/// What is on its way to the writer.
pub(crate) enum Queued {
    Command(Box<dyn QueuedCommand>),
    /// Finish what is queued, then end.
    Stop,
}

impl<C: WriteAnywhere> From<Request<C>> for Queued {
    fn from(request: Request<C>) -> Self {
        Self::Command(Box::new(request))
    }
}

impl Queued {
    /// Answers it without having done it.
    pub(crate) fn refuse(self, why: &StoreError) {
        if let Self::Command(command) = self {
            command.refuse(why);
        }
    }
}

/// A request of any command.
pub(crate) trait QueuedCommand: Send {
    /// Answers it without having done it.
    fn refuse(self: Box<Self>, why: &StoreError);

    /// As SQLite's writer carries it out.
    fn on_sqlite(self: Box<Self>) -> Box<dyn sqlite::queries::Work>;

    /// As PostgreSQL's writer carries it out.
    fn on_postgres(self: Box<Self>) -> Box<dyn postgres::queries::Work>;
}

impl<C: WriteAnywhere> QueuedCommand for Request<C> {
    fn refuse(self: Box<Self>, why: &StoreError) {
        let _nobody_waits = self.reply.send(Err(why.clone()));
    }

    fn on_sqlite(self: Box<Self>) -> Box<dyn sqlite::queries::Work> {
        sqlite::queries::underway(*self)
    }

    fn on_postgres(self: Box<Self>) -> Box<dyn postgres::queries::Work> {
        postgres::queries::underway(*self)
    }
}
