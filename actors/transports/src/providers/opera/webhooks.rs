//! What Opera posts to us: receipts and SMS from people, as XML, plain or within a form.

use bytes::Bytes;
use serde_json::json;
use vumi_kit::{
    ledger::ReceiptMatch,
    sms::{InboundSms, Receipt, TransportStatus},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read},
};

use super::xml::{self, XmlElement};
use crate::{
    time::read_time,
    webhook_answer::{empty_answer, json_answer, receipt_json},
    webhook_fields::{address, msisdn},
};

/// The document of a call: the body, or the form's `XmlMsg`.
fn document(request: &WebhookRequest) -> Result<Bytes, Unreadable> {
    if !request.is_form() {
        return Ok(request.body.clone());
    }
    match request.raw_parameter("XmlMsg") {
        Some(xml) => Ok(Bytes::from(xml)),
        // Some clients name a form as content type whatever they send.
        None if request.body.trim_ascii_start().starts_with(b"<") => Ok(request.body.clone()),
        None => Err(Unreadable::new("XmlMsg", "is required")),
    }
}

fn read_document(request: &WebhookRequest, root: &str) -> Result<XmlElement, Unreadable> {
    let refused = |error: xml::XmlRefusal| Unreadable::new("XML", error.to_string());
    let document = document(request)?;
    let text = xml::text_of(&document, request.charset.as_ref()).map_err(refused)?;
    let element = xml::parse(&text).map_err(refused)?;
    if element.name == root { Ok(element) } else { Err(Unreadable::new("XML", format!("is not a <{root}>"))) }
}

/// `receipt.json`.
pub(super) struct OperaReceipts;

impl WebhookForm for OperaReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let root = read_document(request, "receipts")?;
        let receipts = root.children.iter().filter(|child| child.name == "receipt");
        each_read(receipts.map(|receipt| read_receipt(receipt, request)), WebhookNews::Receipts)
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

fn read_receipt(element: &XmlElement, request: &WebhookRequest) -> Result<Receipt, Unreadable> {
    let require = |name: &str| {
        let text = element.child_text(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| Unreadable::new(name, "is required"))
    };
    let to = msisdn("msisdn", require("msisdn")?)?;
    let fields = element.children.iter().map(|child| (child.name.clone(), child.text.trim().to_owned())).collect();
    let letter = require("status")?;
    Ok(Receipt {
        provider_id: Some(require("reference")?.to_owned()),
        to: Some(to),
        provider_status: Some(letter.to_owned()),
        at: element.child_text("timestamp").and_then(|text| read_time(text, None, request)),
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
        let local = require("Local")?;
        let inbound = InboundSms {
            from: address("Remote", require("Remote")?)?,
            to: address("Local", local.trim_start_matches('*'))?,
            message: require("Text")?.to_owned(),
            charset: None,
            provider_id: field("MessageID").filter(|id| !id.is_empty()).map(str::to_owned),
            at: field("ReceiveDate").and_then(|text| read_time(text, None, request)),
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
