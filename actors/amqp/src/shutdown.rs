//! The stop of the front-end: the signal to end, and a notification for each piece of work that is finished.

use tokio::sync::{Notify, futures::Notified, watch};
use vumi_kit::start_token::StartToken;

/// Whether the front-end stops, and the news that something was finished.
pub(super) struct Shutdown {
    stopping: watch::Sender<bool>,
    progress: Notify,
    token: StartToken,
}

impl Shutdown {
    pub(super) fn new(token: StartToken) -> Self {
        Self { stopping: watch::Sender::new(false), progress: Notify::new(), token }
    }

    /// From now on nothing new is begun.
    pub(super) fn begin(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) fn is_begun(&self) -> bool {
        *self.stopping.borrow() || self.is_replaced()
    }

    /// Whether a fresh front-end has taken this one's place: then it neither publishes nor acknowledges.
    pub(super) fn is_replaced(&self) -> bool {
        self.token.is_replaced()
    }

    /// Resolves when the front-end stops.
    pub(super) async fn begun(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in `self`: this can't fail.
        let _never_closed = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Something was finished.
    pub(super) fn progressed(&self) {
        self.progress.notify_waiters();
    }

    /// Resolves when something is finished after this call.
    pub(super) fn progress(&self) -> Notified<'_> {
        self.progress.notified()
    }
}
