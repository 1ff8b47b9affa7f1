//! The actor that owns an HTTP server, and the start of both servers: the front-end's, and that of `[health]`.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture, WrapFuture};
use actix_server::{Server, ServerHandle};
use actix_web::{http::KeepAlive, web};
use vumi_front_kit::tls::{CurrentPair, TlsHandshakes, keep_fresh};
use vumi_kit::{
    component::{Drain, Lifeline, StartError, Terminated, lifeline},
    health::{AskHealth, AskParts, Health, State},
};

use crate::{
    connection::{life::ConnectionLimits, per_address::ConnectionLimiter, unread::UnreadAnswers},
    context::HttpContext,
    health::{HealthSettings, ReadinessCache},
    landing::LandingPage,
    listener::{BoundAddress, ListenAddress, Listener},
    openapi::ApiDocument,
    routes,
    settings::HttpSettings,
    state::ApiState,
    tally::{self, Tally},
};

/// A started front-end.
#[derive(Debug)]
pub struct HttpComponent {
    /// The address it listens on, with the port that it was given for port 0.
    pub address: SocketAddr,
    /// Answers with its health.
    pub health: Recipient<AskHealth>,
    /// Accepts no more connections, finishes the requests under way, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when the actor has ended.
    pub ended: Terminated,
}

/// What the handlers of the front-end share.
#[derive(Clone)]
struct AppData {
    state: web::Data<ApiState>,
    readiness: web::Data<ReadinessCache>,
    document: web::Data<ApiDocument>,
    landing: web::Data<LandingPage>,
}

impl AppData {
    fn new(context: HttpContext, settings: &HttpSettings) -> Result<Self, StartError> {
        let readiness = web::Data::new(ReadinessCache::new(context.parts.clone()));
        let landing = web::Data::new(LandingPage::new(context.sandbox));
        let document = ApiDocument::new(context.transports.iter().map(|mount| &mount.transport));
        let state = ApiState::new(context, settings).map_err(|error| StartError(error.to_string()))?;
        Ok(Self { state: web::Data::new(state), readiness, document: web::Data::new(document), landing })
    }
}

/// Starts the front-end on the current arbiter; worker threads of its own serve the requests.
pub fn start(context: HttpContext, settings: HttpSettings) -> Result<HttpComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("http.{}: {}", problem.key, problem.what)));
    }
    let data = AppData::new(context, &settings)?;
    let (tally, state) = (Arc::clone(&data.state.tally), data.state.clone());
    let pair = settings
        .tls
        .as_ref()
        .map(|tls| CurrentPair::read("http.tls", tls))
        .transpose()
        .map_err(|error| StartError(error.to_string()))?;
    let addresses = addresses(&settings, pair.as_ref())?;
    let server = serve(data, &settings, addresses).map_err(|(bind, error)| cannot_listen("http", bind, &error))?;
    Ok(component(server, HttpFrontEndParts { tally, api: Some(state), pair }, "serving HTTP"))
}

/// Where to listen, and with what.
fn addresses(settings: &HttpSettings, pair: Option<&Arc<CurrentPair>>) -> Result<Vec<ListenAddress>, StartError> {
    let plain = |bind| ListenAddress { bind, tls: None };
    let (Some(tls), Some(pair)) = (&settings.tls, pair) else { return Ok(vec![plain(settings.bind)]) };
    let handshakes =
        TlsHandshakes::new(Arc::clone(pair), tls, Some(b"http/1.1")).map_err(|error| StartError(error.to_string()))?;
    let secured = |bind| ListenAddress { bind, tls: Some(handshakes) };
    Ok(match tls.bind {
        Some(bind) => vec![plain(settings.bind), secured(bind)],
        None => vec![secured(settings.bind)],
    })
}

/// Connections that `[health]` holds at once; more wait to be accepted.
const HEALTH_CONNECTIONS: usize = 64;

/// How long a client of `[health]` may take to send a request's head.
const HEALTH_HEAD_WITHIN: Duration = Duration::from_secs(5);

/// The longest that a connection to `[health]` lasts; the supervisor's answer takes 5 s at most.
const HEALTH_CONNECTION_WITHIN: Duration = Duration::from_secs(12);

/// The bytes of answers that wait for clients of `[health]`.
const HEALTH_UNREAD: usize = 1024 * 1024;

/// Starts the server of `/health/` alone on the current arbiter.
pub fn start_health(parts: Recipient<AskParts>, settings: &HealthSettings) -> Result<HttpComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("health.{}: {}", problem.key, problem.what)));
    }
    let tally = Arc::new(Tally::default());
    let server = serve_health(web::Data::new(ReadinessCache::new(parts)), settings.bind, Arc::clone(&tally));
    let server = server.map_err(|(bind, error)| cannot_listen("health", bind, &error))?;
    Ok(component(server, HttpFrontEndParts { tally, api: None, pair: None }, "serving /health/"))
}

/// What the actor has beside its server.
struct HttpFrontEndParts {
    tally: Arc<Tally>,
    /// What the API works with; none where the process serves `[health]` alone.
    api: Option<web::Data<ApiState>>,
    /// The certificate, where TLS is spoken.
    pair: Option<Arc<CurrentPair>>,
}

fn component((server, bound): BoundServer, parts: HttpFrontEndParts, serving: &'static str) -> HttpComponent {
    let (lifeline, ended) = lifeline();
    let (handle, address) = (server.handle(), first(&bound));
    let urls = bound.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let actor = HttpFrontEnd::create(|ctx| {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        HttpFrontEnd { server: Some(server), handle, urls, parts, draining: false, _lifeline: lifeline }
    });
    for BoundAddress { address, is_tls } in bound {
        tracing::info!(%address, tls = is_tls, "{serving}");
    }
    HttpComponent { address, health: actor.clone().recipient(), drain: actor.recipient(), ended }
}

/// A server, and the addresses that it has.
type BoundServer = (Server, Vec<BoundAddress>);

/// An address that could not be listened on, and why.
type NotBound = (SocketAddr, io::Error);

/// The address of the API; with TLS beside it the one without.
fn first(bound: &[BoundAddress]) -> SocketAddr {
    bound.first().map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |bound| bound.address)
}

fn serve(data: AppData, settings: &HttpSettings, addresses: Vec<ListenAddress>) -> Result<BoundServer, NotBound> {
    let tally = Arc::clone(&data.state.tally);
    let limiter = ConnectionLimiter::new(settings.connections_per_address, data.state.trusted_proxies.clone());
    let listener = Listener {
        workers: settings.workers,
        max_connections: settings.max_connections,
        keep_alive: KeepAlive::Timeout(settings.keep_alive),
        limits: ConnectionLimits {
            // Before its first request a connection has the time for a head; after it, actix counts `keep_alive`.
            idle: settings.keep_alive.max(settings.head_within),
            head: settings.head_within,
            without_log_in: settings.keep_alive + settings.head_within + settings.body_within,
            unread_answer: settings.answer_within,
        },
        per_address: Some(limiter),
        unread_answers: UnreadAnswers::new(settings.unread_per_address, settings.max_unread, Arc::clone(&tally)),
        drain_within: settings.drain_within,
        tally,
    };
    listener.run(addresses, move |app| {
        let AppData { state, readiness, document, landing } = data.clone();
        app.app_data(state).app_data(readiness).app_data(document).app_data(landing).configure(routes::mount);
    })
}

fn serve_health(
    readiness: web::Data<ReadinessCache>,
    bind: SocketAddr,
    tally: Arc<Tally>,
) -> Result<BoundServer, NotBound> {
    let listener = Listener {
        workers: 1,
        max_connections: HEALTH_CONNECTIONS,
        // Each client asks once: a connection that is kept open would take the place of another.
        keep_alive: KeepAlive::Disabled,
        limits: ConnectionLimits {
            idle: HEALTH_HEAD_WITHIN,
            head: HEALTH_HEAD_WITHIN,
            without_log_in: HEALTH_CONNECTION_WITHIN,
            unread_answer: HEALTH_HEAD_WITHIN,
        },
        per_address: None,
        unread_answers: UnreadAnswers::new(HEALTH_UNREAD, HEALTH_UNREAD, Arc::clone(&tally)),
        drain_within: Duration::from_secs(1),
        tally,
    };
    listener.run(vec![ListenAddress { bind, tls: None }], move |app| {
        app.app_data(readiness.clone()).configure(routes::mount_health);
    })
}

fn cannot_listen(table: &str, bind: SocketAddr, error: &io::Error) -> StartError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: stop it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose one it has",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
        _ => "choose an address that can be listened on",
    };
    StartError(format!("could not listen on {bind}: {advice}, with `bind` under [{table}] ({error})"))
}

/// Owns an HTTP server: each of them ends with the other.
pub struct HttpFrontEnd {
    server: Option<Server>,
    handle: ServerHandle,
    urls: String,
    parts: HttpFrontEndParts,
    draining: bool,
    _lifeline: Lifeline,
}

/// The server's future has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct ServerEnded(io::Result<()>);

/// The capacity of the mailbox: health, drain and the server's end.
const MAILBOX_CAPACITY: usize = 16;

/// Time between looks whether accounts were changed: whoever is locked out is out within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

async fn look_for_changes(api: web::Data<ApiState>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        api.authenticator.look_for_changes().await;
    }
}

impl Actor for HttpFrontEnd {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(tally::INTERVAL, |me, _| me.parts.tally.flush());
        if let Some(api) = self.parts.api.clone() {
            ctx.spawn(look_for_changes(api).into_actor(self));
        }
        if let Some(pair) = self.parts.pair.clone() {
            ctx.spawn(keep_fresh(pair).into_actor(self));
        }
        if let Some(server) = self.server.take() {
            let me = ctx.address().downgrade();
            actix_rt::spawn(async move {
                let ended = server.await;
                if let Some(me) = me.upgrade() {
                    let _ended_already = me.send(ServerEnded(ended)).await;
                }
            });
        }
    }
}

impl Drop for HttpFrontEnd {
    // However the actor ends, the server must end too: the actor's successor needs the port.
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl Handler<ServerEnded> for HttpFrontEnd {
    type Result = ();

    fn handle(&mut self, ended: ServerEnded, ctx: &mut Self::Context) {
        match ended.0 {
            Err(error) => tracing::error!(%error, "the HTTP server failed"),
            Ok(()) if !self.draining => tracing::error!("the HTTP server ended by itself"),
            Ok(()) => {}
        }
        ctx.stop();
    }
}

impl Handler<AskHealth> for HttpFrontEnd {
    type Result = Health;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Health {
        if self.draining {
            return Health { state: State::Stopping, detail: "finishing the requests under way".to_owned() };
        }
        Health { state: State::Up, detail: format!("serving {}", self.urls) }
    }
}

impl Handler<Drain> for HttpFrontEnd {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.draining = true;
        let stopped = self.handle.stop(true);
        Box::pin(stopped)
    }
}
