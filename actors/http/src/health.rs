//! `/health/`: whether the process answers, and whether all its parts take work. The API serves it, and `[health]` alone,
//! for processes without the API.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use actix::Recipient;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ACCEPT, CACHE_CONTROL},
    },
    web,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_kit::{
    address::listen_address,
    health::{AskParts, Part, State},
    kind::Problem,
};

/// How long the supervisor may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The `[health]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSettings {
    /// The address to listen on. There is no password: use an address that only monitoring can reach.
    #[serde(deserialize_with = "listen_address")]
    #[schemars(example = "127.0.0.1:8001")]
    pub bind: SocketAddr,
}

impl HealthSettings {
    /// What is wrong with settings that parse; touches nothing outside.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let unknown_port = "port 0 takes a free port, which nobody knows: expected a fixed one for monitoring to ask";
        (self.bind.port() == 0).then(|| Problem::new("bind", unknown_port)).into_iter().collect()
    }
}

/// `GET /health/`
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).content_type("text/plain; charset=utf-8").body("OK")
}

/// `GET /health/ready`
pub(crate) async fn ready(request: HttpRequest, supervisor: web::Data<Recipient<AskParts>>) -> HttpResponse {
    let asked = tokio::time::timeout(ANSWER_WITHIN, supervisor.send(AskParts)).await;
    let parts = asked.ok().and_then(Result::ok);
    let ready = parts.as_ref().is_some_and(|parts| parts.iter().all(is_ready));
    let mut response = HttpResponse::build(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE });
    response.insert_header((CACHE_CONTROL, "no-store"));
    let parts = parts.as_deref();
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") {
        response.json(ReadinessView { ready, parts: parts.unwrap_or_default() })
    } else {
        response.content_type("text/plain; charset=utf-8").body(parts.map_or_else(unknown, lines))
    }
}

/// Whether a part keeps what it is given. A degraded transport does: its SMS wait in the ledger. A store that is anything
/// but up does not.
fn is_ready(part: &Part) -> bool {
    if part.role == "store" { part.state == State::Up } else { part.state.takes_work() }
}

#[derive(Serialize)]
struct ReadinessView<'a> {
    ready: bool,
    parts: &'a [Part],
}

fn unknown() -> String {
    "the supervisor does not answer\n".to_owned()
}

/// A line for each part: name, role, state, details.
fn lines(parts: &[Part]) -> String {
    let mut lines = String::new();
    for Part { name, role, state, detail, restarts, backlog } in parts {
        let state = state.as_str();
        let _never_fails = write!(lines, "{name} ({role}): {state}");
        if !detail.is_empty() {
            let _never_fails = write!(lines, ", {}", detail.replace('\n', " "));
        }
        if let Some(backlog) = backlog {
            let _never_fails = write!(lines, ", {backlog}");
        }
        if *restarts > 0 {
            let _never_fails = write!(lines, ", started again {restarts} times");
        }
        lines.push('\n');
    }
    lines
}
