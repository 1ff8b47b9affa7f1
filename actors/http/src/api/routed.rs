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
        batch::MessageSource,
        destination::{Destination, tag_error},
        text::text_error,
    },
    status::{self, SmsEvent},
};
use crate::{
    guard::guarded,
    limits::call_rates::RateClass,
    request::fields::{KnownFields, RequestFields},
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
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
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key sends nothing twice", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]{0,253}[!-~])?$")),
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
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key sends nothing twice", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]{0,253}[!-~])?$")),
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
    params(
        ("since" = Option<String>, Query, description = "`YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, UTC", example = "2009-01-01"),
        ("order" = Option<String>, Query, description = "With `since`, by time of change: `newest` first (the default) or `oldest` first"),
        ("cursor" = Option<String>, Query, description = "With `since`: where the page begins, from the `Link` of the page before"),
        ("id" = Option<Vec<u64>>, Query, description = "Ids of SMS"),
        ("reference" = Option<String>, Query, description = "The client's own name for SMS, as it was given when they were sent"),
        ("start" = Option<u64>, Query, description = "How many to skip, 10000 at the most: with `since`, better follow the `Link`"),
    ),
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
        let mut read = |name: &str| fields.required(name, &mut errors);
        let (to, from, text) = (read("to_msisdn"), read("from_msisdn"), read("message").unwrap_or_default());
        let tag = fields.one("tag", &mut errors);
        let mut wrong = |field: &str, value: &str, detail: &str| errors.push(FieldError::new(field, value, detail));
        let (to, from) = (
            to.map(|to| (to, destination.addresses().recipient(to))),
            from.map(|from| (from, destination.addresses().sender(from))),
        );
        if let Some((value, Err(detail))) = &to {
            wrong("to_msisdn", value, detail);
        }
        if let Some((value, Err(detail))) = &from {
            wrong("from_msisdn", value, detail);
        }
        if let Some((tag, detail)) = tag.and_then(|tag| Some((tag, tag_error(tag)?))) {
            wrong("tag", tag, detail);
        }
        if let Some(detail) =
            Some(text).filter(|text| !text.is_empty()).and_then(|text| text_error(text, call.state.limits.max_segments))
        {
            wrong("message", text, &detail);
        }
        let (Some((_, Ok(to))), Some((_, Ok(from))), true, Destination::Routed { routes, account, .. }) =
            (to, from, errors.is_empty(), &destination)
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
