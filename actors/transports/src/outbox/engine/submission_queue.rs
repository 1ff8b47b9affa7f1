//! The submissions that an outbox has and that are not in flight: those that may go out, behind them those that the ledger
//! is asked to mark as begun, and behind them those that it will have to mark.

use std::collections::{HashSet, VecDeque};

use vumi_kit::{
    clock::Timestamp,
    sms::{SmsId, Submission},
};

#[derive(Default)]
pub(super) struct SubmissionQueue {
    begun: VecDeque<Submission>,
    beginning: VecDeque<Submission>,
    held: VecDeque<Submission>,
}

impl SubmissionQueue {
    pub(super) fn push(&mut self, submission: Submission) {
        if submission.begun { self.begun.push_back(submission) } else { self.held.push_back(submission) }
    }

    pub(super) fn len(&self) -> usize {
        self.begun_or_beginning() + self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many may go out now, or as soon as the ledger has answered.
    pub(super) fn begun_or_beginning(&self) -> usize {
        self.begun.len() + self.beginning.len()
    }

    /// The next one that may go out.
    pub(super) fn pop_begun(&mut self) -> Option<Submission> {
        self.begun.pop_front()
    }

    /// The last one, to be returned.
    pub(super) fn pop_last(&mut self) -> Option<Submission> {
        self.held.pop_back().or_else(|| self.beginning.pop_back()).or_else(|| self.begun.pop_back())
    }

    /// All of them, in their order.
    pub(super) fn take(&mut self) -> VecDeque<Submission> {
        let mut all = std::mem::take(&mut self.begun);
        all.append(&mut self.beginning);
        all.append(&mut self.held);
        all
    }

    /// The first of those held, which the ledger is now asked to mark.
    pub(super) fn take_to_begin(&mut self, count: usize) -> Vec<SmsId> {
        let first = self.beginning.len();
        self.beginning.extend(self.held.drain(..count.min(self.held.len())));
        self.beginning.range(first..).map(|submission| submission.id).collect()
    }

    /// The ledger's answer about those that it was asked to mark: which may go out, and which are not ours any more. The
    /// others are held as before.
    pub(super) fn on_begun(&mut self, asked: &[SmsId], begun: &[SmsId], gone: &[SmsId]) {
        let [asked, begun, gone] = [asked, begun, gone].map(|ids| ids.iter().copied().collect::<HashSet<SmsId>>());
        let (mut settled, mut held) = (0, Vec::new());
        for _ in 0..self.beginning.len() {
            let Some(submission) = self.beginning.pop_front() else { break };
            let id = submission.id;
            settled += usize::from(begun.contains(&id) || gone.contains(&id));
            if begun.contains(&id) {
                self.begun.push_back(Submission { begun: true, ..submission });
            } else if !asked.contains(&id) {
                self.beginning.push_back(submission);
            } else if !gone.contains(&id) {
                held.push(submission);
            }
        }
        for submission in held.into_iter().rev() {
            self.held.push_front(submission);
        }
        if settled < begun.len() + gone.len() {
            self.begin_of_held(&begun, &gone);
        }
    }

    /// As [`Self::on_begun`], for those that a pause has put back meanwhile.
    fn begin_of_held(&mut self, begun: &HashSet<SmsId>, gone: &HashSet<SmsId>) {
        for submission in std::mem::take(&mut self.held) {
            if begun.contains(&submission.id) {
                self.begun.push_back(Submission { begun: true, ..submission });
            } else if !gone.contains(&submission.id) {
                self.held.push_back(submission);
            }
        }
    }

    /// The ledger prolonged the lease of one of them.
    pub(super) fn prolong(&mut self, id: SmsId, lease_until: Timestamp) {
        let mut all = self.begun.iter_mut().chain(&mut self.beginning).chain(&mut self.held);
        if let Some(found) = all.find(|submission| submission.id == id) {
            found.lease_until = lease_until;
        }
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::sms::{SmsId, Submission};

    use super::SubmissionQueue;
    use crate::tests::exam::submission;

    fn held(ids: impl IntoIterator<Item = SmsId>) -> SubmissionQueue {
        let mut queue = SubmissionQueue::default();
        for id in ids {
            queue.push(Submission { id, begun: false, ..submission("hello") });
        }
        queue
    }

    fn all_begun(queue: &mut SubmissionQueue) -> Vec<SmsId> {
        std::iter::from_fn(|| queue.pop_begun()).map(|submission| submission.id).collect()
    }

    #[test]
    fn what_is_asked_for_is_asked_once_and_what_had_no_place_stays_first() {
        let mut queue = held(1..=6);
        assert_eq!(queue.take_to_begin(2), [1, 2]);
        assert_eq!(queue.take_to_begin(2), [3, 4]);
        queue.on_begun(&[3, 4], &[3], &[]);
        queue.on_begun(&[1, 2], &[2], &[1]);
        assert_eq!(all_begun(&mut queue), [3, 2]);
        assert_eq!(queue.take_to_begin(9), [4, 5, 6]);
    }

    #[test]
    fn one_that_a_pause_put_back_meanwhile_may_go_out_too() {
        let mut queue = held(1..=3);
        queue.take_to_begin(2);
        let all = queue.take();
        all.into_iter().for_each(|submission| queue.push(submission));
        queue.on_begun(&[1, 2], &[1], &[2]);
        assert_eq!(all_begun(&mut queue), [1]);
        assert_eq!((queue.take_to_begin(9), queue.len()), (vec![3], 1));
    }
}
