//! The HTTP front-end: the API for clients, and the webhooks that providers call.
//!
//! | where | what |
//! |---|---|
//! | `server`, `listener`, `settings`, `routes` | the actor, its socket, the `[http]` table, which path leads to which handler |
//! | `api` | the handlers of the API: `send`, `preview`, `status`, `callbacks` |
//! | `webhooks` | receipts and SMS that providers bring, and who may bring them |
//! | `guard` | what every call of the API passes first: log-in, rate, deadline |
//! | `request` | bodies, their fields, idempotency keys, the client's address |
//! | `response` | errors as problem documents, the JSON of an SMS |
//! | `auth` | HTTP Basic and tokens, whose account may call |
//! | `connection` | how long a client may take, idle connections, answers that nobody reads |
//! | `limits` | rates, how much one call may send |
//! | `tally` | what clients do wrong, counted for the log |
//! | `openapi`, `landing`, `health` | what needs no password: the API's description, the page at `/`, `/health/` |
//!
//! To add a call: write its handler in the file of `api` it belongs to, mount it in `routes`, list it in `openapi`.

mod api;
mod auth;
mod connection;
mod context;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guard;
mod health;
mod landing;
mod limits;
mod listener;
mod openapi;
mod request;
mod response;
mod routes;
mod server;
mod settings;
mod state;
mod tally;
mod webhooks;

#[cfg(test)]
mod tests;

pub use context::{HttpContext, WebhookMount};
pub use health::HealthSettings;
pub use request::trusted_proxies::ForwardedHeader;
pub use server::{HttpComponent, HttpFrontEnd, start, start_health};
pub use settings::{HttpSettings, RateSettings};
