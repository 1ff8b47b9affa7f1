//! `/health/`: whether the process answers, and whether all its parts take work. The API serves it, and `[health]` alone,
//! for processes without the API.
//!
//! A part's detail names hosts and accounts, and quotes what providers answered. On the API only who logs in sees it;
//! others see each part's name and state.

use std::{fmt::Write, net::SocketAddr, sync::Arc, time::Duration};

use actix::Recipient;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL},
    },
    web,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};
use vumi_kit::{
    address::listen_address,
    health::{AskParts, Part, State},
    kind::Problem,
    name::Name,
};

use crate::{guard::log_in, response::error::ApiError, state::ApiState};

/// How long the supervisor may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long its answer is given to others who ask: anybody may, as often as they like.
const CACHED_FOR: Duration = Duration::from_secs(1);

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

/// The supervisor's last answer.
pub(crate) struct ReadinessCache {
    supervisor: Recipient<AskParts>,
    last: Mutex<Option<(Instant, KnownParts)>>,
}

/// The parts; none where the supervisor did not answer.
type KnownParts = Option<Arc<[Part]>>;

impl ReadinessCache {
    pub(crate) fn new(supervisor: Recipient<AskParts>) -> Self {
        Self { supervisor, last: Mutex::default() }
    }

    /// The parts as they are, or were a moment ago. Those who ask at the same time wait for one answer.
    async fn parts(&self) -> KnownParts {
        let mut last = self.last.lock().await;
        if let Some((at, parts)) = last.as_ref()
            && at.elapsed() < CACHED_FOR
        {
            return parts.clone();
        }
        let asked = tokio::time::timeout(ANSWER_WITHIN, self.supervisor.send(AskParts)).await;
        let parts: KnownParts = asked.ok().and_then(Result::ok).map(Into::into);
        *last = Some((Instant::now(), parts.clone()));
        parts
    }
}

/// `GET /health/ready`
pub(crate) async fn ready(request: HttpRequest, readiness: web::Data<ReadinessCache>) -> HttpResponse {
    let detailed = match sees_details(&request).await {
        Ok(detailed) => detailed,
        Err(error) => return error.response(),
    };
    let parts = readiness.parts().await;
    let ready = parts.as_ref().is_some_and(|parts| parts.iter().all(is_ready));
    let mut response = HttpResponse::build(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE });
    response.insert_header((CACHE_CONTROL, "no-store"));
    let parts = parts.as_deref();
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") {
        let parts = parts.unwrap_or_default();
        if detailed {
            return response.json(ReadinessView { ready, parts });
        }
        let parts: Vec<PublicPart<'_>> = parts.iter().map(PublicPart::of).collect();
        response.json(ReadinessView { ready, parts: &parts })
    } else {
        let lines = parts.map_or_else(unknown, |parts| lines(parts, detailed));
        response.content_type("text/plain; charset=utf-8").body(lines)
    }
}

/// Whoever reaches `[health]` sees everything, on the API who logs in. While the store cannot tell who that is, nobody
/// does: the answer is then about the store.
async fn sees_details(request: &HttpRequest) -> Result<bool, ApiError> {
    let Some(api) = request.app_data::<web::Data<ApiState>>() else { return Ok(true) };
    if !request.headers().contains_key(AUTHORIZATION) {
        return Ok(false);
    }
    match log_in(api, request).await {
        Ok(_) => Ok(true),
        Err(ApiError::Unavailable(..)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a part keeps what it is given. A degraded transport does: its SMS wait in the ledger. A store that is anything
/// but up does not.
fn is_ready(part: &Part) -> bool {
    if part.role == "store" { part.state == State::Up } else { part.state.takes_work() }
}

#[derive(Serialize)]
struct ReadinessView<'a, P> {
    ready: bool,
    parts: &'a [P],
}

/// What strangers see of a part.
#[derive(Serialize)]
struct PublicPart<'a> {
    name: &'a Name,
    role: &'a str,
    state: State,
}

impl<'a> PublicPart<'a> {
    fn of(part: &'a Part) -> Self {
        Self { name: &part.name, role: &part.role, state: part.state }
    }
}

fn unknown() -> String {
    "the supervisor does not answer\n".to_owned()
}

/// A line for each part: name, role, state, and details for those who may see them.
fn lines(parts: &[Part], detailed: bool) -> String {
    let mut lines = String::new();
    for part in parts {
        let Part { name, role, state, .. } = part;
        let _never_fails = write!(lines, "{name} ({role}): {}", state.as_str());
        if detailed {
            write_details(&mut lines, part);
        }
        lines.push('\n');
    }
    lines
}

fn write_details(line: &mut String, Part { detail, restarts, backlog, .. }: &Part) {
    if !detail.is_empty() {
        let _never_fails = write!(line, ", {}", detail.replace('\n', " "));
    }
    if let Some(backlog) = backlog {
        let _never_fails = write!(line, ", {backlog}");
    }
    if *restarts > 0 {
        let _never_fails = write!(line, ", started again {restarts} times");
    }
}
