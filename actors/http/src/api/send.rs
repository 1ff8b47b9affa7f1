//! Sending: `send.json` and `template_send.json`.

pub(super) mod batch;
pub(super) mod broadcast_lines;
mod destination;
mod personalised;
pub(crate) mod text;

use std::{borrow::Cow, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};
use utoipa::openapi::{
    Ref, RefOr, Schema, Type,
    schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder},
};
use vumi_front_kit::sending_chain::{NotPassed, SendingChain};
use vumi_kit::{
    account::account_stopped,
    ledger::{AcceptSms, Accepted, FindAccepted},
    outbound::RouteExplanation,
    sms::Sms,
    store::Ask,
};

use self::{
    batch::{BatchReader, MessageSource},
    destination::Destination,
};
use crate::{
    guard::{ApiCall, guarded},
    limits::{call_rates::RateClass, quotas, send_limits::SendLimits},
    request::idempotency::{IdempotencyHeader, key_of},
    response::{
        error::ApiError,
        views::{SmsView, sms_list},
    },
};

/// A phone number: 3 to 15 digits, with or without a leading `+`; in JSON a whole number, too.
pub(crate) struct MsisdnField;

impl utoipa::PartialSchema for MsisdnField {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\+?[0-9]{3,15}$"));
        let number =
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(100)).maximum(Some(999_999_999_999_999_i64));
        let either = OneOfBuilder::new().item(text).item(number);
        either.description(Some("3 to 15 digits, with or without a leading `+`")).into()
    }
}

impl utoipa::ToSchema for MsisdnField {
    fn name() -> Cow<'static, str> {
        "Msisdn".into()
    }
}

/// Recipients: one, or a list of them.
fn recipients() -> RefOr<Schema> {
    let one = || RefOr::<Schema>::Ref(Ref::from_schema_name("Msisdn"));
    let list = ArrayBuilder::new().items(one()).min_items(Some(1));
    let either = OneOfBuilder::new().item(one()).item(list);
    either.examples([serde_json::json!(["27123456780", "27123456781"])]).into()
}

/// A sender. The GSM alphabet without its extension table is shown here; those characters count twice.
fn sender() -> RefOr<Schema> {
    const PATTERN: &str = r"^(\+?[0-9]{2,15}|(?=.*[A-Za-zÀ-ÖØ-öø-ÿΓ-Ω])[ -_a-zÀ-ÖØ-öø-ÿΓ-Ω]{1,11})$";
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATTERN));
    let number =
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(10)).maximum(Some(999_999_999_999_999_i64));
    let either = OneOfBuilder::new().item(text).item(number);
    let meaning = "an MSISDN or short code of 2 to 15 digits, or a name of 1 to 11 characters of the GSM alphabet";
    either.description(Some(meaning)).examples([serde_json::json!("27123456789")]).into()
}

/// How long an SMS may wait: seconds, or a time.
fn validity() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+ ?[a-z]*"));
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let either = OneOfBuilder::new().item(text).item(number);
    let meaning =
        "how long it may wait, from now or from `send_at`: seconds, or a time such as `10m`; a stale one fails";
    either.description(Some(meaning)).examples([serde_json::json!("10m")]).into()
}

/// A flag: in a form a text.
fn flag() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(true|false|1|0)$"));
    let either = OneOfBuilder::new().item(text).item(ObjectBuilder::new().schema_type(Type::Boolean));
    either.description(Some("whether the phone shows the text at once and does not keep it")).into()
}

/// A body of a call that sends, with what may be asked of its SMS.
macro_rules! sending_body {
    ($(#[$of_body:meta])* $Body:ident { $($(#[$of_field:meta])* $field:ident: $Field:ty,)+ }) => {
        $(#[$of_body])*
        #[derive(utoipa::ToSchema)]
        #[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
        pub(crate) struct $Body {
            /// The recipients: 3 to 15 digits each, with or without a leading `+`.
            #[schema(schema_with = recipients)]
            to_msisdn: Vec<MsisdnField>,
            /// The sender shown to them.
            #[schema(schema_with = sender)]
            from_msisdn: String,
            $($(#[$of_field])* $field: $Field,)+
            #[schema(schema_with = validity, required = false)]
            validity: Option<String>,
            /// Not to be sent before: RFC 3339, or `YYYY-MM-DD HH:MM:SS` in UTC; 30 days ahead at the most
            /// (`store.schedule_within`).
            #[schema(nullable = false, example = "2030-01-31T09:00:00+02:00")]
            send_at: Option<String>,
            /// What goes first: `low`, `normal` or `high`.
            #[schema(pattern = "^(low|normal|high)$", nullable = false)]
            priority: Option<String>,
            /// Where receipts of these SMS are posted, beside the account's callbacks.
            #[schema(pattern = "^[Hh][Tt][Tt][Pp][Ss]?:", max_length = 2000, nullable = false)]
            callback_url: Option<String>,
            /// The client's own name for these SMS, by which their status is found.
            #[schema(min_length = 1, max_length = 128, nullable = false)]
            reference: Option<String>,
            #[schema(schema_with = flag, required = false)]
            flash: Option<bool>,
            /// The octets of a binary SMS in hex, in place of a text; 140 with `udh` at the most.
            #[schema(pattern = "^([0-9A-Fa-f]{2}){1,140}$", nullable = false)]
            data: Option<String>,
            /// The user data header of `data`, in hex.
            #[schema(pattern = "^([0-9A-Fa-f]{2}){2,140}$", nullable = false)]
            udh: Option<String>,
        }
    };
}

sending_body! {
    /// What `send.json` takes; `to_msisdn` is one MSISDN or a list (in a form: repeated).
    SendBody {
        /// The text. It is required unless `data` stands in its place.
        #[schema(min_length = 1, nullable = false, example = "hello world")]
        message: Option<String>,
    }
}

sending_body! {
    /// What `send.json` without a transport takes; `template_send.json` takes a `template` and values in place of the text.
    RoutedBody {
        /// The text. It is required unless `data` stands in its place.
        #[schema(min_length = 1, nullable = false, example = "hello world")]
        message: Option<String>,
        /// The client's own word for what it is, by which routes may choose.
        #[schema(min_length = 1, max_length = 64, nullable = false, example = "otp")]
        tag: Option<String>,
    }
}

sending_body! {
    /// What `template_send.json` takes: beside these, a list of values for each `template_<name>` that the template
    /// names; the i-th recipient gets the i-th values.
    TemplateBody {
        /// A Mustache template: the text, with `{{name}}` where a value of `template_name` goes.
        #[schema(example = "Hello {{name}}")]
        template: String,
        /// An example of a variable: the values of `{{name}}`.
        #[schema(example = json!(["Simon", "Jack"]))]
        template_name: Option<Vec<String>>,
    }
}

/// Sends a text to one recipient or many.
///
/// All of a batch is kept, or nothing. The SMS are committed before the answer.
#[utoipa::path(
    post,
    path = "/api/v1/sms/{transport}/send.json",
    tag = "sending",
    params(("transport" = String, Path, description = "The transport's name"), IdempotencyHeader),
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
    params(("transport" = String, Path, description = "The transport's name"), IdempotencyHeader),
    request_body(content((TemplateBody = "application/x-www-form-urlencoded"), (TemplateBody = "application/json"), (TemplateBody = "multipart/form-data"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn template_send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| accept(&call, payload, MessageSource::Template).await).await
}

pub(super) async fn accept(
    call: &ApiCall<'_>,
    payload: web::Payload,
    source: MessageSource,
) -> Result<HttpResponse, ApiError> {
    let reader = reader(call, source, call.state.limits)?;
    let body = call.body(payload).await?;
    let idempotency = key_of(call.request, &body, call.state.idempotency_keep)?;
    let keys = &call.state.keys_in_progress;
    let _in_progress = idempotency.as_ref().map(|key| keys.begin(call.account, &key.key)).transpose()?;
    let ledger = &call.state.store.ledger;
    // Before it is read: its `send_at` may have passed since the first time.
    if let Some(key) = idempotency.clone()
        && let Some(earlier) = ledger.ask(FindAccepted { account: call.account, key }).await?
    {
        return answer(call, &earlier);
    }
    let batch = call.state.parse(&body, move |media_type, bytes| reader.read(media_type, bytes)).await?;
    let max_segments = call.state.limits.max_segments;
    let chain = SendingChain { chains: &call.state.chains, account: &call.caller.username, max_segments };
    let batch = chain.pass(batch).await.map_err(not_passed)?;
    answer(call, &quotas::accept(call.state, &call.caller, AcceptSms { batch, idempotency }).await?)
}

fn not_passed(refused: NotPassed) -> ApiError {
    match refused {
        NotPassed::Fields(errors) => ApiError::InvalidFields(errors),
        NotPassed::Later => {
            ApiError::Unavailable(5, "a middleware can't say now whether these SMS may be sent, nothing was kept")
        }
    }
}

/// Reads what calls that send have in their bodies.
fn reader(call: &ApiCall<'_>, source: MessageSource, limits: SendLimits) -> Result<BatchReader, ApiError> {
    Ok(BatchReader {
        account: call.account,
        rights: call.caller.rights.clone(),
        destination: Destination::of(call)?,
        times: call.state.sms_times,
        now: call.state.clock.now(),
        source,
        limits,
    })
}

/// Which transport the routes would choose for the SMS of a call to one recipient, and why. Nothing is sent.
pub(super) async fn explain(call: &ApiCall<'_>, payload: web::Payload) -> Result<RouteExplanation, ApiError> {
    let reader = reader(call, MessageSource::Text, SendLimits { max_batch: 1, ..call.state.limits })?;
    let body = call.body(payload).await?;
    let explained = call.state.parse(&body, move |media_type, bytes| reader.explain(media_type, bytes)).await?;
    explained.ok_or_else(|| ApiError::NotFound("the path names a transport: no route chooses one".to_owned()))
}

fn answer(call: &ApiCall<'_>, accepted: &Accepted) -> Result<HttpResponse, ApiError> {
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
        Accepted::AccountStopped => Err(ApiError::Forbidden(account_stopped(&call.caller.username))),
    }
}
