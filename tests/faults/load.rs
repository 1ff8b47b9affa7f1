//! Clients that send, and keep book of what they were answered.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::Scope,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    black_box::{DEADLINE, Harness},
    fixture::TRANSPORT,
};

/// What the clients know.
#[derive(Default)]
pub(crate) struct ClientsBook {
    /// The SMS that were answered with 200, by their texts: the numbers.
    answered: Mutex<BTreeMap<String, i64>>,
    /// Calls that got another answer or none; they were made again with their key.
    refused: AtomicUsize,
    next: AtomicU64,
    stop: AtomicBool,
}

impl ClientsBook {
    /// Lets so many clients send one SMS after the other until [`Self::stop`].
    pub(crate) fn send<'s>(&'s self, threads: &'s Scope<'s, '_>, harness: &'s Harness, clients: usize) {
        for _ in 0..clients {
            threads.spawn(|| {
                while !self.stop.load(Ordering::SeqCst) {
                    self.send_one(harness);
                }
            });
        }
    }

    /// Sends one SMS, again under the same key while it is not answered with 200.
    fn send_one(&self, harness: &Harness) {
        let text = format!("number {}", self.next.fetch_add(1, Ordering::SeqCst));
        let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", text.as_str())];
        let path = format!("/api/v1/sms/{TRANSPORT}/send.json");
        loop {
            let call = harness.post(&path, &form).header("idempotency-key", &text).send();
            let answer = call.ok().filter(|answer| answer.status() == 200);
            if let Some(list) = answer.and_then(|answer| answer.json::<Value>().ok()) {
                self.answered.lock().unwrap().insert(text, list[0]["id"].as_i64().unwrap());
                return;
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Stops the clients when it is dropped, also by a panic: who waits for their threads would wait for ever.
    pub(crate) const fn stopper(&self) -> Stopper<'_> {
        Stopper(&self.stop)
    }

    pub(crate) fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) fn answered(&self) -> BTreeMap<String, i64> {
        self.answered.lock().unwrap().clone()
    }

    /// Waits until so many more SMS are answered, and says how long that took. Fails after `most`.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, more: usize, most: Duration) -> Duration {
        let (started, wanted) = (Instant::now(), self.count() + more);
        while self.count() < wanted {
            assert!(started.elapsed() < most, "{} of {wanted} SMS answered after {most:?}", self.count());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        started.elapsed()
    }

    /// Waits until nothing was answered for a second, while calls are refused.
    #[track_caller]
    pub(crate) fn wait_until_refused(&self) {
        let started = Instant::now();
        loop {
            let (answered, refused) = (self.count(), self.refused());
            std::thread::park_timeout(Duration::from_secs(1));
            if self.count() == answered && self.refused() > refused {
                return;
            }
            assert!(started.elapsed() < DEADLINE, "still answered after {DEADLINE:?}");
        }
    }
}

/// Tells the clients to stop when it is dropped, also by a test that fails.
pub(crate) struct Stopper<'c>(&'c AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
