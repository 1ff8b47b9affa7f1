//! Who may call a webhook: the transport's own provider, by the credentials that its settings name, or an account of role
//! carrier, by HTTP Basic.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, time::Instant};
use vumi_kit::{
    account::{Account, AccountId, AccountRole},
    name::Name,
    transport_settings::TransportSettings,
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

use crate::{
    context::WebhookMount, guard, request::cross_site::is_cross_site, response::error::ApiError, state::ApiState,
};

/// Calls to the webhooks of one transport that are worked on at once; more wait, so that one provider's flood leaves the
/// store's queue to others.
const CALLS_AT_ONCE: usize = 64;

/// The least time between two log lines about refused calls to one transport.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A transport's webhooks, and who may call them.
pub(crate) struct ProtectedWebhooks {
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) settings: TransportSettings,
    access: WebhookAccess,
    pub(super) calls: Semaphore,
    refused: RefusedCalls,
}

impl From<WebhookMount> for ProtectedWebhooks {
    fn from(mount: WebhookMount) -> Self {
        let WebhookMount { webhooks, access, settings, .. } = mount;
        Self { webhooks, settings, access, calls: Semaphore::new(CALLS_AT_ONCE), refused: RefusedCalls::default() }
    }
}

/// A caller of a webhook that is let in.
pub(super) struct Admitted<'a> {
    pub(super) transport: &'a Name,
    pub(super) protected: &'a ProtectedWebhooks,
    /// The client that posts SMS from people itself: they are its own.
    pub(super) client: Option<AccountId>,
    /// Its signature is still to be verified, over this body.
    pub(super) signed: Option<&'a WebhookAccess>,
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Token,
    Signature,
    Network,
    Role,
    User,
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "the token in the path is wrong, or the transport has none",
            Self::Signature => "the signature is missing or wrong",
            Self::Network => "the address is not among `webhooks.networks`",
            Self::Role => "the account has not the role carrier",
            Self::User => "the account is not among `webhooks.users`",
        }
    }
}

impl ProtectedWebhooks {
    /// Counts a refused call, and says why it is refused.
    pub(super) fn refuse(&self, transport: &Name, why: Refusal) -> ApiError {
        self.refused.count(transport, why.as_str());
        forbidden(why)
    }

    fn lets_log_in(&self, account: &Account) -> bool {
        self.access.users.as_ref().is_none_or(|users| users.contains(&account.username))
    }

    fn token_is_right(&self, given: &str) -> bool {
        // Digests are compared, so that the time tells nothing of the token.
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        self.access.token.as_ref().is_some_and(|token| digest(token.expose_secret()) == digest(given))
    }
}

/// The cure for a client's account.
const FOR_PROVIDERS: &str = "this is a webhook, for the transport's provider, and this is a client's account. Give the provider a \
                             URL of its own, /api/v1/hooks/TRANSPORT/TOKEN/..., with `token` in \
                             [transports.TRANSPORT.webhooks], or an account of role carrier: `vumi account add NAME --role \
                             carrier`";

fn forbidden(why: Refusal) -> ApiError {
    let words = match why {
        // The same for a transport that there is not: a stranger learns no names.
        Refusal::Token => "no transport has these webhooks: check the name and the token in the path",
        Refusal::Signature => "the signature is missing or wrong",
        Refusal::Network => "the transport's provider does not call from this address",
        Refusal::Role => FOR_PROVIDERS,
        Refusal::User => "the account is not among `webhooks.users` of this transport",
    };
    ApiError::Forbidden(words.to_owned())
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
            by_own_credentials(state, request, transport, protected)
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
    by_own_credentials(state, request, transport, protected)
}

fn by_own_credentials<'a>(
    state: &ApiState,
    request: &HttpRequest,
    transport: &'a Name,
    protected: &'a ProtectedWebhooks,
) -> Result<Admitted<'a>, ApiError> {
    check_network(state, request, transport, protected)?;
    let signed = Some(&protected.access).filter(|access| access.is_signed());
    Ok(Admitted { transport, protected, client: None, signed })
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
    Ok(Admitted { transport, protected, client, signed: None })
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

/// Calls that were refused since the last line about them.
#[derive(Default)]
struct RefusedCalls(Mutex<(Option<Instant>, u64)>);

impl RefusedCalls {
    fn count(&self, transport: &Name, why: &'static str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.1 += 1;
        if calls.0.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
            let count = std::mem::take(&mut calls.1);
            calls.0 = Some(Instant::now());
            tracing::warn!(%transport, count, why, "calls to webhooks were refused");
        }
    }
}
