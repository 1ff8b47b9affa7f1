//! Checks credentials against Argon2id hashes, without an Argon2 check for every request; and tokens, by their digests.
//!
//! An account's row is cached for seconds (`account_cache`), and a password that was right for minutes, under a SHA-256 keyed with a
//! pepper of this process and the stored hashes: a changed password is another key. With both cached, a request asks
//! neither the store nor Argon2. That a name has no account is cached as long as an account's row is, and an unknown user
//! costs the same read and the same check as a known one. Concurrent requests with the same credentials share one check.
//!
//! Guessing is bounded, and does not lock out clients that log in correctly: credentials that were right before are
//! checked again by a worker of their own; wrong ones that are repeated are refused without a check; every other check is
//! counted by user name and address (`login_limiter`). So is, instead, a read of the store for a name with which nobody
//! has logged in yet: one client's invented names are no more reads than its tries.

use std::{net::IpAddr, sync::Arc, time::Duration};

use actix_web::http::header::HeaderValue;
use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use vumi_front_kit::{
    login_limiter::{LoginLimiter, LoginWay},
    password::{HashError, hash_password, verify_password},
};
use vumi_kit::{
    account::{Account, AccountToken, Accounts, TokenDigest},
    clock::{Clock, Timestamp},
};

use super::{account_cache::AccountCache, credentials::Credentials};
use crate::{response::error::ApiError, settings::HttpSettings};

/// The most names and the most passwords in each cache; the least used are evicted.
pub(super) const MAX_CACHED: u64 = 10_000;
/// How long credentials that were right are known as proven after their last use.
const PROVEN_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long wrong credentials are remembered, so that a program that repeats them costs no further checks.
const WRONG_FOR: Duration = Duration::from_secs(600);
/// How long the read of an account is counted.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// The most unproven checks that wait for their turn; further ones are refused at once.
const MAX_WAITING: usize = 64;
/// The longest user name that is looked up, in bytes.
const MAX_USER_NAME: usize = 255;

/// Why credentials were not accepted.
#[derive(Debug)]
enum LoginError {
    Wrong,
    /// Too many tries: seconds until the next check is allowed.
    TooMany(u64),
    NotChecked,
}

impl From<&LoginError> for ApiError {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::Wrong => Self::Unauthenticated,
            LoginError::TooMany(wait_s) => Self::TooManyRequests(*wait_s, "wrong passwords"),
            LoginError::NotChecked => Self::Unavailable(1, "the password could not be checked"),
        }
    }
}

/// The cache key of credentials: see [`Authenticator::digest`].
type CredentialsDigest = [u8; 32];

/// A password to be checked, and what to check it against.
struct LoginAttempt<'a> {
    user: &'a str,
    password: &'a str,
    hashes: PasswordHashes<'a>,
    account_exists: bool,
    digest: CredentialsDigest,
}

/// The hashes of the passwords that are right now.
#[derive(Clone, Copy)]
struct PasswordHashes<'a> {
    /// The account's, or the decoy's where no account has the name.
    current: &'a str,
    /// Of the password before, while it is right, too.
    former: Option<&'a str>,
}

impl<'a> PasswordHashes<'a> {
    fn of(account: &'a Account, now: Timestamp) -> Self {
        let former = account.former_password.as_ref().filter(|former| now < former.until);
        Self { current: &account.password_hash, former: former.map(|former| former.hash.as_str()) }
    }

    fn iter(self) -> impl Iterator<Item = &'a str> {
        [self.current].into_iter().chain(self.former)
    }
}

/// An account whose credentials a request has shown.
#[derive(Clone, Debug)]
pub(crate) struct LogIn {
    pub(crate) account: Arc<Account>,
    /// The token that it has shown; none: a password.
    pub(crate) token: Option<AccountToken>,
}

/// Tells by its credentials whose request it is. What it looked up or verified is remembered for a while, in bounded
/// caches.
pub(crate) struct Authenticator {
    accounts: AccountCache,
    clock: Clock,
    // Somebody has logged in with the name: its account is read without being counted as a try.
    known_names: moka::sync::Cache<String, ()>,
    // Somebody has logged in with the token.
    known_tokens: moka::sync::Cache<TokenDigest, ()>,
    // Read and counted a moment ago: a program that repeats its wrong password is counted once a minute.
    counted_names: moka::sync::Cache<String, ()>,
    // Counted when its account was read: the check that follows is not counted again.
    prepaid: moka::sync::Cache<String, LoginWay>,
    right: Cache<CredentialsDigest, ()>,
    // Right before: they may be wrong by now, but they are no guess.
    proven: moka::sync::Cache<CredentialsDigest, ()>,
    wrong: moka::sync::Cache<CredentialsDigest, ()>,
    login_limiter: LoginLimiter,
    // Unproven checks, running and waiting.
    unproven_queue: Semaphore,
    unproven_checks: Arc<Semaphore>,
    proven_checks: Arc<Semaphore>,
    // Of names that many addresses guess at: waiting, and running.
    contested_queue: Semaphore,
    contested_checks: Arc<Semaphore>,
    pepper: [u8; 32],
    // Checked in place of the hash of an unknown user, so that both take the same time.
    decoy_hash: String,
}

impl Authenticator {
    pub(crate) fn new(accounts: Accounts, clock: Clock, settings: &HttpSettings) -> Result<Self, HashError> {
        let names = || moka::sync::Cache::<String, ()>::builder().max_capacity(MAX_CACHED);
        let digests = || moka::sync::Cache::<CredentialsDigest, ()>::builder().max_capacity(MAX_CACHED);
        Ok(Self {
            accounts: AccountCache::new(accounts, settings.account_ttl),
            clock,
            known_names: names().time_to_idle(PROVEN_FOR).build(),
            known_tokens: moka::sync::Cache::builder().max_capacity(MAX_CACHED).time_to_idle(PROVEN_FOR).build(),
            counted_names: names().time_to_live(COUNTED_FOR).build(),
            prepaid: moka::sync::Cache::builder().max_capacity(MAX_CACHED).time_to_live(COUNTED_FOR).build(),
            right: Cache::builder().max_capacity(MAX_CACHED).time_to_live(settings.password_ttl).build(),
            proven: digests().time_to_idle(PROVEN_FOR).build(),
            wrong: digests().time_to_live(WRONG_FOR).build(),
            login_limiter: LoginLimiter::new(settings.wrong_passwords),
            unproven_queue: Semaphore::new(MAX_WAITING + settings.password_checks),
            unproven_checks: Arc::new(Semaphore::new(settings.password_checks)),
            proven_checks: Arc::new(Semaphore::new(1)),
            contested_queue: Semaphore::new(MAX_WAITING),
            contested_checks: Arc::new(Semaphore::new(1)),
            pepper: rand::random(),
            decoy_hash: hash_password("nobody's password")?,
        })
    }

    /// Looks whether accounts were changed, so that what is remembered of them no longer counts.
    pub(crate) async fn look_for_changes(&self) {
        self.accounts.look_for_changes().await;
    }

    /// Authenticates by the `Authorization` header; `client` is the address that tries are counted for. Unless `sandbox`,
    /// an account that a sandbox made is as one that is not there.
    pub(crate) async fn authenticate(
        &self,
        header: Option<&HeaderValue>,
        client: Option<IpAddr>,
        sandbox: bool,
    ) -> Result<LogIn, ApiError> {
        let let_in = |account: &Account| sandbox || !account.sandbox;
        let log_in = match header.and_then(Credentials::of).ok_or(ApiError::Unauthenticated)? {
            Credentials::Token { user, digest } => self.by_token(user, &digest, client).await?,
            Credentials::Password { user, password } => {
                let account = self.by_password(&user, &password, client, let_in).await?;
                LogIn { account, token: None }
            }
        };
        if let_in(&log_in.account) { Ok(log_in) } else { Err(ApiError::Unauthenticated) }
    }

    async fn by_token(
        &self,
        user: Option<String>,
        digest: &TokenDigest,
        client: Option<IpAddr>,
    ) -> Result<LogIn, ApiError> {
        let count = || match self.known_tokens.get(digest) {
            Some(()) => Ok(()),
            None => {
                self.login_limiter.count_token(client).map_err(|wait_s| ApiError::from(&LoginError::TooMany(wait_s)))
            }
        };
        let found = self.accounts.of_token(digest, count).await?.ok_or(ApiError::Unauthenticated)?;
        if user.is_some_and(|user| user != found.account.username) {
            return Err(ApiError::Unauthenticated);
        }
        self.known_tokens.insert(digest.clone(), ());
        Ok(LogIn { account: Arc::clone(&found.account), token: Some(found.token.clone()) })
    }

    async fn by_password(
        &self,
        user: &str,
        password: &str,
        client: Option<IpAddr>,
        let_in: impl Fn(&Account) -> bool,
    ) -> Result<Arc<Account>, ApiError> {
        // No account's name holds a NUL, and PostgreSQL cannot be asked for one.
        if user.len() > MAX_USER_NAME || user.contains('\0') {
            return Err(ApiError::Unauthenticated);
        }
        let count = || self.count_read(user, client).map_err(|error| ApiError::from(&error));
        let account = self.accounts.named(user, count).await?.filter(|account| let_in(account));
        let decoy = PasswordHashes { current: &self.decoy_hash, former: None };
        let hashes = account.as_ref().map_or(decoy, |account| PasswordHashes::of(account, self.clock.wall()));
        let digest = self.digest(user, password, hashes);
        if self.right.get(&digest).await.is_none() {
            let attempt = LoginAttempt { user, password, hashes, account_exists: account.is_some(), digest };
            let checked = self.right.try_get_with(digest, self.log_in(attempt, client)).await;
            checked.map_err(|error| ApiError::from(&*error))?;
        }
        account.ok_or(ApiError::Unauthenticated)
    }

    /// Counts the read of an account as a try, unless somebody is known to have its name.
    fn count_read(&self, user: &str, client: Option<IpAddr>) -> Result<(), LoginError> {
        if self.known_names.get(user).is_some() || self.counted_names.contains_key(user) {
            return Ok(());
        }
        let way = self.login_limiter.count(user, client).map_err(LoginError::TooMany)?;
        self.counted_names.insert(user.to_owned(), ());
        self.prepaid.insert(user.to_owned(), way);
        Ok(())
    }

    fn digest(&self, user: &str, password: &str, hashes: PasswordHashes<'_>) -> CredentialsDigest {
        let mut digest = Sha256::new();
        digest.update(self.pepper);
        for part in [user, password].into_iter().chain(hashes.iter()) {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// Checks credentials that are not in the cache of right ones.
    async fn log_in(&self, attempt: LoginAttempt<'_>, client: Option<IpAddr>) -> Result<(), LoginError> {
        if self.proven.get(&attempt.digest).is_some() {
            return check(&self.proven_checks, &attempt).await;
        }
        if self.wrong.get(&attempt.digest).is_some() {
            return Err(LoginError::Wrong);
        }
        let way = match self.prepaid.remove(attempt.user) {
            Some(way) => way,
            None => self.login_limiter.count(attempt.user, client).map_err(LoginError::TooMany)?,
        };
        let (queue, checks) = match way {
            LoginWay::Usual => (&self.unproven_queue, &self.unproven_checks),
            LoginWay::Contested => (&self.contested_queue, &self.contested_checks),
        };
        let _place_in_queue = queue.try_acquire().map_err(|_| LoginError::NotChecked)?;
        let checked = check(checks, &attempt).await;
        match checked {
            Ok(()) => {
                self.proven.insert(attempt.digest, ());
                self.known_names.insert(attempt.user.to_owned(), ());
                self.login_limiter.logged_in(attempt.user, client);
            }
            // An unknown user's too: otherwise the time would tell that there is none. Once the account is added, its
            // credentials have another digest.
            Err(LoginError::Wrong) => self.wrong.insert(attempt.digest, ()),
            Err(_) => {}
        }
        checked
    }
}

/// Verifies a password on a blocking thread, as many at once as there are permits.
async fn check(permits: &Arc<Semaphore>, attempt: &LoginAttempt<'_>) -> Result<(), LoginError> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(|_| LoginError::NotChecked)?;
    let password = attempt.password.to_owned();
    let hashes: Vec<String> = attempt.hashes.iter().map(str::to_owned).collect();
    let right = tokio::task::spawn_blocking(move || {
        // Held by the thread that works: a client that hangs up must not allow another check beside it.
        let _permit = permit;
        hashes.iter().any(|hash| verify_password(&password, hash))
    })
    .await
    .map_err(|_| LoginError::NotChecked)?;
    if right && attempt.account_exists { Ok(()) } else { Err(LoginError::Wrong) }
}
