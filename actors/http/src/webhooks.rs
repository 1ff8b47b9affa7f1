//! The webhooks that providers call, mounted as each transport declares them.
//!
//! A transport declares which of these paths it has, and with which methods; the others answer 405. The paths are below
//! `sms/{transport}/` and, for a provider that proves itself by a token, below `hooks/{transport}/{token}/`. `admission`
//! says who is let in. No client's rate counts here: what a provider brings is never answered 429 by it.

mod admission;
pub(crate) mod protected;
mod signature;
pub(crate) mod ussd;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    web,
};
use bytes::Bytes;
use vumi_kit::{
    charset::Charset,
    ledger::{KeepReceived, ReceiptMatch, RecordReceipts, SmsOwner},
    sms::{InboundSms, Receipt},
    store::Ask,
    transport_settings::TransportSettings,
    webhook::{Unreadable, Webhook, WebhookAnswer, WebhookKept, WebhookNews, WebhookRequest},
};

use crate::{
    guard::{admit_connection, answered},
    request::{
        body::{BufferedBody, FORM, content_type_charset},
        structure::{bounded, first_and_last_fields},
    },
    response::error::ApiError,
    state::ApiState,
};

use admission::{Admitted, admit};
use protected::Refusal;

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
    handle(request, payload, "receipt.json").await
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
    handle(request, payload, "receive.json").await
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
    handle(request, payload, "receive.xml").await
}

async fn handle(request: HttpRequest, payload: web::Payload, path: &str) -> HttpResponse {
    answered(&request, async |state| {
        let admitted = admit(state, &request).await;
        // A path that holds its token asks for no log-in: whoever calls, no webhook takes another method.
        let has_token = request.match_info().get("token").is_some();
        let caller = match admitted {
            Err(_) if has_token && !matches!(*request.method(), Method::GET | Method::POST) => {
                return Err(ApiError::MethodNotAllowed("GET, POST".to_owned()));
            }
            admitted => admitted?,
        };
        let body = read_body(state, &request, payload, &caller).await?;
        admit_connection(&request);
        let webhook = declared(&caller, &request, path)?;
        let stopping = |_| ApiError::Unavailable(5, "the router is stopping");
        let _turn = caller.protected.calls.acquire().await.map_err(stopping)?;
        let provider_request = WebhookRequest {
            method: request.method().as_str().to_owned(),
            query: request.query_string().to_owned(),
            content_type: body.media_type.clone(),
            body: if body.media_type == FORM { first_and_last_fields(&body.bytes) } else { body.bytes.clone() },
            charset: charset(content_type_charset(&request), &caller.protected.settings),
            received_at: state.clock.now(),
        };
        let (form, to_read) = (Arc::clone(&webhook.form), provider_request.clone());
        let read = move |media_type: &str, bytes: &Bytes| {
            // A form has no tree.
            if media_type != FORM {
                bounded(bytes)?;
            }
            Ok(form.read(&to_read))
        };
        match state.parse(&body, read).await? {
            Ok(news) => {
                let kept = keep(state, &caller, news).await?;
                Ok(response(webhook.form.answer(&provider_request, &kept)))
            }
            Err(Unreadable { field, what, readable }) => {
                // A report that can't be read keeps no other one out.
                if let Some(news) = readable {
                    keep(state, &caller, *news).await?;
                }
                Err(ApiError::field(&field, "", what))
            }
        }
    })
    .await
}

/// Reads the body, and refuses it unless it is signed as it has to be.
async fn read_body(
    state: &ApiState,
    request: &HttpRequest,
    payload: web::Payload,
    caller: &Admitted<'_>,
) -> Result<BufferedBody, ApiError> {
    let body = if caller.is_known {
        state.providers_reader.read(request, payload).await?
    } else {
        let network = state.trusted_proxies.client_network_of(request);
        state.unverified_reader.read_from(network, request, payload).await?
    };
    let Some(access) = caller.signed else { return Ok(body) };
    if signature::is_right(access, request, &body.raw) {
        Ok(body)
    } else {
        Err(caller.protected.refuse(caller.transport, Refusal::Signature))
    }
}

fn declared<'a>(caller: &Admitted<'a>, request: &HttpRequest, path: &str) -> Result<&'a Webhook, ApiError> {
    let webhook = caller.protected.webhooks.iter().find(|webhook| webhook.path == path);
    let webhook = webhook.ok_or_else(|| ApiError::MethodNotAllowed(String::new()))?;
    if webhook.methods.contains(&request.method().as_str()) {
        Ok(webhook)
    } else {
        Err(ApiError::MethodNotAllowed(webhook.methods.join(", ")))
    }
}

/// The character set of a call: that of its content type; the transport's own where that names none, or an unknown one.
fn charset(named: Option<Charset>, settings: &TransportSettings) -> Option<Charset> {
    match (named, &settings.charset) {
        (Some(named), Some(own)) => Some(if named.is_known() { named } else { own.clone() }),
        (named, own) => named.or_else(|| own.clone()),
    }
}

/// Numbers as the ledger has them, where the transport's country is known.
fn in_international_form(news: WebhookNews, settings: &TransportSettings) -> WebhookNews {
    match news {
        WebhookNews::Receipts(receipts) => {
            let mended = receipts.into_iter().map(|receipt| {
                let to = receipt.to.map(|to| settings.number(to));
                Receipt { to, ..receipt }
            });
            WebhookNews::Receipts(mended.collect())
        }
        WebhookNews::Inbound(inbound) => {
            WebhookNews::Inbound(inbound.into_iter().map(|sms| settings.inbound(sms)).collect())
        }
    }
}

async fn keep(state: &ApiState, caller: &Admitted<'_>, news: WebhookNews) -> Result<WebhookKept, ApiError> {
    let ledger = &state.store.ledger;
    match in_international_form(news.keepable(), &caller.protected.settings) {
        WebhookNews::Receipts(receipts) => {
            let mut matches = Vec::with_capacity(receipts.len());
            // Piece by piece, so that others' writes go in between.
            for piece in receipts.chunks(RecordReceipts::MOST) {
                let record = RecordReceipts { transport: caller.transport.clone(), receipts: piece.to_vec() };
                matches.append(&mut ledger.ask(record).await?);
            }
            state.board.of(caller.transport).count_receipts(ReceiptMatch::new_reports(&matches));
            Ok(WebhookKept::Receipts(receipts.into_iter().zip(matches).collect()))
        }
        WebhookNews::Inbound(inbound) => {
            let owner = |sms: &InboundSms| match caller.client {
                Some(client) => SmsOwner::Account(client),
                None => state.owners.of(caller.transport, sms),
            };
            let mut received = Vec::with_capacity(inbound.len());
            let owned = inbound.chunk_by(|one, next| owner(one) == owner(next));
            for piece in owned.flat_map(|piece| piece.chunks(KeepReceived::MOST)) {
                let Some(first) = piece.first() else { continue };
                let (owner, transport) = (owner(first), caller.transport.clone());
                received.append(&mut ledger.ask(KeepReceived { owner, transport, inbound: piece.to_vec() }).await?);
            }
            Ok(WebhookKept::Inbound(received))
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
