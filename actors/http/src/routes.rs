//! Which path leads where, and which methods it has.

use actix_web::{
    HttpRequest, HttpResponse, Resource, Route,
    http::Method,
    web::{self, ServiceConfig},
};

use super::{
    callbacks, entry::enter, health, openapi, preview, rates::Class, refusal::Refusal, send, status, webhooks,
};

/// Mounts the API.
pub(crate) fn mount(app: &mut ServiceConfig) {
    app.service(
        web::scope("/api/v1")
            .service(resource("/sms/{transport}/send.json", "POST", vec![web::post().to(send::send)]))
            .service(resource("/sms/{transport}/template_send.json", "POST", vec![web::post().to(send::template_send)]))
            .service(resource("/sms/{transport}/status.json", "GET", vec![web::get().to(status::list)]))
            .service(resource("/sms/{transport}/status/{id}.json", "GET", vec![web::get().to(status::one)]))
            .service(resource("/sms/{transport}/status/{id}/events.json", "GET", vec![web::get().to(status::events)]))
            .service(resource("/sms/preview.json", "POST", vec![web::post().to(preview::preview)]))
            .service(resource(
                "/account/callbacks.json",
                "GET, POST",
                vec![web::get().to(callbacks::list), web::post().to(callbacks::create)],
            ))
            .service(resource(
                "/account/callbacks/{id}.json",
                "GET, PUT, DELETE",
                vec![
                    web::get().to(callbacks::read),
                    web::put().to(callbacks::change),
                    web::delete().to(callbacks::delete),
                ],
            ))
            .service(web::resource("/sms/{transport}/receipt.json").to(webhooks::receipt_json))
            .service(web::resource("/sms/{transport}/receive.json").to(webhooks::receive_json))
            .service(web::resource("/sms/{transport}/receive.xml").to(webhooks::receive_xml))
            .service(resource("/openapi.json", "GET", vec![web::get().to(openapi::document)]))
            .default_service(web::to(async |request: HttpRequest| refused(&request, nothing_here(&request)).await)),
    );
    app.service(web::redirect("/api/docs", "/api/docs/"));
    app.service(openapi::pages());
    mount_health(app);
}

/// Mounts what tells how the process is, and nothing else.
pub(crate) fn mount_health(app: &mut ServiceConfig) {
    for path in ["/health", "/health/"] {
        app.service(open(path, || web::route().to(health::alive)));
    }
    app.service(open("/health/ready", || web::route().to(health::ready)));
    app.default_service(web::to(async |request: HttpRequest| nothing_here(&request).response()));
}

/// A resource of the API: its routes, and 405 for every other method.
fn resource(path: &str, allow: &'static str, routes: Vec<Route>) -> Resource {
    let other = web::to(async move |request: HttpRequest| refused(&request, Refusal::Method(allow.to_owned())).await);
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(other)
}

/// A resource that needs no password: GET and HEAD.
fn open(path: &str, route: fn() -> Route) -> Resource {
    web::resource(path)
        .route(route().method(Method::GET))
        .route(route().method(Method::HEAD))
        .default_service(web::to(async || Refusal::Method("GET, HEAD".to_owned()).response()))
}

/// Refuses, but only whom the door would let in: strangers are asked for a password first.
async fn refused(request: &HttpRequest, refusal: Refusal) -> HttpResponse {
    enter(request, Class::Callbacks, async |_| Err(refusal)).await
}

fn nothing_here(request: &HttpRequest) -> Refusal {
    let path: String = request.path().chars().take(200).collect();
    Refusal::NotFound(format!("there is nothing at {path}"))
}
