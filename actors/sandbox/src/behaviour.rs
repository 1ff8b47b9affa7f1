//! How a provider misbehaves: by count, not by chance, so that a test knows what will happen.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_kit::settings_schema::HumanDuration;

use crate::smsc::SmscMisbehaviour;

/// A provider's misbehaviour: the table `misbehave` of its settings, and the body of `PUT /misbehave/{provider}`.
/// A key left out has its default, so `{}` makes a provider behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Misbehaviour {
    /// How long each answer to a submission waits, once the submission is recorded.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub delay: Duration,
    /// Every n-th submission is refused in the provider's own way; 0, the default, refuses none. Counted from the
    /// start, or from the last change.
    pub refuse_every: u64,
    /// What a refusal says, in the provider's own form: `301, No credit left` (Clickatell), `2: Invalid recipient`
    /// (E-Scape), `406, UserInBlacklist` (Africa's Talking), `21610, Unsubscribed` (Twilio), a return code (TruTeq),
    /// words for the others. Default: that of a failure that stays one, where the
    /// provider knows one.
    pub refuse_with: String,
    /// The connection of every n-th submission is closed without an answer; 0, the default, closes none.
    pub drop_every: u64,
    /// Whether a submission that gets no answer was recorded first.
    pub drop_when: DropWhen,
    /// Whether a submission is followed by a receipt.
    pub receipts: ReceiptMode,
    /// How long after the submission.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub receipt_delay: Duration,
    /// The status in receipts, as the provider writes it. Default: received by the person (`004`, `4`, `D`, `0`,
    /// `Success`, `delivered`, `DELIVRD`).
    pub receipt_status: String,
    /// TruTeq only: a new session's first message is sent twice.
    pub duplicate_new: bool,
    /// TruTeq only: every login is refused.
    pub refuse_login: bool,
    /// TruTeq and SMPP only: link checks (enquire_link) get no answer.
    pub ignore_link_checks: bool,
    /// TruTeq only: a malformed frame is sent before each command to the router.
    pub malformed: bool,
    /// TruTeq and SMPP only: a connection is closed after n commands from the router; 0, the default, closes none.
    pub drop_after: u64,
    /// TruTeq and SMPP only, and only by `PUT /misbehave/truteq` and `/misbehave/smsc`: closes every connection there is,
    /// once.
    pub drop_now: bool,
    /// SMPP only.
    pub smpp: SmscMisbehaviour,
}

impl Default for Misbehaviour {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            refuse_every: 0,
            refuse_with: String::new(),
            drop_every: 0,
            drop_when: DropWhen::Recorded,
            receipts: ReceiptMode::Once,
            receipt_delay: Duration::from_millis(200),
            receipt_status: String::new(),
            duplicate_new: false,
            refuse_login: false,
            ignore_link_checks: false,
            malformed: false,
            drop_after: 0,
            drop_now: false,
            smpp: SmscMisbehaviour::default(),
        }
    }
}

/// When a connection is closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropWhen {
    /// The provider has the SMS; the router can't know.
    Recorded,
    /// The provider never took it.
    Before,
}

/// How often a receipt is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptMode {
    /// As a provider should.
    Once,
    /// Never.
    None,
    /// The same one twice.
    Twice,
}

impl ReceiptMode {
    pub(crate) const fn times(self) -> usize {
        match self {
            Self::None => 0,
            Self::Once => 1,
            Self::Twice => 2,
        }
    }
}

/// A provider's present misbehaviour, and how many submissions it has counted.
#[derive(Debug)]
pub(crate) struct Behaviour(Mutex<(Arc<Misbehaviour>, u64)>);

/// What happens to one submission.
#[derive(Clone, Debug)]
pub(crate) struct SubmissionPlan {
    pub(crate) rules: Arc<Misbehaviour>,
    pub(crate) refused: bool,
    pub(crate) dropped: Option<DropWhen>,
    /// Which submission it is since the start or the last change, from 1.
    pub(crate) n: u64,
}

impl SubmissionPlan {
    /// The text of a refusal: the rule's, else the provider's `usual`.
    pub(crate) fn refusal<'a>(&'a self, usual: &'a str) -> &'a str {
        if self.rules.refuse_with.is_empty() { usual } else { &self.rules.refuse_with }
    }

    /// The status of receipts: the rule's, else the provider's `usual`.
    pub(crate) fn receipt_status<'a>(&'a self, usual: &'a str) -> &'a str {
        if self.rules.receipt_status.is_empty() { usual } else { &self.rules.receipt_status }
    }
}

impl Behaviour {
    pub(crate) fn new(rules: &Misbehaviour) -> Self {
        Self(Mutex::new((Arc::new(rules.clone()), 0)))
    }

    pub(crate) fn rules(&self) -> Arc<Misbehaviour> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    pub(crate) fn change(&self, rules: Misbehaviour) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Arc::new(rules), 0);
    }

    /// Counts a submission and plans what happens to it.
    pub(crate) fn plan_next(&self) -> SubmissionPlan {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        let (rules, n) = (Arc::clone(&state.0), state.1);
        drop(state);
        let hit = |every: u64| every > 0 && n.is_multiple_of(every);
        SubmissionPlan {
            refused: hit(rules.refuse_every),
            dropped: hit(rules.drop_every).then_some(rules.drop_when),
            rules,
            n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, DropWhen, Misbehaviour};

    #[test]
    fn every_nth_submission_is_hit_and_a_change_restarts_the_count() {
        let behaviour = Behaviour::new(&Misbehaviour { refuse_every: 3, drop_every: 2, ..Misbehaviour::default() });
        let plans: Vec<_> = (0..6).map(|_| behaviour.plan_next()).collect();
        assert_eq!(plans.iter().map(|plan| plan.refused).collect::<Vec<_>>(), [false, false, true, false, false, true]);
        assert_eq!(plans[1].dropped, Some(DropWhen::Recorded));
        assert_eq!(plans[2].dropped, None);
        behaviour.plan_next();
        behaviour.change(Misbehaviour { refuse_every: 2, ..Misbehaviour::default() });
        assert!(!behaviour.plan_next().refused);
        assert!(behaviour.plan_next().refused);
    }
}
