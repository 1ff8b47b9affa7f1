//! What of log-ins the audit trail is told.

use std::net::IpAddr;

use actix_web::http::header::HeaderValue;
use vumi_front_kit::log_in_trail::LogInTrail;

use super::{access::NoAccess, authenticator::LogIn, credentials::Credentials};

/// An account has logged in.
pub(crate) fn logged_in(trail: &LogInTrail, log_in: &LogIn, client: Option<IpAddr>) {
    let label = log_in.token.as_ref().map(|token| &token.label);
    let by = label.map_or_else(|| "by password".to_owned(), |label| format!("by token {label}"));
    trail.logged_in(&log_in.account, by, client);
}

/// An account has logged in and may not call.
pub(crate) fn no_access(trail: &LogInTrail, log_in: &LogIn, why: NoAccess, client: Option<IpAddr>) {
    trail.refused(&log_in.account.username, why.as_str(), client);
}

/// The credentials in a header were wrong.
pub(crate) fn wrong_credentials(trail: &LogInTrail, header: Option<&HeaderValue>, client: Option<IpAddr>) {
    // Without credentials it is no log-in.
    let Some(shown) = header.map(Credentials::of) else { return };
    let name = match shown {
        Some(Credentials::Password { user, .. } | Credentials::Token { user: Some(user), .. }) => user,
        Some(Credentials::Token { user: None, .. }) => "an unknown token".to_owned(),
        None => "no credentials that can be read".to_owned(),
    };
    trail.refused(&name, "wrong credentials", client);
}
