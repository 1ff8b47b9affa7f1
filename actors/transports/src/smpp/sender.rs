//! SMS from the outbox, submitted part by part.
//!
//! The first part goes alone: where it is refused for good, a person gets nothing rather than an end without a beginning.
//! Then the others go as fast as the windows allow. What the SMSC took is recorded with the outcome, and no attempt submits it again.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use vumi_kit::{
    sent_parts::{IdSpellings, SentPart, TakenPart},
    sms::{Decision, Submission, TransportStatus},
};
use vumi_smpp_codec::{
    Message,
    message_id::{lookup_key, lookup_keys},
};

use super::{
    Settings,
    link::{PartAnswer, PartFate, PartKey, WindowPlace},
    message,
    settings::{MessageIds, PartReceipts},
    state::SharedSmpp,
    statuses::{self, SubmitStatus},
};
use crate::outbox::{LookUp, SubmitReadiness, SubmitSms, Submitted};

/// Submits SMS over the sessions.
pub(super) struct PartSender(pub(super) SharedSmpp);

/// What came of a part.
enum PartResult {
    Answered(PartAnswer),
    /// It may have arrived.
    Lost(&'static str),
    /// It did not.
    NotSent(String),
}

impl SubmitSms for PartSender {
    async fn submit(&self, submission: &Submission) -> Submitted {
        let (written, limit) = {
            let state = self.0.borrow();
            (message::of(&state.settings, submission, state.clock.now()), state.settings.outbox.call_limit)
        };
        match written {
            Ok(messages) => self.submit_parts(submission, messages, limit).await,
            Err(decision) => decision.into(),
        }
    }

    /// The SMSC can't be asked, but its answers may have come late.
    async fn look_up(&self, submission: &Submission) -> LookUp {
        let Some(results) = self.late_answers(submission) else { return LookUp::Unknown };
        LookUp::InParts(self.decide(submission, results))
    }

    fn credentials(&self) -> Vec<&str> {
        // What the SMSC answers is a number and an id: it repeats nothing of ours.
        Vec::new()
    }

    fn readiness(&self) -> SubmitReadiness {
        self.0.borrow().readiness()
    }

    async fn readiness_changed(&self) {
        let changed = self.0.borrow().readiness_changed.clone();
        changed.notified().await;
    }

    fn places(&self, submission: &Submission) -> usize {
        let all = message::count(&self.0.borrow().settings, submission);
        all.saturating_sub(submission.parts.len()).max(1)
    }

    fn adapts_pace(&self) -> bool {
        true
    }
}

/// Part numbers beside their PDUs, but for those that are taken.
fn missing(submission: &Submission, messages: Vec<Message>) -> Vec<(PartKey, Message)> {
    let is_taken = |number: u8| submission.parts.iter().any(|part| part.number == number);
    let numbered = (1..=u8::MAX).zip(messages).filter(|(number, _)| !is_taken(*number));
    numbered.map(|(number, message)| (PartKey { sms: submission.id, number }, message)).collect()
}

impl PartSender {
    async fn submit_parts(&self, submission: &Submission, messages: Vec<Message>, limit: Duration) -> Submitted {
        let deadline = Instant::now() + limit;
        let mut results = Vec::with_capacity(messages.len());
        let mut waiting = Vec::new();
        for (key, message) in missing(submission, messages) {
            match self.0.borrow_mut().late.take(key) {
                Some(answer) => results.push((key.number, PartResult::Answered(answer))),
                None => waiting.push((key, message)),
            }
        }
        let mut waiting = waiting.into_iter();
        if let Some((key, message)) = waiting.next() {
            let result = match self.send(key, message, deadline).await {
                Ok(sent) => sent.result(deadline).await.1,
                Err(result) => result,
            };
            let goes_on = self.is_taken(&result);
            results.push((key.number, result));
            if goes_on {
                self.submit_rest(waiting, deadline, &mut results).await;
            }
        }
        self.decide(submission, results)
    }

    /// Until one of them is not taken.
    async fn submit_rest(
        &self,
        waiting: impl Iterator<Item = (PartKey, Message)>,
        deadline: Instant,
        results: &mut Vec<(u8, PartResult)>,
    ) {
        let mut under_way = FuturesUnordered::new();
        'parts: for (key, message) in waiting {
            let sending = self.send(key, message, deadline);
            tokio::pin!(sending);
            loop {
                tokio::select! {
                    biased;
                    Some((number, result)) = under_way.next(), if !under_way.is_empty() => {
                        let goes_on = self.is_taken(&result);
                        results.push((number, result));
                        if !goes_on {
                            break 'parts;
                        }
                    }
                    sent = &mut sending => {
                        match sent {
                            Ok(sent) => under_way.push(sent.result(deadline)),
                            Err(result) => {
                                results.push((key.number, result));
                                break 'parts;
                            }
                        }
                        break;
                    }
                }
            }
        }
        while let Some(result) = under_way.next().await {
            results.push(result);
        }
    }

    /// Waits for a place in a window and takes it.
    async fn send(&self, key: PartKey, message: Message, deadline: Instant) -> Result<Sent, PartResult> {
        let freed = self.0.borrow().place_freed.clone();
        loop {
            let notified = freed.notified();
            {
                let mut state = self.0.borrow_mut();
                if state.readiness().window() == 0 {
                    return Err(PartResult::NotSent(format!("not bound to {}", state.settings.address())));
                }
                if let Some(link) = state.freest_link() {
                    let (fate, place) =
                        link.submit(key, message).map_err(|error| PartResult::NotSent(error.to_string()))?;
                    return Ok(Sent { number: key.number, fate, place });
                }
            }
            if timeout_at(deadline, notified).await.is_err() {
                return Err(PartResult::NotSent("no session had a place in its window in time".to_owned()));
            }
        }
    }

    fn is_taken(&self, result: &PartResult) -> bool {
        let PartResult::Answered(answer) = result else { return false };
        !answer.nacked && statuses::meaning(&self.0.borrow().settings, answer.status) == SubmitStatus::Accepted
    }

    /// The results of all parts that were not taken before, where all of their answers came late.
    fn late_answers(&self, submission: &Submission) -> Option<Vec<(u8, PartResult)>> {
        let mut state = self.0.borrow_mut();
        let messages = message::of(&state.settings, submission, state.clock.now()).ok()?;
        let missing = missing(submission, messages);
        if missing.is_empty() || !missing.iter().all(|(key, _)| state.late.has(*key)) {
            return None;
        }
        let late = missing.into_iter().filter_map(|(key, _)| {
            let answer = state.late.take(key)?;
            Some((key.number, PartResult::Answered(answer)))
        });
        Some(late.collect())
    }

    fn decide(&self, submission: &Submission, mut results: Vec<(u8, PartResult)>) -> Submitted {
        results.sort_unstable_by_key(|(number, _)| *number);
        let mut state = self.0.borrow_mut();
        let settings = state.settings.clone();
        let total = u8::try_from(message::count(&settings, submission)).unwrap_or(u8::MAX);
        let attempt = u32::try_from(submission.attempts).unwrap_or(0).saturating_add(1);
        let (mut parts, mut decision) = (Vec::new(), None);
        for (number, result) in results {
            let found = match result {
                PartResult::Answered(answer) => {
                    let full = state.count_answer(answer.status);
                    let decided = if answer.nacked {
                        Some(statuses::nacked(answer.status, attempt))
                    } else {
                        statuses::decision(&settings, answer.status, attempt, full)
                    };
                    if decided.is_none() {
                        parts.push(taken(&settings, (number, total), answer.message_id));
                    }
                    decided
                }
                PartResult::Lost(why) => {
                    Some(Decision::Retry { provider_response: why.to_owned(), unknown_outcome: true })
                }
                PartResult::NotSent(provider_response) => {
                    Some(Decision::Retry { provider_response, unknown_outcome: false })
                }
            };
            let in_part = |decision| if total > 1 { of_part(decision, number, total) } else { decision };
            decision = worse(decision, found.map(in_part));
        }
        Submitted { decision: decision.unwrap_or_else(|| accepted(submission, &parts)), parts }
    }
}

/// A part on its way, with its place in the window.
struct Sent {
    number: u8,
    fate: oneshot::Receiver<PartFate>,
    place: WindowPlace,
}

impl Sent {
    async fn result(self, deadline: Instant) -> (u8, PartResult) {
        let result = match timeout_at(deadline, self.fate).await {
            Ok(Ok(PartFate::Answered(answer))) => PartResult::Answered(answer),
            Ok(Ok(PartFate::NeverWritten)) => {
                PartResult::NotSent("the connection was lost before it was written".to_owned())
            }
            Ok(Err(_)) => PartResult::Lost("the connection was lost before it was answered"),
            Err(_late) => PartResult::Lost("no answer in time"),
        };
        drop(self.place);
        (self.number, result)
    }
}

/// A part that the SMSC took.
fn taken(settings: &Settings, (number, total): (u8, u8), id: Option<String>) -> TakenPart {
    let reports = id.is_some() && settings.sms.registered_delivery != 0;
    let spellings = id.as_deref().map(|id| of_answer(settings.receipts.message_ids, id));
    let must_report = reports && PartReceipts::must_report(settings.receipts.parts, number, total);
    TakenPart { part: SentPart { number, provider_id: id }, spellings, must_report }
}

/// How receipts may spell the id of an answer.
fn of_answer(ids: MessageIds, id: &str) -> IdSpellings {
    if ids == MessageIds::Exact {
        return IdSpellings { folded: id.to_owned(), others: Vec::new() };
    }
    let folded = lookup_key(id);
    let others = lookup_keys(ids.of_answer(), id).into_iter().filter(|key| *key != folded).collect();
    IdSpellings { folded, others }
}

fn accepted(submission: &Submission, parts: &[TakenPart]) -> Decision {
    let earlier = submission.parts.iter().map(|part| (part.number, part.provider_id.as_ref()));
    let mut all: Vec<_> =
        parts.iter().map(|taken| (taken.part.number, taken.part.provider_id.as_ref())).chain(earlier).collect();
    all.sort_unstable_by_key(|(number, _)| *number);
    let provider_id = all.first().and_then(|(_, id)| id.map(ToString::to_string));
    let id = provider_id.as_deref().map_or_else(|| "no message_id".to_owned(), |id| format!("message_id {id}"));
    let provider_response = if all.len() > 1 { format!("{} parts, {id}", all.len()) } else { id };
    Decision::Accepted { provider_id, status: TransportStatus::AtGateway, provider_response }
}

/// Says which part it is about.
fn of_part(mut decision: Decision, number: u8, total: u8) -> Decision {
    let (Decision::Accepted { provider_response, .. }
    | Decision::Retry { provider_response, .. }
    | Decision::Throttled { provider_response, .. }
    | Decision::Rejected { provider_response, .. }
    | Decision::Misconfigured { provider_response }) = &mut decision;
    *provider_response = format!("part {number} of {total}: {provider_response}");
    decision
}

/// What decides where parts were answered differently: one refused for good fails the SMS, and of what may have arrived it is known
/// that it may have.
fn worse(one: Option<Decision>, other: Option<Decision>) -> Option<Decision> {
    const fn rank(decision: Option<&Decision>) -> u8 {
        match decision {
            None | Some(Decision::Accepted { .. }) => 0,
            Some(Decision::Retry { unknown_outcome: false, .. }) => 1,
            Some(Decision::Throttled { .. }) => 2,
            Some(Decision::Misconfigured { .. }) => 3,
            Some(Decision::Retry { unknown_outcome: true, .. }) => 4,
            Some(Decision::Rejected { .. }) => 5,
        }
    }
    if rank(other.as_ref()) > rank(one.as_ref()) { other } else { one }
}
