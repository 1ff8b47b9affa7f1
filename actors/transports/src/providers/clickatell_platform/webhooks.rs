//! What the platform posts to us: receipts and SMS from people, as JSON.

use serde_json::Value;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    sms::{InboundSms, Receipt},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read},
};

use crate::{
    charset::{in_charset, percent_decoded},
    concatenation::part_of_header,
    http_provider::plain,
    json_fields::flatten,
    provider_status::with_code,
    providers::clickatell::status,
    webhook_answer::{empty_answer, receipt_answer, received_answer},
};

/// An object of a body.
struct JsonFields(Value);

impl JsonFields {
    /// The objects of a body: one, or a list of them.
    fn each(request: &WebhookRequest) -> Result<Vec<Result<Self, Unreadable>>, Unreadable> {
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|error| Unreadable::new("body", error.to_string()))?;
        match body {
            Value::Array(list) if list.is_empty() => Err(Unreadable::new("body", "holds no report")),
            Value::Array(list) => Ok(list.into_iter().map(Self::of).collect()),
            one => Ok(vec![Self::of(one)]),
        }
    }

    fn of(body: Value) -> Result<Self, Unreadable> {
        if body.is_object() { Ok(Self(body)) } else { Err(Unreadable::new("body", "is not a JSON object")) }
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

/// `receipt.json`.
pub(super) struct PlatformReceipts;

impl WebhookForm for PlatformReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        each_read(JsonFields::each(request)?.into_iter().map(|object| read_receipt(&object?)), WebhookNews::Receipts)
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Receipts(receipts) => receipt_answer(receipts),
            WebhookKept::Inbound(_) => empty_answer(200),
        }
    }
}

fn read_receipt(object: &JsonFields) -> Result<Receipt, Unreadable> {
    let code = object.require("statusCode")?;
    let status =
        status(&code).ok_or_else(|| Unreadable::new("statusCode", "is not one of Clickatell's codes, 1 to 14"))?;
    let words = object.get("status").map_or_else(|| code.clone(), |words| with_code(&words, Some(&code)));
    let mut fields = Vec::new();
    flatten(&object.0, "", &mut fields);
    Ok(Receipt {
        provider_id: Some(object.require("messageId")?),
        sms: object.get("clientMessageId").and_then(|id| id.parse().ok()),
        provider_status: Some(words),
        at: object.time("timestamp"),
        ..Receipt::new(status, fields)
    })
}

/// `receive.json`.
pub(super) struct PlatformInbound;

impl WebhookForm for PlatformInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        each_read(JsonFields::each(request)?.into_iter().map(|object| read_inbound(&object?)), WebhookNews::Inbound)
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Inbound(received) => received_answer(received),
            WebhookKept::Receipts(_) => empty_answer(200),
        }
    }
}

fn read_inbound(object: &JsonFields) -> Result<InboundSms, Unreadable> {
    let text = object.require("text")?;
    let charset = object.get("charset").filter(|charset| !charset.is_empty());
    let message = match charset.as_deref() {
        Some(escaped @ ("UTF-16BE" | "ISO-8859-1")) => in_charset(&percent_decoded(text.as_bytes()), escaped)
            .ok_or_else(|| Unreadable::new("text", format!("is not URL-escaped {escaped}")))?,
        _ => text,
    };
    Ok(InboundSms {
        from: object.require_msisdn("fromNumber")?,
        to: object.require_msisdn("toNumber")?,
        message,
        charset,
        provider_id: Some(object.require("messageId")?),
        at: object.time("timestamp"),
        part: object.get("udh").as_deref().and_then(part_of_header),
    })
}
