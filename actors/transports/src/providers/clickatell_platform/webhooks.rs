//! What the platform posts to us: receipts and SMS from people, as JSON.

use serde_json::{Map, Value};
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    sms::{InboundSms, Receipt},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest},
};

use crate::{
    charset::{in_charset, percent_decoded},
    providers::clickatell::status,
    webhook_answer::{empty_answer, receipt_answer, received_answer},
};

struct JsonFields(Map<String, Value>);

impl JsonFields {
    fn of(request: &WebhookRequest) -> Result<Self, Unreadable> {
        serde_json::from_slice(&request.body).map(Self).map_err(|error| Unreadable::new("body", error.to_string()))
    }

    /// A text or a number, as text.
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(plain)
    }

    fn require(&self, name: &str) -> Result<String, Unreadable> {
        self.get(name).ok_or_else(|| Unreadable::new(name, "is required"))
    }

    fn require_msisdn(&self, name: &str) -> Result<Msisdn, Unreadable> {
        Msisdn::parse(&self.require(name)?).map_err(|error| Unreadable::new(name, error.to_string()))
    }

    /// Milliseconds since 1970.
    fn time(&self, name: &str) -> Option<Timestamp> {
        let millis: i64 = self.get(name)?.parse().ok()?;
        Some(Timestamp::from_micros(millis.checked_mul(1000)?))
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// `receipt.json`.
pub(super) struct PlatformReceipts;

impl WebhookForm for PlatformReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let object = JsonFields::of(request)?;
        let code = object.require("statusCode")?;
        let receipt = Receipt {
            provider_id: Some(object.require("messageId")?),
            sms: object.get("clientMessageId").and_then(|id| id.parse().ok()),
            to: None,
            status: status(&code)
                .ok_or_else(|| Unreadable::new("statusCode", "is not one of Clickatell's codes, 1 to 14"))?,
            at: object.time("timestamp"),
            fields: object.0.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect(),
        };
        Ok(WebhookNews::Receipts(vec![receipt]))
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Receipts(receipts) => receipt_answer(receipts),
            WebhookKept::Inbound(_) => empty_answer(200),
        }
    }
}

/// `receive.json`.
pub(super) struct PlatformInbound;

impl WebhookForm for PlatformInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let object = JsonFields::of(request)?;
        let text = object.require("text")?;
        let charset = object.get("charset").filter(|charset| !charset.is_empty());
        let message = match charset.as_deref() {
            Some(escaped @ ("UTF-16BE" | "ISO-8859-1")) => in_charset(&percent_decoded(text.as_bytes()), escaped)
                .ok_or_else(|| Unreadable::new("text", format!("is not URL-escaped {escaped}")))?,
            _ => text,
        };
        let inbound = InboundSms {
            from: object.require_msisdn("fromNumber")?,
            to: object.require_msisdn("toNumber")?,
            message,
            charset,
            provider_id: Some(object.require("messageId")?),
            at: object.time("timestamp"),
        };
        Ok(WebhookNews::Inbound(vec![inbound]))
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Inbound(received) => received_answer(received),
            WebhookKept::Receipts(_) => empty_answer(200),
        }
    }
}
