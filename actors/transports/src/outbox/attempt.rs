//! One attempt to submit an SMS: it ends in a [`Completed`], also when it panics or gets no answer.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use vumi_kit::sms::{Decision, Submission};

use super::{LookUp, SubmitSms};

/// A submission whose attempt has ended.
pub(super) struct Completed {
    pub(super) submission: Submission,
    pub(super) result: AttemptResult,
    pub(super) duration: Duration,
}

/// The result of an attempt.
pub(super) enum AttemptResult {
    Decided(Decision),
    /// Not submitted again: earlier answers were lost, the provider can't say whether the SMS arrived, and it was
    /// submitted `max_resubmissions` times more.
    UnknownOutcome,
}

/// The bounds of an attempt.
#[derive(Clone, Copy)]
pub(super) struct AttemptLimits {
    /// When a call is cut off.
    pub(super) call: Duration,
    /// How many submissions may follow one whose answer was lost.
    pub(super) max_resubmissions: u32,
}

/// Makes one attempt. Where the answer to an earlier one was lost, the provider is asked for it first.
pub(super) async fn attempt<S: SubmitSms>(
    submitter: Rc<S>,
    submission: Submission,
    limits: AttemptLimits,
) -> Completed {
    let began = Instant::now();
    let attempt = AssertUnwindSafe(look_up_or_submit(&*submitter, &submission, limits)).catch_unwind();
    let result = attempt.await.unwrap_or_else(|_panic| {
        let provider_response = "the transport failed inside; its log says where".to_owned();
        AttemptResult::Decided(Decision::Retry { provider_response, unknown_outcome: true })
    });
    Completed { submission, result, duration: began.elapsed() }
}

async fn look_up_or_submit<S: SubmitSms>(
    submitter: &S,
    submission: &Submission,
    limits: AttemptLimits,
) -> AttemptResult {
    if submission.unknown_outcomes > 0 {
        let looked_up = timeout(limits.call, submitter.look_up(submission)).await;
        match looked_up.unwrap_or_else(|_late| LookUp::Decided(no_answer())) {
            LookUp::Decided(Decision::Retry { provider_response, .. }) => {
                // A lost look-up is no lost submission.
                return AttemptResult::Decided(Decision::Retry { provider_response, unknown_outcome: false });
            }
            LookUp::Decided(decision) => return AttemptResult::Decided(decision),
            LookUp::Unknown if submission.unknown_outcomes.unsigned_abs() > limits.max_resubmissions => {
                return AttemptResult::UnknownOutcome;
            }
            LookUp::NotFound | LookUp::Unknown => {}
        }
    }
    let submitted = timeout(limits.call, submitter.submit(submission)).await;
    AttemptResult::Decided(submitted.unwrap_or_else(|_late| no_answer()))
}

fn no_answer() -> Decision {
    Decision::Retry { provider_response: "no answer in time".to_owned(), unknown_outcome: true }
}
