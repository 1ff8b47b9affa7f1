//! A transport's webhooks with what tells their callers, and why one is refused.

use std::time::Duration;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use vumi_kit::{
    account::Account, carries::Carries, log_limiter::LogLimiter, name::Name, transport_settings::TransportSettings,
    webhook::Webhook, webhook_access::WebhookAccess,
};

use crate::{context::WebhookMount, response::error::ApiError};

/// Calls to the webhooks of one transport that are worked on at once; more wait, so that one provider's flood leaves the
/// store's queue to others.
const CALLS_AT_ONCE: usize = 64;

/// Lines about refused calls: one a minute for each transport.
static REFUSED: LogLimiter = LogLimiter::every(Duration::from_secs(60));

/// A transport's webhooks, and who may call them.
pub(crate) struct ProtectedWebhooks {
    pub(crate) webhooks: Vec<Webhook>,
    pub(super) takes_calls: bool,
    pub(crate) settings: TransportSettings,
    pub(crate) carries: Carries,
    pub(super) access: WebhookAccess,
    pub(super) calls: Semaphore,
}

impl From<WebhookMount> for ProtectedWebhooks {
    fn from(mount: WebhookMount) -> Self {
        let WebhookMount { webhooks, takes_calls, access, settings, carries, .. } = mount;
        Self { webhooks, takes_calls, settings, carries, access, calls: Semaphore::new(CALLS_AT_ONCE) }
    }
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
        if let Some(left_out) = REFUSED.due(transport.as_str()) {
            tracing::warn!(%transport, count = left_out + 1, why = why.as_str(), "calls to webhooks were refused");
        }
        forbidden(why)
    }

    pub(super) fn lets_log_in(&self, account: &Account) -> bool {
        self.access.users.as_ref().is_none_or(|users| users.contains(&account.username))
    }

    pub(super) fn token_is_right(&self, given: &str) -> bool {
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

pub(super) fn forbidden(why: Refusal) -> ApiError {
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
