//! The fields of a call to a webhook, in its query or in a form-encoded body.

use vumi_kit::{
    address::{Address, Msisdn},
    webhook::{Unreadable, WebhookRequest},
};

use crate::form_reports::form_reports;

/// The fields of a call: those of the query, then those of the body.
pub(crate) struct WebhookFields<'r> {
    /// The call, where it has no other fields.
    request: Option<&'r WebhookRequest>,
    pub(crate) pairs: Vec<(String, String)>,
}

impl<'r> WebhookFields<'r> {
    pub(crate) fn of(request: &'r WebhookRequest) -> Self {
        Self { request: Some(request), pairs: request.parameters() }
    }

    /// The fields of each report of a call.
    pub(crate) fn each(request: &'r WebhookRequest, read: &[&str]) -> Result<Vec<Self>, Unreadable> {
        let reports = form_reports(request.parameters(), read)?;
        let request = Some(request).filter(|_| reports.len() == 1);
        Ok(reports.into_iter().map(|pairs| Self { request, pairs }).collect())
    }

    /// The first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Unreadable> {
        self.get(name).ok_or_else(|| Unreadable::new(name, "is required"))
    }

    /// The text of an SMS, which must be there: in the character set that the provider names in a field, if it does. Of
    /// several SMS in one call the character set is that of the call.
    pub(crate) fn require_text(&self, name: &str, label: Option<&str>) -> Result<String, Unreadable> {
        let decoded = self.require(name)?;
        match self.request.and_then(|request| Some((request, request.raw_parameter(name)?))) {
            Some((request, bytes)) => request.text(name, &bytes, label),
            None => Ok(decoded.to_owned()),
        }
    }

    /// An end of an SMS from a person, which must be there.
    pub(crate) fn require_address(&self, name: &str) -> Result<Address, Unreadable> {
        address(name, self.require(name)?)
    }
}

/// Reads an end of an SMS from a person.
pub(crate) fn address(field: &str, text: &str) -> Result<Address, Unreadable> {
    Address::inbound(text).map_err(|error| Unreadable::new(field, error.to_string()))
}

/// Reads the recipient of an SMS that was sent.
pub(crate) fn msisdn(field: &str, text: &str) -> Result<Msisdn, Unreadable> {
    Msisdn::parse(text).map_err(|error| Unreadable::new(field, error.to_string()))
}
