//! SMS that were answered as if the account were wrong. The answer may mean the account or one recipient: what others are
//! answered tells which.

use std::collections::HashMap;

use vumi_kit::{clock::Timestamp, sms::SmsId};

/// SMS that are remembered with their refusals; of a further one each refusal counts as the first.
const MOST_REFUSED: usize = 10_000;

/// Where nothing else was sent, an SMS is refused after so many times `outbox.max_refusals`.
const WITHOUT_EVIDENCE: u32 = 4;

/// An SMS that was answered as if the account were wrong.
#[derive(Default)]
struct RefusedSms {
    times: u32,
    /// The provider has answered another SMS properly since.
    others_answered: bool,
}

/// The first SMS of a row that was answered as if the account were wrong.
pub(in super::super) struct FirstRefusal {
    sms: SmsId,
    pub(in super::super) provider_response: String,
    pub(in super::super) since: Timestamp,
}

/// Refusals by SMS, and the first one since the last proper answer.
#[derive(Default)]
pub(super) struct Refusals {
    refused: HashMap<SmsId, RefusedSms>,
    first: Option<FirstRefusal>,
}

impl Refusals {
    pub(super) const fn first(&self) -> Option<&FirstRefusal> {
        self.first.as_ref()
    }

    /// How often an SMS was refused.
    pub(super) fn of(&self, sms: SmsId) -> u32 {
        self.refused.get(&sms).map_or(0, |refused| refused.times)
    }

    /// Whether an SMS was refused `most` times while others were taken, or some times that where nothing tells whose fault
    /// it is.
    pub(super) fn are_too_many(&self, sms: SmsId, most: u32) -> bool {
        self.refused.get(&sms).is_some_and(|refused| {
            let factor = if refused.others_answered { 1 } else { WITHOUT_EVIDENCE };
            refused.times >= most.saturating_mul(factor)
        })
    }

    /// Counts one more. Answers whether another SMS was refused before it, and none was answered properly in between.
    pub(super) fn count(&mut self, sms: SmsId, provider_response: &str, at: Timestamp) -> bool {
        if self.refused.len() < MOST_REFUSED || self.refused.contains_key(&sms) {
            let refused = self.refused.entry(sms).or_default();
            refused.times = refused.times.saturating_add(1);
        }
        let first = self.first.get_or_insert_with(|| FirstRefusal {
            sms,
            provider_response: provider_response.to_owned(),
            since: at,
        });
        first.sms != sms
    }

    /// Forgets an SMS that has ended.
    pub(super) fn forget(&mut self, sms: SmsId) {
        self.refused.remove(&sms);
        self.first.take_if(|first| first.sms == sms);
    }

    /// These, once an SMS was answered properly: then those that are refused are so for their own sake.
    pub(super) fn after_proper_answer(self, sms: SmsId) -> Self {
        let mut refused = self.refused;
        refused.remove(&sms);
        for other in refused.values_mut() {
            other.others_answered = true;
        }
        Self { refused, first: None }
    }
}
