//! Webhooks as data: the path that a provider calls, how the call is read and answered. The HTTP front-end mounts them
//! and knows no provider; a provider reads bytes and knows no server.

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

/// The content of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookNews {
    /// Receipts for SMS that were sent.
    Receipts(Vec<Receipt>),
    /// SMS from people.
    Inbound(Vec<InboundSms>),
}

impl WebhookNews {
    /// The same without texts that can't be kept, so that the answer shows what was kept.
    #[must_use]
    pub fn keepable(self) -> Self {
        match self {
            Self::Receipts(receipts) => Self::Receipts(receipts.into_iter().map(Receipt::keepable).collect()),
            Self::Inbound(inbound) => Self::Inbound(inbound.into_iter().map(InboundSms::keepable).collect()),
        }
    }
}

/// The content of a call as the store has kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookKept {
    /// Each receipt with its match, in the order of the call.
    Receipts(Vec<(Receipt, ReceiptMatch)>),
    /// The SMS as kept.
    Inbound(Vec<Received>),
}

/// A call that can't be read. It is answered with 400 and the field that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Unreadable {
    /// The name of the field, as the provider knows it.
    pub field: String,
    /// What is wrong with it, as a predicate: "is required".
    pub what: String,
    /// What else the call says and can be read: it is kept, though the call as a whole is refused.
    pub readable: Option<Box<WebhookNews>>,
}

impl Unreadable {
    /// A call with a field that is missing or wrong.
    pub fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into(), readable: None }
    }

    /// The same, of a call that says more.
    #[must_use]
    pub fn beside(self, readable: WebhookNews) -> Self {
        let is_empty = match &readable {
            WebhookNews::Receipts(receipts) => receipts.is_empty(),
            WebhookNews::Inbound(inbound) => inbound.is_empty(),
        };
        Self { readable: (!is_empty).then(|| Box::new(readable)), ..self }
    }
}

/// The news of a call with several reports. If one can't be read, the call is refused and says which; the others are kept.
pub fn each_read<T>(
    reports: impl IntoIterator<Item = Result<T, Unreadable>>,
    news: impl FnOnce(Vec<T>) -> WebhookNews,
) -> Result<WebhookNews, Unreadable> {
    let (mut read, mut wrong) = (Vec::new(), None);
    for (index, report) in reports.into_iter().enumerate() {
        match report {
            Ok(report) => read.push(report),
            Err(unreadable) => drop(wrong.get_or_insert((index, unreadable))),
        }
    }
    match wrong {
        None => Ok(news(read)),
        Some((0, unreadable)) if read.is_empty() => Err(unreadable),
        Some((index, Unreadable { field, what, .. })) => {
            let what = format!("{what} (in report {} of the call; {} others were kept)", index + 1, read.len());
            Err(Unreadable::new(field, what).beside(news(read)))
        }
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

    /// Answers it, once its content is committed.
    fn answer(&self, request: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer;
}

/// A call that a provider makes, below the URL of its transport.
#[derive(Clone)]
pub struct Webhook {
    /// The last part of the path: `receipt.json`, `receive.json`, `receive.xml`.
    pub path: &'static str,
    /// The methods it takes: `GET`, `POST`.
    pub methods: &'static [&'static str],
    /// How a call is read and answered.
    pub form: Arc<dyn WebhookForm>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({} {})", self.methods.join("/"), self.path)
    }
}
