//! Clickatell's HTTP API 2.x (`docs/providers/clickatell.md`).

mod codes;
mod webhooks;

pub(crate) use codes::status;

use std::sync::Arc;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_kit::{
    carries::Carries,
    clock::Clock,
    component::StartError,
    kind::Problem,
    settings_schema::Secret,
    sms::{Decision, Submission, TransportStatus},
    sms_options::{Content, Priority},
    text::{Encoding, measure},
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

use crate::{
    charset::hex_utf16,
    outbox::{LookUp, OutboxSettings},
    provider::{Provider, check_given},
    provider_client::{ProviderClient, call, unreadable},
};

/// What a route must be capable of (`req_feat`): a name or a number as the sender, and receipts.
const NAME_AS_SENDER: u32 = 16;
const NUMBER_AS_SENDER: u32 = 32;
const RECEIPTS: u32 = 8192;
/// What else it must be capable of: octets, a user data header, flash.
const OCTETS: u32 = 2;
const USER_DATA_HEADER: u32 = 4;
const FLASH: u32 = 512;
/// The first of Clickatell's three queues (`queue`); the default is the last.
const FIRST_QUEUE: &str = "1";

/// An account with Clickatell's HTTP API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the API is. Default https://api.clickatell.com
    #[serde(default = "default_url")]
    url: String,
    /// The account's user name.
    user: String,
    /// The account's password.
    #[schemars(with = "Secret")]
    password: SecretString,
    /// The number of the HTTP API product within the account.
    api_id: String,
    /// Parts a long SMS may take (Clickatell's `concat`), 1 to 35. Default 9.
    #[serde(default = "default_max_parts")]
    max_parts: u32,
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
    "https://api.clickatell.com".to_owned()
}

fn default_max_parts() -> u32 {
    9
}

pub(crate) struct Clickatell {
    client: ProviderClient,
    send_url: String,
    query_url: String,
    user: String,
    password: SecretString,
    api_id: String,
    /// `user`, `password` and `api_id`, form-encoded.
    credentials: SecretString,
    max_parts: u32,
    clock: Clock,
}

impl Provider for Clickatell {
    const NAME: &'static str = "clickatell";
    const EXAMPLE: &'static str = r#"
url = "https://api.clickatell.com"
user = "username"
password = "password"
api_id = "123456"
outbox = { window = 64, rate = 100.0, retry = { first = "1s", most = "5m" } }
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
            "Clickatell",
            &[("user", &settings.user), ("password", settings.password.expose_secret()), ("api_id", &settings.api_id)],
        );
        if !(1..=35).contains(&settings.max_parts) {
            problems.push(Problem::new("max_parts", "expected 1 to 35"));
        }
        problems
    }

    fn webhooks(_: &Settings) -> Vec<Webhook> {
        let methods = &["GET", "POST"];
        vec![
            Webhook { path: "receipt.json", methods, form: Arc::new(webhooks::ClickatellReceipts) },
            Webhook { path: "receive.json", methods, form: Arc::new(webhooks::ClickatellInbound) },
        ]
    }

    fn webhook_access(settings: &Settings) -> WebhookAccess {
        settings.webhooks.clone()
    }

    fn account(settings: &Settings) -> Option<&str> {
        settings.account.as_deref()
    }

    fn carries(_: &Settings) -> Carries {
        Carries::ALL
    }

    fn new(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let base = settings.url.trim_end_matches('/');
        let credentials = form_urlencoded::Serializer::new(String::new())
            .append_pair("user", &settings.user)
            .append_pair("password", settings.password.expose_secret())
            .append_pair("api_id", &settings.api_id)
            .finish();
        Ok(Self {
            client: ProviderClient::new(&settings.url, &settings.outbox)?,
            send_url: format!("{base}/http/sendmsg"),
            query_url: format!("{base}/http/querymsg"),
            user: settings.user,
            password: settings.password,
            api_id: settings.api_id,
            credentials: credentials.into(),
            max_parts: settings.max_parts,
            clock,
        })
    }

    async fn submit(&self, submission: &Submission) -> Decision {
        match call(self.client.post_form(&self.send_url, self.send_form(submission))).await {
            Ok(answer) => read_sent(&answer.text()),
            Err(decision) => decision,
        }
    }

    async fn look_up(&self, submission: &Submission) -> LookUp {
        let start = self.credentials.expose_secret();
        let form = form_urlencoded::Serializer::for_suffix(format!("{start}&"), start.len() + 1)
            .append_pair("climsgid", &submission.id.to_string())
            .finish();
        match call(self.client.post_form(&self.query_url, form)).await {
            Ok(answer) => read_queried(&answer.text()),
            Err(decision) => LookUp::Decided(decision),
        }
    }

    fn credentials(&self) -> Vec<&str> {
        vec![&self.user, self.password.expose_secret(), &self.api_id]
    }
}

impl Clickatell {
    fn send_form(&self, submission: &Submission) -> String {
        let sender = if submission.from.is_number() { NUMBER_AS_SENDER } else { NAME_AS_SENDER };
        let (needed, msg_type) = match &submission.content {
            Content::Text => (0, Some("SMS_TEXT")),
            Content::Flash => (FLASH, Some("SMS_FLASH")),
            Content::Binary { udh: None } | Content::Raw { udh: None, .. } => (OCTETS, None),
            Content::Binary { udh: Some(_) } | Content::Raw { udh: Some(_), .. } => (OCTETS + USER_DATA_HEADER, None),
        };
        let start = self.credentials.expose_secret();
        let mut form = form_urlencoded::Serializer::for_suffix(format!("{start}&"), start.len() + 1);
        form.append_pair("to", submission.to.as_str())
            .append_pair("from", submission.from.as_str())
            .append_pair("climsgid", &submission.id.to_string())
            .append_pair("callback", "7")
            .append_pair("deliv_ack", "1")
            .append_pair("req_feat", &(sender + RECEIPTS + needed).to_string());
        if let Some(msg_type) = msg_type {
            form.append_pair("msg_type", msg_type);
        }
        if let Some(minutes) = submission.validity_minutes(self.clock.now()) {
            form.append_pair("validity", &minutes.to_string());
        }
        if submission.priority == Priority::High {
            form.append_pair("queue", FIRST_QUEUE);
        }
        match &submission.content {
            Content::Text | Content::Flash => self.add_text(&mut form, &submission.message),
            Content::Binary { udh } | Content::Raw { udh, .. } => {
                if let Some(udh) = udh {
                    form.append_pair("udh", udh);
                }
                form.append_pair("data", &submission.message);
            }
        }
        form.finish()
    }

    fn add_text(&self, form: &mut form_urlencoded::Serializer<'_, String>, text: &str) {
        let measure = measure(text);
        if measure.segments > 1 {
            form.append_pair("concat", &measure.segments.min(self.max_parts).to_string());
        }
        match measure.encoding {
            Encoding::Gsm7 => form.append_pair("text", text),
            Encoding::Ucs2 => form.append_pair("unicode", "1").append_pair("text", &hex_utf16(text)),
        };
    }
}

/// `ID: <apimsgid>`, with or without ` To: <msisdn>`, or `ERR: <code>, <description>`.
fn read_sent(answer: &str) -> Decision {
    let line = answer.trim();
    if let Some(rest) = line.strip_prefix("ID:")
        && let Some(id) = rest.split_whitespace().next()
    {
        let provider_id = Some(id.to_owned());
        return Decision::Accepted { provider_id, status: TransportStatus::Queued, provider_response: line.to_owned() };
    }
    codes::error_code(line).map_or_else(|| unreadable(line), |code| codes::decision(code, line))
}

/// `ID: <apimsgid> Status: <code>` or `ERR: <code>, <description>`.
fn read_queried(answer: &str) -> LookUp {
    let line = answer.trim();
    let mut words = line.split_whitespace();
    if let (Some("ID:"), Some(id), Some("Status:"), Some(code)) =
        (words.next(), words.next(), words.next(), words.next())
    {
        return match codes::status(code) {
            Some(status) => codes::known(id, status, line),
            None => LookUp::Decided(unreadable(line)),
        };
    }
    match codes::error_code(line) {
        Some(code) if codes::UNKNOWN_MESSAGE.contains(&code) => LookUp::NotFound,
        Some(code) => LookUp::Decided(codes::decision(code, line)),
        None => LookUp::Decided(unreadable(line)),
    }
}

#[cfg(test)]
mod tests;
