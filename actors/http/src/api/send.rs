//! Sending: `send.json` and `template_send.json`.

mod batch;
mod personalised;
mod template;
pub(crate) mod text;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};
use vumi_kit::{
    ledger::{AcceptSms, Accepted, FindAccepted},
    sms::{NewSms, Sms},
    store::Ask,
};

use self::batch::{BatchReader, MessageSource};
use crate::{
    guard::{ApiCall, guarded},
    limits::call_rates::RateClass,
    request::{body::BufferedBody, idempotency::key_of},
    response::{
        error::ApiError,
        views::{SmsView, sms_list},
    },
};

/// Bodies of this size and more, in bytes, are read on a blocking thread, few at a time, so that they delay no other
/// request and take little memory.
const LARGE_BODY: usize = 32 * 1024;

/// A recipient: 3 to 15 digits, with or without a leading `+`.
#[derive(utoipa::ToSchema)]
#[schema(as = Recipient, value_type = String, pattern = r"^\+?[0-9]{3,15}$", example = "27123456780")]
#[expect(dead_code, reason = "describes the field, which is read as text so that every fault can be named")]
pub(crate) struct RecipientField(String);

/// What `send.json` takes; `to_msisdn` is one MSISDN or a list (in a form: repeated).
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct SendBody {
    /// The recipients: 3 to 15 digits each, with or without a leading `+`.
    #[schema(min_items = 1, example = json!(["27123456780", "27123456781"]))]
    to_msisdn: Vec<RecipientField>,
    /// The sender shown to them.
    #[schema(pattern = r"^\+?[0-9]{3,15}$", example = "27123456789")]
    from_msisdn: String,
    /// The text.
    #[schema(min_length = 1, example = "hello world")]
    message: String,
}

/// What `template_send.json` takes: beside these, a list of values for each `template_<name>` that the template
/// names; the i-th recipient gets the i-th values.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct TemplateBody {
    /// The recipients: 3 to 15 digits each, with or without a leading `+`.
    #[schema(min_items = 1, example = json!(["27123456780", "27123456781"]))]
    to_msisdn: Vec<RecipientField>,
    /// The sender shown to them.
    #[schema(pattern = r"^\+?[0-9]{3,15}$", example = "27123456789")]
    from_msisdn: String,
    /// A Mustache template.
    #[schema(example = "Hello {{name}}")]
    template: String,
    /// An example of a variable: the values of `{{name}}`.
    #[schema(example = json!(["Simon", "Jack"]))]
    template_name: Option<Vec<String>>,
}

/// Sends a text to one recipient or many.
///
/// All of a batch is kept, or nothing. The SMS are committed before the answer.
#[utoipa::path(
    post,
    path = "/api/v1/sms/{transport}/send.json",
    tag = "sending",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key sends nothing twice"),
    ),
    request_body(content((SendBody = "application/x-www-form-urlencoded"), (SendBody = "application/json"), (SendBody = "multipart/form-data"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| accept(&call, payload, MessageSource::Text).await).await
}

/// Sends each recipient a text of their own.
#[utoipa::path(
    post,
    path = "/api/v1/sms/{transport}/template_send.json",
    tag = "sending",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key sends nothing twice"),
    ),
    request_body(content((TemplateBody = "application/x-www-form-urlencoded"), (TemplateBody = "application/json"), (TemplateBody = "multipart/form-data"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn template_send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| accept(&call, payload, MessageSource::Template).await).await
}

async fn accept(call: &ApiCall<'_>, payload: web::Payload, source: MessageSource) -> Result<HttpResponse, ApiError> {
    let transport = call.transport()?.clone();
    let body = call.body(payload).await?;
    let idempotency = key_of(call.request, &body, call.state.idempotency_keep)?;
    let reader = BatchReader { account: call.account, transport, source, limits: call.state.limits };
    let batch = read_batch(call, &body, reader).await?;
    let keys = &call.state.keys_in_progress;
    let _in_progress = idempotency.as_ref().map(|key| keys.begin(call.account, &key.key)).transpose()?;
    let ledger = &call.state.store.ledger;
    if let Some(key) = idempotency.clone()
        && let Some(earlier) = ledger.ask(FindAccepted { account: call.account, key }).await?
    {
        return answer(&earlier);
    }
    answer(&ledger.ask(AcceptSms { batch, idempotency }).await?)
}

async fn read_batch(call: &ApiCall<'_>, body: &BufferedBody, reader: BatchReader) -> Result<Vec<NewSms>, ApiError> {
    if body.len() < LARGE_BODY {
        return reader.read(&body.media_type, body);
    }
    let failed = || ApiError::Unavailable(1, "the body could not be read now, nothing was kept");
    let permit = Arc::clone(&call.state.large_reads).acquire_owned().await.map_err(|_| failed())?;
    let (media_type, bytes) = (body.media_type.clone(), body.bytes.clone());
    let read = tokio::task::spawn_blocking(move || {
        // Held by the thread that works: a client that closes must not allow another read beside it.
        let _permit = permit;
        reader.read(&media_type, &bytes)
    });
    read.await.map_err(|_| failed())?
}

fn answer(accepted: &Accepted) -> Result<HttpResponse, ApiError> {
    let list = |batch: &Arc<[Sms]>| sms_list(batch.iter(), SmsView::as_accepted);
    match accepted {
        Accepted::Now(batch) => Ok(list(batch)),
        Accepted::Before(batch) => {
            let mut response = list(batch);
            let replayed = HeaderName::from_static("idempotency-replayed");
            response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
            Ok(response)
        }
        Accepted::KeyReused => Err(ApiError::KeyReused),
    }
}
