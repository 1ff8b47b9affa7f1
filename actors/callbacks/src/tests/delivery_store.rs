//! A store in memory with the two requests of the callbacks.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::mpsc;
use vumi_kit::{
    callback::{
        CallbackId, Callbacks, ClaimDeliveries, ClaimedDeliveries, Delivery, DeliveryAttempt, DeliveryThen,
        RecordDeliveryAttempts,
    },
    clock::{Clock, Timestamp},
    store::StoreError,
    testing::FakeStore,
};

use super::client_server::DEADLINE;

#[derive(Default)]
struct DeliveryRows {
    /// With the time when each is due.
    waiting: Vec<(Delivery, Timestamp)>,
    /// With the end of each lease.
    leased: Vec<(Delivery, Timestamp)>,
    claimed: usize,
    /// The prompt callbacks of the last claim.
    prompt: Arc<HashSet<CallbackId>>,
    /// How many numbers of callbacks one claim looks at, if not all.
    step: Option<i64>,
    /// Instead of the lease that a claim asks for.
    lease: Option<Duration>,
    /// How many records are refused from now on.
    refusals: u32,
}

/// The deliveries of a test, and what was done with them.
pub(super) struct DeliveryStore {
    pub(super) clock: Clock,
    rows: Arc<Mutex<DeliveryRows>>,
    callbacks: Callbacks,
    recorded: mpsc::UnboundedReceiver<DeliveryAttempt>,
    refused: mpsc::UnboundedReceiver<()>,
    claims: mpsc::UnboundedReceiver<()>,
}

impl DeliveryStore {
    pub(super) fn new(clock: Clock) -> Self {
        let rows = Arc::new(Mutex::new(DeliveryRows::default()));
        let (recorded_sender, recorded) = mpsc::unbounded_channel();
        let (refused_sender, refused) = mpsc::unbounded_channel();
        let (claims_sender, claims) = mpsc::unbounded_channel();
        let (claim_rows, record_rows, claim_clock) = (Arc::clone(&rows), Arc::clone(&rows), clock.clone());
        let store = FakeStore::default()
            .on(move |ask: ClaimDeliveries| {
                let _test_ended = claims_sender.send(());
                Ok(claim_rows.lock().unwrap().claim(ask, claim_clock.now()))
            })
            .on(move |ask: RecordDeliveryAttempts| {
                let result = record_rows.lock().unwrap().record(ask, &recorded_sender);
                if result.is_err() {
                    let _test_ended = refused_sender.send(());
                }
                result
            })
            .start_store();
        Self { clock, rows, callbacks: store.callbacks, recorded, refused, claims }
    }

    pub(super) fn address(&self) -> Callbacks {
        self.callbacks.clone()
    }

    pub(super) fn add(&self, delivery: Delivery) {
        let due = delivery.created_at;
        self.rows.lock().unwrap().waiting.push((delivery, due));
    }

    /// The next attempt that was recorded.
    pub(super) async fn recorded(&mut self) -> DeliveryAttempt {
        tokio::time::timeout(DEADLINE, self.recorded.recv()).await.expect("an attempt in time").unwrap()
    }

    /// Waits until a record was refused.
    pub(super) async fn refused(&mut self) {
        tokio::time::timeout(DEADLINE, self.refused.recv()).await.expect("a refusal in time").unwrap();
    }

    /// Waits for `count` claims from now on.
    pub(super) async fn next_claims(&mut self, count: usize) {
        while self.claims.try_recv().is_ok() {}
        for _ in 0..count {
            tokio::time::timeout(DEADLINE, self.claims.recv()).await.expect("a claim in time").unwrap();
        }
    }

    pub(super) fn refuse_records(&self, times: u32) {
        self.rows.lock().unwrap().refusals = times;
    }

    pub(super) fn cut_leases(&self, to: Duration) {
        self.rows.lock().unwrap().lease = Some(to);
    }

    /// Lets one claim look at so many numbers of callbacks only.
    pub(super) fn step_claims(&self, by: i64) {
        self.rows.lock().unwrap().step = Some(by);
    }

    /// How many deliveries were claimed so far.
    pub(super) fn claimed(&self) -> usize {
        self.rows.lock().unwrap().claimed
    }

    /// Whether the last claim listed a callback as prompt.
    pub(super) fn is_prompt(&self, callback: CallbackId) -> bool {
        self.rows.lock().unwrap().prompt.contains(&callback)
    }

    /// How many deliveries are neither done, nor parked, nor leased.
    pub(super) fn waiting(&self) -> usize {
        self.rows.lock().unwrap().waiting.len()
    }
}

impl DeliveryRows {
    fn claim(&mut self, ask: ClaimDeliveries, now: Timestamp) -> ClaimedDeliveries {
        self.prompt = ask.prompt;
        let (after, last) = (ask.after, ask.after.saturating_add(self.step.unwrap_or(CallbackId::MAX)));
        let expired = self.leased.extract_if(.., |(_, until)| *until <= now);
        self.waiting.extend(expired);
        let until = now.plus(self.lease.unwrap_or(Duration::from_secs(ask.lease_s)));
        let mut of_callback = HashMap::new();
        for (delivery, _) in &self.leased {
            *of_callback.entry(delivery.callback).or_insert(0) += 1;
        }
        let mut claimed = Vec::new();
        self.waiting.retain(|(delivery, due)| {
            let count = of_callback.entry(delivery.callback).or_insert(0);
            let is_looked_at = delivery.callback > after && delivery.callback <= last;
            if !is_looked_at || *due > now || *count >= ask.most_per_callback || claimed.len() >= ask.limit {
                return true;
            }
            *count += 1;
            claimed.push(Delivery { lease_until: until, ..delivery.clone() });
            false
        });
        self.leased.extend(claimed.iter().map(|delivery| (delivery.clone(), until)));
        self.claimed += claimed.len();
        let is_last = self.waiting.iter().all(|(delivery, _)| delivery.callback <= last);
        ClaimedDeliveries { deliveries: claimed, next: (!is_last).then_some(last) }
    }

    fn record(
        &mut self,
        ask: RecordDeliveryAttempts,
        recorded: &mpsc::UnboundedSender<DeliveryAttempt>,
    ) -> Result<(), StoreError> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Err(StoreError::Busy);
        }
        for attempt in ask.attempts {
            let at = self.leased.iter().position(|(delivery, _)| delivery.id == attempt.delivery).unwrap();
            let (mut delivery, _) = self.leased.remove(at);
            delivery.attempts += 1;
            if let DeliveryThen::Again(due) = attempt.then {
                self.waiting.push((delivery, due));
            }
            let _test_ended = recorded.send(attempt);
        }
        Ok(())
    }
}
