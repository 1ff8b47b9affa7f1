//! One attempt at a submission: whatever happens in it, it lands.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use vumi_kit::sms::{Decision, Submission};

use super::{LookUp, Provider};

/// A submission that came back.
pub(super) struct Landed {
    pub(super) submission: Submission,
    pub(super) came: Came,
    /// How long it took.
    pub(super) took: Duration,
}

/// What came of an attempt.
pub(super) enum Came {
    /// The provider answered, or did not.
    Decided(Decision),
    /// Not submitted: earlier answers were lost, nobody can say whether it arrived, and it was sent often enough.
    Unknown,
}

/// The bounds of an attempt.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How long each call may take.
    pub(super) call: Duration,
    /// How many submissions may follow those whose answer was lost.
    pub(super) max_resubmissions: u32,
}

/// One attempt, asked about first where the answer to an earlier one was lost. Whatever happens, it lands.
pub(super) async fn attempt<P: Provider>(provider: Rc<P>, submission: Submission, bounds: Bounds) -> Landed {
    let began = Instant::now();
    let attempt = AssertUnwindSafe(ask_or_submit(&*provider, &submission, bounds)).catch_unwind();
    let came = attempt.await.unwrap_or_else(|_panic| {
        let said = "the transport failed inside; its log says where".to_owned();
        Came::Decided(Decision::Retry { said, unsure: true })
    });
    Landed { submission, came, took: began.elapsed() }
}

async fn ask_or_submit<P: Provider>(provider: &P, submission: &Submission, bounds: Bounds) -> Came {
    if submission.unsure > 0 {
        let asked = tokio::time::timeout(bounds.call, provider.look_up(submission)).await;
        match asked.unwrap_or_else(|_late| LookUp::Said(no_answer())) {
            LookUp::Said(Decision::Retry { said, .. }) => {
                // Asked, not submitted: that answer could not bring the SMS anywhere.
                return Came::Decided(Decision::Retry { said, unsure: false });
            }
            LookUp::Said(decision) => return Came::Decided(decision),
            LookUp::CannotSay if submission.unsure.unsigned_abs() > bounds.max_resubmissions => return Came::Unknown,
            LookUp::NotThere | LookUp::CannotSay => {}
        }
    }
    let submitted = tokio::time::timeout(bounds.call, provider.submit(submission)).await;
    Came::Decided(submitted.unwrap_or_else(|_late| no_answer()))
}

fn no_answer() -> Decision {
    Decision::Retry { said: "no answer in time".to_owned(), unsure: true }
}
