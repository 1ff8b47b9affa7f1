//! The control pages beside the providers: the SMS they took, their behaviour, people's handsets. For tests, `vumi dial`
//! and an operator with a browser.

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    HttpResponse, ResponseError,
    http::StatusCode,
    web::{self, Bytes, Data, Path, Query, ServiceConfig},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    aggregator::{AggregatorOrder, UssdAggregator},
    behaviour::Misbehaviour,
    front_page,
    http::{answer, json_answer},
    phone::{self, HandsetEvent, LongPolls},
    provider_core::{ProviderCore, is_msisdn},
    router_client::RouterResponse,
    sandbox_provider::{InboundOrder, SandboxProvider},
    smsc::{InboundError, SmscNetwork, wrong_status},
    truteq::{HandsetError, HandsetNetwork, HandsetScreen},
};

/// What the pages show and steer.
pub(crate) struct ControlPages {
    pub(crate) providers: Vec<Arc<dyn SandboxProvider>>,
    pub(crate) network: Arc<HandsetNetwork>,
    pub(crate) aggregator: UssdAggregator,
    pub(crate) smsc: Arc<SmscNetwork>,
    /// The pages of the phone that wait for something to happen.
    pub(crate) polls: LongPolls,
    pub(crate) callback_url: String,
    pub(crate) addresses: SandboxAddresses,
}

/// Where the sandbox listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SandboxAddresses {
    pub(crate) http: SocketAddr,
    pub(crate) truteq: SocketAddr,
    pub(crate) smsc: SocketAddr,
}

impl ControlPages {
    fn provider(&self, name: &str) -> Result<&Arc<ProviderCore>, ControlProblem> {
        let beside = [&self.network.core, &self.smsc.core];
        let mut cores = self.providers.iter().map(|provider| provider.core()).chain(beside);
        cores.find(|core| core.name == name).ok_or_else(|| {
            let names: Vec<_> = self.providers.iter().map(|provider| provider.core().name).collect();
            let there_are = format!("there is no provider `{name}`; there are {}, truteq, smsc", names.join(", "));
            ControlProblem::new(StatusCode::NOT_FOUND, there_are)
        })
    }

    /// Whether a handset is at the SMPP centre, and not at TruTeq.
    fn by_smsc(&self, provider: Option<&str>) -> Result<bool, ControlProblem> {
        match provider {
            None => Ok(false),
            Some(name) if self.is_truteq(name) => Ok(false),
            Some(name) if self.is_smsc(name) => Ok(true),
            Some(_) => {
                Err(ControlProblem::new(StatusCode::BAD_REQUEST, "`provider` is truteq or smsc: these carry USSD"))
            }
        }
    }

    fn is_truteq(&self, name: &str) -> bool {
        name == self.network.core.name
    }

    fn is_smsc(&self, name: &str) -> bool {
        name == self.smsc.core.name
    }
}

type Pages = Data<ControlPages>;
type Answered = Result<HttpResponse, ControlProblem>;

/// Adds the pages' routes.
pub(crate) fn mount(config: &mut ServiceConfig) {
    config
        .route("/", web::get().to(show_front_page))
        .route("/seen", web::delete().to(reset))
        .route("/seen/{provider}", web::get().to(seen))
        .service(
            web::resource("/misbehave/{provider}").route(web::get().to(show_behaviour)).route(web::put().to(misbehave)),
        )
        .route("/inbound/{provider}", web::post().to(inbound))
        .route("/handset/dial", web::post().to(dial))
        .route("/handset/answer", web::post().to(answer_session))
        .route("/handset/hang_up", web::post().to(hang_up))
        .configure(phone::mount);
}

async fn show_front_page(pages: Pages) -> HttpResponse {
    answer(StatusCode::OK, "text/plain; charset=utf-8", front_page::text(&pages))
}

#[derive(Debug, Deserialize)]
struct SeenQuery {
    #[serde(default)]
    ids: bool,
}

async fn seen(pages: Pages, name: Path<String>, query: Query<SeenQuery>) -> Answered {
    let core = pages.provider(&name)?;
    let mut shown = json!(core.seen.record().counts);
    if let Some(shown) = shown.as_object_mut() {
        if pages.is_truteq(&name) {
            shown.insert("ussd".to_owned(), json!(pages.network.counts()));
            shown.insert("routers".to_owned(), json!(pages.network.routers()));
        }
        if pages.is_smsc(&name) {
            shown.insert("smsc".to_owned(), pages.smsc.shown(query.ids));
        }
        if query.ids {
            shown.insert("ids".to_owned(), json!(core.seen.ids()));
        }
    }
    Ok(json_answer(StatusCode::OK, &shown))
}

async fn reset(pages: Pages) -> HttpResponse {
    for provider in &pages.providers {
        provider.core().seen.reset();
    }
    pages.network.core.seen.reset();
    pages.network.reset_counts();
    pages.smsc.reset();
    HttpResponse::NoContent().finish()
}

async fn show_behaviour(pages: Pages, name: Path<String>) -> Answered {
    let rules = pages.provider(&name)?.behaviour.rules();
    Ok(json_answer(StatusCode::OK, &json!(*rules)))
}

async fn misbehave(pages: Pages, name: Path<String>, body: Bytes) -> Answered {
    let core = pages.provider(&name)?;
    let mut rules: Misbehaviour = read(&body)?;
    if pages.is_smsc(&name)
        && let Some(wrong) = wrong_status(&rules)
    {
        return Err(ControlProblem::new(StatusCode::BAD_REQUEST, wrong));
    }
    let drop_now = std::mem::take(&mut rules.drop_now);
    let shown = json_answer(StatusCode::OK, &json!(rules));
    core.behaviour.change(rules);
    if drop_now && pages.is_truteq(&name) {
        pages.network.drop_connections();
    }
    if drop_now && pages.is_smsc(&name) {
        pages.smsc.drop_connections();
    }
    Ok(shown)
}

async fn inbound(pages: Pages, name: Path<String>, body: Bytes) -> Answered {
    let core = pages.provider(&name)?;
    let order: InboundOrder = read(&body)?;
    let answered = deliver_inbound(&pages, core, &order).await;
    let failure = match &answered {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(format!("the router answered {} to the SMS", answer.status())),
        Err(problem) => Some(problem.detail.clone()),
    };
    core.journal.record(&order.from, || match failure {
        Some(text) => HandsetEvent::Failed { text },
        None => HandsetEvent::SmsSent { provider: core.name, other: order.to, text: order.text },
    });
    answered
}

async fn deliver_inbound(pages: &ControlPages, core: &ProviderCore, order: &InboundOrder) -> Answered {
    let name = core.name;
    if pages.is_smsc(name) {
        return Ok(json_answer(StatusCode::OK, &pages.smsc.send_sms(order).await?));
    }
    let Some(provider) = pages.providers.iter().find(|provider| provider.core().name == name) else {
        let sequence = pages.network.send_sms(&order.from, &order.to, &order.text)?;
        return Ok(json_answer(StatusCode::ACCEPTED, &json!({"sequence": sequence})));
    };
    if order.to.is_empty() || !is_msisdn(order.from.strip_prefix('+').unwrap_or(&order.from)) {
        return Err(ControlProblem::new(StatusCode::BAD_REQUEST, "give `from` as 3 to 15 digits, and `to`"));
    }
    let Some(call) = provider.inbound(order) else {
        return Err(ControlProblem::new(StatusCode::NOT_FOUND, format!("{name} delivers no inbound SMS")));
    };
    let response = core.call(call).await.map_err(|error| {
        let what = format!("the router did not answer ({error}); is it at sandbox.callback_url?");
        ControlProblem::new(StatusCode::BAD_GATEWAY, what)
    })?;
    Ok(pass_on(response))
}

/// The router's answer as it came.
fn pass_on(response: RouterResponse) -> HttpResponse {
    let mut answer = HttpResponse::build(StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY));
    if let Some(content_type) = response.content_type {
        answer.content_type(content_type);
    }
    answer.body(response.body)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dial {
    msisdn: String,
    code: String,
    /// The aggregator that calls for the handset; none: the handset dials by TruTeq or an SMSC.
    #[serde(default)]
    via: Option<AggregatorOrder>,
    /// The network of the handset, `truteq` or `smsc`: none is `truteq`.
    provider: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerSession {
    msisdn: String,
    text: String,
    #[serde(default)]
    via: Option<AggregatorOrder>,
    provider: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HangUp {
    msisdn: String,
    #[serde(default)]
    via: Option<AggregatorOrder>,
    provider: Option<String>,
}

async fn dial(pages: Pages, body: Bytes) -> Answered {
    let Dial { msisdn, code, via, provider } = read(&body)?;
    let begun = Instant::now();
    if pages.by_smsc(provider.as_deref())? {
        return shown(&pages, &msisdn, begun, pages.smsc.dial(&msisdn, &code).await);
    }
    let screen = match via {
        Some(order) => pages.aggregator.dial(&order, &msisdn, &code).await.map_err(HandsetError::Aggregator),
        None => pages.network.dial(&msisdn, &code).await,
    };
    shown(&pages, &msisdn, begun, screen)
}

async fn answer_session(pages: Pages, body: Bytes) -> Answered {
    let AnswerSession { msisdn, text, via, provider } = read(&body)?;
    let begun = Instant::now();
    if pages.by_smsc(provider.as_deref())? {
        return shown(&pages, &msisdn, begun, pages.smsc.answer(&msisdn, &text).await);
    }
    let screen = match via {
        Some(order) => pages.aggregator.answer(&order, &msisdn, &text).await.map_err(HandsetError::Aggregator),
        None => pages.network.answer(&msisdn, &text).await,
    };
    shown(&pages, &msisdn, begun, screen)
}

async fn hang_up(pages: Pages, body: Bytes) -> Answered {
    let HangUp { msisdn, via, provider } = read(&body)?;
    let begun = Instant::now();
    if pages.by_smsc(provider.as_deref())? {
        return shown(&pages, &msisdn, begun, pages.smsc.hang_up(&msisdn).await);
    }
    let screen = match via {
        Some(order) => pages.aggregator.hang_up(&order, &msisdn).await.map_err(HandsetError::Aggregator),
        None => pages.network.hang_up(&msisdn),
    };
    shown(&pages, &msisdn, begun, screen)
}

/// What a handset shows; why it shows nothing is remembered, too.
fn shown(pages: &ControlPages, msisdn: &str, begun: Instant, screen: Result<HandsetScreen, HandsetError>) -> Answered {
    if let Err(why) = &screen {
        pages.network.core.journal.record(msisdn, || HandsetEvent::Failed { text: why.to_string() });
    }
    let screen = screen?;
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let session = if screen.open { "open" } else { "closed" };
    Ok(json_answer(StatusCode::OK, &json!({"screen": screen.text, "session": session, "elapsed_ms": elapsed_ms})))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlProblem> {
    serde_json::from_slice(body).map_err(|wrong| ControlProblem::new(StatusCode::BAD_REQUEST, wrong.to_string()))
}

/// An error as `application/problem+json`.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ControlProblem {
    status: StatusCode,
    detail: String,
}

impl ControlProblem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl From<HandsetError> for ControlProblem {
    fn from(why: HandsetError) -> Self {
        let status = match &why {
            HandsetError::NotAnMsisdn(_) | HandsetError::NotACode(_) | HandsetError::NotLatin1(_) => {
                StatusCode::BAD_REQUEST
            }
            HandsetError::NoRouter | HandsetError::Stuck | HandsetError::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            HandsetError::NoSession | HandsetError::StillWaiting | HandsetError::Interrupted => StatusCode::CONFLICT,
            HandsetError::NoReply(_) => StatusCode::GATEWAY_TIMEOUT,
            HandsetError::Aggregator(_) => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, why.to_string())
    }
}

impl From<InboundError> for ControlProblem {
    fn from(why: InboundError) -> Self {
        let status = match &why {
            InboundError::NoAddress | InboundError::NoMethod | InboundError::TooLong(_) => StatusCode::BAD_REQUEST,
            InboundError::NoReceiver | InboundError::Full => StatusCode::SERVICE_UNAVAILABLE,
            InboundError::NoAnswer(_) => StatusCode::GATEWAY_TIMEOUT,
        };
        Self::new(status, why.to_string())
    }
}

impl ResponseError for ControlProblem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let Self { status, detail } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
        answer(*status, "application/problem+json", body.to_string())
    }
}
