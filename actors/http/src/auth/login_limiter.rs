//! Bounds the passwords that may be tried a minute: for a user name from an address, for a user name from all addresses
//! together, and for an address over all names. Each check costs some 20 ms of a core, and one for a name that is not
//! known a read of the store.

use std::net::IpAddr;

use crate::limits::token_buckets::TokenBuckets;

/// An address has the tries of so many names: clients behind one address have names of their own.
const NAMES_PER_ADDRESS: u32 = 10;

/// A name has so many times the tries of one address, from all addresses together.
const ADDRESSES_PER_NAME: u32 = 10;

/// Counts tries by user name and address.
pub(crate) struct LoginLimiter {
    by_address: TokenBuckets<Option<IpAddr>>,
    by_name_and_address: TokenBuckets<(String, Option<IpAddr>)>,
    by_name: TokenBuckets<String>,
}

impl LoginLimiter {
    /// Allows `per_minute` tries for one name from one address.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            by_address: TokenBuckets::new(per_minute.saturating_mul(NAMES_PER_ADDRESS)),
            by_name_and_address: TokenBuckets::new(per_minute),
            by_name: TokenBuckets::new(per_minute.saturating_mul(ADDRESSES_PER_NAME)),
        }
    }

    /// Counts a try; `Err` has the seconds until the next one is allowed.
    pub(crate) fn count(&self, user: &str, client: Option<IpAddr>) -> Result<(), u64> {
        // The name's bucket first: a try that it refuses must not take a token of the address's other names.
        self.by_name_and_address.take((user.to_owned(), client))?;
        self.by_address.take(client)?;
        self.by_name.take(user.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::LoginLimiter;

    fn at(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_name_from_an_address_has_its_tries_and_then_one_at_a_time() {
        let limiter = LoginLimiter::new(2);
        assert_eq!([limiter.count("anna", at(1)), limiter.count("anna", at(1))], [Ok(()), Ok(())]);
        // Two a minute: the next is half a minute away, not a whole one.
        assert_eq!(limiter.count("anna", at(1)), Err(30));
        assert_eq!([limiter.count("ben", at(1)), limiter.count("anna", at(2))], [Ok(()), Ok(())]);
    }

    #[test]
    fn a_name_has_the_tries_of_ten_addresses_however_many_try_it() {
        let limiter = LoginLimiter::new(2);
        let passed = (0..250).filter(|n| limiter.count("anna", at(*n)).is_ok()).count();
        assert!((20..=21).contains(&passed), "{passed}");
        assert_eq!(limiter.count("ben", at(1)), Ok(()));
    }

    #[test]
    fn an_address_has_the_tries_of_ten_names_however_many_it_uses() {
        let limiter = LoginLimiter::new(2);
        let passed = (0..1000).filter(|n| limiter.count(&format!("name{n}"), at(1)).is_ok()).count();
        assert!((20..=21).contains(&passed), "{passed}");
        assert_eq!(limiter.count("anna", at(2)), Ok(()));
    }
}
