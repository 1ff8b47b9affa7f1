//! Answers that say no: `application/problem+json` (RFC 9457) throughout.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;
use vumi_kit::store::StoreError;

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Wrong {
    /// The field, as the client named it.
    pub(crate) field: String,
    /// Its value, shortened; empty where there is none.
    pub(crate) value: String,
    /// What is wrong and what was expected.
    pub(crate) detail: String,
}

/// How many characters of a wrong value are shown.
const VALUE_SHOWN: usize = 100;

impl Wrong {
    pub(crate) fn new(field: impl Into<String>, value: &str, detail: impl Into<String>) -> Self {
        let mut shown: String = value.chars().take(VALUE_SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { field: field.into(), value: shown, detail: detail.into() }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: what is wrong, field by field.
    Wrong(Vec<Wrong>),
    /// 400: the request as a whole can't be read.
    Unreadable(String),
    /// 401.
    Unknown,
    /// 404: in words.
    NotFound(String),
    /// 405: the methods there are.
    Method(String),
    /// 408.
    TooSlow,
    /// 409: in words.
    Conflict(String),
    /// 409, and the client may ask again.
    InProgress,
    /// 413: the most bytes.
    TooLarge(usize),
    /// 415: what was sent.
    MediaType(String),
    /// 429: seconds until it may call again, and what there was too much of.
    TooMany(u64, &'static str),
    /// 503: seconds until it may call again, and why.
    Away(u64, &'static str),
}

/// The media types that bodies may have.
const MEDIA_TYPES: &str = "application/x-www-form-urlencoded or application/json";

/// A problem, as RFC 9457 has it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[Wrong]>::is_empty")]
    /// Every field that is wrong, with its value.
    #[schema(value_type = Option<Vec<Wrong>>)]
    errors: &'a [Wrong],
}

impl Refusal {
    /// One wrong field.
    pub(crate) fn field(field: &str, value: &str, detail: impl Into<String>) -> Self {
        Self::Wrong(vec![Wrong::new(field, value, detail)])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Wrong(_) | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::InProgress => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Away(..) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Wrong(wrong) => {
                let mut names: Vec<&str> = wrong.iter().map(|w| w.field.as_str()).collect();
                names.dedup();
                names.truncate(10);
                format!("wrong: {}; see `errors`; nothing was done", names.join(", "))
            }
            Self::Unreadable(what) | Self::NotFound(what) | Self::Conflict(what) => what.clone(),
            Self::Unknown => "send a user name and its password by HTTP Basic authentication".to_owned(),
            Self::Method(allow) if allow.is_empty() => "the transport has no such function".to_owned(),
            Self::Method(allow) => format!("use {allow}"),
            Self::TooSlow => "the body did not arrive in time".to_owned(),
            Self::InProgress => "a request with this Idempotency-Key is still in progress".to_owned(),
            Self::TooLarge(most) => format!("the body may have {most} bytes: send smaller batches"),
            Self::MediaType(what) => format!("`{what}` is not understood: send {MEDIA_TYPES}"),
            Self::TooMany(wait_s, what) => format!("too many {what}: try again in {wait_s} s"),
            Self::Away(wait_s, why) => format!("{why}: try again in {wait_s} s"),
        }
    }

    fn body(&self) -> Vec<u8> {
        let status = self.status();
        let errors: &[Wrong] = if let Self::Wrong(wrong) = self { wrong } else { &[] };
        let title = status.canonical_reason().unwrap_or("Error");
        let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail: &self.detail(), errors };
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    /// The answer to a connection whose request is not waited for, as bytes.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let body = self.body();
        let wait_s = if let Self::TooMany(wait_s, _) | Self::Away(wait_s, _) = self { *wait_s } else { 0 };
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\nretry-after: {wait_s}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.status(),
            body.len()
        );
        [head.into_bytes(), body].concat()
    }

    /// The answer.
    pub(crate) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        match self {
            Self::Unknown => {
                let asked = HeaderValue::from_static("Basic realm=\"Vumi\", charset=\"UTF-8\"");
                response.insert_header((WWW_AUTHENTICATE, asked));
            }
            Self::Method(allow) => {
                response.insert_header((ALLOW, allow.as_str()));
            }
            Self::InProgress => {
                response.insert_header((RETRY_AFTER, 1));
            }
            Self::TooMany(wait_s, _) | Self::Away(wait_s, _) => {
                response.insert_header((RETRY_AFTER, *wait_s));
            }
            _ => {}
        }
        response.body(self.body())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Away(1, "the store's queue is full, nothing was kept"),
            StoreError::Stopped => Self::Away(5, "the router is stopping or starting"),
            StoreError::Exists(what) => Self::Conflict(format!("{what} exists already")),
            StoreError::Database(cause) => {
                tracing::error!(cause, "the store could not answer an HTTP call");
                Self::Away(5, "the database failed, nothing was kept")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
    use vumi_kit::store::StoreError;

    use super::{Refusal, Wrong};

    #[test]
    fn each_refusal_carries_its_status_and_headers() {
        for (refusal, status, header) in [
            (Refusal::Unknown, 401, Some((WWW_AUTHENTICATE, "Basic realm=\"Vumi\", charset=\"UTF-8\""))),
            (Refusal::Method("GET, POST".into()), 405, Some((ALLOW, "GET, POST"))),
            (Refusal::Method(String::new()), 405, Some((ALLOW, ""))),
            (Refusal::TooMany(7, "calls"), 429, Some((RETRY_AFTER, "7"))),
            (Refusal::InProgress, 409, Some((RETRY_AFTER, "1"))),
            (StoreError::Busy.into(), 503, Some((RETRY_AFTER, "1"))),
            (Refusal::TooLarge(9), 413, None),
            (Refusal::MediaType("text/html".into()), 415, None),
        ] {
            let response = refusal.response();
            assert_eq!(response.status().as_u16(), status);
            if let Some((name, value)) = header {
                assert_eq!(response.headers().get(name).unwrap(), value);
            }
        }
    }

    #[test]
    fn a_long_wrong_value_is_shortened() {
        assert_eq!(Wrong::new("message", &"ä".repeat(200), "too long").value.chars().count(), 101);
        assert_eq!(Wrong::new("message", "short", "x").value, "short");
    }
}
