//! Who is calling: HTTP Basic against Argon2id hashes, without paying Argon2 on every request.
//!
//! The account's row is remembered for some seconds, and a password that was right for some minutes, under a
//! SHA-256 keyed with a pepper of this process and the stored hash: so a changed password is a different entry,
//! and a request on a warm cache asks neither the store nor Argon2. An unknown user costs the same check as a
//! known one. One check at a time for the same credentials.
//!
//! Guessing is bounded, and nobody pays for somebody else's guesses: credentials that were right before are
//! checked again whatever others tried, on a lane of their own; wrong ones that come again are refused without a check; every other
//! check is counted by name and address (`tries`).

use std::{net::IpAddr, sync::Arc, time::Duration};

use actix_web::http::header::HeaderValue;
use base64::{Engine, engine::general_purpose::STANDARD};
use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use vumi_kit::{
    account::{Account, AccountId, Accounts, FindAccount},
    store::Ask,
};

use super::{
    password::{HashError, hash_password, verify_password},
    refusal::Refusal,
    settings::HttpSettings,
    tries::Tries,
};

/// Accounts, and right passwords, that are remembered at the most: the least used make room.
const REMEMBERED: u64 = 10_000;
/// How long credentials that were right, and have not been used since, need not stand in line with strangers'.
const PROVEN_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long wrong credentials are remembered, so that a program that keeps sending them costs no further checks.
const WRONG_FOR: Duration = Duration::from_secs(600);
/// Strangers' checks that may wait for their turn at once: a longer line would be waited for in vain.
const MOST_WAITING: usize = 64;
/// The longest user name that is looked at, in bytes.
const LONGEST_NAME: usize = 255;
/// The longest credentials that are looked at, in bytes.
const LONGEST: usize = 1024;

/// Why a caller's credentials were not accepted.
#[derive(Debug)]
enum Denied {
    Wrong,
    /// Seconds until there may be another check.
    TooMany(u64),
    NoCheck,
}

impl From<&Denied> for Refusal {
    fn from(denied: &Denied) -> Self {
        match denied {
            Denied::Wrong => Self::Unknown,
            Denied::TooMany(wait_s) => Self::TooMany(*wait_s, "wrong passwords"),
            Denied::NoCheck => Self::Away(1, "the password could not be checked"),
        }
    }
}

/// What credentials are remembered by: see [`Gate::key`].
type Key = [u8; 32];

/// The gate: lets callers with an account in.
pub(crate) struct Gate {
    accounts: Accounts,
    rows: Cache<String, Arc<Account>>,
    right: Cache<Key, ()>,
    // Right before: it may not be any more (another pepper or hash is another key), but a guess it is not.
    proven: moka::sync::Cache<Key, ()>,
    wrong: moka::sync::Cache<Key, ()>,
    tries: Tries,
    // Strangers' checks, those that wait for their turn included.
    line: Semaphore,
    strangers: Arc<Semaphore>,
    known: Arc<Semaphore>,
    pepper: [u8; 32],
    // What the password of an unknown user is checked against, so that it takes as long as a known one's.
    stand_in: String,
}

impl Gate {
    pub(crate) fn new(accounts: Accounts, settings: &HttpSettings) -> Result<Self, HashError> {
        let remembered = || moka::sync::Cache::<Key, ()>::builder().max_capacity(REMEMBERED);
        Ok(Self {
            accounts,
            rows: Cache::builder().max_capacity(REMEMBERED).time_to_live(settings.account_ttl).build(),
            right: Cache::builder().max_capacity(REMEMBERED).time_to_live(settings.password_ttl).build(),
            proven: remembered().time_to_idle(PROVEN_FOR).build(),
            wrong: remembered().time_to_live(WRONG_FOR).build(),
            tries: Tries::new(settings.wrong_passwords),
            line: Semaphore::new(MOST_WAITING + settings.password_checks),
            strangers: Arc::new(Semaphore::new(settings.password_checks)),
            known: Arc::new(Semaphore::new(1)),
            pepper: rand::random(),
            stand_in: hash_password("nobody's password")?,
        })
    }

    /// Lets a caller in by the `Authorization` header.
    pub(crate) async fn admit(
        &self,
        header: Option<&HeaderValue>,
        origin: Option<IpAddr>,
    ) -> Result<AccountId, Refusal> {
        let credentials = header.and_then(read).ok_or(Refusal::Unknown)?;
        let (user, password) = credentials.split_once(':').ok_or(Refusal::Unknown)?;
        // No account's name holds a NUL, and not every database could be asked for one.
        if user.len() > LONGEST_NAME || user.contains('\0') {
            return Err(Refusal::Unknown);
        }
        let account = self.account(user).await?;
        let hash = account.as_ref().map_or(self.stand_in.as_str(), |account| &account.password_hash);
        let key = self.key(user, password, hash);
        if self.right.get(&key).await.is_none() {
            let known = account.is_some();
            let check = async {
                if self.proven.get(&key).is_some() {
                    return self.check(&self.known, password, hash, known).await;
                }
                self.guess(key, user, password, hash, known, origin).await
            };
            self.right.try_get_with(key, check).await.map_err(|denied| Refusal::from(&*denied))?;
        }
        account.map(|account| account.id).ok_or(Refusal::Unknown)
    }

    async fn account(&self, user: &str) -> Result<Option<Arc<Account>>, Refusal> {
        if let Some(account) = self.rows.get(user).await {
            return Ok(Some(account));
        }
        let find = async {
            match self.accounts.ask(FindAccount { username: user.to_owned() }).await {
                Ok(found) => found.map(Arc::new).ok_or(None),
                Err(error) => Err(Some(error)),
            }
        };
        match self.rows.try_get_with(user.to_owned(), find).await {
            Ok(account) => Ok(Some(account)),
            // A name nobody has is not remembered: the account may be added the next moment.
            Err(failed) => (*failed).clone().map_or(Ok(None), |error| Err(error.into())),
        }
    }

    fn key(&self, user: &str, password: &str, hash: &str) -> Key {
        let mut digest = Sha256::new();
        digest.update(self.pepper);
        for part in [user, password, hash] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// Checks credentials that nobody has shown to be right yet.
    async fn guess(
        &self,
        key: Key,
        user: &str,
        password: &str,
        hash: &str,
        known: bool,
        origin: Option<IpAddr>,
    ) -> Result<(), Denied> {
        if self.wrong.get(&key).is_some() {
            return Err(Denied::Wrong);
        }
        self.tries.count(user, origin).map_err(Denied::TooMany)?;
        let _place = self.line.try_acquire().map_err(|_| Denied::NoCheck)?;
        let checked = self.check(&self.strangers, password, hash, known).await;
        match checked {
            Ok(()) => self.proven.insert(key, ()),
            // An unknown name's too, or the time it takes would tell; an account that is added has another key.
            Err(Denied::Wrong) => self.wrong.insert(key, ()),
            Err(_) => {}
        }
        checked
    }

    async fn check(&self, lane: &Arc<Semaphore>, password: &str, hash: &str, known: bool) -> Result<(), Denied> {
        let permit = Arc::clone(lane).acquire_owned().await.map_err(|_| Denied::NoCheck)?;
        let (password, hash) = (password.to_owned(), hash.to_owned());
        let right = tokio::task::spawn_blocking(move || {
            // Held by the thread that works: a caller who hangs up must not make room for another check.
            let _permit = permit;
            verify_password(&password, &hash)
        })
        .await
        .map_err(|_| Denied::NoCheck)?;
        if right && known { Ok(()) } else { Err(Denied::Wrong) }
    }
}

/// `user:password` out of a header.
fn read(header: &HeaderValue) -> Option<String> {
    let (scheme, token) = header.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("basic") || token.len() > 2 * LONGEST {
        return None;
    }
    String::from_utf8(STANDARD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::read;

    #[test]
    fn a_basic_header_is_read_whatever_the_case_of_its_scheme() {
        for header in ["Basic dXNlcm5hbWU6cGFzc3dvcmQ=", "basic  dXNlcm5hbWU6cGFzc3dvcmQ="] {
            assert_eq!(read(&HeaderValue::from_static(header)).unwrap(), "username:password");
        }
        for header in ["", "Basic", "Basic !!!", "Bearer dXNlcm5hbWU6cGFzc3dvcmQ=", "Basic /w=="] {
            assert_eq!(read(&HeaderValue::from_static(header)), None, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(bytes in any::<Vec<u8>>()) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _read = read(&header);
            }
        }
    }
}
