//! Clickatell's present platform: what an account opened today gets (`spec/providers.md`).

mod webhooks;

use std::{sync::Arc, time::Duration};

use reqwest::header::{self, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use vumi_kit::{
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem},
    sms::{Decision, Submission, TransportStatus},
    webhook::Webhook,
};

use crate::{
    call::{Caller, call, check_url, garbage},
    outbox::{Outbox, OutboxSettings, Provider},
};

/// An integration of the present platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the API is. Default https://platform.clickatell.com
    #[serde(default = "default_url")]
    url: String,
    /// The integration's key.
    api_key: SecretString,
    /// Whether the SMS's sender is named: only two-way numbers of the account may be. Default true.
    #[serde(default = "default_name_sender")]
    name_sender: bool,
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

/// The provider.
pub(crate) struct ClickatellPlatform {
    caller: Caller,
    send_url: String,
    authorization: HeaderValue,
    settings: Settings,
}

impl Kind for ClickatellPlatform {
    const NAME: &'static str = "clickatell-platform";
    const EXAMPLE: &'static str = r#"
url = "https://platform.clickatell.com"
api_key = "key"
name_sender = true
"#;
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems: Vec<_> = check_url("url", &settings.url).into_iter().collect();
        let key = settings.api_key.expose_secret();
        if key.is_empty() || HeaderValue::from_str(key).is_err() {
            problems.push(Problem::new("api_key", "expected the integration's key, as the platform shows it"));
        }
        problems.extend(settings.outbox.check());
        problems
    }

    fn webhooks(_: &Settings) -> Vec<Webhook> {
        let methods = &["POST"];
        vec![
            Webhook { path: "receipt.json", methods, form: Arc::new(webhooks::Receipts) },
            Webhook { path: "receive.json", methods, form: Arc::new(webhooks::Inbound) },
        ]
    }

    fn least_lease(settings: &Settings) -> Duration {
        settings.outbox.least_lease()
    }

    fn carrier(settings: &Settings) -> Option<String> {
        Some(settings.url.clone())
    }

    fn start(context: ComponentContext, settings: Settings) -> Result<Component, StartError> {
        let outbox = settings.outbox.clone();
        Ok(Outbox::open(context, &outbox, Self::new(settings)?))
    }
}

impl ClickatellPlatform {
    fn new(settings: Settings) -> Result<Self, StartError> {
        let mut authorization = HeaderValue::from_str(settings.api_key.expose_secret())
            .map_err(|_| StartError("api_key: has characters that no header can carry".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            caller: Caller::new(&settings.url, &settings.outbox)?,
            send_url: format!("{}/messages", settings.url.trim_end_matches('/')),
            authorization,
            settings,
        })
    }
}

impl Provider for ClickatellPlatform {
    async fn submit(&self, submission: &Submission) -> Decision {
        let mut message = json!({
            "content": submission.message,
            "to": [submission.to],
            "clientMessageId": submission.id.to_string(),
        });
        if self.settings.name_sender
            && let Some(members) = message.as_object_mut()
        {
            members.insert("from".to_owned(), submission.from.as_str().into());
        }
        let request = self
            .caller
            .post(&self.send_url, "application/json", message.to_string())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, "application/json");
        match call(request).await {
            Ok(answer) => read_sent(&answer.text()),
            Err(decision) => decision,
        }
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.settings.api_key]
    }
}

/// The answer: one message for our one recipient, or an error of the whole call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
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
    let Ok(sent) = serde_json::from_str::<Sent>(answer) else { return garbage(answer) };
    match sent.messages.into_iter().next() {
        Some(SentMessage { accepted: true, api_message_id: Some(id), .. }) => Decision::Accepted {
            said: format!("apiMessageId: {id}"),
            provider_id: Some(id),
            status: TransportStatus::Queued,
        },
        Some(SentMessage { accepted: false, error, .. }) => {
            Decision::Rejected { status: TransportStatus::MessageError, said: words(&error) }
        }
        // What is wrong with the whole call is not known to be this SMS's fault.
        None if !sent.error.is_null() => Decision::Retry { said: words(&sent.error), unsure: false },
        _ => garbage(answer),
    }
}

/// An error is a text, or an object that holds one.
fn words(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Null => "refused without a reason".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
