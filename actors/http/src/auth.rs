//! Who is calling: HTTP Basic authentication.

pub(crate) mod authenticator;
mod basic;
mod login_limiter;
pub mod password;
