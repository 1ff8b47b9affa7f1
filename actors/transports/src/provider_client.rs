//! Calls to a provider over HTTP, and the decisions that failed calls lead to.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header, redirect};
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    component::StartError,
    kind::Problem,
    sms::{Decision, TransportStatus},
};

use crate::outbox::OutboxSettings;

/// A longer answer is not read, in bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// How long an unused connection is kept: less than the keep-alive of usual servers.
const IDLE: Duration = Duration::from_secs(30);

/// The HTTP client of one transport: it keeps as many connections as the transport's window.
pub(crate) struct ProviderClient {
    client: Client,
}

/// A provider's answer with a status of 2xx.
pub(crate) struct ProviderAnswer {
    pub(crate) body: Bytes,
}

impl ProviderAnswer {
    /// The body as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is wrong with a URL in the settings, if anything.
pub(crate) fn check_url(key: &str, url: &str) -> Option<Problem> {
    let what = match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => return None,
        Ok(_) => "expected a URL that begins with http:// or https://".to_owned(),
        Err(error) => format!("expected a URL such as https://api.example.com, but: {error}"),
    };
    Some(Problem::new(key, what))
}

fn is_loopback(url: &Url) -> bool {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

impl ProviderClient {
    /// A client for calls to `url`. How long a call may take is the outbox's to bound: the client's own limit would go before
    /// an answer that is there.
    pub(crate) fn new(url: &str, settings: &OutboxSettings) -> Result<Self, StartError> {
        let url = Url::parse(url).map_err(|error| StartError(format!("url: {error}")))?;
        let mut builder = Client::builder()
            .user_agent(concat!("vumi/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.call_limit.div_f32(2.0))
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(settings.window)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true);
        // A proxy named by the environment is for hosts outside this machine.
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        // Reading the machine's certificates takes long, and without TLS they are not needed.
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| StartError(format!("the HTTP client does not start: {error}")))?;
        Ok(Self { client })
    }

    /// A POST with a form-encoded body.
    pub(crate) fn post_form(&self, url: &str, body: String) -> RequestBuilder {
        self.client.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }

    /// Any request.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// A POST with a body of some type.
    pub(crate) fn post(&self, url: &str, content_type: &'static str, body: String) -> RequestBuilder {
        self.client.post(url).header(header::CONTENT_TYPE, content_type).body(body)
    }
}

/// What an answer's status means, where the settings say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StatusMeaning {
    /// The SMS was not taken: another try.
    Retry,
    /// This SMS is refused.
    Refuse,
    /// The account or the settings are wrong.
    Pause,
}

/// What an operator says of an API's statuses.
pub(crate) type StatusMeanings = BTreeMap<u16, StatusMeaning>;

/// Sends a request. Any failure, and any status but 2xx, is an `Err` with the decision that follows.
pub(crate) async fn call(request: RequestBuilder) -> Result<ProviderAnswer, Decision> {
    call_with(request, &StatusMeanings::new()).await
}

/// The same, where the settings say what some of the statuses mean.
pub(crate) async fn call_with(request: RequestBuilder, meanings: &StatusMeanings) -> Result<ProviderAnswer, Decision> {
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let retry_after_s = retry_after(&response);
    let body = read(response).await?;
    if status.is_success() { Ok(ProviderAnswer { body }) } else { Err(refused(status, retry_after_s, &body, meanings)) }
}

async fn read(mut response: Response) -> Result<Bytes, Decision> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(unreadable("an answer of more than 256 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// The decision after an answer that can't be read: the SMS may have arrived.
pub(crate) fn unreadable(provider_response: &str) -> Decision {
    let start: String = provider_response.chars().take(200).collect();
    Decision::Retry { provider_response: format!("unreadable answer: {start}"), unknown_outcome: true }
}

fn failed(error: reqwest::Error) -> Decision {
    let provider_response = error_text(&error.without_url());
    Decision::Retry { unknown_outcome: !provider_response.not_written, provider_response: provider_response.text }
}

struct ErrorText {
    text: String,
    not_written: bool,
}

fn error_text(error: &reqwest::Error) -> ErrorText {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    ErrorText { text, not_written: error.is_connect() || error.is_builder() }
}

/// What a status other than 2xx means.
fn refused(status: StatusCode, retry_after_s: Option<u64>, body: &[u8], meanings: &StatusMeanings) -> Decision {
    let start: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    let provider_response = format!("HTTP {status}: {start}");
    match meanings.get(&status.as_u16()) {
        Some(StatusMeaning::Retry) => return Decision::Retry { provider_response, unknown_outcome: false },
        Some(StatusMeaning::Refuse) => {
            return Decision::Rejected { status: TransportStatus::MessageError, provider_response };
        }
        Some(StatusMeaning::Pause) if retry_after_s.is_none() => return Decision::Misconfigured { provider_response },
        Some(StatusMeaning::Pause) => return Decision::Throttled { retry_after_s, provider_response },
        None => {}
    }
    match status.as_u16() {
        429 => Decision::Throttled { retry_after_s, provider_response },
        503 if retry_after_s.is_some() => Decision::Throttled { retry_after_s, provider_response },
        503 | 408 => Decision::Retry { provider_response, unknown_outcome: false },
        // About the account or the URL, not about this SMS.
        300..=399 | 401 | 402 | 403 | 404 | 405 | 407 | 410 => Decision::Misconfigured { provider_response },
        400..=499 => Decision::Rejected { status: TransportStatus::MessageError, provider_response },
        _ => Decision::Retry { provider_response, unknown_outcome: true },
    }
}

#[cfg(test)]
mod tests {
    use super::{check_url, is_loopback};

    #[test]
    fn only_web_urls_pass() {
        assert_eq!(check_url("url", "https://api.example.com"), None);
        for bad in ["", "api.example.com", "ftp://example.com", "file:///etc/passwd", "http://"] {
            assert_eq!(check_url("url", bad).unwrap().key, "url", "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_world() {
        for (url, loopback) in [
            ("http://localhost:1", true),
            ("http://127.0.0.1:1/x", true),
            ("http://[::1]:1", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), loopback, "{url}");
        }
    }
}
