//! Who is calling: a password or a token, by HTTP Basic or as a bearer token; and whether the account may call now, from there.

pub(crate) mod access;
mod account_cache;
pub(crate) mod audit_log;
pub(crate) mod authenticator;
mod credentials;
