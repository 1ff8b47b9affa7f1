//! Log-ins in the audit trail: of each credential the first from an address within an hour, and as often a refusal. Entries are
//! written beside the call and never make it wait.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::http::header::HeaderValue;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;
use tokio::sync::Semaphore;
use vumi_kit::{
    account::{AccountId, Accounts},
    audit::{AuditActor, AuditEvent, RecordAudit},
    name::Name,
    store::Ask,
};

use super::{access::NoAccess, authenticator::LogIn, credentials::Credentials};

/// How long a log-in is not noted again.
const ONCE_IN: Duration = Duration::from_secs(3600);
/// The most that are remembered as noted; one that is forgotten is noted again.
const MAX_NOTED: u64 = 20_000;
/// Entries that are being written; what would be one more is left out.
const AT_ONCE: usize = 32;
/// The most refusals a minute that get an entry of their own: anybody can cause them.
const REFUSALS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// The most characters of a name that nobody may have.
const NAME_SHOWN: usize = 64;

/// A log-in that was noted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum NotedLogIn {
    /// The account, and the token where it was one.
    Done(AccountId, Option<Name>, Option<IpAddr>),
    /// What was shown, and why it was refused.
    Refused(String, &'static str, Option<IpAddr>),
}

/// Notes log-ins and refusals in the audit trail, [`AT_ONCE`] entries at a time at the most.
pub(crate) struct AuditLog {
    accounts: Accounts,
    noted: Cache<NotedLogIn, ()>,
    at_once: Arc<Semaphore>,
    refusals: DefaultDirectRateLimiter,
    left_out: AtomicU64,
}

impl AuditLog {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self {
            accounts,
            noted: Cache::builder().max_capacity(MAX_NOTED).time_to_live(ONCE_IN).build(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            refusals: RateLimiter::direct(Quota::per_minute(REFUSALS_PER_MINUTE)),
            left_out: AtomicU64::default(),
        }
    }

    /// An account has logged in.
    pub(crate) fn logged_in(&self, log_in: &LogIn, client: Option<IpAddr>) {
        let label = log_in.token.as_ref().map(|token| token.label.clone());
        let noted = NotedLogIn::Done(log_in.account.id, label.clone(), client);
        if self.noted.contains_key(&noted) {
            return;
        }
        self.noted.insert(noted, ());
        let detail = label.map_or_else(|| "by password".to_owned(), |label| format!("by token {label}"));
        self.record(&log_in.account.username, AuditEvent::LogIn, detail, client);
    }

    /// An account has logged in and may not call.
    pub(crate) fn no_access(&self, log_in: &LogIn, why: NoAccess, client: Option<IpAddr>) {
        self.refused(log_in.account.username.clone(), why.as_str(), client);
    }

    /// The credentials in a header were wrong.
    pub(crate) fn wrong_credentials(&self, header: Option<&HeaderValue>, client: Option<IpAddr>) {
        // Without credentials it is no log-in.
        let Some(shown) = header.map(Credentials::of) else { return };
        let name = match shown {
            Some(Credentials::Password { user, .. } | Credentials::Token { user: Some(user), .. }) => user,
            Some(Credentials::Token { user: None, .. }) => "an unknown token".to_owned(),
            None => "no credentials that can be read".to_owned(),
        };
        self.refused(name.chars().take(NAME_SHOWN).collect(), "wrong credentials", client);
    }

    fn refused(&self, name: String, why: &'static str, client: Option<IpAddr>) {
        let noted = NotedLogIn::Refused(name.clone(), why, client);
        if self.noted.contains_key(&noted) {
            return;
        }
        if self.refusals.check().is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.noted.insert(noted, ());
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let more =
            if left_out > 0 { format!("; {left_out} more refusals before this have no entry") } else { String::new() };
        self.record(&name, AuditEvent::RefusedLogIn, format!("{why}{more}"), client);
    }

    fn record(&self, name: &str, event: AuditEvent, detail: String, address: Option<IpAddr>) {
        let Ok(permit) = Arc::clone(&self.at_once).try_acquire_owned() else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let (by, account) = (AuditActor::account(name), Some(name.to_owned()));
        let (accounts, entry) = (self.accounts.clone(), RecordAudit { by, address, account, event, detail });
        actix_web::rt::spawn(async move {
            let _permit = permit;
            if let Err(error) = accounts.ask(entry).await {
                vumi_kit::warn_limited!("audit", %error, "a log-in is missing in the audit trail");
            }
        });
    }
}
