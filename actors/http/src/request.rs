//! A request on its way to a handler.

pub(crate) mod body;
pub(crate) mod cross_site;
pub(crate) mod fields;
pub(crate) mod idempotency;
mod json_fields;
mod multipart;
pub(crate) mod structure;
pub(crate) mod trusted_proxies;
