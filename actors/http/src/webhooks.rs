//! The webhooks that carriers call: mounted from what each transport declares.

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

use super::{
    body::media_type,
    entry::{Caller, enter},
    rates::Class,
    refusal::Refusal,
};

// The paths that webhooks have; which of them and with which methods is for the transport to say. One that it
// lacks answers 405.

/// A carrier tells what became of an SMS.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/sms/{transport}/receipt.json",
    tag = "carriers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses(
        (status = 200, description = "Kept; the answer is what the carrier expects"),
        (status = 201, description = "Kept; the answer is what the carrier expects"),
    ),
)]
pub(crate) async fn receipt_json(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    call(request, payload, "receipt.json", Class::Receipts).await
}

/// A carrier brings an SMS.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/sms/{transport}/receive.json",
    tag = "carriers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses((status = 200, description = "Kept; the answer is what the carrier expects")),
)]
pub(crate) async fn receive_json(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    call(request, payload, "receive.json", Class::Inbound).await
}

/// A carrier that speaks XML brings an SMS.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/sms/{transport}/receive.xml",
    tag = "carriers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses((status = 200, description = "Kept; the answer is what the carrier expects")),
)]
pub(crate) async fn receive_xml(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    call(request, payload, "receive.xml", Class::Inbound).await
}

async fn call(request: HttpRequest, payload: web::Payload, path: &str, class: Class) -> HttpResponse {
    enter(&request, class, async |caller| {
        let webhook = declared(&caller, path)?;
        let body = caller.body(payload).await?;
        let told = WebhookRequest {
            method: caller.request.method().as_str().to_owned(),
            query: caller.request.query_string().to_owned(),
            content_type: media_type(caller.request).into_owned(),
            body: body.bytes.clone(),
        };
        let news =
            webhook.form.read(&told).map_err(|unreadable| Refusal::field(&unreadable.field, "", unreadable.what))?;
        let kept = keep(&caller, news.keepable()).await?;
        Ok(response(webhook.form.answer(&told, &kept)))
    })
    .await
}

fn declared<'a>(caller: &'a Caller<'_>, path: &str) -> Result<&'a Webhook, Refusal> {
    let (_, webhooks) = caller.door()?;
    let webhook = webhooks.iter().find(|webhook| webhook.path == path);
    let webhook = webhook.ok_or_else(|| Refusal::Method(String::new()))?;
    if webhook.methods.contains(&caller.request.method().as_str()) {
        Ok(webhook)
    } else {
        Err(Refusal::Method(webhook.methods.join(", ")))
    }
}

async fn keep(caller: &Caller<'_>, news: WebhookNews) -> Result<WebhookKept, Refusal> {
    let (account, transport) = (caller.account, caller.transport()?.clone());
    let ledger = &caller.shared.store.ledger;
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
