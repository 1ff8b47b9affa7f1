//! The record of an attempt, and its consequence: done, tried again later, parked, or parked with the callback disabled.

use std::time::Duration;

use vumi_kit::{
    callback::{Delivery, DeliveryAttempt, DeliveryThen},
    clock::Timestamp,
};

use crate::settings::CallbackSettings;

/// The outcome of one post.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PostOutcome {
    /// The URL answered with an HTTP status.
    Status {
        code: u16,
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// There was no answer, for a reason that may pass.
    NoAnswer(String),
    /// The post was not made, and the next one would not be made either.
    Refused(String),
}

/// Longer errors are cut: the other side decides how long a certificate's error is.
const MAX_ERROR_CHARS: usize = 300;

/// The record of an attempt that began at `at` and ended at `now`.
pub(crate) fn attempt_of(
    outcome: PostOutcome,
    delivery: &Delivery,
    at: Timestamp,
    now: Timestamp,
    settings: &CallbackSettings,
) -> DeliveryAttempt {
    let (http_status, error, then) = match outcome {
        PostOutcome::Status { code: code @ 200..=299, .. } => (Some(code), None, DeliveryThen::Done),
        PostOutcome::Status { code: 410, .. } => {
            (Some(410), Some("answered 410: it wants no more posts".to_owned()), DeliveryThen::Gone)
        }
        PostOutcome::Status { code, retry_after } => {
            let redirect = matches!(code, 301 | 302 | 303 | 307 | 308);
            let hint = if redirect { ", a redirect, which is not followed: set the new URL" } else { "" };
            (Some(code), Some(format!("answered {code}{hint}")), again(delivery, now, retry_after, settings))
        }
        PostOutcome::NoAnswer(why) => (None, Some(why), again(delivery, now, None, settings)),
        PostOutcome::Refused(why) => (None, Some(why), DeliveryThen::Parked),
    };
    let error = error.map(|why| why.chars().take(MAX_ERROR_CHARS).collect());
    DeliveryAttempt { delivery: delivery.id, held_until: delivery.lease_until, at, http_status, error, then }
}

/// The next attempt. The wait that the URL asked for counts up to the longest wait of the settings; the last attempt is
/// made at the give-up time.
fn again(
    delivery: &Delivery,
    now: Timestamp,
    retry_after: Option<Duration>,
    settings: &CallbackSettings,
) -> DeliveryThen {
    let give_up_at = delivery.created_at.plus(settings.give_up_after);
    if now >= give_up_at {
        return DeliveryThen::Parked;
    }
    let failures = u32::try_from(delivery.attempts).unwrap_or(0).saturating_add(1);
    let asked = retry_after.unwrap_or_default().min(settings.retry.most);
    DeliveryThen::Again(now.plus(settings.retry.wait(failures).max(asked)).min(give_up_at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vumi_kit::{
        callback::{CallbackFormat, CallbackName, Delivery, DeliveryThen},
        clock::Timestamp,
    };

    use super::{MAX_ERROR_CHARS, PostOutcome, attempt_of};
    use crate::settings::CallbackSettings;

    const CREATED: Timestamp = Timestamp::from_seconds(1_000_000);

    fn then(attempts: i32, outcome: PostOutcome, age: Duration) -> DeliveryThen {
        let delivery = Delivery {
            id: 1,
            callback: 1,
            name: CallbackName::SmsReceipt,
            url: "https://client.example/".into(),
            secret: String::new(),
            format: CallbackFormat::Form,
            body: String::new(),
            attempts,
            created_at: CREATED,
            lease_until: CREATED,
        };
        let now = CREATED.plus(age);
        attempt_of(outcome, &delivery, now, now, &CallbackSettings::default()).then
    }

    fn wait(attempts: i32, outcome: PostOutcome) -> Duration {
        match then(attempts, outcome, Duration::ZERO) {
            DeliveryThen::Again(at) => at.since(CREATED),
            other => panic!("{other:?}"),
        }
    }

    fn status(code: u16, retry_after_s: Option<u64>) -> PostOutcome {
        PostOutcome::Status { code, retry_after: retry_after_s.map(Duration::from_secs) }
    }

    #[test]
    fn any_2xx_is_done_and_anything_else_is_tried_again() {
        for code in [200, 201, 202, 204, 299] {
            assert_eq!(then(0, status(code, None), Duration::ZERO), DeliveryThen::Done, "{code}");
        }
        for code in [199, 301, 302, 400, 401, 403, 404, 429, 500, 503] {
            assert!(matches!(then(0, status(code, None), Duration::ZERO), DeliveryThen::Again(_)), "{code}");
        }
    }

    #[test]
    fn waits_double_up_to_the_most() {
        for (attempts, whole_s) in [(0, 5), (1, 10), (2, 20), (5, 160), (30, 3600)] {
            let wait = wait(attempts, status(500, None));
            let whole = Duration::from_secs(whole_s);
            assert!(wait >= whole / 2 && wait <= whole, "{attempts}: {wait:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_the_longest_wait() {
        assert_eq!(wait(0, status(429, Some(120))), Duration::from_secs(120));
        assert_eq!(wait(0, status(503, Some(1_000_000))), Duration::from_secs(3600));
        assert!(wait(0, status(503, Some(0))) >= Duration::from_millis(2500));
    }

    #[test]
    fn a_refusal_is_parked_at_once_and_a_url_that_answers_410_is_gone() {
        assert_eq!(then(0, status(410, None), Duration::ZERO), DeliveryThen::Gone);
        assert_eq!(then(0, PostOutcome::Refused("no".into()), Duration::ZERO), DeliveryThen::Parked);
    }

    #[test]
    fn the_last_attempt_is_made_at_the_give_up_time() {
        let day = Duration::from_secs(24 * 3600);
        let nearly = day - Duration::from_secs(60);
        assert_eq!(then(20, status(500, None), nearly), DeliveryThen::Again(CREATED.plus(day)));
        assert_eq!(then(21, status(500, None), day), DeliveryThen::Parked);
        assert_eq!(then(21, status(200, None), day), DeliveryThen::Done);
    }

    #[test]
    fn long_errors_are_cut() {
        let delivery = Delivery {
            id: 1,
            callback: 1,
            name: CallbackName::SmsReceived,
            url: String::new(),
            secret: String::new(),
            format: CallbackFormat::Form,
            body: String::new(),
            attempts: 0,
            created_at: CREATED,
            lease_until: CREATED,
        };
        let attempt = attempt_of(
            PostOutcome::NoAnswer("é".repeat(5000)),
            &delivery,
            CREATED,
            CREATED,
            &CallbackSettings::default(),
        );
        assert_eq!(attempt.error.unwrap().chars().count(), MAX_ERROR_CHARS);
    }
}
