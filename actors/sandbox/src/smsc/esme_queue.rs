//! One system_id, and the receipts and messages that wait for one of its connections.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    sync::watch,
    time::{Duration, Instant},
};
use vumi_kit::backoff::Backoff;

use super::delivery::SmscDelivery;
use crate::due_queue::DueQueue;

/// The wait after a first failed attempt, and the longest.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));

/// Who has bound with one system_id. Its receipts outlive its connections.
#[derive(Debug)]
pub(super) struct EsmeQueue {
    pub(super) system_id: String,
    /// Connections that take deliveries.
    receivers: AtomicUsize,
    /// All connections.
    sessions: AtomicUsize,
    queue: Mutex<DueQueue<SmscDelivery>>,
    /// Changes with each delivery put in.
    added: watch::Sender<()>,
}

impl EsmeQueue {
    pub(super) fn new(system_id: String) -> Self {
        Self {
            system_id,
            receivers: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            queue: Mutex::default(),
            added: watch::Sender::new(()),
        }
    }

    fn queue(&self) -> MutexGuard<'_, DueQueue<SmscDelivery>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection, which takes deliveries or not.
    pub(super) fn bound(&self, receives: bool) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.receivers.fetch_add(usize::from(receives), Ordering::Relaxed);
    }

    /// The opposite of [`Self::bound`].
    pub(super) fn unbound(&self, receives: bool) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
        self.receivers.fetch_sub(usize::from(receives), Ordering::Relaxed);
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn receives(&self) -> bool {
        self.receivers.load(Ordering::Relaxed) > 0
    }

    /// Neither connected nor waited for.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions() == 0 && self.queue().len() == 0
    }

    /// Puts a delivery into the queue, unless it is full.
    pub(super) fn put(&self, due: Instant, delivery: SmscDelivery, max_queued: usize) -> Result<(), SmscDelivery> {
        let mut queue = self.queue();
        if queue.len() >= max_queued {
            return Err(delivery);
        }
        queue.put(due, delivery);
        drop(queue);
        self.added.send_replace(());
        Ok(())
    }

    /// Puts back a delivery that was not acknowledged, for its next attempt.
    pub(super) fn put_back(&self, delivery: SmscDelivery) {
        // It has had its capacity before.
        self.queue().put(Instant::now() + BACKOFF.wait(delivery.attempts), delivery);
        self.added.send_replace(());
    }

    /// Takes the first delivery that is due.
    pub(super) fn take_due(&self, now: Instant) -> Option<SmscDelivery> {
        self.queue().take_due(now)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue().next_due()
    }

    /// Changes when a delivery was put in.
    pub(super) fn added(&self) -> watch::Receiver<()> {
        self.added.subscribe()
    }
}
