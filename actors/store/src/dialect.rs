//! What differs between the databases: the connection and its set-up, `BEGIN`, locks, errors, bulk statements.
//!
//! Each dialect compiles `queries/` once more for its own connection type (see `queries/mod.rs`).

pub(crate) mod postgres;
pub(crate) mod sqlite;

/// The only row of `ledger_clock`.
pub(crate) const LEDGER_CLOCK_ROW: i64 = 1;
