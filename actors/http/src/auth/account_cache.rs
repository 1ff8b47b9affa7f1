//! What is remembered of accounts and tokens: for seconds, and no longer than until any of them is changed, by whatever
//! process.

use std::{
    borrow::Borrow,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use vumi_kit::{
    account::{Account, Accounts, CountAccountChanges, FindAccount, FindToken, TokenDigest, TokenLogIn},
    store::Ask,
};

use super::authenticator::MAX_CACHED;
use crate::response::error::ApiError;

/// What the store said, and how many changes of accounts it had had before.
#[derive(Clone)]
struct Remembered<T> {
    changes: i64,
    found: Option<Arc<T>>,
}

/// Asks the store for accounts and tokens, and remembers its answers, [`MAX_CACHED`] of each at the most.
pub(super) struct AccountCache {
    accounts: Accounts,
    by_name: Cache<String, Remembered<Account>>,
    by_token: Cache<TokenDigest, Remembered<TokenLogIn>>,
    /// How many changes the store has had, as far as is known here.
    changes: AtomicI64,
}

impl AccountCache {
    pub(super) fn new(accounts: Accounts, keep: Duration) -> Self {
        Self {
            accounts,
            by_name: Cache::builder().max_capacity(MAX_CACHED).time_to_live(keep).build(),
            by_token: Cache::builder().max_capacity(MAX_CACHED).time_to_live(keep).build(),
            changes: AtomicI64::default(),
        }
    }

    /// Looks whether an account was changed: then nothing that is remembered counts.
    pub(super) async fn look_for_changes(&self) {
        // While the store cannot tell, what is remembered ends with its time.
        if let Ok(changes) = self.accounts.ask(CountAccountChanges).await {
            self.changes.store(changes, Ordering::SeqCst);
        }
    }

    /// The account of a name. `count` is asked before the store is.
    pub(super) async fn named(
        &self,
        name: &str,
        count: impl FnOnce() -> Result<(), ApiError>,
    ) -> Result<Option<Arc<Account>>, ApiError> {
        let ask = async {
            count()?;
            Ok(self.accounts.ask(FindAccount { username: name.to_owned() }).await?)
        };
        remembered(&self.by_name, name, self.changes.load(Ordering::SeqCst), ask).await
    }

    /// What a token logs in. `count` is asked before the store is.
    pub(super) async fn of_token(
        &self,
        digest: &TokenDigest,
        count: impl FnOnce() -> Result<(), ApiError>,
    ) -> Result<Option<Arc<TokenLogIn>>, ApiError> {
        let ask = async {
            count()?;
            Ok(self.accounts.ask(FindToken { digest: digest.clone() }).await?)
        };
        remembered(&self.by_token, digest, self.changes.load(Ordering::SeqCst), ask).await
    }
}

/// What is remembered since the last change, else what the store answers: of several who wait for it one asks.
async fn remembered<K, Q, T>(
    cache: &Cache<K, Remembered<T>>,
    key: &Q,
    changes: i64,
    ask: impl Future<Output = Result<Option<T>, ApiError>>,
) -> Result<Option<Arc<T>>, ApiError>
where
    K: Borrow<Q> + Hash + Eq + Send + Sync + 'static,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    T: Clone + Send + Sync + 'static,
{
    match cache.get(key).await {
        Some(known) if known.changes == changes => return Ok(known.found),
        Some(_) => cache.invalidate(key).await,
        None => {}
    }
    let find = async { Ok(Remembered { changes, found: ask.await?.map(Arc::new) }) };
    let known = cache.try_get_with(key.to_owned(), find).await;
    known.map(|known| known.found).map_err(|error: Arc<ApiError>| (*error).clone())
}
