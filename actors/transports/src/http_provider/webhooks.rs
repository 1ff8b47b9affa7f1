//! What a provider posts to us, mapped to receipts and SMS by the settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    sms::{InboundSms, Receipt},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest},
};

use super::reading::plain;
use crate::{
    webhook_answer::{empty_answer, json_answer, receipt_json, received_answer},
    webhook_fields::WebhookFields,
};

/// How a call carries its fields.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FieldFormat {
    /// In the query or a form-encoded body.
    Form,
    /// In a JSON object; a field is a key of it, or a JSON pointer that begins with `/`.
    Json,
}

/// `[receipt]`: which fields of a delivery receipt mean what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptSettings {
    /// `form` or `json`.
    format: FieldFormat,
    /// The field with the provider's id.
    id: String,
    /// The field with our id, where the provider hands it back.
    #[schemars(example = &"reference")]
    sms: Option<String>,
    /// The field with the recipient, if it is to match as well.
    to: Option<String>,
    /// The field with the status.
    status: String,
    /// Each of the provider's statuses as one of ours, 1 to 14.
    pub(super) statuses: BTreeMap<String, i16>,
    /// What a status means that is not listed; none: such a receipt is refused.
    #[schemars(example = 7)]
    pub(super) other_status: Option<i16>,
    /// The field with the time.
    #[schemars(example = &"time")]
    at: Option<String>,
}

/// `[inbound]`: which fields of an SMS from a person mean what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InboundSettings {
    /// `form` or `json`.
    format: FieldFormat,
    /// The field with the person's number.
    from: String,
    /// The field with our number.
    to: String,
    /// The field with the text.
    text: String,
    /// The field with the provider's id; it tells a repeated SMS.
    id: Option<String>,
    /// The field with the time.
    at: Option<String>,
    /// What is answered; none: the SMS as JSON.
    reply: Option<FixedAnswer>,
}

/// A fixed answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FixedAnswer {
    /// Its content type.
    #[serde(rename = "type")]
    content: AnswerType,
    /// The body.
    #[serde(default)]
    body: String,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AnswerType {
    Text,
    Json,
    Xml,
}

impl FixedAnswer {
    fn answer(&self) -> WebhookAnswer {
        if self.body.is_empty() {
            return empty_answer(200);
        }
        let content_type = match self.content {
            AnswerType::Text => "text/plain; charset=utf-8",
            AnswerType::Json => "application/json",
            AnswerType::Xml => "text/xml; charset=utf-8",
        };
        WebhookAnswer { status: 200, content_type: Some(content_type), body: self.body.clone().into() }
    }
}

enum WebhookCall {
    Form(WebhookFields),
    Json(Value),
}

impl WebhookCall {
    fn of(request: &WebhookRequest, format: FieldFormat) -> Result<Self, Unreadable> {
        match format {
            FieldFormat::Form => Ok(Self::Form(WebhookFields::of(request))),
            FieldFormat::Json => serde_json::from_slice(&request.body)
                .map(Self::Json)
                .map_err(|error| Unreadable::new("body", error.to_string())),
        }
    }

    fn get(&self, field: &str) -> Option<String> {
        match self {
            Self::Form(fields) => fields.get(field).map(str::to_owned),
            Self::Json(value) if field.starts_with('/') => value.pointer(field).and_then(plain),
            Self::Json(value) => value.get(field).and_then(plain),
        }
    }

    fn get_as(&self, field: Option<&String>) -> Option<String> {
        field.and_then(|field| self.get(field))
    }

    fn require(&self, field: &str) -> Result<String, Unreadable> {
        self.get(field).ok_or_else(|| Unreadable::new(field, "is required"))
    }

    fn require_msisdn(&self, field: &str) -> Result<Msisdn, Unreadable> {
        Msisdn::parse(&self.require(field)?).map_err(|error| Unreadable::new(field, error.to_string()))
    }

    fn fields(self) -> Vec<(String, String)> {
        match self {
            Self::Form(fields) => fields.0,
            Self::Json(Value::Object(object)) => {
                object.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
            }
            Self::Json(_) => Vec::new(),
        }
    }
}

/// As `Timestamp` reads it, or RFC 3339, or seconds or milliseconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    const MILLIS_FROM: i64 = 100_000_000_000;
    match text.trim().parse::<i64>() {
        Ok(number) if number.abs() >= MILLIS_FROM => Some(Timestamp::from_micros(number.checked_mul(1000)?)),
        Ok(number) => Some(Timestamp::from_seconds(number)),
        Err(_) => Timestamp::parse(text).or_else(|| {
            let time = chrono::DateTime::parse_from_rfc3339(text.trim()).ok()?;
            Some(Timestamp::from_micros(time.timestamp_micros()))
        }),
    }
}

/// `receipt.json`.
pub(super) struct HttpReceipts(pub(super) ReceiptSettings);

impl WebhookForm for HttpReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let Self(settings) = self;
        let call = WebhookCall::of(request, settings.format)?;
        let status = call.require(&settings.status)?;
        let ours = settings.statuses.get(&status).copied().or(settings.other_status);
        let ours = ours.ok_or_else(|| {
            Unreadable::new(&settings.status, "is not among the statuses in this transport's settings")
        })?;
        let sms = match call.get_as(settings.sms.as_ref()) {
            Some(id) => Some(id.trim().parse().map_err(|_| {
                Unreadable::new(settings.sms.clone().unwrap_or_default(), "is not the number of an SMS")
            })?),
            None => None,
        };
        let receipt = Receipt {
            provider_id: Some(call.require(&settings.id)?),
            sms,
            to: settings.to.as_ref().map(|field| call.require_msisdn(field)).transpose()?,
            status: ours.into(),
            at: call.get_as(settings.at.as_ref()).as_deref().and_then(time),
            fields: call.fields(),
        };
        Ok(WebhookNews::Receipts(vec![receipt]))
    }

    /// 200 in any case: one that matches nothing yet is kept, and the provider need not send it again.
    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Receipts(receipts) => {
                json_answer(200, &receipts.iter().map(|(receipt, matched)| receipt_json(receipt, matched)).collect())
            }
            WebhookKept::Inbound(_) => empty_answer(200),
        }
    }
}

/// `receive.json`.
pub(super) struct HttpInbound(pub(super) InboundSettings);

impl WebhookForm for HttpInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let Self(settings) = self;
        let call = WebhookCall::of(request, settings.format)?;
        let inbound = InboundSms {
            from: call.require_msisdn(&settings.from)?,
            to: call.require_msisdn(&settings.to)?,
            message: call.require(&settings.text)?,
            charset: None,
            provider_id: call.get_as(settings.id.as_ref()).filter(|id| !id.is_empty()),
            at: call.get_as(settings.at.as_ref()).as_deref().and_then(time),
        };
        Ok(WebhookNews::Inbound(vec![inbound]))
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match (&self.0.reply, kept) {
            (Some(reply), _) => reply.answer(),
            (None, WebhookKept::Inbound(received)) => received_answer(received),
            (None, WebhookKept::Receipts(_)) => empty_answer(200),
        }
    }
}
