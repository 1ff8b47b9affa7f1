//! Errors as clients see them: `application/problem+json` (RFC 9457) throughout.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;
use vumi_kit::{conversation::ConversationProblem, log_limiter::LogLimiter, store::StoreError};

use super::field_errors::{FieldError, FieldErrors};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// 400: every field that is wrong.
    InvalidFields(FieldErrors),
    /// 400: the request as a whole can't be read, and why.
    Unreadable(String),
    /// 401.
    Unauthenticated,
    /// 402: what is to be paid for.
    PaymentRequired(String),
    /// 403: who may do this, and how.
    Forbidden(String),
    /// 403: a page of another site made a browser call.
    CrossSite,
    /// 404: what there is not.
    NotFound(String),
    /// 405: the methods that are allowed.
    MethodNotAllowed(String),
    /// 408.
    BodyTimeout,
    /// 409: what is in conflict.
    Conflict(String),
    /// 409: the request with this key is not answered yet; the client may try again.
    KeyInProgress,
    /// 422: the key was used for another request.
    KeyReused,
    /// 413: the most bytes a body may have.
    BodyTooLarge(usize),
    /// 415: what was sent.
    UnsupportedMediaType(String),
    /// 415: what was sent in place of YAML.
    NoYaml(String),
    /// 400: everything that is wrong in a text, each with its place.
    InvalidText(Vec<ConversationProblem>),
    /// 429: seconds until the client may try again, and what was too many.
    TooManyRequests(u64, &'static str),
    /// 429: seconds until the client may try again, and which of its account's quotas it would go beyond.
    OverQuota(u64, String),
    /// 503: seconds until the client may try again, and why.
    Unavailable(u64, &'static str),
}

/// The media types that bodies may have.
const MEDIA_TYPES: &str = "application/x-www-form-urlencoded, multipart/form-data or application/json";

/// A problem document (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    /// Every field that is wrong, with its value; of a conversation's text every problem with its `line` and `column`.
    #[schema(value_type = Option<Vec<FieldErrorView>>)]
    errors: &'a [FieldError],
}

/// A problem document of a text, whose errors have places.
#[derive(Serialize)]
struct TextProblemDocument<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    errors: &'a [ConversationProblem],
}

/// What is wrong with one field.
#[derive(utoipa::ToSchema)]
#[schema(as = FieldError)]
#[expect(dead_code, reason = "describes the kit's type to clients")]
pub(crate) struct FieldErrorView {
    /// The field, as the client named it, shortened; of a text none.
    field: Option<String>,
    /// Its value, shortened; empty where it was not given; of a text none.
    value: Option<String>,
    /// Of a text: the line of the problem, from 1.
    line: Option<u32>,
    /// Of a text: the column of the problem, in characters, from 1.
    column: Option<u32>,
    /// What is wrong, and what was expected.
    detail: String,
}

impl ApiError {
    /// One field that is wrong.
    pub(crate) fn field(field: &str, value: &str, detail: impl Into<String>) -> Self {
        Self::InvalidFields(FieldError::new(field, value, detail).into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidFields(_) | Self::Unreadable(_) | Self::InvalidText(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PaymentRequired(_) => StatusCode::PAYMENT_REQUIRED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::KeyInProgress => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) | Self::NoYaml(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests(..) | Self::OverQuota(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(..) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::InvalidFields(errors) => {
                let mut names: Vec<&str> = errors.iter().map(|w| w.field.as_str()).collect();
                names.dedup();
                names.truncate(10);
                let more = if errors.more() > 0 { format!(" and {} more", errors.more()) } else { String::new() };
                format!("wrong: {}{more}; see `errors`; nothing was done", names.join(", "))
            }
            Self::Unreadable(what)
            | Self::PaymentRequired(what)
            | Self::Forbidden(what)
            | Self::NotFound(what)
            | Self::Conflict(what)
            | Self::OverQuota(_, what) => what.clone(),
            Self::Unauthenticated => "send a user name with its password or a token by HTTP Basic authentication, or a token as `Authorization: \
                 Bearer`; this request had none, or wrong ones"
                .to_owned(),
            Self::CrossSite => "a page of another site may not call from its visitors' browsers".to_owned(),
            Self::MethodNotAllowed(allow) if allow.is_empty() => "the transport has no such function".to_owned(),
            Self::MethodNotAllowed(allow) => format!("use {allow}"),
            Self::BodyTimeout => "the body did not arrive in time".to_owned(),
            Self::KeyInProgress => "a request with this Idempotency-Key is still in progress".to_owned(),
            Self::KeyReused => "this Idempotency-Key was used for another request: use a new one".to_owned(),
            Self::BodyTooLarge(most) => format!("the body may have {most} bytes: send smaller batches"),
            Self::UnsupportedMediaType(what) => format!("`{what}` is not understood: send {MEDIA_TYPES}"),
            Self::NoYaml(what) => {
                format!("`{what}` is not understood: send application/yaml, application/x-yaml or text/yaml")
            }
            Self::InvalidText(problems) => {
                let first = problems.first();
                first.map_or_else(String::new, |first| {
                    format!("line {}, column {}: {}; nothing was kept", first.line, first.column, first.detail)
                })
            }
            Self::TooManyRequests(wait_s, what) => format!("too many {what}: try again in {wait_s} s"),
            Self::Unavailable(wait_s, why) => format!("{why}: try again in {wait_s} s"),
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let status = self.status();
        let errors: &[FieldError] = if let Self::InvalidFields(errors) = self { errors } else { &[] };
        let title = status.canonical_reason().unwrap_or("Error");
        if let Self::InvalidText(problems) = self {
            let problem = TextProblemDocument {
                r#type: "about:blank",
                title,
                status: status.as_u16(),
                detail: &self.detail(),
                errors: problems,
            };
            return serde_json::to_vec(&problem).unwrap_or_default();
        }
        let problem =
            ProblemDocument { r#type: "about:blank", title, status: status.as_u16(), detail: &self.detail(), errors };
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    /// The whole response as bytes, for a connection whose request is not read.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let body = self.body();
        let wait_s =
            if let Self::TooManyRequests(wait_s, _) | Self::Unavailable(wait_s, _) = self { *wait_s } else { 0 };
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\nretry-after: {wait_s}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.status(),
            body.len()
        );
        [head.into_bytes(), body].concat()
    }

    /// The response.
    pub(crate) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        match self {
            Self::Unauthenticated => {
                let asked = HeaderValue::from_static("Basic realm=\"Vumi\", charset=\"UTF-8\"");
                response.insert_header((WWW_AUTHENTICATE, asked));
            }
            Self::MethodNotAllowed(allow) => {
                response.insert_header((ALLOW, allow.as_str()));
            }
            Self::KeyInProgress => {
                response.insert_header((RETRY_AFTER, 1));
            }
            Self::TooManyRequests(wait_s, _) | Self::OverQuota(wait_s, _) | Self::Unavailable(wait_s, _) => {
                response.insert_header((RETRY_AFTER, *wait_s));
            }
            _ => {}
        }
        response.body(self.body())
    }
}

/// 404 for a path that leads nowhere.
pub(crate) fn nothing_here(request: &HttpRequest) -> ApiError {
    let path: String = request.path().chars().take(200).collect();
    ApiError::NotFound(format!("there is nothing at {path}"))
}

/// The store's refusals, of which a crowd of clients causes as many as it makes calls.
static STORE_REFUSALS: LogLimiter = LogLimiter::new();

fn log_refusal(error: &StoreError) {
    if let Some(left_out) = STORE_REFUSALS.due(error.sort()) {
        tracing::error!(%error, left_out, "the store could not answer an HTTP call");
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Unavailable(1, "the store has more to do than it can, nothing was kept"),
            StoreError::TooSlow => Self::Unavailable(5, "the query took too long"),
            StoreError::Stopped => Self::Unavailable(5, "the router is stopping or starting"),
            StoreError::Exists(what) => Self::Conflict(format!("{what} exists already")),
            StoreError::Rejected(_) => {
                log_refusal(&error);
                Self::Unreadable(
                    "the database refuses what was sent, and would again: nothing was kept, change it before sending again"
                        .to_owned(),
                )
            }
            StoreError::Unavailable(_) => {
                log_refusal(&error);
                Self::Unavailable(5, "the database failed, nothing was kept")
            }
            StoreError::Unconfirmed(_) => {
                log_refusal(&error);
                Self::Unavailable(
                    5,
                    "the database did not confirm this: it may have been kept; ask again with the same Idempotency-Key, \
                     which does nothing twice",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
    use vumi_kit::store::StoreError;

    use super::ApiError;

    #[test]
    fn a_commit_that_nobody_confirmed_is_not_said_to_have_kept_nothing() {
        let body = ApiError::from(StoreError::Unconfirmed("connection lost".into())).body();
        let said = String::from_utf8(body).unwrap();
        assert!(said.contains("may have been kept") && said.contains("same Idempotency-Key"), "{said}");
    }

    #[test]
    fn each_error_has_its_status_and_headers() {
        for (error, status, header) in [
            (ApiError::Unauthenticated, 401, Some((WWW_AUTHENTICATE, "Basic realm=\"Vumi\", charset=\"UTF-8\""))),
            (ApiError::MethodNotAllowed("GET, POST".into()), 405, Some((ALLOW, "GET, POST"))),
            (ApiError::MethodNotAllowed(String::new()), 405, Some((ALLOW, ""))),
            (ApiError::TooManyRequests(7, "calls"), 429, Some((RETRY_AFTER, "7"))),
            (ApiError::OverQuota(9, "recipients".into()), 429, Some((RETRY_AFTER, "9"))),
            (ApiError::PaymentRequired("budget".into()), 402, None),
            (ApiError::KeyInProgress, 409, Some((RETRY_AFTER, "1"))),
            (ApiError::KeyReused, 422, None),
            (StoreError::Busy.into(), 503, Some((RETRY_AFTER, "1"))),
            (StoreError::Rejected("invalid byte sequence".into()).into(), 400, None),
            (ApiError::CrossSite, 403, None),
            (ApiError::BodyTooLarge(9), 413, None),
            (ApiError::UnsupportedMediaType("text/html".into()), 415, None),
            (ApiError::Forbidden("carriers only".into()), 403, None),
        ] {
            let response = error.response();
            assert_eq!(response.status().as_u16(), status);
            if let Some((name, value)) = header {
                assert_eq!(response.headers().get(name).unwrap(), value);
            }
        }
    }
}
