//! Commands that the store gives its own writer: what nobody outside asks for.

use vumi_kit::store::{Operation, Writes};

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

/// Takes a step of retention: removes a bounded number of old texts and rows. See `queries/retention.rs`.
#[derive(Clone, Debug)]
pub(crate) struct RetainStep;
impl Operation for RetainStep {
    type Access = Writes;
    type Answer = RetainedStep;
}

/// What a step of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetainedStep {
    /// Texts that were removed or masked.
    pub(crate) texts: usize,
    /// SMS and callback deliveries that were removed.
    pub(crate) rows: usize,
    /// Whether everything has been looked at once since the run began.
    pub(crate) whole: bool,
}

/// Writes what needs room, to find out whether a database that refused keeps it again.
#[derive(Clone, Debug)]
pub(crate) struct Probe;
impl Operation for Probe {
    type Access = Writes;
    type Answer = ();
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
