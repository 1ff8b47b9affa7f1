//! `/health/`: whether the process answers, and whether all its parts take work.

use std::{fmt::Write, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ACCEPT, CACHE_CONTROL},
    },
    web,
};
use serde::Serialize;
use vumi_kit::health::{AskParts, Part, State};

use super::entry::Shared;

/// How long the supervisor may take to say how the parts are.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// `GET /health/`
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).content_type("text/plain; charset=utf-8").body("OK")
}

/// `GET /health/ready`
pub(crate) async fn ready(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let asked = tokio::time::timeout(ASK_WITHIN, shared.parts.send(AskParts)).await;
    let parts = asked.ok().and_then(Result::ok);
    let ready = parts.as_ref().is_some_and(|parts| parts.iter().all(in_good_hands));
    let mut response = HttpResponse::build(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE });
    response.insert_header((CACHE_CONTROL, "no-store"));
    let parts = parts.as_deref();
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") {
        response.json(Readiness { ready, parts: parts.unwrap_or_default() })
    } else {
        response.content_type("text/plain; charset=utf-8").body(parts.map_or_else(unknown, lines))
    }
}

/// Whether what a part is given is safe. A transport whose carrier is away still is: its SMS wait in the ledger. A
/// store that is anything but up keeps nothing.
fn in_good_hands(part: &Part) -> bool {
    if part.role == "store" { part.state == State::Up } else { part.state.takes_work() }
}

#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    parts: &'a [Part],
}

fn unknown() -> String {
    "the supervisor does not answer\n".to_owned()
}

/// A line for each part: name, role, state, details.
fn lines(parts: &[Part]) -> String {
    let mut lines = String::new();
    for Part { name, role, state, detail, restarts } in parts {
        let state = state.as_str();
        let _never_fails = write!(lines, "{name} ({role}): {state}");
        if !detail.is_empty() {
            let _never_fails = write!(lines, ", {}", detail.replace('\n', " "));
        }
        if *restarts > 0 {
            let _never_fails = write!(lines, ", started again {restarts} times");
        }
        lines.push('\n');
    }
    lines
}
