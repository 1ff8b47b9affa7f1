//! How many calls an account may make: a token bucket (GCRA) for each account and class of calls.

use std::{num::NonZeroU32, time::Duration};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use vumi_kit::account::AccountId;

use crate::{response::error::ApiError, settings::RateSettings};

/// The class of a call: each has a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateClass {
    /// Sending and preview.
    Sending,
    /// Status.
    Reading,
    /// Callbacks, and what has no class of its own.
    Callbacks,
    /// Conversations that are posted or replaced: in ten minutes.
    Conversations,
}

type AccountBuckets = RateLimiter<AccountId, DashMapStateStore<AccountId>, DefaultClock, StateInformationMiddleware>;

struct ClassRate {
    name: &'static str,
    calls: u32,
    within_s: u64,
    policy: HeaderValue,
    // Keyed by accounts that exist: bounded by their number.
    buckets: AccountBuckets,
    clock: DefaultClock,
}

/// The rates of all classes; `None` is no limit.
pub(crate) struct CallRates([Option<ClassRate>; 4]);

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What an account has left of a rate, for the `RateLimit` headers.
#[derive(Clone, Debug)]
pub(crate) struct RateLeft {
    name: &'static str,
    policy: HeaderValue,
    calls: u32,
    full_in_s: u64,
}

impl RateLeft {
    /// Writes the headers of draft-ietf-httpapi-ratelimit-headers.
    pub(crate) fn write_headers(self, headers: &mut HeaderMap) {
        let now = format!("\"{}\";r={};t={}", self.name, self.calls, self.full_in_s);
        if let Ok(now) = HeaderValue::try_from(now) {
            headers.insert(RATE_LIMIT, now);
        }
        headers.insert(RATE_LIMIT_POLICY, self.policy);
    }
}

impl ClassRate {
    fn new(name: &'static str, calls: u32, within_s: u64) -> Option<Self> {
        let limit = NonZeroU32::new(calls)?;
        let quota = Quota::with_period(Duration::from_secs(within_s) / calls)?.allow_burst(limit);
        let policy = HeaderValue::try_from(format!("\"{name}\";q={calls};w={within_s}")).ok()?;
        let buckets = RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>();
        Some(Self { name, calls, within_s, policy, buckets, clock: DefaultClock::default() })
    }

    fn left(&self, calls: u32) -> RateLeft {
        let spent = u64::from(self.calls.saturating_sub(calls));
        let full_in_s = (spent * self.within_s).div_ceil(u64::from(self.calls));
        RateLeft { name: self.name, policy: self.policy.clone(), calls, full_in_s }
    }
}

impl CallRates {
    pub(crate) fn new(settings: &RateSettings) -> Self {
        Self([
            ClassRate::new("sending", settings.sending, 60),
            ClassRate::new("reading", settings.reading, 60),
            ClassRate::new("callbacks", settings.callbacks, 60),
            ClassRate::new("conversations", settings.conversations, 600),
        ])
    }

    fn of(&self, class: RateClass) -> Option<&ClassRate> {
        let [sending, reading, callbacks, conversations] = &self.0;
        match class {
            RateClass::Sending => sending,
            RateClass::Reading => reading,
            RateClass::Callbacks => callbacks,
            RateClass::Conversations => conversations,
        }
        .as_ref()
    }

    /// Counts a call: what is left, and whether it is allowed. `None`: the class has no limit.
    pub(crate) fn count(&self, class: RateClass, account: AccountId) -> (Option<RateLeft>, Result<(), ApiError>) {
        let Some(rate) = self.of(class) else {
            return (None, Ok(()));
        };
        match rate.buckets.check_key(&account) {
            Ok(snapshot) => (Some(rate.left(snapshot.remaining_burst_capacity())), Ok(())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(rate.clock.now());
                let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                (Some(rate.left(0)), Err(ApiError::TooManyRequests(wait_s.max(1), "calls")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderMap;

    use super::{CallRates, RateClass};
    use crate::{response::error::ApiError, settings::RateSettings};

    #[test]
    fn a_call_beyond_the_rate_is_refused_for_that_account_and_class_only() {
        let rates = CallRates::new(&RateSettings { reading: 2, ..RateSettings::default() });
        assert!(rates.count(RateClass::Reading, 1).1.is_ok());
        let (left, allowed) = rates.count(RateClass::Reading, 1);
        assert!(allowed.is_ok());
        let mut headers = HeaderMap::new();
        left.unwrap().write_headers(&mut headers);
        assert_eq!(headers.get("ratelimit").unwrap(), "\"reading\";r=0;t=60");
        assert_eq!(headers.get("ratelimit-policy").unwrap(), "\"reading\";q=2;w=60");
        let refused = rates.count(RateClass::Reading, 1).1.unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests(1..=30, _)), "{refused:?}");
        assert!(rates.count(RateClass::Reading, 2).1.is_ok());
        assert!(rates.count(RateClass::Sending, 1).1.is_ok());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let rates = CallRates::new(&RateSettings { sending: 0, ..RateSettings::default() });
        for _ in 0..100 {
            let (left, allowed) = rates.count(RateClass::Sending, 1);
            assert!(left.is_none() && allowed.is_ok());
        }
    }
}
