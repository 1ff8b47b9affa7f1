//! The store: SMS and their receipts, the outbox, callbacks, sessions and accounts, kept with diesel. The only crate
//! that knows SQL; it asks nobody, and every room may ask it (`vumi_kit::store`).
//!
//! Commands go to one thread, which commits for many at once and answers each after its commit; queries to a small pool.
//! `queries/` holds them, one file for each concern, as plain diesel that each dialect's module (`dialect/sqlite.rs`,
//! `dialect/postgres.rs`) expands for its own connection: no query is written twice. The URL's scheme chooses, in `open.rs`.
//! SQLite's file belongs to one process; any number share a PostgreSQL, and lock the rows that they work on.
//!
//! To add a request: declare it in the kit with its `Access` and a line in `store_address!`, and write `impl Write` or
//! `impl Read` for it in `queries/`. `git grep "impl Write for AcceptSms"` finds what answers `AcceptSms`.

#![expect(clippy::duplicate_mod, reason = "the questions are expanded for each back-end's connection")]

mod actors;
mod copy;
mod dialect;
mod error;
mod file_lock;
mod migrations;
mod open;
mod outboxes;
mod readers;
mod schema;
mod settings;
#[cfg(test)]
mod tests;
mod write_queue;
mod writer_config;
mod writer_health;

pub use copy::{CopyError, Progress, copy};
pub use error::OpenError;
pub use open::{OpenStore, migrate, open, open_beside, pending};
pub use settings::{StoreSettings, Synchronous};
