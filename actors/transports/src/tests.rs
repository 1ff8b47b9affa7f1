//! What the tests of several modules use, and what holds for every kind.

mod every_kind;
pub(crate) mod exam;
pub(crate) mod fake_provider;
pub(crate) mod webhooks;
