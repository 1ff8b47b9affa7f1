//! The pages beside the carriers: what they saw, how they behave, people's phones. For tests, `vumi dial` and an
//! operator with a browser.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    behaviour::Misbehaviour,
    carrier::{Carrier, InboundOrder, answer, is_msisdn},
    carriers::Provider,
    page,
    settings::SandboxSettings,
    truteq::exchange::{Exchange, NoScreen, Screen},
};

/// What the pages show and steer.
pub(crate) struct Board {
    pub(crate) providers: Vec<Arc<dyn Provider>>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) settings: SandboxSettings,
    pub(crate) http: SocketAddr,
    pub(crate) truteq: SocketAddr,
}

impl Board {
    fn carrier(&self, name: &str) -> Result<&Arc<Carrier>, Problem> {
        let mut carriers = self.providers.iter().map(|p| p.carrier()).chain([&self.exchange.carrier]);
        carriers.find(|carrier| carrier.name == name).ok_or_else(|| {
            let names: Vec<_> = self.providers.iter().map(|p| p.carrier().name).collect();
            let there_are = format!("there is no carrier `{name}`; there are {}, truteq", names.join(", "));
            Problem::new(StatusCode::NOT_FOUND, there_are)
        })
    }
}

/// The carriers and the pages as one application.
pub(crate) fn app(board: Board) -> Router {
    let mut app = Router::new();
    for provider in &board.providers {
        app = app.nest(&format!("/{}", provider.carrier().name), Arc::clone(provider).routes());
    }
    let pages = Router::new()
        .route("/", get(show_page))
        .route("/seen", delete(reset))
        .route("/seen/{carrier}", get(seen))
        .route("/misbehave/{carrier}", get(show_behaviour).put(misbehave))
        .route("/inbound/{carrier}", post(inbound))
        .route("/handset/dial", post(dial))
        .route("/handset/answer", post(answer_session))
        .route("/handset/hang_up", post(hang_up))
        .with_state(Arc::new(board));
    app.merge(pages)
}

async fn show_page(State(board): State<Arc<Board>>) -> Response {
    answer(StatusCode::OK, "text/plain; charset=utf-8", page::text(&board))
}

#[derive(Debug, Deserialize)]
struct SeenQuery {
    #[serde(default)]
    ids: bool,
}

async fn seen(
    State(board): State<Arc<Board>>,
    Path(name): Path<String>,
    Query(query): Query<SeenQuery>,
) -> Result<Response, Problem> {
    let carrier = board.carrier(&name)?;
    let mut shown = json!(carrier.seen.tally().counts);
    if let Some(shown) = shown.as_object_mut() {
        if name == board.exchange.carrier.name {
            shown.insert("ussd".to_owned(), json!(board.exchange.counts()));
            shown.insert("routers".to_owned(), json!(board.exchange.lines()));
        }
        if query.ids {
            shown.insert("ids".to_owned(), json!(carrier.seen.ids()));
        }
    }
    Ok(json_answer(StatusCode::OK, &shown))
}

async fn reset(State(board): State<Arc<Board>>) -> StatusCode {
    for provider in &board.providers {
        provider.carrier().seen.reset();
    }
    board.exchange.carrier.seen.reset();
    board.exchange.reset_counts();
    StatusCode::NO_CONTENT
}

async fn show_behaviour(State(board): State<Arc<Board>>, Path(name): Path<String>) -> Result<Response, Problem> {
    let rules = board.carrier(&name)?.behaviour.rules();
    Ok(json_answer(StatusCode::OK, &json!(*rules)))
}

async fn misbehave(
    State(board): State<Arc<Board>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let carrier = board.carrier(&name)?;
    let mut rules: Misbehaviour = read(&body)?;
    let drop_now = std::mem::take(&mut rules.drop_now);
    let shown = json_answer(StatusCode::OK, &json!(rules));
    carrier.behaviour.change(rules);
    if drop_now && name == board.exchange.carrier.name {
        board.exchange.drop_lines();
    }
    Ok(shown)
}

async fn inbound(State(board): State<Arc<Board>>, Path(name): Path<String>, body: Bytes) -> Result<Response, Problem> {
    let carrier = board.carrier(&name)?;
    let order: InboundOrder = read(&body)?;
    let Some(provider) = board.providers.iter().find(|provider| provider.carrier().name == name) else {
        let sequence = board.exchange.send_sms(&order.from, &order.to, &order.text)?;
        return Ok(json_answer(StatusCode::ACCEPTED, &json!({"sequence": sequence})));
    };
    if order.to.is_empty() || !is_msisdn(order.from.strip_prefix('+').unwrap_or(&order.from)) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "give `from` as 3 to 15 digits, and `to`"));
    }
    let Some(call) = provider.inbound(&order) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("{name} delivers no inbound SMS")));
    };
    match carrier.call(call).await {
        Ok(answered) => {
            let mut response = (answered.status, answered.body).into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            if let Some(content_type) = answered.content_type {
                response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            }
            Ok(response)
        }
        Err(error) => {
            let what = format!("the router did not answer ({error}); is it at sandbox.callback_url?");
            Err(Problem::new(StatusCode::BAD_GATEWAY, what))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dial {
    msisdn: String,
    code: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerSession {
    msisdn: String,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HangUp {
    msisdn: String,
}

async fn dial(State(board): State<Arc<Board>>, body: Bytes) -> Result<Response, Problem> {
    let Dial { msisdn, code } = read(&body)?;
    let begun = Instant::now();
    shown(begun, board.exchange.dial(&msisdn, &code).await)
}

async fn answer_session(State(board): State<Arc<Board>>, body: Bytes) -> Result<Response, Problem> {
    let AnswerSession { msisdn, text } = read(&body)?;
    let begun = Instant::now();
    shown(begun, board.exchange.answer(&msisdn, &text).await)
}

async fn hang_up(State(board): State<Arc<Board>>, body: Bytes) -> Result<Response, Problem> {
    let HangUp { msisdn } = read(&body)?;
    shown(Instant::now(), board.exchange.hang_up(&msisdn))
}

/// What a handset shows.
fn shown(begun: Instant, screen: Result<Screen, NoScreen>) -> Result<Response, Problem> {
    let screen = screen?;
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let session = if screen.open { "open" } else { "closed" };
    Ok(json_answer(StatusCode::OK, &json!({"screen": screen.text, "session": session, "elapsed_ms": elapsed_ms})))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    answer(status, "application/json", body.to_string())
}

/// An error as `application/problem+json`.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl From<NoScreen> for Problem {
    fn from(why: NoScreen) -> Self {
        Self::new(why.status(), why.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
        answer(status, "application/problem+json", body.to_string())
    }
}
