//! The engine and the ledger: what is claimed, what is recorded, and what is kept while the store has trouble.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use vumi_kit::{
    ledger::{ClaimSms, OutboxState, Outcome, RecordOutcomes},
    sms::Submission,
    store::{Ask, StoreError},
};

use super::Engine;
use crate::outbox::Provider;

/// Outcomes in one message to the ledger.
const BATCH: usize = 1024;

/// An answer of the ledger.
pub(super) enum Back {
    Claimed { asked: usize, claimed: Result<Vec<Submission>, StoreError> },
    Recorded { batch: Vec<Outcome>, recorded: Result<OutboxState, StoreError> },
    Closed(Result<(), StoreError>),
}

/// The longest wait before the ledger is told again what it could not keep.
const LONGEST_UNRECORDED: Duration = Duration::from_secs(5);

impl<P: Provider> Engine<P> {
    /// Records what came back and claims what there is room for, one question of each sort at a time.
    pub(super) fn ask_ledger(&mut self) {
        let now = Instant::now();
        if self.recording == 0 && !self.outcomes.is_empty() && self.record_at <= now {
            self.record();
        }
        if self.poll_at <= now {
            self.poll_at = now + self.settings.poll;
            self.more = true;
        }
        let limit = self.claim_limit(now);
        if self.more && !self.claiming && !self.stopping() && limit > 0 {
            self.claiming = true;
            let (ledger, transport) = (self.ledger.clone(), self.name.clone());
            let claim = async move {
                let claimed = ledger.as_ref().ask_waiting(ClaimSms { transport, limit }).await;
                Back::Claimed { asked: limit, claimed }
            };
            self.asking.push(claim.boxed_local());
        }
    }

    fn record(&mut self) {
        let batch: Vec<_> = self.outcomes.drain(..self.outcomes.len().min(BATCH)).collect();
        self.recording = batch.len();
        let (ledger, transport) = (self.ledger.clone(), self.name.clone());
        let record = async move {
            // A copy stays here until the ledger has it.
            let recorded = ledger.as_ref().ask_waiting(RecordOutcomes { transport, outcomes: batch.clone() }).await;
            Back::Recorded { batch, recorded }
        };
        self.asking.push(record.boxed_local());
    }

    /// How many to claim now: none for a few free places, one as a probe while there is trouble.
    fn claim_limit(&self, now: Instant) -> usize {
        let shown = self.shown.borrow();
        if shown.breaker.trouble().is_some() {
            let probe = shown.breaker.paused_until(now).is_none() && self.queue.is_empty() && self.flying.is_empty();
            return usize::from(probe);
        }
        let free = self.free();
        if free >= (self.room() / 4).max(1) { free } else { 0 }
    }

    /// Hears the ledger; an error once the store has stopped.
    pub(super) fn hear_ledger(&mut self, back: Back) -> Result<(), StoreError> {
        match back {
            Back::Claimed { asked, claimed } => {
                self.claiming = false;
                match claimed {
                    Ok(claimed) => {
                        self.more = claimed.len() >= asked;
                        self.take_work(claimed);
                    }
                    Err(StoreError::Stopped) => return Err(StoreError::Stopped),
                    // The next poll asks again.
                    Err(error) => {
                        self.more = false;
                        // The store has said that it fails.
                        tracing::debug!(transport = %self.name, %error, "could not claim SMS");
                    }
                }
            }
            Back::Recorded { batch, recorded } => {
                self.recording = 0;
                match recorded {
                    Ok(state) => {
                        self.store_failures = 0;
                        self.shown.borrow_mut().store_error = None;
                        self.more |= state == OutboxState::Waiting;
                    }
                    Err(StoreError::Stopped) => return Err(StoreError::Stopped),
                    Err(error) => self.record_later(batch, &error),
                }
            }
            Back::Closed(closed) => {
                if let Err(error) = closed {
                    tracing::warn!(transport = %self.name, %error, "could not close the outbox");
                }
            }
        }
        Ok(())
    }

    fn record_later(&mut self, batch: Vec<Outcome>, error: &StoreError) {
        tracing::warn!(transport = %self.name, %error, count = batch.len(), "could not record outcomes; kept");
        for outcome in batch.into_iter().rev() {
            self.outcomes.push_front(outcome);
        }
        self.store_failures += 1;
        // Soon enough that the SMS are still ours when the store is back.
        self.record_at = Instant::now() + self.settings.retry.wait(self.store_failures).min(LONGEST_UNRECORDED);
        self.shown.borrow_mut().store_error = Some(error.to_string());
    }
}
