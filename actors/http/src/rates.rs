//! How many calls an account may make: a bucket for each account and class of calls (GCRA).

use std::num::NonZeroU32;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use vumi_kit::account::AccountId;

use super::{refusal::Refusal, settings::RateSettings};

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Sending and preview.
    Sending,
    /// Receipts from carriers.
    Receipts,
    /// SMS brought by carriers.
    Inbound,
    /// Status.
    Reading,
    /// Callbacks, and whatever has no class of its own.
    Callbacks,
}

type Buckets = RateLimiter<AccountId, DashMapStateStore<AccountId>, DefaultClock, StateInformationMiddleware>;

struct Rate {
    name: &'static str,
    per_minute: u32,
    policy: HeaderValue,
    // One bucket for each account that exists and called: as bounded as the accounts.
    buckets: Buckets,
    clock: DefaultClock,
}

/// The limits of all classes.
pub(crate) struct Rates([Option<Rate>; 5]);

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of an account's rate, for the `RateLimit` headers.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    name: &'static str,
    policy: HeaderValue,
    calls: u32,
    full_in_s: u64,
}

impl Left {
    /// Writes the headers of draft-ietf-httpapi-ratelimit-headers.
    pub(crate) fn stamp(self, headers: &mut HeaderMap) {
        let now = format!("\"{}\";r={};t={}", self.name, self.calls, self.full_in_s);
        if let Ok(now) = HeaderValue::try_from(now) {
            headers.insert(RATE_LIMIT, now);
        }
        headers.insert(RATE_LIMIT_POLICY, self.policy);
    }
}

impl Rate {
    fn new(name: &'static str, per_minute: u32) -> Option<Self> {
        let limit = NonZeroU32::new(per_minute)?;
        let quota = Quota::per_minute(limit);
        let policy = HeaderValue::try_from(format!("\"{name}\";q={per_minute};w=60")).ok()?;
        let buckets = RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>();
        Some(Self { name, per_minute, policy, buckets, clock: DefaultClock::default() })
    }

    fn left(&self, calls: u32) -> Left {
        let spent = u64::from(self.per_minute.saturating_sub(calls));
        let full_in_s = (spent * 60).div_ceil(u64::from(self.per_minute));
        Left { name: self.name, policy: self.policy.clone(), calls, full_in_s }
    }
}

impl Rates {
    pub(crate) fn new(settings: &RateSettings) -> Self {
        Self([
            Rate::new("sending", settings.sending),
            Rate::new("receipts", settings.receipts),
            Rate::new("inbound", settings.inbound),
            Rate::new("reading", settings.reading),
            Rate::new("callbacks", settings.callbacks),
        ])
    }

    fn of(&self, class: Class) -> Option<&Rate> {
        let [sending, receipts, inbound, reading, callbacks] = &self.0;
        match class {
            Class::Sending => sending,
            Class::Receipts => receipts,
            Class::Inbound => inbound,
            Class::Reading => reading,
            Class::Callbacks => callbacks,
        }
        .as_ref()
    }

    /// Counts a call: what is left then, or that it is one too many. `None`: no limit is set.
    pub(crate) fn count(&self, class: Class, account: AccountId) -> (Option<Left>, Result<(), Refusal>) {
        let Some(rate) = self.of(class) else {
            return (None, Ok(()));
        };
        match rate.buckets.check_key(&account) {
            Ok(snapshot) => (Some(rate.left(snapshot.remaining_burst_capacity())), Ok(())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(rate.clock.now());
                let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                (Some(rate.left(0)), Err(Refusal::TooMany(wait_s.max(1), "calls")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderMap;

    use super::{Class, Rates};
    use crate::{refusal::Refusal, settings::RateSettings};

    #[test]
    fn the_call_after_the_last_is_refused_for_that_account_and_class_only() {
        let rates = Rates::new(&RateSettings { reading: 2, ..RateSettings::default() });
        assert!(rates.count(Class::Reading, 1).1.is_ok());
        let (left, allowed) = rates.count(Class::Reading, 1);
        assert!(allowed.is_ok());
        let mut headers = HeaderMap::new();
        left.unwrap().stamp(&mut headers);
        assert_eq!(headers.get("ratelimit").unwrap(), "\"reading\";r=0;t=60");
        assert_eq!(headers.get("ratelimit-policy").unwrap(), "\"reading\";q=2;w=60");
        let refused = rates.count(Class::Reading, 1).1.unwrap_err();
        assert!(matches!(refused, Refusal::TooMany(1..=30, _)), "{refused:?}");
        assert!(rates.count(Class::Reading, 2).1.is_ok());
        assert!(rates.count(Class::Sending, 1).1.is_ok());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let rates = Rates::new(&RateSettings { sending: 0, ..RateSettings::default() });
        for _ in 0..100 {
            let (left, allowed) = rates.count(Class::Sending, 1);
            assert!(left.is_none() && allowed.is_ok());
        }
    }
}
