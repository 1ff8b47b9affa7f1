//! The fields of a call to a webhook, in its query or in a form-encoded body.

use vumi_kit::{
    address::Msisdn,
    webhook::{Unreadable, WebhookRequest},
};

use crate::charset::percent_decoded;

/// The fields of a call: those of the query, then those of the body.
pub(crate) struct WebhookFields(pub(crate) Vec<(String, String)>);

impl WebhookFields {
    pub(crate) fn of(request: &WebhookRequest) -> Self {
        Self(request.parameters())
    }

    /// The first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Unreadable> {
        self.get(name).ok_or_else(|| Unreadable::new(name, "is required"))
    }

    /// An MSISDN or short code that must be there.
    pub(crate) fn require_msisdn(&self, name: &str) -> Result<Msisdn, Unreadable> {
        Msisdn::parse(self.require(name)?).map_err(|error| Unreadable::new(name, error.to_string()))
    }
}

/// A field as bytes, for one whose text is not in UTF-8.
pub(crate) fn raw_field(request: &WebhookRequest, name: &str) -> Option<Vec<u8>> {
    let in_body: &[u8] = if request.content_type == "application/x-www-form-urlencoded" { &request.body } else { b"" };
    let pairs = [request.query.as_bytes(), in_body];
    let mut pairs = pairs.iter().flat_map(|text| text.split(|byte| *byte == b'&'));
    pairs.find_map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let key = percent_decoded(halves.next()?);
        (key == name.as_bytes()).then(|| percent_decoded(halves.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use vumi_kit::webhook::WebhookRequest;

    use super::raw_field;

    #[test]
    fn a_field_is_found_in_the_query_or_the_body() {
        let request = WebhookRequest {
            query: "a=1&b=x+y%00".to_owned(),
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: "c=%FF".into(),
            ..WebhookRequest::default()
        };
        assert_eq!(raw_field(&request, "b").as_deref(), Some(&b"x y\0"[..]));
        assert_eq!(raw_field(&request, "c").as_deref(), Some(&b"\xff"[..]));
        assert_eq!(raw_field(&request, "d"), None);
    }
}
