//! The templates of a request: those of its query, headers and body.

use std::collections::BTreeMap;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::SecretString;
use serde_json::Value;
use vumi_kit::{carries::Carries, kind::Problem};

use super::{BodySettings, Settings, TextEscape, template::SmsTemplate};

/// The body with its templates parsed.
pub(super) enum BodyTemplate {
    Empty,
    Form(Vec<(String, SmsTemplate)>),
    Json(JsonTemplate),
    Text(HeaderValue, SmsTemplate, TextEscape),
}

impl BodyTemplate {
    fn templates(self) -> Vec<SmsTemplate> {
        match self {
            Self::Empty => Vec::new(),
            Self::Form(form) => form.into_iter().map(|(_, template)| template).collect(),
            Self::Json(json) => json.templates(),
            Self::Text(_, template, _) => vec![template],
        }
    }
}

/// JSON with a template for each text.
pub(super) enum JsonTemplate {
    Plain(Value),
    Text(SmsTemplate),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

/// All templates of a request.
pub(super) fn templates(settings: &Settings) -> Result<Vec<SmsTemplate>, Problem> {
    let query = named(&settings.query, &settings.secrets, "query")?.into_iter().map(|(_, template)| template);
    let headers = headers(settings)?.into_iter().map(|(_, template)| template);
    Ok(query.chain(headers).chain(ready(settings)?.templates()).collect())
}

/// What templates have places for, together.
pub(super) fn carries(templates: &[SmsTemplate]) -> Carries {
    templates.iter().map(SmsTemplate::carries).fold(Carries::TEXTS, |all, one| Carries {
        flash: all.flash || one.flash,
        binary: all.binary || one.binary,
        udh: all.udh || one.udh,
        raw: false,
    })
}

fn parse(template: &str, secrets: &BTreeMap<String, SecretString>, key: &str) -> Result<SmsTemplate, Problem> {
    SmsTemplate::parse(template, secrets).map_err(|what| Problem::new(key, what))
}

pub(super) fn named(
    templates: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, SecretString>,
    key: &str,
) -> Result<Vec<(String, SmsTemplate)>, Problem> {
    let each = templates.iter();
    each.map(|(name, text)| Ok((name.clone(), parse(text, secrets, &format!("{key}.{name}"))?))).collect()
}

pub(super) fn headers(settings: &Settings) -> Result<Vec<(HeaderName, SmsTemplate)>, Problem> {
    let templates = named(&settings.headers, &settings.secrets, "headers")?;
    let header = |(name, template): (String, SmsTemplate)| match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) => Ok((header, template)),
        Err(_) => Err(Problem::new(format!("headers.{name}"), "is not a header's name")),
    };
    templates.into_iter().map(header).collect()
}

pub(super) fn ready(settings: &Settings) -> Result<BodyTemplate, Problem> {
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
    fn templates(self) -> Vec<SmsTemplate> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(template) => vec![template],
            Self::List(list) => list.into_iter().flat_map(Self::templates).collect(),
            Self::Object(object) => object.into_iter().flat_map(|(_, item)| item.templates()).collect(),
        }
    }

    pub(super) fn render(&self, fill: &impl Fn(&SmsTemplate) -> String) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(fill(template)),
            Self::List(list) => list.iter().map(|item| item.render(fill)).collect(),
            Self::Object(object) => object.iter().map(|(key, value)| (key.clone(), value.render(fill))).collect(),
        }
    }
}
