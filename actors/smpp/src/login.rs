//! Who may bind: an account's own password for SMPP, checked as the HTTP API checks its passwords. Guessing is bounded by name
//! and address; a name that has no account takes the same time; a password that was right is known for a while, so that an
//! ESME that binds often is not taken for one that guesses.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use vumi_front_kit::{
    log_in_trail::LogInTrail,
    login_limiter::LoginLimiter,
    password::{HashError, hash_password, verify_password},
};
use vumi_kit::{
    account::{Account, AccountRole, Accounts, FindAccount},
    clock::Timestamp,
    store::{Ask, StoreError},
};
use vumi_smpp_codec::{Bind, BindMode, status};

use crate::{
    binds::{BindPlace, take_place},
    settings::SmppSettings,
    state::SmppServerState,
};

/// The most credentials that are remembered as right.
const MAX_PROVEN: u64 = 10_000;
/// How long they are after their last use.
const PROVEN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Checks that wait for their turn; further binds are refused at once.
const MAX_WAITING: usize = 64;
/// How long the binds of an account have to show that they are still there, when it has as many as it may.
const PROBED_WITHIN: Duration = Duration::from_secs(3);
/// What a password is checked against where no account has the name, so that both take the same time.
const NOBODYS: &str = "nobody's";

/// Checks the passwords of binds.
pub(crate) struct BindLogin {
    accounts: Accounts,
    trail: LogInTrail,
    limiter: LoginLimiter,
    /// Right before, with the present hash: no guess.
    proven: Cache<[u8; 32], ()>,
    /// Somebody has bound with the name: its account is read without being counted as a try.
    known_names: Cache<String, ()>,
    pepper: [u8; 32],
    decoy_hash: String,
    queue: Semaphore,
    checks: Arc<Semaphore>,
}

/// Why a bind is refused: the command_status of its answer.
pub(crate) type BindStatus = u32;

impl BindLogin {
    pub(crate) fn new(accounts: Accounts, settings: &SmppSettings) -> Result<Self, HashError> {
        Ok(Self {
            trail: LogInTrail::new(accounts.clone()),
            accounts,
            limiter: LoginLimiter::new(settings.wrong_passwords),
            proven: Cache::builder().max_capacity(MAX_PROVEN).time_to_idle(PROVEN_FOR).build(),
            known_names: Cache::builder().max_capacity(MAX_PROVEN).time_to_idle(PROVEN_FOR).build(),
            pepper: rand::random(),
            decoy_hash: hash_password(NOBODYS)?,
            queue: Semaphore::new(MAX_WAITING + settings.password_checks),
            checks: Arc::new(Semaphore::new(settings.password_checks)),
        })
    }

    /// The account of a name, if the password is its for SMPP and it may be used from this address.
    async fn account(
        &self,
        name: &str,
        password: &[u8],
        peer: IpAddr,
        state: &SmppServerState,
    ) -> Result<Arc<Account>, BindStatus> {
        // One peer's invented names are no more reads of the store than its tries.
        let counted = !self.known_names.contains_key(name);
        if counted {
            self.count(name, peer)?;
        }
        let may_exist = !name.is_empty() && !name.contains('\0');
        let found = if may_exist { self.find(name).await.map_err(away)? } else { None };
        let account = found.filter(|account| state.context.sandbox_account || !account.sandbox);
        let hash = account.as_ref().and_then(|account| account.smpp.as_ref()).map(|smpp| smpp.password_hash.clone());
        let right = self.check(name, password, hash, (peer, counted)).await?;
        let Some(account) = account.filter(|_| right) else {
            self.trail.refused(name, "wrong password for SMPP", Some(peer));
            return Err(status::ESME_RINVPASWD);
        };
        if let Some(why) = no_access(&account, peer, state.context.clock.wall()) {
            self.trail.refused(name, why, Some(peer));
            return Err(status::ESME_RBINDFAIL);
        }
        self.trail.logged_in(&account, "by its password for SMPP".to_owned(), Some(peer));
        Ok(Arc::new(account))
    }

    /// Finds an account as it is now.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Account>, StoreError> {
        self.accounts.ask(FindAccount { username: name.to_owned() }).await
    }

    fn count(&self, name: &str, peer: IpAddr) -> Result<(), BindStatus> {
        self.limiter.count(name, Some(peer)).map(drop).map_err(|_wait_s| status::ESME_RTHROTTLED)
    }

    /// Whether a password is right; `hash` is none where no account has the name, or none for SMPP. A try is counted unless it
    /// was already.
    async fn check(
        &self,
        name: &str,
        password: &[u8],
        hash: Option<String>,
        (peer, counted): (IpAddr, bool),
    ) -> Result<bool, BindStatus> {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy_hash.clone());
        let digest = self.digest(name, password, &hash);
        if self.proven.contains_key(&digest) {
            return Ok(true);
        }
        if !counted {
            self.count(name, peer)?;
        }
        let _place_in_queue = self.queue.try_acquire().map_err(|_| status::ESME_RTHROTTLED)?;
        let permit = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| status::ESME_RSYSERR)?;
        // A password that is no text is nobody's, and is checked all the same.
        let password = String::from_utf8_lossy(password).into_owned();
        let checked = tokio::task::spawn_blocking(move || {
            // Held by the thread that works: an ESME that hangs up must not allow another check beside it.
            let _permit = permit;
            verify_password(&password, &hash)
        });
        let right = checked.await.map_err(|_| status::ESME_RSYSERR)? && exists;
        if right {
            self.proven.insert(digest, ());
            self.known_names.insert(name.to_owned(), ());
            self.limiter.logged_in(name, Some(peer));
        }
        Ok(right)
    }

    fn digest(&self, name: &str, password: &[u8], hash: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.pepper);
        for part in [name.as_bytes(), password, hash.as_bytes()] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn away(_: StoreError) -> BindStatus {
    status::ESME_RSYSERR
}

/// Why an account whose password is right may not bind now from this address, if it may not.
fn no_access(account: &Account, peer: IpAddr, now: Timestamp) -> Option<&'static str> {
    let networks = &account.networks;
    let within = networks.is_empty() || networks.iter().any(|network| network.contains(peer));
    no_access_now(account, now).or_else(|| (!within).then_some("not from this address"))
}

/// Why an account may not be bound now, if it may not.
pub(crate) fn no_access_now(account: &Account, now: Timestamp) -> Option<&'static str> {
    let Account { locked_at, expires_at, roles, smpp, .. } = account;
    if locked_at.is_some() {
        return Some("the account is locked");
    }
    if expires_at.is_some_and(|at| at <= now) {
        return Some("the account has expired");
    }
    if !roles.has(AccountRole::Client) {
        return Some("the account is not of role client");
    }
    smpp.is_none().then_some("the account has no password for SMPP")
}

/// Checks a bind, and gives it its place.
pub(crate) async fn bind(state: Rc<SmppServerState>, bind: Box<Bind>, peer: IpAddr) -> Result<BindPlace, BindStatus> {
    if state.draining.get() {
        return Err(status::ESME_RSYSERR);
    }
    let name = String::from_utf8_lossy(&bind.system_id).into_owned();
    let account = state.login.account(&name, &bind.password.0, peer, &state).await?;
    let most = account.smpp.as_ref().and_then(|smpp| smpp.most_binds).unwrap_or(state.settings.binds_per_account);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if state.binds.of(account.id) >= most {
        state.binds.probe(account.id, PROBED_WITHIN).await;
    }
    if state.binds.of(account.id) >= most {
        state.login.trail.refused(&name, "too many binds", Some(peer));
        return Err(status::ESME_RBINDFAIL);
    }
    let window = match bind.mode {
        BindMode::Transmitter => 1,
        BindMode::Receiver | BindMode::Transceiver => state.settings.deliver_window,
    };
    Ok(take_place(&state, account, bind.mode, window))
}
