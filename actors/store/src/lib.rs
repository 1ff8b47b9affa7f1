//! The store: SMS and their receipts, the outbox, callbacks, sessions and accounts, kept with diesel. The only crate
//! that knows SQL; it asks nobody, and every component may ask it (`vumi_kit::store`).
//!
//! Commands go to one thread, which commits for many at once and answers each after its commit; queries to a small pool.
//! `queries/` holds them, one file for each concern, as plain diesel that each dialect's module (`dialect/sqlite.rs`,
//! `dialect/postgres.rs`) compiles for its own connection: no query is written twice. The URL's scheme chooses, in `open.rs`.
//! SQLite's file belongs to one process; any number share a PostgreSQL, and lock the rows that they work on.
//!
//! To add a request: declare it in the kit with its `Access` and a line in `store_address!`, and write `impl Write` or
//! `impl Read` for it in `queries/`. `git grep "impl Write for AcceptSms"` finds what answers `AcceptSms`.

#![expect(clippy::duplicate_mod, reason = "queries/ is compiled for the connection of each database")]

mod actors;
mod backup;
mod copy;
mod dialect;
mod error;
mod event_body;
mod fair_shares;
mod file_lock;
mod file_system;
mod maintenance;
mod migrations;
mod new_file;
mod open;
mod outboxes;
mod readers;
mod schema;
mod settings;
mod storage;
#[cfg(test)]
mod tests;
mod writer;

pub use backup::{BackupError, BackupProgress, Restored, VerifiedBackup, backup, restore, verify};
pub use copy::{CopyError, Progress, copy};
pub use error::OpenError;
pub use file_system::check_file_system;
pub use new_file::{NewFile, NewFileError};
pub use open::{OpenStore, held_by_another, migrate, open, open_beside, pending};
pub use settings::{OldTexts, StoreSettings, Synchronous};
