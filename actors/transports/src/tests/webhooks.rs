//! Calls of webhooks, read and answered as the HTTP front-end does it.

use std::sync::Arc;

use vumi_kit::{
    address::{Address, Msisdn},
    clock::Timestamp,
    ledger::ReceiptMatch,
    life::SmsState,
    name::Name,
    sms::{InboundSms, Receipt, Received, Sms, TransportStatus},
    sms_options::{Content, Priority},
    webhook::{Webhook, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest},
};

/// The webhook of a path.
pub(crate) fn webhook(webhooks: &[Webhook], path: &str) -> Arc<dyn WebhookForm> {
    webhooks.iter().find(|webhook| webhook.path == path).unwrap().form.clone()
}

/// When the calls of the tests come in.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-27 14:30:00").unwrap()
}

pub(crate) fn get(query: &str) -> WebhookRequest {
    WebhookRequest {
        method: "GET".to_owned(),
        query: query.to_owned(),
        received_at: now(),
        ..WebhookRequest::default()
    }
}

pub(crate) fn post(content_type: &str, body: impl Into<bytes::Bytes>) -> WebhookRequest {
    WebhookRequest {
        method: "POST".to_owned(),
        content_type: content_type.to_owned(),
        body: body.into(),
        received_at: now(),
        ..WebhookRequest::default()
    }
}

pub(crate) fn post_form(body: &str) -> WebhookRequest {
    post("application/x-www-form-urlencoded", body.to_owned())
}

pub(crate) fn receipts(form: &dyn WebhookForm, request: &WebhookRequest) -> Vec<Receipt> {
    match form.read(request).unwrap() {
        WebhookNews::Receipts(receipts) => receipts,
        WebhookNews::Inbound(_) => panic!("an SMS where a receipt was sent"),
    }
}

pub(crate) fn inbound(form: &dyn WebhookForm, request: &WebhookRequest) -> InboundSms {
    match form.read(request).unwrap() {
        WebhookNews::Inbound(mut inbound) if inbound.len() == 1 => inbound.remove(0),
        other => panic!("{other:?}"),
    }
}

/// Reads a call and answers it, as if the ledger had kept its content.
pub(crate) fn answer(form: &dyn WebhookForm, request: &WebhookRequest, known: bool) -> WebhookAnswer {
    let at = Timestamp::parse("2010-06-04 15:51:25").unwrap();
    let kept = match form.read(request).unwrap() {
        WebhookNews::Receipts(receipts) => WebhookKept::Receipts(
            receipts
                .into_iter()
                .map(|receipt| {
                    let matched = if known {
                        ReceiptMatch::Matched(Box::new(sms(receipt.status, at)))
                    } else {
                        ReceiptMatch::Unmatched
                    };
                    (receipt, matched)
                })
                .collect(),
        ),
        WebhookNews::Inbound(inbound) => WebhookKept::Inbound(
            inbound
                .into_iter()
                .map(|sms| Received {
                    id: 7,
                    account: Some(1),
                    transport: Name::parse("exam").unwrap(),
                    message_id: "m1".to_owned(),
                    sms,
                    repeated: false,
                    incomplete: false,
                    tags: Vec::new(),
                    consent: None,
                    created_at: at,
                    updated_at: at,
                })
                .collect(),
        ),
    };
    form.answer(request, &kept)
}

fn sms(status: TransportStatus, at: Timestamp) -> Sms {
    Sms {
        id: 42,
        account: 1,
        transport: Name::parse("exam").unwrap(),
        to: Msisdn::parse("27123456789").unwrap(),
        from: Address::sender("27123456780").unwrap(),
        message: "hello".to_owned(),
        state: SmsState::at_rest(status, false),
        status,
        provider_response: None,
        provider_id: Some("abc".to_owned()),
        attempts: 1,
        delivered_at: None,
        created_at: at,
        updated_at: at,
        segments: 1,
        priority: Priority::Normal,
        content: Content::Text,
        scheduled_at: None,
        expires_at: at,
        reference: None,
        callback_url: None,
        receipts: None,
        route: None,
    }
}

pub(crate) fn json(answer: &WebhookAnswer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Each of the fields, left out, is named in the refusal.
pub(crate) fn names_missing_fields(form: &dyn WebhookForm, query: &str, fields: &[&str]) {
    form.read(&get(query)).unwrap();
    for field in fields {
        let without: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(&format!("{field}="))).collect();
        let unreadable = form.read(&get(&without.join("&"))).unwrap_err();
        assert_eq!(&unreadable.field, field);
    }
}
