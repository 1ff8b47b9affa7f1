//! Who may call a webhook: the transport's own provider, by the credentials that its settings name, or an account of role
//! carrier, by HTTP Basic.

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use vumi_kit::{
    account::{AccountId, AccountRole},
    name::Name,
    webhook_access::WebhookAccess,
};

use super::protected::{ProtectedWebhooks, Refusal, forbidden};
use crate::{guard, request::cross_site::is_cross_site, response::error::ApiError, state::ApiState};

/// A caller of a webhook that is let in.
pub(super) struct Admitted<'a> {
    pub(super) transport: &'a Name,
    pub(super) protected: &'a ProtectedWebhooks,
    /// The client that posts SMS from people itself: they are its own.
    pub(super) client: Option<AccountId>,
    /// By a token, its network or a log-in: not by a signature alone.
    pub(super) is_known: bool,
    /// Its signature is still to be verified, over this body.
    pub(super) signed: Option<&'a WebhookAccess>,
}

/// Admits a call below `hooks/{transport}/{token}/`, or below `sms/{transport}/`.
pub(super) async fn admit<'a>(state: &'a ApiState, request: &HttpRequest) -> Result<Admitted<'a>, ApiError> {
    // An image's address is called with the password that a browser remembers, and from the browser's address.
    if is_cross_site(request) {
        return Err(ApiError::CrossSite);
    }
    let named = state.transports.get_key_value(guard::segment(request, "transport"));
    match (request.match_info().get("token"), named) {
        (Some(token), named) => by_token(state, request, named, token),
        (None, Some((transport, protected)))
            if protected.access.is_set()
                && protected.access.token.is_none()
                && request.headers().get(AUTHORIZATION).is_none() =>
        {
            by_own_credentials(state, request, transport, protected, false)
        }
        (None, _) => by_account(state, request).await,
    }
}

type NamedTransport<'a> = Option<(&'a Name, &'a ProtectedWebhooks)>;

fn by_token<'a>(
    state: &ApiState,
    request: &HttpRequest,
    named: NamedTransport<'a>,
    token: &str,
) -> Result<Admitted<'a>, ApiError> {
    let (transport, protected) = named.ok_or_else(|| forbidden(Refusal::Token))?;
    if !protected.token_is_right(token) {
        return Err(protected.refuse(transport, Refusal::Token));
    }
    by_own_credentials(state, request, transport, protected, true)
}

fn by_own_credentials<'a>(
    state: &ApiState,
    request: &HttpRequest,
    transport: &'a Name,
    protected: &'a ProtectedWebhooks,
    has_token: bool,
) -> Result<Admitted<'a>, ApiError> {
    check_network(state, request, transport, protected)?;
    let signed = Some(&protected.access).filter(|access| access.is_signed());
    let is_known = has_token || !protected.access.networks.is_empty();
    Ok(Admitted { transport, protected, client: None, is_known, signed })
}

async fn by_account<'a>(state: &'a ApiState, request: &HttpRequest) -> Result<Admitted<'a>, ApiError> {
    let account = guard::log_in(state, request).await?;
    let named = guard::transport(state, request);
    if !account.roles.has(AccountRole::Carrier) {
        let refused = |(transport, protected): (&Name, &ProtectedWebhooks)| protected.refuse(transport, Refusal::Role);
        return Err(named.map_or_else(|_| forbidden(Refusal::Role), refused));
    }
    let (transport, protected) = named?;
    if !protected.lets_log_in(&account) {
        return Err(protected.refuse(transport, Refusal::User));
    }
    check_network(state, request, transport, protected)?;
    let client = account.roles.has(AccountRole::Client).then_some(account.id);
    Ok(Admitted { transport, protected, client, is_known: true, signed: None })
}

fn check_network(
    state: &ApiState,
    request: &HttpRequest,
    transport: &Name,
    protected: &ProtectedWebhooks,
) -> Result<(), ApiError> {
    let networks = &protected.access.networks;
    let within = || {
        let client = state.trusted_proxies.client_of(request);
        client.is_some_and(|client| networks.iter().any(|network| network.contains(client)))
    };
    if networks.is_empty() || within() { Ok(()) } else { Err(protected.refuse(transport, Refusal::Network)) }
}
