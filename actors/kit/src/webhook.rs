//! Webhooks as data: the path that a provider calls, how the call is read and answered. The HTTP front-end mounts them
//! and knows no provider; a provider reads bytes and knows no server.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use percent_encoding::percent_decode;

use crate::{
    charset::Charset,
    clock::Timestamp,
    ledger::ReceiptMatch,
    sms::{InboundSms, Receipt, Received},
};

/// The content type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// A call from a provider.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The query string, undecoded.
    pub query: String,
    /// The content type, lower case, without parameters.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// The character set of query and body: that of the content type, or the transport's own. None: nobody named one.
    pub charset: Option<Charset>,
    /// When the call came in: no time in it can lie much later.
    pub received_at: Timestamp,
}

impl Default for WebhookRequest {
    fn default() -> Self {
        Self {
            method: String::new(),
            query: String::new(),
            content_type: String::new(),
            body: Bytes::new(),
            charset: None,
            received_at: Timestamp::from_micros(0),
        }
    }
}

impl WebhookRequest {
    /// Whether the body is a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        self.content_type == FORM
    }

    /// The parameters, decoded: those of the query, then those of a form-encoded body, in their order.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        self.pairs().map(|(name, value)| (self.field(&decoded(name)), self.field(&decoded(value)))).collect()
    }

    /// The bytes of the first parameter of a name, for a text in a character set of its own.
    #[must_use]
    pub fn raw_parameter(&self, name: &str) -> Option<Vec<u8>> {
        self.pairs().find(|(key, _)| *decoded(key) == *name.as_bytes()).map(|(_, value)| decoded(value).into_owned())
    }

    /// The body as text, in the call's character set.
    pub fn body_text(&self) -> Result<Cow<'_, str>, Unreadable> {
        let charset = self.charset.clone().unwrap_or_default();
        charset.decode(&self.body).ok_or_else(|| Unreadable::charset("body", &charset))
    }

    /// The text of an SMS, from a field's bytes: in the character set that a field of the call names, else in the call's.
    pub fn text(&self, field: &str, bytes: &[u8], label: Option<&str>) -> Result<String, Unreadable> {
        let named = label.filter(|label| !label.trim().is_empty()).map(Charset::of_label);
        let charset = match (named, &self.charset) {
            (Some(named), None) => named,
            (Some(named), Some(_)) if named.is_known() => named,
            (_, charset) => charset.clone().unwrap_or_default(),
        };
        let text = charset.decode(bytes).ok_or_else(|| Unreadable::charset(field, &charset))?;
        Ok(text.into_owned())
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let in_body: &[u8] = if self.is_form() { &self.body } else { b"" };
        let pairs = [self.query.as_bytes(), in_body].into_iter().flat_map(|part| part.split(|byte| *byte == b'&'));
        pairs.filter(|pair| !pair.is_empty()).map(|pair| match pair.iter().position(|byte| *byte == b'=') {
            Some(end) => (pair.get(..end).unwrap_or_default(), pair.get(end + 1..).unwrap_or_default()),
            None => (pair, b"".as_slice()),
        })
    }

    /// A name, a number, a word: in the call's character set where that holds ASCII. Whatever it is, it is no reason to
    /// refuse a call.
    fn field(&self, bytes: &[u8]) -> String {
        let charset = self.charset.as_ref().filter(|charset| charset.holds_ascii());
        let text = charset.and_then(|charset| charset.decode(bytes));
        text.or_else(|| Charset::default().decode(bytes)).unwrap_or_default().into_owned()
    }
}

/// The bytes of form-encoded text.
#[must_use]
pub fn percent_decoded(encoded: &[u8]) -> Vec<u8> {
    decoded(encoded).into_owned()
}

fn decoded(encoded: &[u8]) -> Cow<'_, [u8]> {
    if !encoded.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(encoded);
    }
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
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

    /// A text in a character set that nobody knows.
    fn charset(field: &str, charset: &Charset) -> Self {
        let label = charset.name();
        Self::new(field, format!("is in the character set `{label}`, which is unknown: set `charset` of the transport"))
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

#[cfg(test)]
mod tests {
    use super::{Charset, WebhookRequest};

    fn form(charset: &str, body: &'static [u8]) -> WebhookRequest {
        WebhookRequest {
            query: "a=1&b=x+y%00&=&c".to_owned(),
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: body.into(),
            charset: Some(Charset::of_label(charset)),
            ..WebhookRequest::default()
        }
    }

    #[test]
    fn parameters_are_those_of_the_query_and_then_those_of_the_body() {
        let names: Vec<_> = form("utf-8", b"a=2&&d=%FF").parameters();
        let expected = [("a", "1"), ("b", "x y\0"), ("", ""), ("c", ""), ("a", "2"), ("d", "\u{ff}")];
        assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let other = WebhookRequest { content_type: "text/plain".to_owned(), ..form("utf-8", b"d=1") };
        assert_eq!(other.parameters().len(), 4);
    }

    #[test]
    fn a_parameter_keeps_its_bytes() {
        let request = form("utf-8", b"d=%FF+\xe8");
        assert_eq!(request.raw_parameter("b").as_deref(), Some(&b"x y\0"[..]));
        assert_eq!(request.raw_parameter("d").as_deref(), Some(&b"\xff \xe8"[..]));
        assert_eq!(request.raw_parameter("e"), None);
    }

    #[test]
    fn parameters_are_read_in_the_calls_character_set() {
        for (charset, value) in
            [("ISO-8859-1", "très"), ("iso-8859-7", "trθs"), ("UTF-16BE", "très"), ("x-none", "très")]
        {
            assert_eq!(form(charset, b"d=tr%E8s").parameters().last().unwrap().1, value, "{charset}");
        }
    }

    #[test]
    fn a_text_is_read_as_a_field_names_it_else_as_the_call_does() {
        for (label, charset, text) in [
            (Some("ISO-8859-7"), Some("windows-1252"), Some("α")),
            (Some("ISO-8859-7"), None, Some("α")),
            (None, Some("windows-1252"), Some("á")),
            (Some(" "), None, Some("á")),
            (Some("EBCDIC"), Some("iso-8859-7"), Some("α")),
            (Some("EBCDIC"), None, None),
            (None, Some("EBCDIC"), None),
        ] {
            let request = WebhookRequest { charset: charset.map(Charset::of_label), ..WebhookRequest::default() };
            let read = request.text("text", b"\xe1", label);
            assert_eq!(read.as_deref().ok(), text, "{label:?} {charset:?}");
            assert!(read.is_ok() || read.unwrap_err().what.contains("`EBCDIC`"));
        }
    }
}
