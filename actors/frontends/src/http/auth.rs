//! Who is calling: HTTP Basic against Argon2id hashes, without paying Argon2 on every request.
//!
//! The account's row is remembered for some seconds, and a password that was right for some minutes, under a
//! SHA-256 keyed with a pepper of this process and the stored hash: so a changed password is a different entry,
//! and a request on a warm cache asks neither the store nor Argon2. An unknown user costs the same check as a
//! known one. One check at a time for the same credentials; wrong ones are counted by name and address.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix_web::http::header::HeaderValue;
use base64::{Engine, engine::general_purpose::STANDARD};
use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use vumi_kit::{
    account::{Account, AccountId, Accounts, FindAccount},
    store::Asking,
};

use super::{
    password::{HashError, hash_password, verify_password},
    refusal::Refusal,
    settings::HttpSettings,
};

/// Accounts, and right passwords, that are remembered at the most: the least used make room.
const REMEMBERED: u64 = 10_000;
/// Pairs of user name and address whose wrong passwords are counted at the most.
const COUNTED: u64 = 20_000;
/// Over which time wrong passwords are counted.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// The longest user name that is looked at, in bytes.
const LONGEST_NAME: usize = 255;
/// The longest credentials that are looked at, in bytes.
const LONGEST: usize = 1024;

/// Why a caller's credentials were not accepted.
#[derive(Debug)]
enum Denied {
    Wrong,
    TooMany,
    NoCheck,
}

impl From<&Denied> for Refusal {
    fn from(denied: &Denied) -> Self {
        match denied {
            Denied::Wrong => Self::Unknown,
            Denied::TooMany => Self::TooMany(COUNTED_FOR.as_secs(), "wrong passwords"),
            Denied::NoCheck => Self::Away(1, "the password could not be checked"),
        }
    }
}

/// The gate: lets callers with an account in.
pub(crate) struct Gate {
    accounts: Accounts,
    rows: Cache<String, Arc<Account>>,
    right: Cache<[u8; 32], ()>,
    wrong: moka::sync::Cache<(String, Option<IpAddr>), Arc<AtomicU32>>,
    most_wrong: u32,
    checks: Arc<Semaphore>,
    pepper: [u8; 32],
    // What the password of an unknown user is checked against, so that it takes as long as a known one's.
    stand_in: String,
}

impl Gate {
    pub(crate) fn new(accounts: Accounts, settings: &HttpSettings) -> Result<Self, HashError> {
        Ok(Self {
            accounts,
            rows: Cache::builder().max_capacity(REMEMBERED).time_to_live(settings.account_ttl).build(),
            right: Cache::builder().max_capacity(REMEMBERED).time_to_live(settings.password_ttl).build(),
            wrong: moka::sync::Cache::builder().max_capacity(COUNTED).time_to_live(COUNTED_FOR).build(),
            most_wrong: settings.wrong_passwords,
            checks: Arc::new(Semaphore::new(settings.password_checks)),
            pepper: rand::random(),
            stand_in: hash_password("nobody's password")?,
        })
    }

    /// Lets a caller in by the `Authorization` header.
    pub(crate) async fn admit(&self, header: Option<&HeaderValue>, peer: Option<IpAddr>) -> Result<AccountId, Refusal> {
        let credentials = header.and_then(read).ok_or(Refusal::Unknown)?;
        let (user, password) = credentials.split_once(':').ok_or(Refusal::Unknown)?;
        if user.len() > LONGEST_NAME {
            return Err(Refusal::Unknown);
        }
        let account = self.account(user).await?;
        let hash = account.as_ref().map_or(self.stand_in.as_str(), |account| &account.password_hash);
        let key = self.key(user, password, hash);
        if self.right.get(&key).await.is_none() {
            let check = self.check(user, password, hash, account.is_some(), peer);
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

    fn key(&self, user: &str, password: &str, hash: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.pepper);
        for part in [user, password, hash] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    async fn check(
        &self,
        user: &str,
        password: &str,
        hash: &str,
        known: bool,
        peer: Option<IpAddr>,
    ) -> Result<(), Denied> {
        let counted = (user.to_owned(), peer);
        let failures = self.wrong.get_with_by_ref(&counted, Arc::default);
        if failures.fetch_add(1, Ordering::Relaxed) >= self.most_wrong {
            return Err(Denied::TooMany);
        }
        let permit = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| Denied::NoCheck)?;
        let (password, hash) = (password.to_owned(), hash.to_owned());
        let right = tokio::task::spawn_blocking(move || {
            // Held by the thread that works: a caller who hangs up must not make room for another check.
            let _permit = permit;
            verify_password(&password, &hash)
        })
        .await
        .map_err(|_| Denied::NoCheck)?;
        if right && known {
            // Only wrong ones count; this one was counted ahead.
            failures.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        Err(Denied::Wrong)
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
