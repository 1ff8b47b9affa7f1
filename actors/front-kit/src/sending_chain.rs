//! Takes the SMS of a call through their chains of middleware: all are taken, or none.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use vumi_kit::{
    field_errors::{FieldError, FieldErrors},
    middleware::{ChainOutcome, MiddlewareChains, PassingSms, SmsDirection},
    sms::NewSms,
    sms_options::SmsOptions,
};

use crate::sms_text::text_error;

/// SMS of one call that are in their chains at once: each may wait for an answer from elsewhere.
const AT_ONCE: usize = 16;

/// The chains, and whose SMS they are.
#[derive(Clone, Copy, Debug)]
pub struct SendingChain<'c> {
    /// The chains.
    pub chains: &'c MiddlewareChains,
    /// The name of the account that sends.
    pub account: &'c str,
    /// The most parts of one SMS.
    pub max_segments: u32,
}

impl SendingChain<'_> {
    /// The SMS as they left their chains. An error names every one that is refused.
    pub async fn pass(&self, batch: Vec<NewSms>) -> Result<Vec<NewSms>, NotPassed> {
        if !self.chains.see(SmsDirection::Outbound) {
            return Ok(batch);
        }
        let mut passed = Vec::with_capacity(batch.len());
        let mut errors = FieldErrors::default();
        let mut results = stream::iter(batch).map(|sms| self.one(sms)).buffered(AT_ONCE);
        while let Some(result) = results.next().await {
            match result {
                Ok(sms) => passed.push(sms),
                Err(OneNotPassed::Field(error)) => errors.push(error),
                Err(OneNotPassed::Later) => return Err(NotPassed::Later),
            }
        }
        if errors.is_empty() { Ok(passed) } else { Err(NotPassed::Fields(errors)) }
    }

    async fn one(&self, mut sms: NewSms) -> Result<NewSms, OneNotPassed> {
        let is_text = sms.options.content.is_text();
        let mut passing = PassingSms {
            direction: SmsDirection::Outbound,
            account: Some(self.account.to_owned()),
            transport: sms.transport.clone(),
            campaign: None,
            from: sms.from.clone(),
            to: sms.to.clone().into(),
            message: sms.message.clone(),
            is_text,
            tags: Vec::new(),
        };
        let refused = |field, value: &str, why: String| Err(OneNotPassed::Field(FieldError::new(field, value, why)));
        match self.chains.run(&mut passing).await {
            ChainOutcome::Passed => {}
            ChainOutcome::Held(why) => {
                let options = SmsOptions { held: Some(why), ..(*sms.options).clone() };
                sms.options = Arc::new(options);
            }
            ChainOutcome::Refused(why) => return refused("to_msisdn", sms.to.as_str(), why),
            ChainOutcome::Later(_) => return Err(OneNotPassed::Later),
        }
        let PassingSms { from, to, message, .. } = passing;
        if let Some(wrong) = text_error(&message, self.max_segments).filter(|_| is_text && message != sms.message) {
            return refused("message", &message, format!("as a middleware changed it: {wrong}"));
        }
        let Some(to) = to.msisdn() else {
            return refused("to_msisdn", to.as_str(), "as a middleware changed it: it is no MSISDN".to_owned());
        };
        (sms.from, sms.to, sms.message) = (from, to, message);
        Ok(sms)
    }
}

/// Why SMS are not taken; none of them is.
#[derive(Debug)]
pub enum NotPassed {
    /// What is wrong with each, by the fields of a call.
    Fields(FieldErrors),
    /// A middleware can't say now.
    Later,
}

/// Why an SMS is not taken.
enum OneNotPassed {
    Field(FieldError),
    Later,
}
