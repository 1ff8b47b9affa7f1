//! Opera: XML-RPC to send, XML for receipts and SMS from people (`docs/providers/opera.md`).

mod webhooks;
mod xml;

use std::{sync::Arc, time::Duration};

use dxr::{FaultResponse, MethodCall, MethodResponse, Value};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use vumi_kit::{
    clock::{Clock, Timestamp},
    component::StartError,
    kind::Problem,
    settings_schema::Secret,
    sms::{Decision, Submission, TransportStatus},
    sms_options::Priority,
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

use crate::{
    outbox::OutboxSettings,
    provider::{Provider, check_given},
    provider_client::{ProviderClient, call, unreadable},
};

/// Opera stops trying to deliver a day after it got an SMS, or at the end of its validity.
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// An account with Opera.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The XML-RPC end point.
    url: String,
    /// The service's number.
    service: String,
    /// The service's password.
    #[schemars(with = "Secret")]
    password: SecretString,
    /// The channel it sends on; Opera chooses the sender by it.
    channel: String,
    /// How urgent: `standard` or `high`. Default `standard`.
    #[serde(default)]
    priority: OperaPriority,
    /// Whether delivery receipts are asked for. Default true.
    #[serde(default = "default_receipts")]
    receipts: bool,
    /// Segments a long SMS may take, 1 to 9. Default 9.
    #[serde(default = "default_max_segments")]
    max_segments: i32,
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

/// How urgent Opera takes an SMS.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OperaPriority {
    #[default]
    Standard,
    High,
}

impl OperaPriority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::High => "high",
        }
    }
}

fn default_receipts() -> bool {
    true
}

fn default_max_segments() -> i32 {
    9
}

pub(crate) struct Opera {
    client: ProviderClient,
    clock: Clock,
    settings: Settings,
}

impl Provider for Opera {
    const NAME: &'static str = "opera";
    const EXAMPLE: &'static str = r#"
url = "https://opera.example.com/xmlrpc"
service = "12345"
password = "password"
channel = "111"
priority = "standard"
max_segments = 9
"#;
    type Settings = Settings;

    fn url(settings: &Settings) -> &str {
        &settings.url
    }

    fn outbox(settings: &Settings) -> &OutboxSettings {
        &settings.outbox
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems = check_given(
            "Opera",
            &[
                ("service", &settings.service),
                ("password", settings.password.expose_secret()),
                ("channel", &settings.channel),
            ],
        );
        if !(1..=9).contains(&settings.max_segments) {
            problems.push(Problem::new("max_segments", "expected 1 to 9"));
        }
        problems
    }

    fn webhooks(_: &Settings) -> Vec<Webhook> {
        let methods = &["POST"];
        vec![
            Webhook { path: "receipt.json", methods, form: Arc::new(webhooks::OperaReceipts) },
            Webhook { path: "receive.xml", methods, form: Arc::new(webhooks::OperaInbound) },
        ]
    }

    fn webhook_access(settings: &Settings) -> WebhookAccess {
        settings.webhooks.clone()
    }

    fn account(settings: &Settings) -> Option<&str> {
        settings.account.as_deref()
    }

    fn new(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        Ok(Self { client: ProviderClient::new(&settings.url, &settings.outbox)?, clock, settings })
    }

    async fn submit(&self, submission: &Submission) -> Decision {
        let body = match self.send_call(submission) {
            Ok(body) => body,
            Err(error) => {
                let provider_response = format!("the text can't be written as XML-RPC: {error}");
                return Decision::Rejected { status: TransportStatus::MessageError, provider_response };
            }
        };
        match call(self.client.post(&self.settings.url, "text/xml", body)).await {
            Ok(answer) => read_sent(&answer.text()),
            Err(decision) => decision,
        }
    }

    fn credentials(&self) -> Vec<&str> {
        vec![&self.settings.service, self.settings.password.expose_secret(), &self.settings.channel]
    }
}

impl Opera {
    fn send_call(&self, submission: &Submission) -> Result<String, dxr::Error> {
        let settings = &self.settings;
        let now = self.clock.wall();
        let expiry = submission.remaining_validity(self.clock.now()).map_or(EXPIRY, |validity| validity.min(EXPIRY));
        let priority = if submission.priority == Priority::High { OperaPriority::High } else { settings.priority };
        let text = |text: &str| Value::String(text.to_owned());
        let members = [
            ("Service", text(&settings.service)),
            ("Password", text(settings.password.expose_secret())),
            ("Channel", text(&settings.channel)),
            ("Numbers", text(submission.to.as_str())),
            ("SMSText", sms_text(&submission.message)),
            ("Delivery", date_time(now)?),
            ("Expiry", date_time(now.plus(expiry))?),
            ("Priority", text(priority.as_str())),
            ("Receipt", text(if settings.receipts { "Y" } else { "N" })),
            ("MaxSegments", Value::Integer(settings.max_segments)),
        ];
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = MethodCall { name: "EAPIGateway.SendSMS".into(), params: vec![Value::Struct(members)] };
        Ok(format!("<?xml version=\"1.0\"?>\n{}", call.to_xml()?))
    }
}

/// A string, or base64 of UTF-8 where the text has a character above 127, or one that XML can't carry as it is.
fn sms_text(text: &str) -> Value {
    let plain = |byte: u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
    if text.bytes().all(plain) { Value::String(text.to_owned()) } else { Value::Base64(text.as_bytes().to_vec()) }
}

fn date_time(at: Timestamp) -> Result<Value, dxr::Error> {
    at.format("%Y%m%dT%H:%M:%S").parse().map(Value::DateTime)
}

/// A struct with `Identifier`, or a fault, which is temporary.
fn read_sent(answer: &str) -> Decision {
    // The reader below follows any depth and knows nothing of document types.
    if xml::parse(answer).is_err() {
        return unreadable(answer);
    }
    if let Ok(fault) = FaultResponse::from_xml(answer) {
        return Decision::Retry { provider_response: fault.fault.to_string(), unknown_outcome: false };
    }
    let identifier = match MethodResponse::from_xml(answer) {
        Ok(MethodResponse { value: Value::Struct(mut members) }) => members.remove("Identifier"),
        _ => None,
    };
    let provider_id = match identifier {
        Some(Value::String(id)) if !id.trim().is_empty() => id.trim().to_owned(),
        Some(Value::Integer(id)) => id.to_string(),
        _ => return unreadable(answer),
    };
    let provider_response = format!("Identifier: {provider_id}");
    Decision::Accepted { provider_id: Some(provider_id), status: TransportStatus::Queued, provider_response }
}

#[cfg(test)]
mod tests;
