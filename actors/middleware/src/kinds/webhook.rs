//! Asks a program of the operator's over HTTP: it may change, hold or refuse an SMS.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url, header::AUTHORIZATION, redirect::Policy};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use vumi_kit::{
    address::{Address, Msisdn},
    kind::Problem,
    middleware::{Middleware, PassingSms, SmsDirection, Verdict},
    settings_schema::{HumanDuration, Secret},
    text::keepable,
};

use crate::kind::{MiddlewareContext, MiddlewareKind};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// The most tags, and the longest reason in characters, of an answer.
const MAX_TAGS: usize = 16;
const MAX_REASON: usize = 200;
/// So many failures in a row, and nothing is asked for a while: an absent program must not delay every SMS.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(5);

/// Posts each SMS as JSON to a URL and does what the answer says (`docs/middleware.md`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where each SMS is posted: an `http` or `https` URL.
    #[schemars(example = "http://127.0.0.1:9000/sms")]
    url: String,
    /// Sent as `Authorization: Bearer ...`.
    #[schemars(with = "Option<Secret>")]
    token: Option<SecretString>,
    /// How long it may take, 10ms to 10s. Default 2s.
    #[serde(with = "humantime_serde", default = "default_deadline")]
    #[schemars(with = "HumanDuration")]
    deadline: Duration,
    /// What becomes of an SMS about which nothing usable is answered in time: `open`: it passes; `hold`: it is held; `closed`:
    /// it is not taken now (HTTP: 503; from the broker and from people: tried again). Default `closed`.
    #[serde(default)]
    on_failure: OnFailure,
    /// Posts at once, 1 to 1000; more wait within their deadline. Default 32.
    #[serde(default = "default_at_once")]
    at_once: u32,
}

fn default_deadline() -> Duration {
    Duration::from_secs(2)
}

fn default_at_once() -> u32 {
    32
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnFailure {
    Open,
    Hold,
    #[default]
    Closed,
}

pub(crate) struct AskingWebhook {
    client: Client,
    url: Url,
    token: Option<SecretString>,
    deadline: Duration,
    on_failure: OnFailure,
    at_once: Semaphore,
    failing: Mutex<ProgramFailures>,
}

/// Failures in a row, and until when nothing is asked.
#[derive(Default)]
struct ProgramFailures {
    in_a_row: u32,
    until: Option<Instant>,
}

/// What is posted of an SMS.
#[derive(Serialize)]
struct PostedSms<'a> {
    direction: SmsDirection,
    account: Option<&'a str>,
    transport: &'a str,
    campaign: Option<&'a str>,
    from: &'a str,
    to: &'a str,
    message: &'a str,
    is_text: bool,
    tags: &'a [String],
}

/// What is answered. What is left out stays as it is.
#[derive(Default, Deserialize)]
struct WebhookVerdict {
    #[serde(default)]
    action: Action,
    reason: Option<String>,
    from: Option<String>,
    to: Option<String>,
    message: Option<String>,
    tags: Option<Vec<String>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Pass,
    Hold,
    Refuse,
}

impl MiddlewareKind for AskingWebhook {
    const NAME: &'static str = "webhook";
    const EXAMPLE: &'static str = r#"
url = "http://127.0.0.1:9000/sms"
deadline = "2s"
on_failure = "closed"
"#;
    type Settings = Settings;

    fn new(settings: Settings, _: &MiddlewareContext) -> Result<Self, Problem> {
        let url =
            Url::parse(&settings.url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| Problem::new("url", "expected an http:// or https:// URL"))?;
        if !(Duration::from_millis(10)..=Duration::from_secs(10)).contains(&settings.deadline) {
            return Err(Problem::new("deadline", "expected 10ms to 10s, such as `2s`"));
        }
        if !(1..=1000).contains(&settings.at_once) {
            return Err(Problem::new("at_once", "expected 1 to 1000 posts"));
        }
        let client = Client::builder().redirect(Policy::none()).user_agent(concat!("Vumi/", env!("CARGO_PKG_VERSION")));
        let client = client.build().map_err(|error| Problem::new("url", format!("no HTTP client: {error}")))?;
        Ok(Self {
            client,
            url,
            token: settings.token,
            deadline: settings.deadline,
            on_failure: settings.on_failure,
            at_once: Semaphore::new(settings.at_once as usize),
            failing: Mutex::default(),
        })
    }
}

impl AskingWebhook {
    /// Asks, and applies the answer. The error is why there is none that can be used.
    async fn ask(&self, sms: &mut PassingSms) -> Result<Verdict, String> {
        let now = Instant::now();
        if self.failing.lock().unwrap_or_else(PoisonError::into_inner).until.is_some_and(|until| now < until) {
            return Err("its program did not answer the last SMS".to_owned());
        }
        let asked = timeout_at(now + self.deadline, self.post(sms)).await;
        let answer = asked.unwrap_or_else(|_| Err(format!("its program did not answer within {:?}", self.deadline)));
        self.note(answer.is_ok());
        apply(answer?, sms)
    }

    fn note(&self, answered: bool) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *failing = ProgramFailures::default();
            return;
        }
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        if failing.in_a_row >= FAILURES {
            failing.until = Some(Instant::now() + PAUSE);
        }
    }

    async fn post(&self, sms: &PassingSms) -> Result<WebhookVerdict, String> {
        let _place = self.at_once.acquire().await.map_err(|error| error.to_string())?;
        let asked = PostedSms {
            direction: sms.direction,
            account: sms.account.as_deref(),
            transport: sms.transport.as_str(),
            campaign: sms.campaign.as_ref().map(|name| name.as_str()),
            from: sms.from.as_str(),
            to: sms.to.as_str(),
            message: &sms.message,
            is_text: sms.is_text,
            tags: &sms.tags,
        };
        let mut request = self.client.post(self.url.clone()).json(&asked);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        let mut answer = request.send().await.map_err(|_| "its program can't be reached".to_owned())?;
        match answer.status() {
            StatusCode::NO_CONTENT => return Ok(WebhookVerdict::default()),
            StatusCode::OK => {}
            other => return Err(format!("its program answered {}", other.as_u16())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| "its program's answer broke off".to_owned())? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("its program's answer has more than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| format!("its program's answer can't be used: {error}"))
    }
}

/// Does what the answer says; nothing is changed where a part of it can't be used.
fn apply(answer: WebhookVerdict, sms: &mut PassingSms) -> Result<Verdict, String> {
    let unusable = |what: &str| format!("its program's answer can't be used: `{what}`");
    let mut changed = sms.clone();
    if let Some(from) = answer.from {
        changed.from = Address::sender(&from).map_err(|_| unusable("from"))?;
    }
    if let Some(to) = answer.to {
        changed.to = match sms.direction {
            SmsDirection::Outbound => Msisdn::parse(&to).map_err(|_| unusable("to"))?.into(),
            SmsDirection::Inbound => Address::inbound(&to).map_err(|_| unusable("to"))?,
        };
    }
    if let Some(message) = answer.message {
        changed.message = Some(keepable(message)).filter(|_| sms.is_text).ok_or_else(|| unusable("message"))?;
    }
    if let Some(tags) = answer.tags {
        let good = tags.len() <= MAX_TAGS && tags.iter().all(|tag| (1..=64).contains(&tag.len()));
        changed.tags = Some(tags).filter(|_| good).ok_or_else(|| unusable("tags"))?;
    }
    *sms = changed;
    let reason: String =
        answer.reason.unwrap_or_default().chars().take(MAX_REASON).filter(|c| !c.is_control()).collect();
    let reason = if reason.is_empty() { "its program says so".to_owned() } else { reason };
    Ok(match answer.action {
        Action::Pass => Verdict::Pass,
        Action::Hold => Verdict::Hold(reason),
        Action::Refuse => Verdict::Refuse(reason),
    })
}

#[async_trait]
impl Middleware for AskingWebhook {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        match self.ask(sms).await {
            Ok(verdict) => verdict,
            Err(why) => {
                vumi_kit::warn_limited!(
                    self.url.as_str(),
                    host = self.url.host_str().unwrap_or_default(),
                    why,
                    "a middleware's webhook gave no verdict"
                );
                match self.on_failure {
                    OnFailure::Open => Verdict::Pass,
                    OnFailure::Hold => Verdict::Hold(why),
                    OnFailure::Closed => Verdict::Later(why),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
