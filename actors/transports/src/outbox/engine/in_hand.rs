//! Which SMS an outbox has in hand, from their claim to the record of their outcome. One whose lease ended is claimed
//! again, and its first claim may still be in flight: it must not be sent a second time.

use std::collections::{HashMap, HashSet};

use vumi_kit::sms::{SmsId, Submission};

#[derive(Default)]
pub(super) struct InHand {
    /// How often each: one whose outcome was kept though nobody confirmed it is claimed again before that is known.
    claims: HashMap<SmsId, usize>,
    /// Those whose outcome was recorded while a claim was under way: the claim may have come before the record.
    recorded_meanwhile: HashSet<SmsId>,
}

impl InHand {
    pub(super) fn add(&mut self, batch: &[Submission]) {
        for submission in batch {
            *self.claims.entry(submission.id).or_default() += 1;
        }
    }

    /// The outcomes of these are recorded. `claiming`: a claim is under way.
    pub(super) fn remove(&mut self, ids: impl Iterator<Item = SmsId>, claiming: bool) {
        for id in ids {
            if let Some(claims) = self.claims.get_mut(&id) {
                *claims -= 1;
                if *claims == 0 {
                    self.claims.remove(&id);
                }
            }
            if claiming {
                self.recorded_meanwhile.insert(id);
            }
        }
    }

    /// Those of a claim that are not in hand already; for the others `known` is called.
    pub(super) fn new_of(&mut self, claimed: Vec<Submission>, mut known: impl FnMut(&Submission)) -> Vec<Submission> {
        let recorded = std::mem::take(&mut self.recorded_meanwhile);
        let is_new = |submission: &Submission| {
            let known_here = self.claims.contains_key(&submission.id) || recorded.contains(&submission.id);
            let is_known = submission.renewed && known_here;
            if is_known {
                known(submission);
            }
            !is_known
        };
        claimed.into_iter().filter(is_new).collect()
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::sms::{SmsId, Submission};

    use super::InHand;
    use crate::tests::exam::submission;

    fn claimed(id: SmsId, renewed: bool) -> Submission {
        Submission { id, renewed, ..submission("hello") }
    }

    fn new_of(in_hand: &mut InHand, batch: Vec<Submission>) -> Vec<SmsId> {
        in_hand.new_of(batch, |_| {}).into_iter().map(|submission| submission.id).collect()
    }

    #[test]
    fn one_whose_outcome_was_recorded_after_its_second_claim_is_not_new() {
        let mut in_hand = InHand::default();
        in_hand.add(&[claimed(1, false), claimed(2, false)]);
        in_hand.remove([1, 2].into_iter(), true);
        // The second was returned, and then claimed as any other.
        assert_eq!(new_of(&mut in_hand, vec![claimed(1, true), claimed(2, false)]), [2]);
        assert_eq!(new_of(&mut in_hand, vec![claimed(1, true)]), [1], "by a later claim it is");
    }

    #[test]
    fn of_what_is_in_hand_the_lease_goes_on() {
        let (mut in_hand, mut known) = (InHand::default(), Vec::new());
        in_hand.add(&[claimed(1, false)]);
        let new = in_hand.new_of(vec![claimed(1, true), claimed(3, true)], |submission| known.push(submission.id));
        assert_eq!((new.len(), known), (1, vec![1]));
    }
}
