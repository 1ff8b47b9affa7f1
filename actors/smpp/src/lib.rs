//! The SMPP server: `[smpp]`. ESMEs (clients that speak SMPP) bind with an account's `system_id` and its password for SMPP,
//! submit SMS, and get receipts and SMS from people.
//!
//! | where | what |
//! |---|---|
//! | `server`, `listener`, `settings`, `context` | the actor, its sockets, the `[smpp]` table, what it gets at its start |
//! | `login` | passwords of binds, and who may bind now |
//! | `binds` | who is bound: how many of each account, which of them take what is delivered |
//! | `session` | one socket: its PDUs in and out, its states, its bounds |
//! | `submit` | an SMS as an ESME submits it becomes a row of the ledger |
//! | `lookup` | query_sm and cancel_sm |
//! | `deliver` | receipts and SMS from people: claimed, delivered, recorded |
//! | `watch` | accounts that change while their ESMEs are bound |
//!
//! Everything runs on the component's own thread, in a task for each socket; only passwords are checked elsewhere.

mod binds;
mod context;
mod deliver;
mod listener;
mod login;
mod lookup;
mod server;
mod session;
mod settings;
mod state;
mod submit;
mod watch;

#[cfg(test)]
mod tests;

pub use context::{EsmeTransport, SmppContext};
pub use server::{SmppComponent, start};
pub use settings::{EsmeAlphabet, SmppSettings};
