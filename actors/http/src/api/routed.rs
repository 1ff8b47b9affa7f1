//! Calls that name no transport: `[[outbound]]` of the settings chooses it. The SMS are read and listed here too, whichever
//! transport carries them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use vumi_kit::{
    outbound::{Routable, RouteExplanation},
    sms_options::Content,
};

use super::{
    send::{
        MsisdnField, accept,
        batch::{MessageSource, named},
        destination::{Destination, tag},
        text::message,
    },
    status::{self, SmsEvent, StatusListParameters},
};
use crate::{
    guard::guarded,
    limits::call_rates::RateClass,
    request::{
        fields::{KnownFields, RequestFields},
        idempotency::IdempotencyHeader,
    },
    response::{
        error::ApiError,
        field_errors::FieldErrors,
        views::{SmsView, json},
    },
};

/// What the routed `send.json` takes beside the fields of `sms/{transport}/send.json`.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct RoutedBody {
    /// The recipients: 3 to 15 digits each, with or without a leading `+`.
    to_msisdn: Vec<MsisdnField>,
    /// The sender shown to them.
    from_msisdn: String,
    /// The text; `template_send.json` takes a `template` and values, as `sms/{transport}/template_send.json` does.
    #[schema(min_length = 1, example = "hello world")]
    message: String,
    /// The client's own word for what it is, by which routes may choose.
    #[schema(max_length = 64, example = "otp")]
    tag: Option<String>,
}

/// Sends a text to one recipient or many, each over the transport that the routes choose.
#[utoipa::path(
    post,
    path = "/api/v1/sms/send.json",
    tag = "routed",
    params(IdempotencyHeader),
    request_body(content((RoutedBody = "application/x-www-form-urlencoded"), (RoutedBody = "application/json"), (RoutedBody = "multipart/form-data"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| accept(&call, payload, MessageSource::Text).await).await
}

/// Sends each recipient a text of their own, each over the transport that the routes choose.
#[utoipa::path(
    post,
    path = "/api/v1/sms/template_send.json",
    tag = "routed",
    params(IdempotencyHeader),
    request_body(content((RoutedBody = "application/x-www-form-urlencoded"), (RoutedBody = "application/json"), (RoutedBody = "multipart/form-data"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn template_send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| accept(&call, payload, MessageSource::Template).await).await
}

/// One SMS that a route sent, whichever transport carries it.
#[utoipa::path(
    get,
    path = "/api/v1/sms/status/{id}.json",
    tag = "routed",
    params(("id" = u64, Path, description = "The SMS's id")),
    responses((status = 200, description = "The SMS", body = SmsView)),
)]
pub(crate) async fn one(request: HttpRequest) -> HttpResponse {
    status::one(request).await
}

/// Cancels an SMS that a route sent and that has not begun to go out.
///
/// It is cancelled before a transport begins to submit it, or not at all. To cancel it again changes nothing.
#[utoipa::path(
    delete,
    path = "/api/v1/sms/status/{id}.json",
    tag = "routed",
    params(("id" = u64, Path, description = "The SMS's id")),
    responses(
        (status = 200, description = "It is cancelled", body = SmsView),
        (status = 409, description = "It has begun to go out, or has ended otherwise"),
    ),
)]
pub(crate) async fn cancel(request: HttpRequest) -> HttpResponse {
    status::cancel(request).await
}

/// The events of one SMS that a route sent, in order of time.
#[utoipa::path(
    get,
    path = "/api/v1/sms/status/{id}/events.json",
    tag = "routed",
    params(("id" = u64, Path, description = "The SMS's id")),
    responses((status = 200, description = "The events", body = Vec<SmsEvent>)),
)]
pub(crate) async fn events(request: HttpRequest) -> HttpResponse {
    status::events(request).await
}

/// Several SMS that routes sent: those that changed since a date, those with the given ids, or those of a reference.
#[utoipa::path(
    get,
    path = "/api/v1/sms/status.json",
    tag = "routed",
    params(StatusListParameters),
    responses((
        status = 200,
        description = "The SMS",
        body = Vec<SmsView>,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`")),
    )),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    status::list(request).await
}

const EXPLAINED_FIELDS: KnownFields = KnownFields {
    single: &[&["to_msisdn", "from_msisdn", "message", "tag"]],
    lists: &[],
    numbers: &["to_msisdn", "from_msisdn"],
    flags: &[],
    variables: None,
    max_values: 0,
};

/// Which route would send an SMS now, over which transport, and why the routes before it do not.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Explanation {
    /// The route; none takes the SMS where it is null.
    route: Option<String>,
    /// The transport that the route chooses most often as things are.
    transport: Option<String>,
    /// Why this transport, in words; null where no route takes the SMS.
    why: Option<String>,
    /// Every route in its order, and what it says to this SMS.
    routes: Vec<ExplainedRoute>,
}

/// What a route says to an SMS.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ExplainedRoute {
    route: String,
    /// Whether it takes the SMS, or why it is passed over.
    verdict: String,
    /// Its transports in the order in which they are tried, each with how it is; empty where the route is passed over.
    transports: Vec<String>,
}

/// Explains which transport the routes choose for an SMS. Nothing is sent.
#[utoipa::path(
    post,
    path = "/api/v1/sms/explain.json",
    tag = "routed",
    request_body(content((RoutedBody = "application/x-www-form-urlencoded"), (RoutedBody = "application/json"), (RoutedBody = "multipart/form-data"))),
    responses((status = 200, description = "The choice and its reasons", body = Explanation)),
)]
pub(crate) async fn explain(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let destination = Destination::of(&call)?;
        let body = call.body(payload).await?;
        let fields = RequestFields::of_body(&body.media_type, &body, EXPLAINED_FIELDS)?;
        let mut errors = FieldErrors::default();
        let addresses = destination.addresses();
        let to = fields.required("to_msisdn", &mut errors);
        let to = to.and_then(|text| named("to_msisdn", text, addresses.recipient(text), &mut errors));
        let from = fields.required("from_msisdn", &mut errors);
        let from = from.and_then(|text| named("from_msisdn", text, addresses.sender(text), &mut errors));
        let text = message(&fields, call.state.limits.max_segments, &mut errors);
        let tag = tag(&fields, &mut errors);
        let (Some(to), Some(from), Some(text), true, Destination::Routed { routes, account, .. }) =
            (to, from, text, errors.is_empty(), &destination)
        else {
            return Err(ApiError::InvalidFields(errors));
        };
        let explained = routes.explain(&Routable {
            account,
            transports: &call.caller.rights.transports,
            to: &to,
            from: &from,
            text,
            content: &Content::Text,
            tag,
        });
        Ok(json(&Explanation::of(explained), 1024))
    })
    .await
}

impl Explanation {
    fn of(explained: RouteExplanation) -> Self {
        let RouteExplanation { chosen, routes } = explained;
        let routes = routes.into_iter().map(|verdict| ExplainedRoute {
            route: verdict.route.to_string(),
            verdict: verdict.verdict,
            transports: verdict.transports,
        });
        let routes = routes.collect();
        let Some(chosen) = chosen else { return Self { route: None, transport: None, why: None, routes } };
        let (route, transport) = (chosen.route.to_string(), chosen.transport.to_string());
        Self { route: Some(route), transport: Some(transport), why: Some(chosen.why), routes }
    }
}
