//! The actor that owns an HTTP server, and the starts of the two there are: the API's, and the one of `[health]`.

use std::{io, net::SocketAddr, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture};
use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    http::KeepAlive,
    web,
};
use vumi_kit::{
    component::{Drain, Lifeline, StartError, Terminated, lifeline},
    health::{AskHealth, AskParts, Health, State},
    name::Name,
    store::Store,
    webhook::Webhook,
};

use super::{
    auth::Gate,
    body::Bodies,
    connections::{self, Connections},
    entry::Shared,
    health::HealthSettings,
    idempotency::InProgress,
    origin::Origins,
    rates::Rates,
    routes,
    send::Bounds,
    settings::HttpSettings,
};

/// A transport that the API serves: its name in the URLs and what its carrier calls.
#[derive(Clone, Debug)]
pub struct Door {
    /// The transport's name.
    pub name: Name,
    /// Its webhooks, mounted below `sms/{name}/`.
    pub webhooks: Vec<Webhook>,
}

/// What the front-end gets at its start.
#[derive(Clone, Debug)]
pub struct HttpContext {
    /// Where everything is kept.
    pub store: Store,
    /// The transports that the API serves.
    pub transports: Vec<Door>,
    /// The supervisor, for `/health/ready`.
    pub parts: Recipient<AskParts>,
}

/// A started front-end.
#[derive(Debug)]
pub struct HttpComponent {
    /// Where it listens: with port 0 in the settings, this tells which it got.
    pub address: SocketAddr,
    /// Answers how it is.
    pub health: Recipient<AskHealth>,
    /// Takes no more connections, finishes the requests under way, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when the actor is gone.
    pub ended: Terminated,
}

/// How the health's handlers reach the supervisor.
type Parts = web::Data<Recipient<AskParts>>;

/// Starts the front-end on the present arbiter; its requests are served by threads of their own.
pub fn start(context: HttpContext, settings: HttpSettings) -> Result<HttpComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("http.{}: {}", problem.key, problem.what)));
    }
    let parts = web::Data::new(context.parts.clone());
    let shared = web::Data::new(shared(context, &settings)?);
    let server = serve(&shared, &parts, &settings).map_err(|error| cannot_listen("http", settings.bind, &error))?;
    Ok(room(server, "serving HTTP"))
}

/// Connections that `[health]` holds at once; more wait to be accepted.
const HEALTH_CONNECTIONS: usize = 64;

/// How long whoever asks `[health]` may take to say what.
const HEALTH_HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection to `[health]` lasts at the most: the supervisor's answer takes 5 s at the most.
const HEALTH_CONNECTION_WITHIN: Duration = Duration::from_secs(12);

/// Starts what tells how the process is, and does nothing else, on the present arbiter.
pub fn start_health(parts: Recipient<AskParts>, settings: &HealthSettings) -> Result<HttpComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("health.{}: {}", problem.key, problem.what)));
    }
    let server = serve_health(&web::Data::new(parts), settings.bind);
    let server = server.map_err(|error| cannot_listen("health", settings.bind, &error))?;
    Ok(room(server, "serving /health/"))
}

fn room((server, address): (Server, SocketAddr), serving: &'static str) -> HttpComponent {
    let (held, ended) = lifeline();
    let handle = server.handle();
    let actor = HttpFrontEnd { server: Some(server), handle, address, draining: false, _lifeline: held }.start();
    tracing::info!(%address, "{serving}");
    HttpComponent { address, health: actor.clone().recipient(), drain: actor.recipient(), ended }
}

fn shared(context: HttpContext, settings: &HttpSettings) -> Result<Shared, StartError> {
    let gate = Gate::new(context.store.accounts.clone(), settings).map_err(|error| StartError(error.to_string()))?;
    Ok(Shared {
        store: context.store,
        doors: context.transports.into_iter().map(|door| (door.name, door.webhooks)).collect(),
        origins: Origins::new(&settings.trusted_proxies, settings.forwarded_header),
        gate,
        rates: Rates::new(&settings.rates),
        in_progress: InProgress::default(),
        bounds: Bounds { max_segments: settings.max_segments, max_batch: settings.max_batch },
        bodies: Bodies::new(settings.max_body, settings.max_bodies, settings.body_within),
        answer_within: settings.answer_within,
        idempotency_keep: settings.idempotency_keep,
    })
}

fn serve(shared: &web::Data<Shared>, parts: &Parts, settings: &HttpSettings) -> io::Result<(Server, SocketAddr)> {
    let (shared, parts) = (shared.clone(), parts.clone());
    let connections = Connections::new(settings.connections_per_address, shared.origins.clone());
    let server =
        HttpServer::new(move || App::new().app_data(shared.clone()).app_data(parts.clone()).configure(routes::mount))
            .on_connect(move |io, on| connections.arrive(io, on))
            .workers(settings.workers)
            .max_connections(settings.max_connections)
            .keep_alive(settings.keep_alive)
            .client_request_timeout(settings.head_within)
            .shutdown_timeout(settings.drain_within.as_secs().max(1))
            // Signals are the supervisor's.
            .disable_signals()
            .bind(settings.bind)?;
    let address = server.addrs().first().copied().unwrap_or(settings.bind);
    Ok((server.run(), address))
}

fn serve_health(parts: &Parts, bind: SocketAddr) -> io::Result<(Server, SocketAddr)> {
    let parts = parts.clone();
    let server = HttpServer::new(move || App::new().app_data(parts.clone()).configure(routes::mount_health))
        .on_connect(|io, on| connections::end_after(HEALTH_CONNECTION_WITHIN, io, on))
        .workers(1)
        .max_connections(HEALTH_CONNECTIONS)
        // Each asks once: a connection that is kept would take the place of somebody who asks.
        .keep_alive(KeepAlive::Disabled)
        .client_request_timeout(HEALTH_HEAD_WITHIN)
        .shutdown_timeout(1)
        .disable_signals()
        .bind(bind)?;
    Ok((server.run(), bind))
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

/// Owns an HTTP server: while it lives, the server does, and when the server ends, so does it.
pub struct HttpFrontEnd {
    server: Option<Server>,
    handle: ServerHandle,
    address: SocketAddr,
    draining: bool,
    _lifeline: Lifeline,
}

/// The server's future came to its end.
#[derive(Message)]
#[rtype(result = "()")]
struct ServerEnded(io::Result<()>);

/// Messages it holds at the most: health, drain and the server's end.
const MAILBOX: usize = 16;

impl Actor for HttpFrontEnd {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(server) = self.server.take() {
            let me = ctx.address().downgrade();
            actix_rt::spawn(async move {
                let ended = server.await;
                if let Some(me) = me.upgrade() {
                    // Gone already: then there is nobody to tell.
                    let _told = me.send(ServerEnded(ended)).await;
                }
            });
        }
    }
}

impl Drop for HttpFrontEnd {
    // However the actor ends, nothing must go on listening in its name: its successor needs the port.
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl Handler<ServerEnded> for HttpFrontEnd {
    type Result = ();

    fn handle(&mut self, ended: ServerEnded, ctx: &mut Self::Context) {
        match ended.0 {
            Err(error) => tracing::error!(%error, "the HTTP server failed"),
            Ok(()) if !self.draining => tracing::error!("the HTTP server ended unasked"),
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
        Health { state: State::Up, detail: format!("serving http://{}", self.address) }
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
