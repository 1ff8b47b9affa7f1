//! A call to an application: one attempt, within its deadline, on a connection that is kept.

use std::{error::Error, time::Duration};

use reqwest::{
    Client, Request, Response, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use vumi_kit::{kind::Problem, webhook_signature::sign};
use vumi_ussd_codec::{CallMethod, WrittenCall};

use super::settings::ApplicationSettings;

/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How long an unused connection is kept: less than the keep-alive of usual servers.
const IDLE: Duration = Duration::from_secs(4);

/// Calls one application, within a time and a size, over connections that are kept.
pub(super) struct ApplicationClient {
    client: Client,
    url: Url,
    headers: HeaderMap,
    secret: Option<SecretString>,
    deadline: Duration,
    connections: Semaphore,
}

/// A call without a usable answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CallFailure {
    /// Why, for an operator. It quotes nothing of the answer.
    pub(super) why: String,
    /// It took too long.
    pub(super) late: bool,
}

impl CallFailure {
    pub(super) fn wrong(why: impl Into<String>) -> Self {
        Self { why: format!("wrong answer: {}", why.into()), late: false }
    }

    fn failed(why: impl Into<String>) -> Self {
        Self { why: why.into(), late: false }
    }
}

impl ApplicationClient {
    /// A client for settings without problems.
    pub(super) fn new(settings: &ApplicationSettings) -> Result<Self, Vec<Problem>> {
        let problem = |key: &str, error: &dyn Error| vec![Problem::new(key, error.to_string())];
        let url = Url::parse(&settings.url).map_err(|error| problem("url", &error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| problem("headers", &error))?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|error| problem("headers", &error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(settings.connections)
            .user_agent(concat!("Vumi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                let hint = "are the system's CA certificates installed?";
                vec![Problem::new("url", format!("the HTTP client could not be made ({error}); {hint}"))]
            })?;
        Ok(Self {
            client,
            url,
            headers,
            secret: settings.secret.clone(),
            deadline: settings.deadline(),
            connections: Semaphore::new(settings.connections),
        })
    }

    /// Makes a call; the answer's body where it is 2xx. A call with the id of one before is the same call again.
    pub(super) async fn call(&self, call: WrittenCall, id: &str, at_s: i64) -> Result<String, CallFailure> {
        let request = self.request(call, id, at_s)?;
        let exchange = async {
            let _connection = self.connections.acquire().await.map_err(|_| CallFailure::failed("it is stopping"))?;
            let response = self.client.execute(request).await.map_err(described)?;
            let status = response.status();
            let body = body_of(response).await?;
            match status.as_u16() {
                200..=299 => Ok(body),
                300..=399 => {
                    Err(CallFailure::failed(format!("answered {status}, a redirect, which is not followed: set `url`")))
                }
                _ => Err(CallFailure::failed(format!("answered {status}"))),
            }
        };
        let late = || CallFailure { why: format!("no answer within {:?}", self.deadline), late: true };
        tokio::time::timeout(self.deadline, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    fn request(&self, call: WrittenCall, id: &str, at_s: i64) -> Result<Request, CallFailure> {
        let mut url = self.url.clone();
        if !call.path.is_empty() {
            url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), call.path));
        }
        if !call.query.is_empty() {
            let query = url.query().map_or_else(|| call.query.clone(), |own| format!("{own}&{}", call.query));
            url.set_query(Some(&query));
        }
        let request = match call.method {
            CallMethod::Get => self.client.get(url),
            CallMethod::Post => self.client.post(url),
        };
        let mut request = request.header("idempotency-key", id);
        if let Some((content_type, body)) = call.body {
            if let Some(secret) = &self.secret {
                let signature = sign(secret.expose_secret(), id, at_s, &body)
                    .map_err(|wrong| CallFailure::failed(wrong.to_string()))?;
                request = request
                    .header("webhook-id", id)
                    .header("webhook-timestamp", at_s)
                    .header("webhook-signature", signature);
            }
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        request.headers(self.headers.clone()).build().map_err(described)
    }
}

async fn body_of(mut response: Response) -> Result<String, CallFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(described)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(CallFailure::failed(format!("an answer of more than {} KiB", LONGEST_ANSWER / 1024)));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| CallFailure::wrong("expected UTF-8"))
}

/// An error with its causes, without the URL: that may hold a secret.
fn described(error: reqwest::Error) -> CallFailure {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    CallFailure::failed(why)
}
