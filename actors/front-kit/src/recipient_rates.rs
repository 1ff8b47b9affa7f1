//! How many recipients a minute an account may send to, counted by this process: a token bucket for each account that has
//! such a quota.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use vumi_kit::account::AccountId;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooManyRecipients {
    /// There are none left for so many; in so many seconds there are.
    Wait(u64),
    /// There never are so many at once.
    Never,
}

/// A bucket, and the quota that it was made for.
type Bucket = (u32, Arc<DefaultDirectRateLimiter>);

/// What each account has left of its recipients a minute. A bucket begins full, also after a restart.
#[derive(Default)]
pub struct RecipientRates {
    // By accounts that exist and have a quota: bounded by their number.
    buckets: Mutex<HashMap<AccountId, Bucket>>,
    clock: DefaultClock,
}

impl RecipientRates {
    /// Takes so many recipients of an account's quota, all of them or none.
    pub fn take(&self, account: AccountId, per_minute: u32, recipients: usize) -> Result<(), TooManyRecipients> {
        let Some(recipients) = u32::try_from(recipients).map_or(Some(NonZeroU32::MAX), NonZeroU32::new) else {
            return Ok(());
        };
        let Some(quota) = NonZeroU32::new(per_minute) else { return Err(TooManyRecipients::Never) };
        let bucket = self.bucket(account, quota);
        match bucket.check_n(recipients) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(self.clock.now());
                Err(TooManyRecipients::Wait((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)))
            }
            Err(_) => Err(TooManyRecipients::Never),
        }
    }

    fn bucket(&self, account: AccountId, quota: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || (quota.get(), Arc::new(RateLimiter::direct(Quota::per_minute(quota))));
        let bucket = buckets.entry(account).or_insert_with(new);
        // Another quota is another bucket, and a full one.
        if bucket.0 != quota.get() {
            *bucket = new();
        }
        Arc::clone(&bucket.1)
    }
}

#[cfg(test)]
mod tests {
    use super::{RecipientRates, TooManyRecipients};

    #[test]
    fn recipients_are_counted_and_not_calls_and_a_batch_is_taken_whole_or_not() {
        let rates = RecipientRates::default();
        assert_eq!(rates.take(1, 60, 50), Ok(()));
        let refused = rates.take(1, 60, 20).unwrap_err();
        assert!(matches!(refused, TooManyRecipients::Wait(9..=10)), "{refused:?}");
        assert_eq!(rates.take(1, 60, 10), Ok(()), "the batch that was refused took nothing");
        assert!(rates.take(1, 60, 1).is_err());
        assert_eq!(rates.take(2, 60, 60), Ok(()), "another account");
        assert_eq!(rates.take(1, 60, 61), Err(TooManyRecipients::Never));
        assert_eq!(rates.take(3, 0, 1), Err(TooManyRecipients::Never));
        assert_eq!(rates.take(3, 0, 0), Ok(()));
        assert_eq!(rates.take(1, 120, 120), Ok(()), "another quota counts at once");
    }
}
