//! The engine's requests to the ledger: it opens the outbox, claims SMS and records outcomes, and keeps what could not
//! be recorded while the store fails.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use vumi_kit::{
    health::State,
    ledger::{ClaimSms, OpenOutbox, OpenedOutbox, OutboxState, Outcome, RecordOutcomes, RecordedOutcomes},
    sms::{SmsId, Submission},
    store::{Ask, StoreError},
};

use super::Engine;
use crate::outbox::SubmitSms;

/// Outcomes in one request to the ledger.
const BATCH: usize = 1024;

/// Requests to record that are under way at once: what ends while the ledger commits is there for its next commit, and does
/// not wait for the answer first.
const MOST_AT_ONCE: usize = 4;

/// A further request is made as soon as outcomes have gathered for this part of the window: fewer wait for an answer, so
/// that requests don't become tiny.
const PART_OF_WINDOW: usize = 4;

/// The pause before the ledger is asked again for places, where it had none.
const NO_PLACE: Duration = Duration::from_millis(100);

/// The longest wait before outcomes that could not be recorded are sent again: short enough that their leases still hold
/// when the store is back.
const LONGEST_UNRECORDED: Duration = Duration::from_secs(5);

/// The ledger's reply to a request.
pub(super) enum LedgerReply {
    Claimed { limit: usize, claimed: Result<Vec<Submission>, StoreError> },
    Recorded { batch: Vec<Outcome>, begin: Vec<SmsId>, recorded: Result<RecordedOutcomes, StoreError> },
    Closed(Result<(), StoreError>),
}

/// The requests to record and to begin that are under way.
#[derive(Clone, Copy, Default)]
pub(super) struct UnderWay {
    requests: usize,
    /// In all of them.
    pub(super) outcomes: usize,
}

impl<S: SubmitSms> Engine<S> {
    /// Opens the outbox, however long the store takes; an error once it has stopped.
    pub(super) async fn open(&mut self) -> Result<(), StoreError> {
        loop {
            let (capacity, window) = (self.capacity(), self.settings.window);
            let open = OpenOutbox { transport: self.name.clone(), capacity, window };
            match self.ledger.as_ref().ask_waiting(open).await {
                Ok(OpenedOutbox { lease, claim_token }) => {
                    (self.lease, self.claim_token) = (lease, claim_token);
                    break;
                }
                Err(StoreError::Stopped) => return Err(StoreError::Stopped),
                Err(error) => {
                    self.store_failures += 1;
                    tracing::warn!(transport = %self.name, %error, "the outbox does not open yet");
                    self.status.borrow_mut().store_error = Some(error.to_string());
                    tokio::time::sleep(self.settings.retry.wait(self.store_failures)).await;
                }
            }
        }
        self.store_failures = 0;
        let mut status = self.status.borrow_mut();
        status.store_error = None;
        status.state = State::Up;
        Ok(())
    }

    /// Records outcomes and begins what takes their places, and claims SMS for what is free.
    pub(super) fn send_ledger_requests(&mut self) {
        let now = Instant::now();
        if self.record_at <= now && self.may_record() {
            self.record(now);
        }
        if self.poll_at <= now {
            self.poll_at = now + self.settings.poll;
            self.more_in_ledger = true;
        }
        let limit = self.claim_limit(now);
        if self.more_in_ledger && !self.claiming && !self.stopping() && limit > 0 {
            self.claim(limit);
        }
    }

    fn claim(&mut self, limit: usize) {
        self.claiming = true;
        let (ledger, transport, capacity) = (self.ledger.clone(), self.name.clone(), self.capacity());
        let claim = async move {
            let claimed = ledger.as_ref().ask_waiting(ClaimSms { transport, limit, capacity }).await;
            LedgerReply::Claimed { limit, claimed }
        };
        self.ledger_requests.push(claim.boxed_local());
    }

    fn may_record(&self) -> bool {
        let enough = self.settings.window.div_ceil(PART_OF_WINDOW);
        let UnderWay { requests, .. } = self.recording;
        requests == 0 || (requests < MOST_AT_ONCE && self.outcomes.len() >= enough)
    }

    fn record(&mut self, now: Instant) {
        let begin = self.queue.take_to_begin(self.places_to_begin(now));
        if self.outcomes.is_empty() && begin.is_empty() {
            return;
        }
        let batch: Vec<_> = self.outcomes.drain(..self.outcomes.len().min(BATCH)).collect();
        self.recording.requests += 1;
        self.recording.outcomes += batch.len();
        let (ledger, transport) = (self.ledger.clone(), self.name.clone());
        let record = async move {
            // A copy stays here until the ledger has it.
            let record = RecordOutcomes { transport, outcomes: batch.clone(), begin: begin.clone() };
            let recorded = ledger.as_ref().ask_waiting(record).await;
            LedgerReply::Recorded { batch, begin, recorded }
        };
        self.ledger_requests.push(record.boxed_local());
    }

    /// How many to claim now: none while few places are free, one as a probe during an interruption.
    fn claim_limit(&self, now: Instant) -> usize {
        let status = self.status.borrow();
        if self.window() == 0 {
            return 0;
        }
        if status.breaker.interruption().is_some() {
            let idle = self.queue.is_empty() && self.in_flight.is_empty();
            return usize::from(idle && status.breaker.paused_until(now).is_none());
        }
        let free = self.free();
        if free >= (self.capacity() / 4).max(1) { free } else { 0 }
    }

    /// Handles a reply; an error once the store has stopped.
    pub(super) fn on_ledger_reply(&mut self, reply: LedgerReply) -> Result<(), StoreError> {
        match reply {
            LedgerReply::Claimed { limit, claimed } => self.on_claimed(limit, claimed),
            LedgerReply::Recorded { batch, begin, recorded } => self.on_recorded(batch, &begin, recorded),
            LedgerReply::Closed(closed) => {
                if let Err(error) = closed {
                    tracing::warn!(transport = %self.name, %error, "could not close the outbox");
                }
                Ok(())
            }
        }
    }

    fn on_claimed(&mut self, limit: usize, claimed: Result<Vec<Submission>, StoreError>) -> Result<(), StoreError> {
        self.claiming = false;
        match claimed {
            Ok(claimed) => {
                self.more_in_ledger = claimed.len() >= limit;
                let queue = &mut self.queue;
                let new = self.in_hand.new_of(claimed, |known| queue.prolong(known.id, known.lease_until));
                self.accept(new);
                Ok(())
            }
            Err(StoreError::Stopped) => Err(StoreError::Stopped),
            // The next poll claims again; the store has logged its failure.
            Err(error) => {
                self.more_in_ledger = false;
                tracing::debug!(transport = %self.name, %error, "could not claim SMS");
                Ok(())
            }
        }
    }

    fn on_recorded(
        &mut self,
        batch: Vec<Outcome>,
        begin: &[SmsId],
        recorded: Result<RecordedOutcomes, StoreError>,
    ) -> Result<(), StoreError> {
        self.recording.requests -= 1;
        self.recording.outcomes -= batch.len();
        match recorded {
            Ok(RecordedOutcomes { state, begun, gone }) => {
                if batch.is_empty() && begun.is_empty() && gone.is_empty() {
                    // By the ledger's count all places are taken: it is not asked without a pause.
                    self.record_at = Instant::now() + NO_PLACE;
                }
                self.in_hand.remove(batch.iter().map(|outcome| outcome.id).chain(gone.iter().copied()), self.claiming);
                self.queue.on_begun(begin, &begun, &gone);
                self.store_failures = 0;
                self.status.borrow_mut().store_error = None;
                self.more_in_ledger |= state == OutboxState::Waiting;
                Ok(())
            }
            Err(StoreError::Stopped) => Err(StoreError::Stopped),
            Err(error) => {
                self.queue.on_begun(begin, &[], &[]);
                self.record_later(batch, &error);
                Ok(())
            }
        }
    }

    fn record_later(&mut self, batch: Vec<Outcome>, error: &StoreError) {
        let count = batch.len();
        vumi_kit::warn_limited!(self.name.as_str(), transport = %self.name, %error, count, "could not record outcomes; kept");
        for outcome in batch.into_iter().rev() {
            self.outcomes.push_front(outcome);
        }
        self.store_failures += 1;
        self.record_at = Instant::now() + self.settings.retry.wait(self.store_failures).min(LONGEST_UNRECORDED);
        self.status.borrow_mut().store_error = Some(error.to_string());
    }
}
