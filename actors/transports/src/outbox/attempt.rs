//! One attempt at a submission: whatever happens in it, it comes back with a decision.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Duration};

use futures_util::FutureExt;
use vumi_kit::sms::{Decision, Submission};

use super::Provider;

/// A submission that came back.
pub(super) struct Landed {
    pub(super) submission: Submission,
    pub(super) decision: Decision,
}

/// One attempt, asked about first where the answer to an earlier one was lost. Whatever happens, it lands.
pub(super) async fn attempt<P: Provider>(provider: Rc<P>, submission: Submission, limit: Duration) -> Landed {
    let attempt = async {
        if submission.unsure
            && let Some(known) = limited(provider.look_up(&submission), limit).await
        {
            return known;
        }
        limited(async { Some(provider.submit(&submission).await) }, limit).await.unwrap_or_else(lost)
    };
    let decision = AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_panic| Decision::Retry {
        said: "the transport failed inside; its log says where".to_owned(),
        unsure: true,
    });
    Landed { submission, decision }
}

async fn limited(call: impl Future<Output = Option<Decision>>, limit: Duration) -> Option<Decision> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_late| Some(lost()))
}

fn lost() -> Decision {
    Decision::Retry { said: "no answer in time".to_owned(), unsure: true }
}
