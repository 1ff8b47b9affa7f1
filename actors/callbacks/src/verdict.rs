//! What follows an attempt: done, again later, or given up.

use std::time::Duration;

use vumi_kit::{
    callback::{Delivery, DeliveryAttempt, DeliveryThen},
    clock::Timestamp,
};

use crate::settings::CallbackSettings;

/// How a URL answered one post.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With an HTTP status, and the wait that it asked for, if any.
    Status {
        /// The HTTP status.
        code: u16,
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Not at all, for a reason that may pass.
    None(String),
    /// The post was not made and would not be made next time.
    Refused(String),
}

/// Longer errors are cut: a certificate's, for one, is as long as the other side likes.
const LONGEST_ERROR: usize = 300;

/// What is to be recorded of an attempt that began at `at` and was answered at `now`.
pub(crate) fn judge(
    answer: Answer,
    delivery: &Delivery,
    at: Timestamp,
    now: Timestamp,
    settings: &CallbackSettings,
) -> DeliveryAttempt {
    let (http_status, error, then) = match answer {
        Answer::Status { code: code @ 200..=299, .. } => (Some(code), None, DeliveryThen::Done),
        Answer::Status { code: 410, .. } => {
            (Some(410), Some("answered 410: it wants no more of this".to_owned()), DeliveryThen::Parked)
        }
        Answer::Status { code, retry_after } => {
            let redirect = matches!(code, 301 | 302 | 303 | 307 | 308);
            let hint = if redirect { ", a redirect, which is not followed: set the new URL" } else { "" };
            (Some(code), Some(format!("answered {code}{hint}")), again(delivery, now, retry_after, settings))
        }
        Answer::None(why) => (None, Some(why), again(delivery, now, None, settings)),
        Answer::Refused(why) => (None, Some(why), DeliveryThen::Parked),
    };
    let error = error.map(|why| why.chars().take(LONGEST_ERROR).collect());
    DeliveryAttempt { delivery: delivery.id, at, http_status, error, then }
}

/// The next attempt. What the URL asked for is honoured up to the longest wait; the last attempt falls on the
/// moment of giving up.
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
        callback::{CallbackName, Delivery, DeliveryThen},
        clock::Timestamp,
    };

    use super::{Answer, LONGEST_ERROR, judge};
    use crate::settings::CallbackSettings;

    const BORN: Timestamp = Timestamp::from_seconds(1_000_000);

    fn then(attempts: i32, answer: Answer, age: Duration) -> DeliveryThen {
        let delivery = Delivery {
            id: 1,
            callback: 1,
            name: CallbackName::SmsReceipt,
            url: "https://client.example/".into(),
            secret: String::new(),
            body: String::new(),
            attempts,
            created_at: BORN,
            lease_until: BORN,
        };
        let now = BORN.plus(age);
        judge(answer, &delivery, now, now, &CallbackSettings::default()).then
    }

    fn wait(attempts: i32, answer: Answer) -> Duration {
        match then(attempts, answer, Duration::ZERO) {
            DeliveryThen::Again(at) => at.since(BORN),
            other => panic!("{other:?}"),
        }
    }

    fn status(code: u16, retry_after_s: Option<u64>) -> Answer {
        Answer::Status { code, retry_after: retry_after_s.map(Duration::from_secs) }
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
    fn gone_and_refused_are_parked_at_once() {
        assert_eq!(then(0, status(410, None), Duration::ZERO), DeliveryThen::Parked);
        assert_eq!(then(0, Answer::Refused("no".into()), Duration::ZERO), DeliveryThen::Parked);
    }

    #[test]
    fn the_last_attempt_falls_on_the_moment_of_giving_up() {
        let day = Duration::from_secs(24 * 3600);
        let nearly = day - Duration::from_secs(60);
        assert_eq!(then(20, status(500, None), nearly), DeliveryThen::Again(BORN.plus(day)));
        assert_eq!(then(21, status(500, None), day), DeliveryThen::Parked);
        assert_eq!(then(21, status(200, None), day), DeliveryThen::Done);
    }

    #[test]
    fn endless_errors_are_cut() {
        let delivery = Delivery {
            id: 1,
            callback: 1,
            name: CallbackName::SmsReceived,
            url: String::new(),
            secret: String::new(),
            body: String::new(),
            attempts: 0,
            created_at: BORN,
            lease_until: BORN,
        };
        let attempt = judge(Answer::None("é".repeat(5000)), &delivery, BORN, BORN, &CallbackSettings::default());
        assert_eq!(attempt.error.unwrap().chars().count(), LONGEST_ERROR);
    }
}
