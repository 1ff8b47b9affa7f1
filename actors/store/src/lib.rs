//! The store: SMS and their receipts, the outbox, callbacks, sessions and accounts, kept with diesel. The only crate
//! that knows SQL; it asks nobody, and every room may ask it (`vumi_kit::store`).
//!
//! Writes go to one thread, which commits for many at once and answers each after its commit; reads to a small pool.
//! `backend/` holds the questions, one file for each concern, as plain diesel that a back-end's module expands for its own
//! connection. `sqlite.rs` is the one there is. A second one is a module like it, with `migrations/` of its own, and
//! a choice by the URL's scheme in `open.rs`; no query is written twice.
//!
//! To add a question: declare it in the kit, `impl Write` or `impl Read` for it in `backend/`, list a write in `job.rs`,
//! and name it at its actor's desk in `actors/`.

mod actors;
mod error;
mod gauge;
mod job;
mod open;
mod outboxes;
mod place;
mod schema;
mod settings;
mod sqlite;
#[cfg(test)]
mod tests;

pub use error::OpenError;
pub use open::{OpenStore, migrate, open, open_beside, pending};
pub use settings::{StoreSettings, Synchronous};
