//! The webhooks that providers call, mounted as each transport declares them.
//!
//! A transport declares which of these paths it has, and with which methods; the others answer 405.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    web,
};
use vumi_kit::{
    ledger::{KeepReceived, RecordReceipts},
    store::Ask,
    webhook::{Webhook, WebhookAnswer, WebhookKept, WebhookNews, WebhookRequest},
};

use crate::{
    guard::{ApiCall, guarded},
    limits::call_rates::RateClass,
    response::error::ApiError,
};

/// Takes a provider's receipt for an SMS.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/sms/{transport}/receipt.json",
    tag = "providers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses(
        (status = 200, description = "Kept; the answer is what the provider expects"),
        (status = 201, description = "Kept; the answer is what the provider expects"),
    ),
)]
pub(crate) async fn receipt_json(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    handle(request, payload, "receipt.json", RateClass::Receipts).await
}

/// Takes an SMS from a person, which a provider brings.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/sms/{transport}/receive.json",
    tag = "providers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses((status = 200, description = "Kept; the answer is what the provider expects")),
)]
pub(crate) async fn receive_json(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    handle(request, payload, "receive.json", RateClass::Inbound).await
}

/// Takes an SMS from a person, which a provider that expects XML brings.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/sms/{transport}/receive.xml",
    tag = "providers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses((status = 200, description = "Kept; the answer is what the provider expects")),
)]
pub(crate) async fn receive_xml(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    handle(request, payload, "receive.xml", RateClass::Inbound).await
}

async fn handle(request: HttpRequest, payload: web::Payload, path: &str, class: RateClass) -> HttpResponse {
    guarded(&request, class, async |call| {
        let webhook = declared(&call, path)?;
        let body = call.body(payload).await?;
        let provider_request = WebhookRequest {
            method: call.request.method().as_str().to_owned(),
            query: call.request.query_string().to_owned(),
            content_type: body.media_type.clone(),
            body: body.bytes.clone(),
        };
        let news = webhook
            .form
            .read(&provider_request)
            .map_err(|unreadable| ApiError::field(&unreadable.field, "", unreadable.what))?;
        let kept = keep(&call, news.keepable()).await?;
        Ok(response(webhook.form.answer(&provider_request, &kept)))
    })
    .await
}

fn declared<'a>(call: &'a ApiCall<'_>, path: &str) -> Result<&'a Webhook, ApiError> {
    let (_, webhooks) = call.transport_webhooks()?;
    let webhook = webhooks.iter().find(|webhook| webhook.path == path);
    let webhook = webhook.ok_or_else(|| ApiError::MethodNotAllowed(String::new()))?;
    if webhook.methods.contains(&call.request.method().as_str()) {
        Ok(webhook)
    } else {
        Err(ApiError::MethodNotAllowed(webhook.methods.join(", ")))
    }
}

async fn keep(call: &ApiCall<'_>, news: WebhookNews) -> Result<WebhookKept, ApiError> {
    let (account, transport) = (call.account, call.transport()?.clone());
    let ledger = &call.state.store.ledger;
    match news {
        WebhookNews::Receipts(receipts) => {
            let matches = ledger.ask(RecordReceipts { account, transport, receipts: receipts.clone() }).await?;
            Ok(WebhookKept::Receipts(receipts.into_iter().zip(matches).collect()))
        }
        WebhookNews::Inbound(inbound) => {
            Ok(WebhookKept::Inbound(ledger.ask(KeepReceived { account, transport, inbound }).await?))
        }
    }
}

fn response(answer: WebhookAnswer) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK));
    if let Some(content_type) = answer.content_type {
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    }
    response.body(answer.body)
}
