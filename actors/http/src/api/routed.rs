//! Calls that name no transport: `[[outbound]]` of the settings chooses it. The SMS are read and listed here too, whichever
//! transport carries them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use vumi_kit::outbound::RouteExplanation;

use super::{
    send::{self as sending, RoutedBody, accept, batch::MessageSource},
    status::{self, SmsEvent, StatusListParameters},
};
use crate::{
    guard::guarded,
    limits::call_rates::RateClass,
    request::idempotency::IdempotencyHeader,
    response::views::{SmsView, json},
};

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

/// Explains which transport the routes choose for an SMS to one recipient. Nothing is sent.
///
/// What is asked beside the text counts, as in `send.json`: a transport that can't carry it is passed over.
#[utoipa::path(
    post,
    path = "/api/v1/sms/explain.json",
    tag = "routed",
    request_body(content((RoutedBody = "application/x-www-form-urlencoded"), (RoutedBody = "application/json"), (RoutedBody = "multipart/form-data"))),
    responses((status = 200, description = "The choice and its reasons", body = Explanation)),
)]
pub(crate) async fn explain(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let explained = sending::explain(&call, payload).await?;
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
