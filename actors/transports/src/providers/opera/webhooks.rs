//! What Opera posts to us: receipts and SMS from people, as XML, plain or within a form.

use bytes::Bytes;
use chrono::DateTime;
use serde_json::json;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    ledger::ReceiptMatch,
    sms::{InboundSms, Receipt, TransportStatus},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read},
};

use super::xml::{self, XmlElement};
use crate::{
    webhook_answer::{empty_answer, json_answer, receipt_json},
    webhook_fields::WebhookFields,
};

/// The document of a call: the body, or the form's `XmlMsg`.
fn document(request: &WebhookRequest) -> Result<Bytes, Unreadable> {
    if request.content_type != "application/x-www-form-urlencoded" {
        return Ok(request.body.clone());
    }
    match WebhookFields::of(request).get("XmlMsg") {
        Some(xml) => Ok(Bytes::from(xml.to_owned())),
        // Some clients name a form as content type whatever they send.
        None if request.body.trim_ascii_start().starts_with(b"<") => Ok(request.body.clone()),
        None => Err(Unreadable::new("XmlMsg", "is required")),
    }
}

fn read_document(request: &WebhookRequest, root: &str) -> Result<XmlElement, Unreadable> {
    let refused = |error: xml::XmlRefusal| Unreadable::new("XML", error.to_string());
    let element = xml::parse(&xml::text_of(&document(request)?).map_err(refused)?).map_err(refused)?;
    if element.name == root { Ok(element) } else { Err(Unreadable::new("XML", format!("is not a <{root}>"))) }
}

/// `receipt.json`.
pub(super) struct OperaReceipts;

impl WebhookForm for OperaReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let root = read_document(request, "receipts")?;
        let receipts = root.children.iter().filter(|child| child.name == "receipt");
        each_read(receipts.map(read_receipt), WebhookNews::Receipts)
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        let WebhookKept::Receipts(receipts) = kept else { return empty_answer(200) };
        let (fail, success): (Vec<_>, Vec<_>) =
            receipts.iter().partition(|(_, matched)| matches!(matched, ReceiptMatch::Unmatched));
        let as_json = |receipts: Vec<&(Receipt, ReceiptMatch)>| -> Vec<_> {
            receipts.into_iter().map(|(receipt, matched)| receipt_json(receipt, matched)).collect()
        };
        json_answer(201, &json!({ "success": as_json(success), "fail": as_json(fail) }))
    }
}

fn read_receipt(element: &XmlElement) -> Result<Receipt, Unreadable> {
    let require = |name: &str| {
        let text = element.child_text(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| Unreadable::new(name, "is required"))
    };
    let to = Msisdn::parse(require("msisdn")?).map_err(|error| Unreadable::new("msisdn", error.to_string()))?;
    let fields = element.children.iter().map(|child| (child.name.clone(), child.text.trim().to_owned())).collect();
    let letter = require("status")?;
    Ok(Receipt {
        provider_id: Some(require("reference")?.to_owned()),
        to: Some(to),
        provider_status: Some(letter.to_owned()),
        at: element.child_text("timestamp").and_then(receipt_time),
        ..Receipt::new(status(letter), fields)
    })
}

pub(super) fn status(letter: &str) -> TransportStatus {
    match letter {
        "D" | "d" | "R" => TransportStatus::Delivered,
        "Q" | "P" | "B" | "a" | "u" => TransportStatus::Queued,
        _ => TransportStatus::DeliveryError,
    }
}

/// `YYYYMMDDTHH:MM:SS`.
fn receipt_time(text: &str) -> Option<Timestamp> {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H:%M:%S").ok()?;
    Some(Timestamp::from_seconds(time.and_utc().timestamp()))
}

/// `receive.xml`.
pub(super) struct OperaInbound;

impl WebhookForm for OperaInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let root = read_document(request, "bspostevent")?;
        let field = |name: &str| {
            let mut fields = root.children.iter().filter(|child| child.name == "field");
            fields.find(|child| child.attribute("name") == Some(name)).map(|child| child.text.trim())
        };
        let require = |name: &str| field(name).ok_or_else(|| Unreadable::new(name, "is required"));
        let msisdn =
            |name: &str, text: &str| Msisdn::parse(text).map_err(|error| Unreadable::new(name, error.to_string()));
        let local = require("Local")?;
        let inbound = InboundSms {
            from: msisdn("Remote", require("Remote")?)?,
            to: msisdn("Local", local.trim_start_matches('*'))?,
            message: require("Text")?.to_owned(),
            charset: None,
            provider_id: field("MessageID").filter(|id| !id.is_empty()).map(str::to_owned),
            at: field("ReceiveDate").and_then(receive_time),
            part: None,
        };
        let is_receipt = field("IsReceipt")
            .is_some_and(|word| ["yes", "y", "true", "1"].contains(&word.to_ascii_lowercase().as_str()));
        // A receipt in this form names no submission: it is answered, and is no SMS of a person.
        Ok(WebhookNews::Inbound(if is_receipt { Vec::new() } else { vec![inbound] }))
    }

    fn answer(&self, request: &WebhookRequest, _: &WebhookKept) -> WebhookAnswer {
        let body = document(request).unwrap_or_default();
        WebhookAnswer { status: 200, content_type: Some("text/xml; charset=utf8"), body }
    }
}

/// `2010-06-04 15:51:25 +0000`.
fn receive_time(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").ok()?;
    Some(Timestamp::from_seconds(time.timestamp()))
}
