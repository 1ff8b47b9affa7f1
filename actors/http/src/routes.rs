//! Which path leads to which handler, and with which methods.

use actix_web::{
    HttpRequest, HttpResponse, Resource, Route,
    http::Method,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use crate::{
    api::{account, broadcasts, callbacks, consent, conversations, preview, received, routed, send, status, ussd_push},
    guard::{guarded, limit_public},
    health, landing,
    limits::call_rates::RateClass,
    openapi,
    response::error::{ApiError, nothing_here},
    webhooks,
};

/// Mounts everything that the front-end serves.
pub(crate) fn mount(app: &mut ServiceConfig) {
    app.service(web::scope("/api/v1").configure(mount_api));
    app.service(web::redirect("/api/docs", "/api/docs/"));
    app.service(web::scope("/api/docs").wrap(from_fn(limit_public)).service(openapi::pages()));
    let landing = web::resource("/").wrap(from_fn(limit_public));
    app.service(
        landing
            .route(web::get().to(landing::page))
            .route(web::head().to(landing::page))
            .default_service(web::to(async |request: HttpRequest| nothing_here(&request).response())),
    );
    mount_health(app);
}

fn mount_api(api: &mut ServiceConfig) {
    api.service(resource("/sms/{transport}/send.json", "POST", vec![web::post().to(send::send)]))
        .service(resource("/sms/{transport}/template_send.json", "POST", vec![web::post().to(send::template_send)]))
        .service(resource("/sms/{transport}/status.json", "GET", vec![web::get().to(status::list)]))
        .service(resource(
            "/sms/{transport}/status/{id}.json",
            "GET, DELETE",
            vec![web::get().to(status::one), web::delete().to(status::cancel)],
        ))
        .service(resource("/sms/{transport}/status/{id}/events.json", "GET", vec![web::get().to(status::events)]))
        .service(resource("/sms/{transport}/received.json", "GET", vec![web::get().to(received::list)]))
        .service(resource("/sms/send.json", "POST", vec![web::post().to(routed::send)]))
        .service(resource("/sms/template_send.json", "POST", vec![web::post().to(routed::template_send)]))
        .service(resource("/sms/explain.json", "POST", vec![web::post().to(routed::explain)]))
        .service(resource("/sms/status.json", "GET", vec![web::get().to(routed::list)]))
        .service(resource(
            "/sms/status/{id}.json",
            "GET, DELETE",
            vec![web::get().to(routed::one), web::delete().to(routed::cancel)],
        ))
        .service(resource("/sms/status/{id}/events.json", "GET", vec![web::get().to(routed::events)]))
        .service(resource("/sms/preview.json", "POST", vec![web::post().to(preview::preview)]))
        .service(resource("/ussd/{transport}/push.json", "POST", vec![web::post().to(ussd_push::push)]))
        .service(resource("/account.json", "GET", vec![web::get().to(account::show)]))
        .service(resource(
            "/consent/{msisdn}.json",
            "GET, PUT",
            vec![web::get().to(consent::show), web::put().to(consent::change)],
        ))
        .service(resource(
            "/account/callbacks.json",
            "GET, POST",
            vec![web::get().to(callbacks::list), web::post().to(callbacks::create)],
        ))
        .service(resource(
            "/account/callbacks/{id}.json",
            "GET, PUT, DELETE",
            vec![web::get().to(callbacks::read), web::put().to(callbacks::change), web::delete().to(callbacks::delete)],
        ))
        .service(resource("/conversation.yaml", "POST", vec![web::post().to(conversations::create)]))
        .service(resource("/conversations.json", "GET", vec![web::get().to(conversations::list)]))
        .service(resource(
            "/conversations/{name}.yaml",
            "GET, PUT, DELETE",
            vec![
                web::get().to(conversations::read),
                web::put().to(conversations::replace),
                web::delete().to(conversations::delete),
            ],
        ))
        .service(resource(
            "/broadcasts.json",
            "GET, POST",
            vec![web::get().to(broadcasts::list), web::post().to(broadcasts::create)],
        ))
        .service(resource("/broadcasts/{name}.json", "GET", vec![web::get().to(broadcasts::read)]))
        .service(resource("/broadcasts/{name}/lines.csv", "POST", vec![web::post().to(broadcasts::add_lines)]))
        .service(resource("/broadcasts/{name}/start.json", "POST", vec![web::post().to(broadcasts::start)]))
        .service(resource("/broadcasts/{name}/pause.json", "POST", vec![web::post().to(broadcasts::pause)]))
        .service(resource("/broadcasts/{name}/resume.json", "POST", vec![web::post().to(broadcasts::resume)]))
        .service(resource("/broadcasts/{name}/cancel.json", "POST", vec![web::post().to(broadcasts::cancel)]))
        .service(web::resource("/sms/{transport}/receipt.json").to(webhooks::receipt_json))
        .service(web::resource("/sms/{transport}/receive.json").to(webhooks::receive_json))
        .service(web::resource("/sms/{transport}/receive.xml").to(webhooks::receive_xml))
        .service(web::resource("/hooks/{transport}/{token}/receipt.json").to(webhooks::receipt_json))
        .service(web::resource("/hooks/{transport}/{token}/receive.json").to(webhooks::receive_json))
        .service(web::resource("/hooks/{transport}/{token}/receive.xml").to(webhooks::receive_xml))
        .service(web::resource(["/ussd/{transport}", "/ussd/{transport}/{rest:.*}"]).to(webhooks::ussd::ussd))
        .service(
            web::resource(["/hooks/{transport}/{token}/ussd", "/hooks/{transport}/{token}/ussd/{rest:.*}"])
                .to(webhooks::ussd::ussd),
        )
        .service(public("/openapi.json", || web::route().to(openapi::document)).wrap(from_fn(limit_public)))
        .default_service(web::to(async |request: HttpRequest| refused(&request, nothing_here(&request)).await));
}

/// Mounts `/health/`, and 404 for everything else.
pub(crate) fn mount_health(app: &mut ServiceConfig) {
    for path in ["/health", "/health/"] {
        app.service(public(path, || web::route().to(health::alive)));
    }
    app.service(public("/health/ready", || web::route().to(health::ready)));
    app.default_service(web::to(async |request: HttpRequest| nothing_here(&request).response()));
}

/// A resource of the API: its routes, and 405 for every other method.
fn resource(path: &str, allow: &'static str, routes: Vec<Route>) -> Resource {
    let other = web::to(async move |request: HttpRequest| {
        refused(&request, ApiError::MethodNotAllowed(allow.to_owned())).await
    });
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(other)
}

/// A resource that needs no log-in: GET and HEAD.
fn public(path: &str, route: fn() -> Route) -> Resource {
    web::resource(path)
        .route(route().method(Method::GET))
        .route(route().method(Method::HEAD))
        .default_service(web::to(async || ApiError::MethodNotAllowed("GET, HEAD".to_owned()).response()))
}

/// Refuses a request after its log-in: the unauthenticated learn no path and no method.
async fn refused(request: &HttpRequest, error: ApiError) -> HttpResponse {
    guarded(request, RateClass::Callbacks, async |_| Err(error)).await
}
