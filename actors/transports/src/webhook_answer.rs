//! Answers to webhooks of providers that prescribe no form for them.

use serde_json::{Map, Value, json};
use vumi_kit::{
    ledger::ReceiptMatch,
    receipt::fields_beside,
    sms::{Receipt, Received},
    webhook::WebhookAnswer,
};

/// A JSON answer.
pub(crate) fn json_answer(status: u16, value: &Value) -> WebhookAnswer {
    WebhookAnswer { status, content_type: Some("application/json"), body: value.to_string().into() }
}

/// An answer without a body.
pub(crate) fn empty_answer(status: u16) -> WebhookAnswer {
    WebhookAnswer { status, content_type: None, body: bytes::Bytes::new() }
}

/// A received SMS as JSON, with the keys of the `sms_received` callback (`docs/http-api.md`).
pub(crate) fn received_json(received: &Received) -> Value {
    let sms = &received.sms;
    json!({
        "id": received.id,
        "to_msisdn": sms.to,
        "from_msisdn": sms.from,
        "message": sms.message,
        "charset": sms.charset,
        "transport_name": received.transport,
        "transport_msg_id": sms.provider_id,
        "received_at": sms.at.unwrap_or(received.created_at).to_seconds_text(),
        "created_at": received.created_at.to_seconds_text(),
        "updated_at": received.updated_at.to_seconds_text(),
    })
}

/// A receipt as JSON: the provider's fields; and `id` and status of the SMS, where it matched one. A field of the provider's
/// that has one of these names gets a prefix, as in the callback.
pub(crate) fn receipt_json(receipt: &Receipt, matched: &ReceiptMatch) -> Value {
    let ours: Vec<(&str, Value)> = match matched {
        ReceiptMatch::Matched(sms) | ReceiptMatch::Repeated(sms) => vec![
            ("id", sms.id.into()),
            ("transport_status", i16::from(sms.status).into()),
            ("transport_status_display", sms.status.display().into()),
        ],
        ReceiptMatch::Unmatched => Vec::new(),
    };
    let names: Vec<&str> = ours.iter().map(|(name, _)| *name).collect();
    let theirs = fields_beside(&names, &receipt.fields).into_iter().map(|(name, value)| (name, value.into()));
    let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(theirs.chain(ours).collect::<Map<_, _>>())
}

/// The answer to a call with one receipt: 201 and the receipt, or 404. To one with several: 201, and all of them.
pub(crate) fn receipt_answer(receipts: &[(Receipt, ReceiptMatch)]) -> WebhookAnswer {
    match receipts {
        [(receipt, matched @ (ReceiptMatch::Matched(_) | ReceiptMatch::Repeated(_)))] => {
            json_answer(201, &receipt_json(receipt, matched))
        }
        several if several.len() > 1 => {
            json_answer(201, &several.iter().map(|(receipt, matched)| receipt_json(receipt, matched)).collect())
        }
        _ => {
            let problem = json!({
                "title": "No such SMS",
                "status": 404,
                "detail": "no SMS of this transport matches the receipt's ids; the receipt is kept",
            });
            WebhookAnswer { content_type: Some("application/problem+json"), ..json_answer(404, &problem) }
        }
    }
}

/// The answer to a call with one SMS from a person: 200 and the SMS as kept; nothing where it is a part of one that lacks
/// others.
pub(crate) fn received_answer(received: &[Received]) -> WebhookAnswer {
    match received {
        [] => empty_answer(200),
        [one] => json_answer(200, &received_json(one)),
        several => json_answer(200, &several.iter().map(received_json).collect()),
    }
}
