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

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;
use tokio::sync::Semaphore;
use vumi_kit::{
    account::{Account, AccountId, Accounts},
    audit::{AuditActor, AuditEvent, RecordAudit},
    store::Ask,
};

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
    /// The account, and by what.
    Done(AccountId, String, Option<IpAddr>),
    /// What was shown, and why it was refused.
    Refused(String, &'static str, Option<IpAddr>),
}

/// Notes log-ins and refusals in the audit trail, 32 entries at a time at the most.
pub struct LogInTrail {
    accounts: Accounts,
    noted: Cache<NotedLogIn, ()>,
    at_once: Arc<Semaphore>,
    refusals: DefaultDirectRateLimiter,
    left_out: AtomicU64,
}

impl LogInTrail {
    /// Writes to these accounts' trail.
    #[must_use]
    pub fn new(accounts: Accounts) -> Self {
        Self {
            accounts,
            noted: Cache::builder().max_capacity(MAX_NOTED).time_to_live(ONCE_IN).build(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            refusals: RateLimiter::direct(Quota::per_minute(REFUSALS_PER_MINUTE)),
            left_out: AtomicU64::default(),
        }
    }

    /// An account has logged in; `by` says with what, such as `by password`.
    pub fn logged_in(&self, account: &Account, by: String, client: Option<IpAddr>) {
        let noted = NotedLogIn::Done(account.id, by.clone(), client);
        if self.noted.contains_key(&noted) {
            return;
        }
        self.noted.insert(noted, ());
        self.record(&account.username, AuditEvent::LogIn, by, client);
    }

    /// A log-in was refused. Of the name so many characters are kept as a name may have.
    pub fn refused(&self, name: &str, why: &'static str, client: Option<IpAddr>) {
        let name: String = name.chars().take(NAME_SHOWN).collect();
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
        actix_rt::spawn(async move {
            let _permit = permit;
            if let Err(error) = accounts.ask(entry).await {
                vumi_kit::warn_limited!("audit", %error, "a log-in is missing in the audit trail");
            }
        });
    }
}
