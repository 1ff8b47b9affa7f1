//! Posts events to the clients' URLs: one actor that claims what is due from the store, posts each with a
//! signature and a time limit, and records what came of it.
//!
//! It is not where deliveries are made: the store writes one for each callback in the transaction of the event
//! itself. Nor is it where they are kept: what a crash leaves under way is claimed again once its lease has run
//! out, so a client may see a delivery twice, under the same `webhook-id`.
//!
//! To add an event: a name in the kit's `CallbackName` and a body written by the store; nothing changes here.
//! To add a way of posting, a file next to `call.rs` with the same question and answer.

mod call;
mod guard;
mod poster;
mod settings;
mod signature;
mod verdict;

pub use guard::internal;
pub use poster::{CallbackContext, start};
pub use settings::CallbackSettings;
