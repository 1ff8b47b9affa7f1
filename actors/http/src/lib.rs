//! The HTTP front-end: the API for clients, and the webhooks that providers call.
//!
//! | where | what |
//! |---|---|
//! | `server`, `settings`, `routes` | the actor and its sockets, the `[http]` table, which path leads to which handler |
//! | `api` | the handlers of the API: `send`, `preview`, `status`, `callbacks` |
//! | `webhooks` | receipts and SMS that providers bring, and who may bring them |
//! | `guard` | what every call of the API passes first: log-in, rate, deadline |
//! | `request` | bodies, their fields, idempotency keys, the client's address |
//! | `response` | errors as problem documents, the JSON of an SMS |
//! | `auth` | HTTP Basic, passwords, how many may be tried |
//! | `limits` | rates, memory for bodies, connections per address |
//! | `openapi`, `landing`, `health` | what needs no password: the API's description, the page at `/`, `/health/` |
//!
//! To add a call: write its handler in the file of `api` it belongs to, mount it in `routes`, list it in `openapi`.

mod api;
mod auth;
mod context;
mod guard;
mod health;
mod landing;
mod limits;
mod openapi;
mod request;
mod response;
mod routes;
mod server;
mod settings;
mod state;
mod webhooks;

#[cfg(test)]
mod tests;

pub use auth::password;
pub use context::{HttpContext, WebhookMount};
pub use health::HealthSettings;
pub use request::trusted_proxies::ForwardedHeader;
pub use server::{HttpComponent, HttpFrontEnd, start, start_health};
pub use settings::{HttpSettings, RateSettings};
