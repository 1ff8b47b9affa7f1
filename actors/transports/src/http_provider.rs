//! Any provider with an HTTP API, by settings alone: the request, how its answer is read, what the provider posts to us
//! (`docs/providers/http.md`). The settings of two real ones are beside this file: Africa's Talking and Twilio.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod reading;
mod reports;
mod template;
mod webhooks;

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{
    Method, RequestBuilder, Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vumi_kit::{
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
use template::{SmsTemplate, as_it_is};
use webhooks::{FieldFormat, InboundSettings, ReceiptSettings};

/// A provider with an HTTP API. In a template `{{to}}`, `{{to_plus}}`, `{{from}}`, `{{from_plus}}`,
/// `{{text}}`, `{{text_hex_utf16}}`, `{{id}}`, `{{segments}}`, `{{ucs2}}` (`1` or `0`) and `{{secret.<name>}}` are
/// filled in.
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

/// The body with its templates parsed.
enum BodyTemplate {
    Empty,
    Form(Vec<(String, SmsTemplate)>),
    Json(JsonTemplate),
    Text(HeaderValue, SmsTemplate, TextEscape),
}

/// JSON with a template for each text.
enum JsonTemplate {
    Plain(Value),
    Text(SmsTemplate),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

pub(crate) struct HttpProvider {
    client: ProviderClient,
    url: Url,
    query: Vec<(String, SmsTemplate)>,
    headers: Vec<(HeaderName, SmsTemplate)>,
    body: BodyTemplate,
    answer: AnswerReader,
    settings: Settings,
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

    fn new(settings: Settings, _: Clock) -> Result<Self, StartError> {
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

fn parse(template: &str, secrets: &BTreeMap<String, SecretString>, key: &str) -> Result<SmsTemplate, Problem> {
    SmsTemplate::parse(template, secrets).map_err(|what| Problem::new(key, what))
}

fn named(
    templates: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, SecretString>,
    key: &str,
) -> Result<Vec<(String, SmsTemplate)>, Problem> {
    let each = templates.iter();
    each.map(|(name, text)| Ok((name.clone(), parse(text, secrets, &format!("{key}.{name}"))?))).collect()
}

fn headers(settings: &Settings) -> Result<Vec<(HeaderName, SmsTemplate)>, Problem> {
    let templates = named(&settings.headers, &settings.secrets, "headers")?;
    let header = |(name, template): (String, SmsTemplate)| match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) => Ok((header, template)),
        Err(_) => Err(Problem::new(format!("headers.{name}"), "is not a header's name")),
    };
    templates.into_iter().map(header).collect()
}

fn ready(settings: &Settings) -> Result<BodyTemplate, Problem> {
    let secrets = &settings.secrets;
    Ok(match &settings.body {
        None => BodyTemplate::Empty,
        Some(BodySettings::Form(form)) => BodyTemplate::Form(named(form, secrets, "body.form")?),
        Some(BodySettings::Json(json)) => BodyTemplate::Json(json_template(json, secrets)?),
        Some(BodySettings::Text(text)) => {
            let content_type = HeaderValue::from_str(&text.content_type)
                .map_err(|_| Problem::new("body.text.content_type", "is not a content type"))?;
            BodyTemplate::Text(content_type, parse(&text.template, secrets, "body.text.template")?, text.escape)
        }
    })
}

fn json_template(json: &Value, secrets: &BTreeMap<String, SecretString>) -> Result<JsonTemplate, Problem> {
    Ok(match json {
        Value::String(text) => JsonTemplate::Text(parse(text, secrets, "body.json")?),
        Value::Array(list) => {
            JsonTemplate::List(list.iter().map(|item| json_template(item, secrets)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => JsonTemplate::Object(
            object
                .iter()
                .map(|(key, value)| Ok((key.clone(), json_template(value, secrets)?)))
                .collect::<Result<_, _>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => JsonTemplate::Plain(json.clone()),
    })
}

impl JsonTemplate {
    fn render(&self, fill: &impl Fn(&SmsTemplate) -> String) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(fill(template)),
            Self::List(list) => list.iter().map(|item| item.render(fill)).collect(),
            Self::Object(object) => object.iter().map(|(key, value)| (key.clone(), value.render(fill))).collect(),
        }
    }
}

impl HttpProvider {
    fn request(&self, submission: &Submission) -> RequestBuilder {
        let secrets = &self.settings.secrets;
        let fill = |template: &SmsTemplate| template.render(submission, secrets, as_it_is);
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
                .body(template.render(submission, secrets, escape.function())),
        }
    }
}

#[cfg(test)]
mod tests;
