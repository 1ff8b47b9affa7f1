//! What is remembered of accounts and tokens: for seconds, and no longer than until any of them is changed, by whatever
//! process.

use std::{
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
        let changes = self.changes.load(Ordering::SeqCst);
        match self.by_name.get(name).await {
            Some(known) if known.changes == changes => return Ok(known.found),
            Some(_) => self.by_name.invalidate(name).await,
            None => {}
        }
        let find = async {
            count()?;
            let found = self.accounts.ask(FindAccount { username: name.to_owned() }).await?;
            Ok(Remembered { changes, found: found.map(Arc::new) })
        };
        let known = self.by_name.try_get_with(name.to_owned(), find).await;
        known.map(|known| known.found).map_err(|error: Arc<ApiError>| (*error).clone())
    }

    /// What a token logs in. `count` is asked before the store is.
    pub(super) async fn of_token(
        &self,
        digest: &TokenDigest,
        count: impl FnOnce() -> Result<(), ApiError>,
    ) -> Result<Option<Arc<TokenLogIn>>, ApiError> {
        let changes = self.changes.load(Ordering::SeqCst);
        match self.by_token.get(digest).await {
            Some(known) if known.changes == changes => return Ok(known.found),
            Some(_) => self.by_token.invalidate(digest).await,
            None => {}
        }
        let find = async {
            count()?;
            let found = self.accounts.ask(FindToken { digest: digest.clone() }).await?;
            Ok(Remembered { changes, found: found.map(Arc::new) })
        };
        let known = self.by_token.try_get_with(digest.clone(), find).await;
        known.map(|known| known.found).map_err(|error: Arc<ApiError>| (*error).clone())
    }
}
