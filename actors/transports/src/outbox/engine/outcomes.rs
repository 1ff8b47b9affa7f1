//! What follows an attempt, and a submission that is not attempted: the outcomes for the ledger.

use tokio::time::Instant;
use vumi_kit::{
    clock::Timestamp,
    ledger::{Outcome, Then},
    sent_parts::TakenPart,
    sms::{Decision, SmsId, Submission, TransportStatus},
};

use super::Engine;
use crate::outbox::{
    SubmitSms, Submitted,
    attempt::{AttemptResult, Completed},
    breaker::{Interruption, InterruptionCause},
};

impl<S: SubmitSms> Engine<S> {
    pub(super) fn complete(&mut self, Completed { submission, result, duration, places }: Completed) {
        let (now, at) = (Instant::now(), self.clock.now());
        self.places_taken = self.places_taken.saturating_sub(places);
        self.status.borrow_mut().silent_since = (!self.in_flight.is_empty()).then_some(now);
        let Submitted { decision, parts } = match result {
            AttemptResult::Decided(submitted) => {
                Submitted { decision: self.redacted(submitted.decision), parts: submitted.parts }
            }
            AttemptResult::UnknownOutcome => return self.end_with_unknown_outcome(&submission, at),
        };
        // A call that did not reach the provider tells nothing of the provider's speed.
        if !matches!(decision, Decision::Retry { unknown_outcome: false, .. }) {
            self.throughput.record(duration);
        }
        if matches!(decision, Decision::Throttled { .. }) && self.submitter.adapts_pace() {
            self.pace.slow_down(now);
        }
        let pause_begins = self.update_breaker(submission.id, &decision, now, at);
        let decision = self.refused_too_often(submission.id, decision);
        let outcome = self.outcome(&submission, decision, parts, now, at);
        self.outcomes.push_back(outcome);
        if pause_begins {
            let waiting = self.queue.take();
            self.enqueue_or_return(waiting);
        }
        self.return_excess();
    }

    fn update_breaker(&self, sms: SmsId, decision: &Decision, now: Instant, at: Timestamp) -> bool {
        let mut status = self.status.borrow_mut();
        let before = status.breaker.interruption().map(|interruption| interruption.cause);
        let had_refused = status.breaker.first_refusal().is_some();
        let pause_begins = status.breaker.record(sms, decision, now, at);
        if !had_refused && !pause_begins && status.breaker.first_refusal().is_some() {
            let next_try_in = status.breaker.wait_of(sms);
            tracing::warn!(transport = %self.name, sms, ?next_try_in,
                "one SMS paused: the provider refuses it, or our account or settings");
        }
        if matches!(decision, Decision::Accepted { .. }) {
            status.gauge.count_submitted(1);
        }
        self.log_transition(before, status.breaker.interruption(), now);
        pause_begins
    }

    fn log_transition(&self, before: Option<InterruptionCause>, after: Option<&Interruption>, now: Instant) {
        match (before, after) {
            // The provider's words stay out of the log: `vumi status` shows them.
            (_, Some(Interruption { cause, until, .. })) if before != Some(*cause) => {
                let next_try_in = until.saturating_duration_since(now);
                tracing::warn!(transport = %self.name, ?cause, ?next_try_in, "paused");
            }
            (Some(cause), None) => tracing::info!(transport = %self.name, ?cause, "works again"),
            _ => {}
        }
    }

    /// An SMS that alone is answered as if the account were wrong ends as refused.
    fn refused_too_often(&self, sms: SmsId, decision: Decision) -> Decision {
        let breaker = &mut self.status.borrow_mut().breaker;
        match decision {
            Decision::Misconfigured { provider_response } if breaker.gives_up(sms) => {
                breaker.forget(sms);
                tracing::warn!(transport = %self.name, sms, "refused: the provider answered it as if the account were wrong, again and again");
                let provider_response = format!("refused again and again: {provider_response}");
                Decision::Rejected { status: TransportStatus::MessageError, provider_response }
            }
            decision => decision,
        }
    }

    fn redacted(&self, mut decision: Decision) -> Decision {
        let (Decision::Accepted { provider_response, .. }
        | Decision::Retry { provider_response, .. }
        | Decision::Throttled { provider_response, .. }
        | Decision::Rejected { provider_response, .. }
        | Decision::Misconfigured { provider_response }) = &mut decision;
        *provider_response = self.redactor.redact(std::mem::take(provider_response));
        decision
    }

    fn outcome(
        &self,
        submission: &Submission,
        decision: Decision,
        parts: Vec<TakenPart>,
        now: Instant,
        at: Timestamp,
    ) -> Outcome {
        let (detail, then) = match decision {
            Decision::Accepted { provider_id, status, provider_response } => {
                (provider_response, Then::Done { status, provider_id })
            }
            Decision::Rejected { status, provider_response } => {
                (provider_response, Then::Done { status, provider_id: None })
            }
            Decision::Retry { provider_response, unknown_outcome } => {
                self.retry(submission, provider_response, unknown_outcome, at)
            }
            // Something of it was taken: the attempt counts, and the next one has to know.
            Decision::Throttled { provider_response, .. } | Decision::Misconfigured { provider_response }
                if !parts.is_empty() =>
            {
                (provider_response, Then::Again { at: self.resumes_at(now, at), unknown_outcome: false })
            }
            Decision::Throttled { provider_response, .. } => {
                let held_until = submission.lease_until;
                (provider_response, Then::Untried { at: self.resumes_at(now, at), held_until })
            }
            Decision::Misconfigured { provider_response } => {
                // Later than the others: another SMS tells whether it is the account.
                let wait = self.status.borrow().breaker.wait_of(submission.id);
                let due = self.resumes_at(now, at).plus(wait);
                (provider_response, Then::Untried { at: due, held_until: submission.lease_until })
            }
        };
        // Many wait here while the ledger is away.
        Outcome { parts, ..outcome_of(submission, at, detail, then) }.keepable()
    }

    /// Another attempt, or the end where it would come too late.
    fn retry(
        &self,
        submission: &Submission,
        provider_response: String,
        unknown_outcome: bool,
        at: Timestamp,
    ) -> (String, Then) {
        let attempts = u32::try_from(submission.attempts).unwrap_or(0).saturating_add(1);
        let next = at.plus(self.settings.retry.wait(attempts));
        if next < submission.give_up_at {
            return (provider_response, Then::Again { at: next, unknown_outcome });
        }
        let may_have_arrived =
            if unknown_outcome || submission.unknown_outcomes > 0 { "; it may have arrived" } else { "" };
        let detail = format!("given up, its time runs out: {provider_response}{may_have_arrived}");
        (detail, Then::Done { status: TransportStatus::Expired, provider_id: None })
    }

    /// Ends one whose time ran out while it waited.
    pub(super) fn expire(&mut self, submission: &Submission, at: Timestamp) {
        self.status.borrow_mut().breaker.forget(submission.id);
        let then = Then::Done { status: TransportStatus::Expired, provider_id: None };
        let may_have_arrived =
            if submission.unknown_outcomes > 0 { "; an earlier attempt may have arrived" } else { "" };
        let detail = format!("its time ran out before it could be sent{may_have_arrived}");
        self.outcomes.push_back(outcome_of(submission, at, detail, then));
    }

    /// Ends one that may have arrived or not. A receipt that comes later may still report that it was delivered.
    fn end_with_unknown_outcome(&mut self, submission: &Submission, at: Timestamp) {
        let detail = format!(
            "outcome unknown: answers lost: {}; it may have arrived, so it is not sent again",
            submission.unknown_outcomes
        );
        vumi_kit::warn_limited!(self.name.as_str(), transport = %self.name, sms = submission.id, detail = %detail, "given up");
        self.outcomes.push_back(outcome_of(submission, at, detail, Then::Unknown));
    }

    /// Returns one to the ledger, due again at `due`, without an attempt counted.
    pub(super) fn return_untried(&mut self, submission: &Submission, why: &str, at: Timestamp, due: Timestamp) {
        let then = Then::Untried { at: due, held_until: submission.lease_until };
        self.outcomes.push_back(outcome_of(submission, at, why.to_owned(), then));
    }
}

fn outcome_of(submission: &Submission, at: Timestamp, detail: String, then: Then) -> Outcome {
    Outcome { id: submission.id, at, attempts: submission.attempts, detail, then, parts: Vec::new() }
}
