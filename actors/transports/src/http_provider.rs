//! Any provider with an HTTP API, by settings alone: the request, how its answer is read, what the provider posts to us
//! (`docs/providers/http.md`). The settings of two real ones are beside this file: Africa's Talking and Twilio.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod reading;
mod reports;
mod request_templates;
mod template;
mod webhooks;

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{
    Method, RequestBuilder, Url,
    header::{CONTENT_TYPE, HeaderName},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vumi_kit::{
    carries::Carries,
    clock::Clock,
    component::StartError,
    kind::Problem,
    settings_schema::Secret,
    sms::{Decision, Submission},
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

use crate::{
    outbox::OutboxSettings,
    provider::Provider,
    provider_client::{ProviderClient, call_with},
};

use reading::{AnswerReader, AnswerSettings};
use request_templates::{BodyTemplate, carries, headers, named, ready, templates};
use template::{SmsTemplate, as_it_is};
use webhooks::{FieldFormat, InboundSettings, ReceiptSettings};

/// A provider with an HTTP API. In a template `{{to}}`, `{{to_plus}}`, `{{from}}`, `{{from_plus}}`,
/// `{{text}}`, `{{text_hex_utf16}}`, `{{id}}`, `{{segments}}`, `{{ucs2}}` (`1` or `0`) and `{{secret.<name>}}` are
/// filled in; `{{validity}}` and `{{validity_minutes}}` for which it may still be delivered, `{{send_at}}` (now, RFC 3339),
/// `{{priority}}`, `{{reference}}`. A transport carries flash SMS if it names `{{flash}}` (`1` or `0`), binary ones if it
/// names `{{data}}`, with a header if it names `{{udh}}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// `GET`, `POST` or `PUT`. Default `POST`.
    #[serde(default)]
    method: HttpMethod,
    /// Where to send.
    url: String,
    /// Parameters of the query, each a template.
    #[serde(default)]
    query: BTreeMap<String, String>,
    /// Headers, each a template.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// HTTP Basic authentication.
    auth: Option<BasicAuth>,
    /// What templates may name as `{{secret.<name>}}`; never shown.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Secret>")]
    secrets: BTreeMap<String, SecretString>,
    /// The body: `body.form`, `body.json` or `body.text`.
    body: Option<BodySettings>,
    /// How the answer is read.
    answer: AnswerSettings,
    /// How delivery receipts are read, at `receipt.json`; none: there are none.
    receipt: Option<ReceiptSettings>,
    /// How SMS from people are read, at `receive.json`; none: there are none.
    inbound: Option<InboundSettings>,
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

/// An HTTP method.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum HttpMethod {
    Get,
    #[default]
    Post,
    Put,
}

/// HTTP Basic authentication.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BasicAuth {
    /// The user name.
    #[schemars(example = &"username")]
    user: String,
    /// The password.
    #[schemars(with = "Secret")]
    password: SecretString,
}

/// The body of a request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum BodySettings {
    /// A form: each value is a template.
    Form(BTreeMap<String, String>),
    /// JSON: each text in it is a template.
    #[schemars(example = serde_json::json!({ "to": "{{to}}", "text": "{{text}}" }))]
    Json(Value),
    /// One template for the whole of it.
    Text(TextBodySettings),
}

/// A body that is one template.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TextBodySettings {
    /// Its content type.
    #[schemars(example = "application/xml; charset=utf-8")]
    content_type: String,
    /// The template.
    #[schemars(example = "<sms><to>{{to}}</to><text>{{text}}</text></sms>")]
    template: String,
    /// How values are escaped: `none`, `json`, `xml`.
    escape: TextEscape,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum TextEscape {
    None,
    Json,
    Xml,
}

impl TextEscape {
    fn function(self) -> fn(&str) -> String {
        match self {
            Self::None => as_it_is,
            Self::Json => template::json,
            Self::Xml => template::xml,
        }
    }
}

pub(crate) struct HttpProvider {
    client: ProviderClient,
    url: Url,
    query: Vec<(String, SmsTemplate)>,
    headers: Vec<(HeaderName, SmsTemplate)>,
    body: BodyTemplate,
    answer: AnswerReader,
    settings: Settings,
    clock: Clock,
}

impl Provider for HttpProvider {
    const NAME: &'static str = "http";
    const EXAMPLE: &'static str = include_str!("http_provider/africas_talking.toml");
    const RENAMED: &'static [(&'static str, &'static str)] =
        &[OutboxSettings::RENAMED, ("answer.said", "answer.provider_response")];
    type Settings = Settings;

    fn url(settings: &Settings) -> &str {
        &settings.url
    }

    fn outbox(settings: &Settings) -> &OutboxSettings {
        &settings.outbox
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(named(&settings.query, &settings.secrets, "query").err());
        problems.extend(headers(settings).err());
        problems.extend(ready(settings).err());
        problems.extend(AnswerReader::new(&settings.answer).err().map(|(key, what)| in_answer(key, what)));
        let statuses = settings.receipt.iter().flat_map(|receipt| {
            receipt
                .statuses
                .iter()
                .map(|(word, status)| (word.as_str(), *status))
                .chain(receipt.other_status.map(|status| ("other_status", status)))
        });
        problems.extend(
            statuses.filter(|(_, status)| !(1..=14).contains(status)).map(|(word, _)| {
                Problem::new(format!("receipt.statuses.{word}"), "expected a status of ours, 1 to 14")
            }),
        );
        problems.extend(lists(settings));
        problems
    }

    fn webhooks(settings: &Settings) -> Vec<Webhook> {
        let methods = &["GET", "POST"];
        let receipts = settings.receipt.clone().map(|receipt| Webhook {
            path: "receipt.json",
            methods,
            form: Arc::new(webhooks::HttpReceipts(receipt)),
        });
        let inbound = settings.inbound.clone().map(|inbound| Webhook {
            path: "receive.json",
            methods,
            form: Arc::new(webhooks::HttpInbound(inbound)),
        });
        receipts.into_iter().chain(inbound).collect()
    }

    fn webhook_access(settings: &Settings) -> WebhookAccess {
        settings.webhooks.clone()
    }

    fn account(settings: &Settings) -> Option<&str> {
        settings.account.as_deref()
    }

    fn carries(settings: &Settings) -> Carries {
        templates(settings).map(|templates| carries(&templates)).unwrap_or_default()
    }

    fn new(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let refuse = |problem: Problem| StartError(format!("{}: {}", problem.key, problem.what));
        let answer = AnswerReader::new(&settings.answer);
        Ok(Self {
            client: ProviderClient::new(&settings.url, &settings.outbox)?,
            url: Url::parse(&settings.url).map_err(|error| StartError(format!("url: {error}")))?,
            query: named(&settings.query, &settings.secrets, "query").map_err(refuse)?,
            headers: headers(&settings).map_err(refuse)?,
            body: ready(&settings).map_err(refuse)?,
            answer: answer.map_err(|(key, what)| refuse(in_answer(key, what)))?,
            settings,
            clock,
        })
    }

    async fn submit(&self, submission: &Submission) -> Decision {
        match call_with(self.request(submission), self.answer.statuses()).await {
            Ok(answer) => self.answer.read(&answer.text()),
            Err(decision) => decision,
        }
    }

    fn credentials(&self) -> Vec<&str> {
        let secrets = self.settings.secrets.values().map(ExposeSecret::expose_secret);
        let auth = self.settings.auth.iter().flat_map(|auth| [auth.user.as_str(), auth.password.expose_secret()]);
        let in_url = [self.url.username(), self.url.password().unwrap_or_default()];
        secrets.chain(auth).chain(in_url).collect()
    }
}

/// What is wrong with the settings that name the list of a webhook's reports.
fn lists(settings: &Settings) -> impl Iterator<Item = Problem> {
    let receipt = settings.receipt.as_ref().map(|receipt| ("receipt.each", receipt.format, receipt.each.as_ref()));
    let inbound = settings.inbound.as_ref().map(|inbound| ("inbound.each", inbound.format, inbound.each.as_ref()));
    receipt.into_iter().chain(inbound).filter_map(|(key, format, each)| match (format, each?) {
        (FieldFormat::Form, _) => Some(Problem::new(key, "is for `format = \"json\"`; remove it")),
        (FieldFormat::Json, each) if each.is_empty() || each.starts_with('/') => None,
        (FieldFormat::Json, _) => Some(Problem::new(key, "expected a JSON pointer, such as /results")),
    })
}

fn in_answer(key: &str, what: String) -> Problem {
    Problem::new(format!("answer.{key}"), what)
}

impl HttpProvider {
    fn request(&self, submission: &Submission) -> RequestBuilder {
        let secrets = &self.settings.secrets;
        let now = self.clock.now();
        let fill = |template: &SmsTemplate| template.render(submission, now, secrets, as_it_is);
        let mut url = self.url.clone();
        if !self.query.is_empty() {
            let pairs = self.query.iter().map(|(name, template)| (name, fill(template)));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let method = match self.settings.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let mut request = self.client.request(method, url);
        if let Some(BasicAuth { user, password }) = &self.settings.auth {
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        for (name, template) in &self.headers {
            request = request.header(name, fill(template));
        }
        match &self.body {
            BodyTemplate::Empty => request,
            BodyTemplate::Form(form) => {
                let pairs = form.iter().map(|(name, template)| (name, fill(template)));
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
            BodyTemplate::Json(json) => {
                request.header(CONTENT_TYPE, "application/json").body(json.render(&fill).to_string())
            }
            BodyTemplate::Text(content_type, template, escape) => request
                .header(CONTENT_TYPE, content_type.clone())
                .body(template.render(submission, now, secrets, escape.function())),
        }
    }
}

#[cfg(test)]
mod tests;
