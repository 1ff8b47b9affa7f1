//! The HTTP API: sending, status, callbacks, and the webhooks that carriers call.
//!
//! `server` owns the actor and the socket; `routes` says which path leads where; `entry` lets a caller in
//! (password, rate, time limit); a file for each group of calls does the rest. To add a call: its handler in
//! the file it belongs to, its line in `routes`.

mod auth;
mod body;
mod callbacks;
mod connections;
mod entry;
mod health;
mod idempotency;
mod openapi;
mod origin;
pub mod password;
mod preview;
mod rates;
mod refusal;
mod routes;
mod send;
mod server;
mod settings;
mod status;
mod template;
mod tries;
mod view;
mod webhooks;

#[cfg(test)]
pub(crate) mod stand;
#[cfg(test)]
mod tests;

pub use health::HealthSettings;
pub use origin::{ForwardedHeader, Network};
pub use server::{Door, HttpComponent, HttpContext, HttpFrontEnd, start, start_health};
pub use settings::{HttpSettings, RateSettings};
