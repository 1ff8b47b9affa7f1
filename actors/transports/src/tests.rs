//! What the tests of several modules use, and what holds for every kind.

mod every_kind;
pub(crate) mod exam;
pub(crate) mod fake_provider;
mod odd_traffic;
pub(crate) mod webhooks;
