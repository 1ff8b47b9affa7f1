//! The store: SMS and their receipts, the outbox, callbacks, sessions and accounts, kept with diesel. The only crate
//! that knows SQL; it asks nobody, and every room may ask it (`vumi_kit::store`).
//!
//! Writes go to one thread, which commits for many at once and answers each after its commit; reads to a small pool.
//! `backend/` holds the questions, one file for each concern, as plain diesel that each back-end's module (`sqlite.rs`,
//! `postgres.rs`) expands for its own connection: no query is written twice. The URL's scheme chooses, in `open.rs`.
//! SQLite's file belongs to one process; any number share a PostgreSQL, and lock the rows that they work on.
//!
//! To add a question: declare it in the kit, `impl Write` or `impl Read` for it in `backend/`, list a write in `job.rs`,
//! and name it at its actor's desk in `actors/`.

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
