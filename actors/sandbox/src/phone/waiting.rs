//! Who waits for the next event: so many pages at once, each for so long.

use std::time::Duration;

use tokio::sync::{Semaphore, watch};

/// How many pages wait at once; any other is answered at once, and asks again.
const MAX_WAITING: usize = 16;
/// How long a page waits for an event; then it is answered without one, and asks again.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The places for those that wait.
#[derive(Debug)]
pub(crate) struct LongPolls(Semaphore);

impl LongPolls {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(MAX_WAITING))
    }

    /// Waits until a number is above `after` and `wanted` of it, or until the time is over; whether there was a place to wait.
    pub(super) async fn wait(&self, mut changes: watch::Receiver<i64>, wanted: impl Fn() -> bool) -> bool {
        let Ok(_place) = self.0.try_acquire() else { return false };
        let changed = async {
            while !wanted() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // That the time is over is an answer, too.
        let _over = tokio::time::timeout(MAX_WAIT, changed).await;
        true
    }
}
