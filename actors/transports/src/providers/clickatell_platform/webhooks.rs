//! What the platform posts to us: receipts and SMS from people, as JSON.

use serde_json::Value;
use vumi_kit::{
    address::Address,
    charset::Charset,
    clock::Timestamp,
    sms::{InboundSms, Receipt},
    webhook::{
        Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read, percent_decoded,
    },
};

use crate::{
    concatenation::part_of_header,
    json_body::{json_body, plain},
    json_fields::flatten,
    provider_status::with_code,
    providers::clickatell::status,
    time::{TimeFormat, read_time},
    webhook_answer::{empty_answer, receipt_answer, received_answer},
    webhook_fields::address,
};

/// An object of a body.
struct JsonFields(Value);

impl JsonFields {
    /// The objects of a body: one, or a list of them.
    fn each(request: &WebhookRequest) -> Result<Vec<Result<Self, Unreadable>>, Unreadable> {
        match json_body(request)? {
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

    fn require_address(&self, name: &str) -> Result<Address, Unreadable> {
        address(name, &self.require(name)?)
    }

    /// Milliseconds since 1970.
    fn time(&self, name: &str, request: &WebhookRequest) -> Option<Timestamp> {
        read_time(&self.get(name)?, Some(&TimeFormat::MILLISECONDS), request)
    }
}

/// Whether a text is URL-escaped in this character set: the platform does so in all but UTF-8 and ASCII.
fn is_escaped(label: &str, text: &str) -> bool {
    let written_as_it_is =
        ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| label.trim().eq_ignore_ascii_case(name));
    !written_as_it_is && (text.is_ascii() || text.contains('%')) && Charset::of_label(label).is_known()
}

/// `receipt.json`.
pub(super) struct PlatformReceipts;

impl WebhookForm for PlatformReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        each_read(
            JsonFields::each(request)?.into_iter().map(|object| read_receipt(&object?, request)),
            WebhookNews::Receipts,
        )
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Receipts(receipts) => receipt_answer(receipts),
            WebhookKept::Inbound(_) => empty_answer(200),
        }
    }
}

fn read_receipt(object: &JsonFields, request: &WebhookRequest) -> Result<Receipt, Unreadable> {
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
        at: object.time("timestamp", request),
        ..Receipt::new(status, fields)
    })
}

/// `receive.json`.
pub(super) struct PlatformInbound;

impl WebhookForm for PlatformInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        each_read(
            JsonFields::each(request)?.into_iter().map(|object| read_inbound(&object?, request)),
            WebhookNews::Inbound,
        )
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Inbound(received) => received_answer(received),
            WebhookKept::Receipts(_) => empty_answer(200),
        }
    }
}

fn read_inbound(object: &JsonFields, request: &WebhookRequest) -> Result<InboundSms, Unreadable> {
    let text = object.require("text")?;
    let charset = object.get("charset").filter(|charset| !charset.is_empty());
    let message = match charset.as_deref().filter(|label| is_escaped(label, &text)) {
        Some(label) => request.text("text", &percent_decoded(text.as_bytes()), Some(label))?,
        None => text,
    };
    Ok(InboundSms {
        from: object.require_address("fromNumber")?,
        to: object.require_address("toNumber")?,
        message,
        charset,
        provider_id: Some(object.require("messageId")?),
        at: object.time("timestamp", request),
        part: object.get("udh").as_deref().and_then(part_of_header),
    })
}
