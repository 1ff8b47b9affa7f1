//! Clickatell's present platform: what an account opened today gets (`docs/providers/clickatell.md`).

mod webhooks;

use std::sync::Arc;

use reqwest::header::{self, HeaderValue};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use vumi_kit::{
    carries::Carries,
    clock::Clock,
    component::StartError,
    kind::Problem,
    settings_schema::Secret,
    sms::{Decision, Submission, TransportStatus},
    sms_options::Content,
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

use crate::{
    outbox::OutboxSettings,
    provider::Provider,
    provider_client::{ProviderClient, call, unreadable},
};

/// An integration of the present platform.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the API is. Default https://platform.clickatell.com
    #[serde(default = "default_url")]
    url: String,
    /// The integration's key.
    #[schemars(with = "Secret")]
    api_key: SecretString,
    /// Whether the SMS's sender is named: only two-way numbers of the account may be. Default true.
    #[serde(default = "default_name_sender")]
    name_sender: bool,
    /// The account that SMS from people belong to, unless their route names another. While there is none of that name,
    /// they wait for it.
    #[schemars(example = &"clinic")]
    account: Option<String>,
    /// Who may call the webhooks, beside accounts of role `carrier`.
    #[serde(default)]
    webhooks: WebhookAccess,
    /// Window, rate, retries.
    #[serde(default)]
    outbox: OutboxSettings,
}

fn default_url() -> String {
    "https://platform.clickatell.com".to_owned()
}

fn default_name_sender() -> bool {
    true
}

pub(crate) struct ClickatellPlatform {
    client: ProviderClient,
    send_url: String,
    authorization: HeaderValue,
    settings: Settings,
    clock: Clock,
}

impl Provider for ClickatellPlatform {
    const NAME: &'static str = "clickatell-platform";
    const EXAMPLE: &'static str = r#"
url = "https://platform.clickatell.com"
api_key = "key"
name_sender = true
"#;
    type Settings = Settings;

    fn url(settings: &Settings) -> &str {
        &settings.url
    }

    fn outbox(settings: &Settings) -> &OutboxSettings {
        &settings.outbox
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let key = settings.api_key.expose_secret();
        if key.is_empty() || HeaderValue::from_str(key).is_err() {
            problems.push(Problem::new("api_key", "expected the integration's key, as the platform shows it"));
        }
        problems
    }

    fn webhooks(_: &Settings) -> Vec<Webhook> {
        let methods = &["POST"];
        vec![
            Webhook { path: "receipt.json", methods, form: Arc::new(webhooks::PlatformReceipts) },
            Webhook { path: "receive.json", methods, form: Arc::new(webhooks::PlatformInbound) },
        ]
    }

    fn webhook_access(settings: &Settings) -> WebhookAccess {
        settings.webhooks.clone()
    }

    fn account(settings: &Settings) -> Option<&str> {
        settings.account.as_deref()
    }

    fn carries(_: &Settings) -> Carries {
        Carries { flash: false, ..Carries::ALL }
    }

    fn new(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let mut authorization = HeaderValue::from_str(settings.api_key.expose_secret())
            .map_err(|_| StartError("api_key: has characters that no header can carry".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            client: ProviderClient::new(&settings.url, &settings.outbox)?,
            send_url: format!("{}/messages", settings.url.trim_end_matches('/')),
            authorization,
            settings,
            clock,
        })
    }

    async fn submit(&self, submission: &Submission) -> Decision {
        let request = self
            .client
            .post(&self.send_url, "application/json", self.message(submission).to_string())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, "application/json");
        match call(request).await {
            Ok(answer) => read_sent(&answer.text()),
            Err(decision) => decision,
        }
    }

    fn credentials(&self) -> Vec<&str> {
        vec![self.settings.api_key.expose_secret()]
    }
}

impl ClickatellPlatform {
    fn message(&self, submission: &Submission) -> Value {
        let id = submission.id.to_string();
        let mut message = vec![
            ("content", json!(submission.message)),
            ("to", json!([submission.to])),
            ("clientMessageId", json!(id)),
        ];
        if self.settings.name_sender {
            message.push(("from", json!(submission.from)));
        }
        if let Some(minutes) = submission.validity_minutes(self.clock.now()) {
            message.push(("validityPeriod", json!(minutes)));
        }
        if let Content::Binary { udh } | Content::Raw { udh, .. } = &submission.content {
            message.push(("binary", json!(true)));
            message.extend(udh.as_ref().map(|udh| ("userDataHeader", json!(udh))));
        }
        message.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The answer: one message for our one recipient, or an error of the whole call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentMessages {
    #[serde(default)]
    messages: Vec<SentMessage>,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentMessage {
    api_message_id: Option<String>,
    accepted: bool,
    #[serde(default)]
    error: Value,
}

fn read_sent(answer: &str) -> Decision {
    let Ok(sent) = vumi_kit::json::read::<SentMessages>(answer.as_bytes()) else { return unreadable(answer) };
    match sent.messages.into_iter().next() {
        Some(SentMessage { accepted: true, api_message_id: Some(id), .. }) => Decision::Accepted {
            provider_response: format!("apiMessageId: {id}"),
            provider_id: Some(id),
            status: TransportStatus::Queued,
        },
        Some(SentMessage { accepted: false, error, .. }) => {
            Decision::Rejected { status: TransportStatus::MessageError, provider_response: error_text(&error) }
        }
        // What is wrong with the whole call is not known to be this SMS's fault.
        None if !sent.error.is_null() => {
            Decision::Retry { provider_response: error_text(&sent.error), unknown_outcome: false }
        }
        _ => unreadable(answer),
    }
}

/// An error is a text, or an object that holds one.
fn error_text(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Null => "refused without a reason".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
