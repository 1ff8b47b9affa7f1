//! Bounds the passwords that may be tried a minute: for a user name from an address, for a user name from all addresses
//! together, and for an address over all names. Each check costs some 20 ms of a core, and one for a name that is not
//! known a read of the store.
//!
//! However many addresses guess at a name, who has its password gets in: an address that has logged in with the name is not
//! counted with them, and once their tries are used up, an address that has not failed yet has one more. These are checked
//! one at a time, beside all others.

use std::{net::IpAddr, time::Duration};

use moka::sync::Cache;

use crate::token_buckets::TokenBuckets;

/// An address has the tries of so many names: clients behind one address have names of their own.
const NAMES_PER_ADDRESS: u32 = 10;

/// A name has so many times the tries of one address, from all addresses together.
const ADDRESSES_PER_NAME: u32 = 10;

/// The most names and addresses that are remembered; the least used are forgotten.
const MAX_REMEMBERED: u64 = 20_000;

/// How long an address that logged in is remembered after the last time.
const LOGGED_IN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long an address that tried a contested name is remembered.
const TRIED_FOR: Duration = Duration::from_secs(600);

/// A user name and the address that tries it.
type NameAndAddress = (String, Option<IpAddr>);

/// By which way a try that was counted goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginWay {
    /// The name has tries left: it is checked in the queue that all share.
    Usual,
    /// The name's tries of all addresses are used up: it is checked beside the others, one at a time.
    Contested,
}

/// Counts tries by user name and address.
pub struct LoginLimiter {
    by_address: TokenBuckets<Option<IpAddr>>,
    by_name_and_address: TokenBuckets<NameAndAddress>,
    by_name: TokenBuckets<String>,
    logged_in: Cache<NameAndAddress, ()>,
    tried: Cache<NameAndAddress, ()>,
}

impl LoginLimiter {
    /// Allows `per_minute` tries for one name from one address.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let remembered = || Cache::builder().max_capacity(MAX_REMEMBERED);
        Self {
            by_address: TokenBuckets::new(per_minute.saturating_mul(NAMES_PER_ADDRESS)),
            by_name_and_address: TokenBuckets::new(per_minute),
            by_name: TokenBuckets::new(per_minute.saturating_mul(ADDRESSES_PER_NAME)),
            logged_in: remembered().time_to_idle(LOGGED_IN_FOR).build(),
            tried: remembered().time_to_live(TRIED_FOR).build(),
        }
    }

    /// Counts a try; `Err` has the seconds until the next one is allowed.
    pub fn count(&self, user: &str, client: Option<IpAddr>) -> Result<LoginWay, u64> {
        let both = (user.to_owned(), client);
        // The name's bucket first: a try that it refuses must not take a token of the address's other names.
        self.by_name_and_address.take(both.clone())?;
        self.by_address.take(client)?;
        if self.logged_in.get(&both).is_some() {
            return Ok(LoginWay::Usual);
        }
        let before = self.tried.contains_key(&both);
        self.tried.insert(both, ());
        match self.by_name.take(user.to_owned()) {
            Ok(()) => Ok(LoginWay::Usual),
            Err(_) if !before => Ok(LoginWay::Contested),
            Err(wait_s) => Err(wait_s),
        }
    }

    /// The address has logged in with the name.
    pub fn logged_in(&self, user: &str, client: Option<IpAddr>) {
        self.logged_in.insert((user.to_owned(), client), ());
    }

    /// Counts a try of a token, whose account is not known yet: nobody's name is made to wait by it.
    pub fn count_token(&self, client: Option<IpAddr>) -> Result<(), u64> {
        self.by_address.take(client)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{LoginLimiter, LoginWay};

    const USUAL: Result<LoginWay, u64> = Ok(LoginWay::Usual);

    fn at(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_name_from_an_address_has_its_tries_and_then_one_at_a_time() {
        let limiter = LoginLimiter::new(2);
        assert_eq!([limiter.count("anna", at(1)), limiter.count("anna", at(1))], [USUAL, USUAL]);
        // Two a minute: the next is half a minute away, not a whole one.
        assert_eq!(limiter.count("anna", at(1)), Err(30));
        assert_eq!([limiter.count("ben", at(1)), limiter.count("anna", at(2))], [USUAL, USUAL]);
    }

    #[test]
    fn a_name_has_the_tries_of_ten_addresses_however_many_try_it_and_each_fresh_one_a_last_one() {
        let limiter = LoginLimiter::new(2);
        let tries: Vec<_> = (0..250).map(|n| limiter.count("anna", at(n))).collect();
        let usual = tries.iter().filter(|tried| **tried == USUAL).count();
        assert!((20..=21).contains(&usual), "{usual}");
        assert!(tries.iter().all(Result::is_ok), "none of them has tried it before");
        let again = (0..250).filter(|n| limiter.count("anna", at(*n)).is_ok()).count();
        assert!(again <= 1, "{again}");
        assert_eq!(limiter.count("ben", at(1)), USUAL);
    }

    #[test]
    fn an_address_that_has_logged_in_is_not_counted_with_those_that_guess() {
        let limiter = LoginLimiter::new(2);
        limiter.logged_in("anna", at(251));
        assert!((0..250).all(|n| limiter.count("anna", at(n)).is_ok()));
        assert_eq!([limiter.count("anna", at(251)), limiter.count("anna", at(251))], [USUAL, USUAL]);
        assert_eq!(limiter.count("anna", at(251)), Err(30), "with another password it guesses, too");
    }

    #[test]
    fn an_address_has_the_tries_of_ten_names_however_many_it_uses() {
        let limiter = LoginLimiter::new(2);
        let passed = (0..1000).filter(|n| limiter.count(&format!("name{n}"), at(1)).is_ok()).count();
        assert!((20..=21).contains(&passed), "{passed}");
        assert_eq!(limiter.count("anna", at(2)), USUAL);
    }
}
