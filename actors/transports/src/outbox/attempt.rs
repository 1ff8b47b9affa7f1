//! One attempt to submit an SMS: it ends in a [`Completed`], also when it panics or gets no answer.

use std::{panic::AssertUnwindSafe, pin::pin, rc::Rc, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use vumi_kit::sms::{Decision, Submission};

use super::{LookUp, SubmitSms, Submitted};

/// A submission whose attempt has ended.
pub(crate) struct Completed {
    pub(crate) submission: Submission,
    pub(crate) result: AttemptResult,
    pub(crate) duration: Duration,
    /// What it took of the window: [`SubmitSms::places`].
    pub(crate) places: usize,
}

/// The result of an attempt.
pub(crate) enum AttemptResult {
    Decided(Submitted),
    /// Not submitted again: earlier answers were lost, the provider can't say whether the SMS arrived, and it was
    /// submitted `max_resubmissions` times more.
    UnknownOutcome,
}

/// The bounds of an attempt.
#[derive(Clone, Copy)]
pub(crate) struct AttemptLimits {
    /// How long a call may take.
    pub(crate) call: Duration,
    /// How many submissions may follow one whose answer was lost.
    pub(crate) max_resubmissions: u32,
}

/// Makes one attempt. Where the answer to an earlier one was lost, the provider is asked for it first.
pub(crate) async fn attempt<S: SubmitSms>(
    submitter: Rc<S>,
    submission: Submission,
    limits: AttemptLimits,
) -> Completed {
    let (began, places) = (Instant::now(), submitter.places(&submission));
    let attempt = AssertUnwindSafe(look_up_or_submit(&*submitter, &submission, limits)).catch_unwind();
    let result = attempt.await.unwrap_or_else(|_panic| {
        let provider_response = "the transport failed inside; its log says where".to_owned();
        AttemptResult::Decided(Decision::Retry { provider_response, unknown_outcome: true }.into())
    });
    Completed { submission, result, duration: began.elapsed(), places }
}

async fn look_up_or_submit<S: SubmitSms>(
    submitter: &S,
    submission: &Submission,
    limits: AttemptLimits,
) -> AttemptResult {
    if submission.unknown_outcomes > 0 {
        let looked_up = within(limits.call, submitter.look_up(submission)).await;
        match looked_up.unwrap_or_else(|| LookUp::Decided(no_answer())) {
            LookUp::Decided(Decision::Retry { provider_response, .. }) => {
                // A lost look-up is no lost submission.
                return AttemptResult::Decided(Decision::Retry { provider_response, unknown_outcome: false }.into());
            }
            LookUp::Decided(decision) => return AttemptResult::Decided(decision.into()),
            LookUp::InParts(submitted) => return AttemptResult::Decided(submitted),
            LookUp::Unknown if submission.unknown_outcomes.unsigned_abs() > limits.max_resubmissions => {
                return AttemptResult::UnknownOutcome;
            }
            LookUp::NotFound | LookUp::Unknown => {}
        }
    }
    let submitted = within(limits.call, submitter.submit(submission)).await;
    AttemptResult::Decided(submitted.unwrap_or_else(|| no_answer().into()))
}

/// How long after its limit a call is still listened to. After a time in which the process was stopped, every limit is over
/// at once, while the answers lie in the sockets: they are read first.
pub(crate) const LISTEN_ON: Duration = Duration::from_secs(1);

/// What a call answers; none: it took longer than its limit, and nothing more came from it.
async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    match timeout(limit, &mut call).await {
        Ok(answer) => Some(answer),
        Err(_late) => timeout(LISTEN_ON, call).await.ok(),
    }
}

fn no_answer() -> Decision {
    Decision::Retry { provider_response: "no answer in time".to_owned(), unknown_outcome: true }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::within;

    const LIMIT: Duration = Duration::from_secs(10);

    /// As an HTTP client has it: what comes from the socket is read by a task of its own, and told to the call.
    fn answered_by_a_task(arrived: oneshot::Receiver<u8>) -> oneshot::Receiver<u8> {
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let answer = arrived.await.unwrap();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            tell.send(answer).unwrap();
        });
        told
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_while_the_process_was_stopped_is_read_though_the_limit_is_over() {
        let (arrive, arrived) = oneshot::channel();
        let told = answered_by_a_task(arrived);
        let call = tokio::spawn(within(LIMIT, told));
        tokio::task::yield_now().await;
        arrive.send(7).unwrap();
        tokio::time::advance(Duration::from_secs(180)).await;
        assert_eq!(call.await.unwrap(), Some(Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends() {
        assert_eq!(within(LIMIT, std::future::pending::<()>()).await, None);
    }
}
