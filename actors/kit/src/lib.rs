//! What the components of Vumi share: the messages they exchange, the addresses they hold, the kinds they are started
//! from, time and chance. Contracts only: no I/O, no SQL, no HTTP.
//!
//! A type belongs here when two crates need it, and not before. To add a message: a struct next to those it resembles, its
//! answer by `Operation` (requests to the store) or `actix::Message` (between actors), and the handler in the crate that
//! answers.

pub mod account;
pub mod address;
pub mod audit;
pub mod backoff;
pub mod broadcast;
pub mod callback;
pub mod campaign_sms;
pub mod carries;
pub mod charset;
pub mod clock;
pub mod component;
pub mod consent;
pub mod conversation;
pub mod esme;
pub mod export;
pub mod field_errors;
pub mod health;
pub mod ids;
pub mod json;
pub mod keyed_queue;
pub mod keyword;
pub mod kind;
pub mod ledger;
pub mod levers;
pub mod life;
pub mod log_limiter;
pub mod message;
pub mod middleware;
pub mod mustache;
pub mod name;
pub mod network;
pub mod outbound;
pub mod price;
pub mod provider_text;
pub mod receipt;
mod request;
pub mod rerouting;
pub mod router;
pub mod sent_parts;
pub mod session;
pub mod settings_schema;
pub mod sms;
pub mod sms_fields;
pub mod sms_options;
pub mod start_token;
pub mod store;
pub mod subscriber;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod transport_board;
pub mod transport_settings;
pub mod ussd_call;
pub mod ussd_push;
pub mod webhook;
pub mod webhook_access;
pub mod webhook_signature;
