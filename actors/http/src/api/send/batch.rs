//! Reads the batch of a request: all of its SMS, or every error in it.

use std::{borrow::Cow, sync::Arc};

use vumi_kit::{
    account::{AccountId, SendingRights},
    address::{Address, Msisdn},
    clock::Timestamp,
    outbound::Routable,
    sms::NewSms,
    sms_fields::{AskedOptions, SmsFields, SmsTimes},
    sms_options::SmsOptions,
};

use super::{
    destination::{Destination, tag},
    personalised::{VARIABLE_PREFIX, personalised_texts},
    text::message,
};
use crate::{
    limits::send_limits::SendLimits,
    request::fields::{KnownFields, RequestFields},
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
    },
};

/// Where the texts of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageSource {
    /// One `message` for all recipients.
    Text,
    /// A `template`, with values for each recipient.
    Template,
}

/// Reads batches that an account sends.
#[derive(Clone, Debug)]
pub(super) struct BatchReader {
    pub(super) account: AccountId,
    /// As whom and to whom the account may send.
    pub(super) rights: SendingRights,
    pub(super) destination: Destination,
    pub(super) times: SmsTimes,
    pub(super) now: Timestamp,
    pub(super) source: MessageSource,
    pub(super) limits: SendLimits,
}

impl BatchReader {
    /// Reads a body.
    pub(super) fn read(&self, media_type: &str, body: &[u8]) -> Result<Vec<NewSms>, ApiError> {
        let fields = RequestFields::of_body(media_type, body, self.known_fields())?;
        let mut errors = FieldErrors::default();
        let to = self.recipients(&fields, &mut errors);
        let from = fields.required("from_msisdn", &mut errors);
        let from = from.and_then(|text| named("from_msisdn", text, self.sender(text), &mut errors));
        let AskedOptions { options, data } = self.options(&fields, &mut errors);
        let given = fields.count("to_msisdn");
        let messages = match (self.source, data) {
            (MessageSource::Text, Some(data)) => vec![data; given.min(to.len())],
            (MessageSource::Text, None) => same_text(&fields, given, self.limits, &mut errors),
            (MessageSource::Template, _) => personalised_texts(&fields, given, self.limits, &mut errors),
        };
        let tag = tag(&fields, &mut errors);
        match from {
            Some(from) if errors.is_empty() => self.batch(to, &from, messages, options, tag),
            _ => Err(ApiError::InvalidFields(errors)),
        }
    }

    const fn known_fields(&self) -> KnownFields {
        let (single, variables): (&[&[&str]], _) = match (self.source, self.destination.is_routed()) {
            (MessageSource::Text, false) => (&[&["from_msisdn", "message"], &SmsFields::NAMES], None),
            (MessageSource::Text, true) => (&[&["from_msisdn", "message", "tag"], &SmsFields::NAMES], None),
            (MessageSource::Template, false) => {
                (&[&["from_msisdn", "template"], &SmsFields::NAMES], Some(VARIABLE_PREFIX))
            }
            (MessageSource::Template, true) => {
                (&[&["from_msisdn", "template", "tag"], &SmsFields::NAMES], Some(VARIABLE_PREFIX))
            }
        };
        let (numbers, flags) = (&["to_msisdn", "from_msisdn", "validity"], &["flash"]);
        KnownFields { single, lists: &["to_msisdn"], numbers, flags, variables, max_values: self.limits.max_batch }
    }

    /// What is asked of all SMS beside their texts and addresses.
    fn options(&self, fields: &RequestFields<'_>, errors: &mut FieldErrors) -> AskedOptions {
        let text_field = match self.source {
            MessageSource::Text => "message",
            MessageSource::Template => "template",
        };
        let given = SmsFields::collect(|name| fields.one(name, errors).map(Cow::Borrowed));
        let text_field = Some(text_field).filter(|field| fields.count(field) > 0);
        let asked = given.read(text_field, &self.times, self.now, errors);
        if let Some(refused) = self.destination.refusal(&asked.options.content) {
            errors.push(refused);
        }
        asked
    }

    fn sender(&self, text: &str) -> Result<Address, String> {
        let sender = self.destination.addresses().sender(text)?;
        self.rights.sender_error(&sender).map_or(Ok(sender), Err)
    }

    fn recipient(&self, text: &str) -> Result<Msisdn, String> {
        let to = self.destination.addresses().recipient(text)?;
        self.rights.recipient_error(&to).map_or(Ok(to), Err)
    }

    fn recipients(&self, fields: &RequestFields<'_>, errors: &mut FieldErrors) -> Vec<Msisdn> {
        let (given, max_batch) = (fields.count("to_msisdn"), self.limits.max_batch);
        if given == 0 {
            errors.push(FieldError::new("to_msisdn", "", "give at least one recipient"));
        } else if given > max_batch {
            let detail = format!("a call may have {max_batch} recipients: send smaller batches");
            errors.push(FieldError::new("to_msisdn", &given.to_string(), detail));
            return Vec::new();
        }
        let read = |text| named("to_msisdn", text, self.recipient(text), errors);
        fields.all("to_msisdn").filter_map(read).collect()
    }

    /// The SMS, each with its transport; an error that names every recipient for whom there is none.
    fn batch(
        &self,
        to: Vec<Msisdn>,
        from: &Address,
        messages: Vec<String>,
        options: SmsOptions,
        tag: Option<&str>,
    ) -> Result<Vec<NewSms>, ApiError> {
        let options = if options == SmsOptions::default() { SmsOptions::none() } else { Arc::new(options) };
        let (mut batch, mut errors) = (Vec::with_capacity(to.len()), FieldErrors::default());
        for (to, message) in to.into_iter().zip(messages) {
            let sms = Routable {
                account: "",
                transports: &self.rights.transports,
                to: &to,
                from,
                text: &message,
                content: &options.content,
                tag,
            };
            let Some((transport, route)) = self.destination.transport(sms) else {
                let detail = "no route takes this SMS: no line of [[outbound]] in the settings matches it";
                errors.push(FieldError::new("to_msisdn", to.as_str(), detail));
                continue;
            };
            let (account, from, options) = (self.account, from.clone(), options.clone());
            batch.push(NewSms { account, transport, to, from, message, route, options });
        }
        if errors.is_empty() { Ok(batch) } else { Err(ApiError::InvalidFields(errors)) }
    }
}

/// The address, or its error named.
pub(crate) fn named<A>(
    field: &str,
    text: &str,
    read: Result<A, impl Into<String>>,
    errors: &mut FieldErrors,
) -> Option<A> {
    read.map_err(|detail| errors.push(FieldError::new(field, text, detail))).ok()
}

fn same_text(fields: &RequestFields<'_>, count: usize, limits: SendLimits, errors: &mut FieldErrors) -> Vec<String> {
    let message = message(fields, limits.max_segments, errors);
    message.filter(|_| errors.is_empty()).map_or_else(Vec::new, |message| vec![message.to_owned(); count])
}

#[cfg(test)]
mod tests;
