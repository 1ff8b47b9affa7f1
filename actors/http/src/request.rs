//! A request on its way to a handler.

pub(crate) mod body;
mod body_budget;
pub(crate) mod cross_site;
pub(crate) mod fields;
pub(crate) mod idempotency;
mod json_fields;
pub(crate) mod multipart;
pub(crate) mod structure;
pub(crate) mod trusted_proxies;
