//! Posts events to the clients' URLs: one actor claims the deliveries that are due from the store, posts each with a
//! signature and a time limit, and records the attempt. Clients' side of it: docs/http-api.md.
//!
//! The store creates the deliveries, one for each callback, in the transaction of the event itself, and keeps them. A
//! delivery that was in flight when the process crashed is claimed again once its lease has expired, so a client may
//! get it twice, under the same `webhook-id`.
//!
//! To add an event: a name in the kit's `CallbackName` and a body written by the store; nothing changes here.

mod attempt;
mod callback_client;
mod guard;
mod poster;
mod settings;

#[cfg(test)]
mod tests;

pub use poster::{CallbackContext, start};
pub use settings::CallbackSettings;
