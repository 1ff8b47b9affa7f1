//! What every component of Vumi shares: the messages they exchange, the addresses they hold, the kinds
//! they are started from, and time and chance. Contracts only: no I/O, no SQL, no HTTP.
//!
//! A type moves in here when two components need it, and not before; what one component needs stays there.
//! To add a message: a struct next to its relatives, its answer by `Operation` (to the store) or
//! `actix::Message` (between actors), and the handler in the component that answers.

pub mod account;
pub mod address;
pub mod backoff;
pub mod callback;
pub mod clock;
pub mod component;
pub mod health;
pub mod ids;
pub mod keyed_queue;
pub mod kind;
pub mod ledger;
pub mod message;
pub mod name;
mod request;
pub mod router;
pub mod session;
pub mod settings_schema;
pub mod sms;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod webhook;
