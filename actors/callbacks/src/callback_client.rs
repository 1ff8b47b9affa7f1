//! One post to one URL, within its time limit.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{
    Client, Response,
    dns::Resolve,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use url::Url;
use vumi_kit::{callback::Delivery, clock::Timestamp, component::StartError, webhook_signature::sign};

use crate::{
    attempt::PostOutcome,
    guard::{Guard, GuardedResolver, RefusedUrl},
    settings::CallbackSettings,
};

/// How many bytes of an answer's body are read and dropped, so that its connection can be used again. A connection with a
/// longer body is closed.
const MAX_BODY: usize = 16 * 1024;
/// How long an idle connection is kept: clients have many servers, and each connection takes a file descriptor.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Posts deliveries. Clones share their connections.
#[derive(Clone)]
pub(crate) struct CallbackClient {
    client: Client,
    limit: Duration,
    guard: Arc<Guard>,
}

impl CallbackClient {
    /// A client that resolves host names with `names`.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be made.
    pub(crate) fn new(settings: &CallbackSettings, names: Arc<dyn Resolve>) -> Result<Self, StartError> {
        let guard = Arc::new(Guard::new(settings));
        let names = GuardedResolver { names, guard: Arc::clone(&guard) };
        let client = Client::builder()
            // A proxy or a redirect would bypass the guard.
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(names))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.most_per_callback)
            .tls_certs_merge(settings.authorities().unwrap_or_default())
            .user_agent(concat!("Vumi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                StartError(format!(
                    "callbacks: the HTTP client could not be made ({}); are the system's CA certificates installed?",
                    describe(error)
                ))
            })?;
        Ok(Self { client, limit: settings.limit, guard })
    }

    /// Posts a delivery, signed as sent at `at`.
    pub(crate) async fn post(&self, delivery: &Delivery, at: Timestamp) -> PostOutcome {
        // The limit covers the look-up of the name, the connection, TLS and the head of the answer.
        let ends = tokio::time::Instant::now() + self.limit;
        let mut response = match tokio::time::timeout_at(ends, self.send(delivery, at)).await {
            Ok(Ok(response)) => response,
            Ok(Err(answer)) => return answer,
            Err(_) => return PostOutcome::NoAnswer(format!("no answer within {:?}", self.limit)),
        };
        let code = response.status().as_u16();
        let retry_after = retry_after(response.headers(), at);
        // The status decides, even if the body is cut off.
        let _read_or_timed_out = tokio::time::timeout_at(ends, read_body(&mut response)).await;
        PostOutcome::Status { code, retry_after }
    }

    async fn send(&self, delivery: &Delivery, at: Timestamp) -> Result<Response, PostOutcome> {
        let refused = |why: &dyn Error| PostOutcome::Refused(why.to_string());
        let url = Url::parse(&delivery.url)
            .map_err(|wrong| PostOutcome::Refused(format!("the URL cannot be read ({wrong}): set another")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PostOutcome::Refused("the URL is neither http nor https: set another".to_owned()));
        }
        self.guard.check_url(&url).map_err(|wrong| refused(&wrong))?;
        let id = format!("msg_{}", delivery.id);
        let at_s = at.micros().div_euclid(1_000_000);
        let signature = sign(&delivery.secret, &id, at_s, &delivery.body)
            .map_err(|wrong| PostOutcome::Refused(format!("{wrong}: delete the callback and create it anew")))?;
        self.client
            .post(url)
            .header(CONTENT_TYPE, delivery.format.media_type())
            .header("webhook-id", id)
            .header("webhook-timestamp", at_s)
            .header("webhook-signature", signature)
            .body(delivery.body.clone())
            .send()
            .await
            .map_err(|error| match refused_url(&error) {
                Some(wrong) => refused(wrong),
                None => PostOutcome::NoAnswer(describe(error)),
            })
    }
}

/// Reads the body up to [`MAX_BODY`].
async fn read_body(response: &mut Response) {
    let mut read = 0;
    while read <= MAX_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// `Retry-After` in either of its forms: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(i64::try_from(date.as_secs()).ok()?).since(now))
}

fn refused_url(error: &reqwest::Error) -> Option<&RefusedUrl> {
    std::iter::successors(error.source(), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

/// An error with its causes, without the URL: that may hold a secret, and the delivery has it anyway.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{HeaderMap, RETRY_AFTER};
    use vumi_kit::clock::Timestamp;

    use super::retry_after;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = Timestamp::parse("2015-10-21 07:27:00").unwrap();
        for (value, wait_s) in [
            ("120", Some(120)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), wait_s.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
