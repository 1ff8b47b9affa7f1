//! The submissions that an outbox has and that are not in flight: those that may go out, and behind them those that the
//! ledger has to mark as begun first.

use std::collections::{HashSet, VecDeque};

use vumi_kit::{
    clock::Timestamp,
    sms::{SmsId, Submission},
};

#[derive(Default)]
pub(super) struct SubmissionQueue {
    begun: VecDeque<Submission>,
    held: VecDeque<Submission>,
}

impl SubmissionQueue {
    pub(super) fn push(&mut self, submission: Submission) {
        if submission.begun { self.begun.push_back(submission) } else { self.held.push_back(submission) }
    }

    pub(super) fn len(&self) -> usize {
        self.begun.len() + self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many may go out now.
    pub(super) fn begun(&self) -> usize {
        self.begun.len()
    }

    /// The next one that may go out.
    pub(super) fn pop_begun(&mut self) -> Option<Submission> {
        self.begun.pop_front()
    }

    /// The last one, to be returned.
    pub(super) fn pop_last(&mut self) -> Option<Submission> {
        self.held.pop_back().or_else(|| self.begun.pop_back())
    }

    /// All of them, in their order.
    pub(super) fn take(&mut self) -> VecDeque<Submission> {
        let mut all = std::mem::take(&mut self.begun);
        all.append(&mut self.held);
        all
    }

    /// The first of those held.
    pub(super) fn first_held(&self, count: usize) -> Vec<SmsId> {
        self.held.iter().take(count).map(|submission| submission.id).collect()
    }

    /// The ledger marked these as begun: the first of those held.
    pub(super) fn begin(&mut self, ids: &[SmsId]) {
        let ids: HashSet<SmsId> = ids.iter().copied().collect();
        while self.held.front().is_some_and(|first| ids.contains(&first.id))
            && let Some(first) = self.held.pop_front()
        {
            self.begun.push_back(Submission { begun: true, ..first });
        }
    }

    /// These are not ours any more.
    pub(super) fn remove(&mut self, ids: &[SmsId]) {
        if !ids.is_empty() {
            self.held.retain(|held| !ids.contains(&held.id));
        }
    }

    /// The ledger prolonged the lease of one of them.
    pub(super) fn prolong(&mut self, id: SmsId, lease_until: Timestamp) {
        if let Some(found) = self.begun.iter_mut().chain(&mut self.held).find(|submission| submission.id == id) {
            found.lease_until = lease_until;
        }
    }
}
