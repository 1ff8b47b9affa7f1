//! Webhooks as data: what a provider calls, how to read it, what to answer. The HTTP front-end mounts them and
//! knows no provider; a provider reads bytes and knows no server.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    ledger::ReceiptMatch,
    sms::{InboundSms, Receipt, Received},
};

/// A call from a provider.
#[derive(Clone, Debug, Default)]
pub struct WebhookRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The query string, undecoded.
    pub query: String,
    /// The content type, lower case, without parameters.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

impl WebhookRequest {
    /// The parameters, decoded: those of the query, then those of a form-encoded body, in their order.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        let in_body: &[u8] = match self.content_type.as_str() {
            "application/x-www-form-urlencoded" => &self.body,
            _ => b"",
        };
        form_urlencoded::parse(self.query.as_bytes())
            .chain(form_urlencoded::parse(in_body))
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect()
    }
}

/// What a call tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookNews {
    /// Receipts for SMS that were sent.
    Receipts(Vec<Receipt>),
    /// SMS from people.
    Inbound(Vec<InboundSms>),
}

impl WebhookNews {
    /// As the store keeps it, so that what is answered is what was kept.
    #[must_use]
    pub fn keepable(self) -> Self {
        match self {
            Self::Receipts(receipts) => Self::Receipts(receipts.into_iter().map(Receipt::keepable).collect()),
            Self::Inbound(inbound) => Self::Inbound(inbound.into_iter().map(InboundSms::keepable).collect()),
        }
    }
}

/// What became of what a call told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookKept {
    /// Of each receipt, in order.
    Receipts(Vec<(Receipt, ReceiptMatch)>),
    /// The SMS as kept.
    Inbound(Vec<Received>),
}

/// A call that can't be read: a 400, with what is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Unreadable {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl Unreadable {
    /// A field that is missing or wrong.
    pub fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type; none for an empty body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// How a provider's call is read and answered. Both are pure.
pub trait WebhookForm: Send + Sync {
    /// Reads a call.
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable>;

    /// Answers it, once what it told is committed.
    fn answer(&self, request: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer;
}

/// A call that a provider makes, below the URL of its transport.
#[derive(Clone)]
pub struct Webhook {
    /// The last part of the path: `receipt.json`, `receive.json`, `receive.xml`.
    pub path: &'static str,
    /// The methods it takes: `GET`, `POST`.
    pub methods: &'static [&'static str],
    /// How it is read and answered.
    pub form: Arc<dyn WebhookForm>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({} {})", self.methods.join("/"), self.path)
    }
}
