//! How many passwords may be tried: by user name and address, and by address over all names. Each check costs some
//! 20 ms of a core, so a guesser gets so many a minute and no more.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use moka::sync::Cache;

/// Addresses, and pairs of user name and address, whose tries are counted at the most: the least used make room.
const COUNTED: u64 = 20_000;
/// A budget is whole again after a minute: then it need not be remembered.
const WHOLE_AFTER: Duration = Duration::from_secs(60);
/// How many names' tries an address has: people behind one address have names of their own.
const NAMES: u32 = 10;

type Budget = Arc<DefaultDirectRateLimiter>;

/// The tries there were.
pub(crate) struct Tries {
    by_origin: Cache<Option<IpAddr>, Budget>,
    by_name: Cache<(String, Option<IpAddr>), Budget>,
    of_origin: Quota,
    of_name: Quota,
    clock: DefaultClock,
}

impl Tries {
    /// So many a minute for one name from one address.
    pub(crate) fn new(per_minute: u32) -> Self {
        let a_minute = |tries: u32| Quota::per_minute(NonZeroU32::new(tries).unwrap_or(NonZeroU32::MIN));
        Self {
            by_origin: Cache::builder().max_capacity(COUNTED).time_to_idle(WHOLE_AFTER).build(),
            by_name: Cache::builder().max_capacity(COUNTED).time_to_idle(WHOLE_AFTER).build(),
            of_origin: a_minute(per_minute.saturating_mul(NAMES)),
            of_name: a_minute(per_minute),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a try; where it is one too many, the seconds until there may be another.
    pub(crate) fn count(&self, user: &str, origin: Option<IpAddr>) -> Result<(), u64> {
        // The name's first: what it refuses must not use up what the other names of the address have.
        let of_name = self.by_name.get_with((user.to_owned(), origin), || Arc::new(RateLimiter::direct(self.of_name)));
        self.take(&of_name)?;
        let of_origin = self.by_origin.get_with(origin, || Arc::new(RateLimiter::direct(self.of_origin)));
        self.take(&of_origin)
    }

    fn take(&self, budget: &DefaultDirectRateLimiter) -> Result<(), u64> {
        budget.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Tries;

    fn at(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_name_from_an_address_has_so_many_and_then_one_now_and_then() {
        let tries = Tries::new(2);
        assert_eq!([tries.count("anna", at(1)), tries.count("anna", at(1))], [Ok(()), Ok(())]);
        // Two a minute: the next is half a minute away, not a whole one.
        assert_eq!(tries.count("anna", at(1)), Err(30));
        assert_eq!([tries.count("ben", at(1)), tries.count("anna", at(2))], [Ok(()), Ok(())]);
    }

    #[test]
    fn an_address_has_ten_names_worth_however_many_names_it_tries() {
        let tries = Tries::new(2);
        let passed = (0..1000).filter(|n| tries.count(&format!("name{n}"), at(1)).is_ok()).count();
        assert!((20..=21).contains(&passed), "{passed}");
        assert_eq!(tries.count("anna", at(2)), Ok(()));
    }
}
