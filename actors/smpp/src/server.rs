//! The actor that owns the server: its start, its health, its stop.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture};
use tokio::{net::TcpListener, time::Instant};
use vumi_front_kit::{
    recipient_rates::RecipientRates,
    tls::{CurrentPair, TlsHandshakes, keep_fresh},
};
use vumi_kit::{
    component::{Drain, Lifeline, StartError, Terminated, lifeline},
    health::{AskHealth, Health, State},
};

use crate::{
    binds::Binds,
    context::SmppContext,
    deliver, listener,
    login::BindLogin,
    settings::SmppSettings,
    state::{ConnectionCounts, DeliveryDesk, SmppServerState},
    watch,
};

/// The capacity of the mailbox: health and drain.
const MAILBOX_CAPACITY: usize = 16;

/// Time between looks whether a stop has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A started server.
#[derive(Debug)]
pub struct SmppComponent {
    /// The addresses it listens on, with the ports that it was given for port 0: `bind`, then that of TLS.
    pub addresses: Vec<SocketAddr>,
    /// Answers with its health.
    pub health: Recipient<AskHealth>,
    /// Takes no more requests, lets what is under way be answered, unbinds its ESMEs, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when the actor has ended.
    pub ended: Terminated,
}

/// Starts the server on the present arbiter.
///
/// # Errors
///
/// When the settings cannot work, an address cannot be listened on, or the certificate cannot be read.
pub fn start(context: SmppContext, settings: SmppSettings) -> Result<SmppComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("smpp.{}: {}", problem.key, problem.what)));
    }
    let failed = |error: &dyn std::fmt::Display| StartError(error.to_string());
    let pair = settings.tls.as_ref().map(|tls| CurrentPair::read("smpp.tls", tls)).transpose();
    let pair = pair.map_err(|error| failed(&error))?;
    let login = BindLogin::new(context.store.accounts.clone(), &settings).map_err(|error| failed(&error))?;
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for (bind, tls) in sockets(&settings, pair.as_ref())? {
        let listener = listener::listen(bind).map_err(|error| cannot_listen(bind, &error))?;
        let address = listener.local_addr().map_err(|error| cannot_listen(bind, &error))?;
        tracing::info!(%address, tls = tls.is_some(), "serving SMPP");
        addresses.push(address);
        listeners.push((listener, tls));
    }
    let state = Rc::new(SmppServerState {
        context,
        settings,
        binds: Binds::default(),
        login,
        recipient_rates: RecipientRates::default(),
        connections: ConnectionCounts::default(),
        deliveries: DeliveryDesk::default(),
        draining: Cell::new(false),
    });
    let (lifeline, ended) = lifeline();
    let serving = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let server = SmppServer::create(|ctx| {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        SmppServer { state, listeners: RefCell::new(listeners), pair, serving, _lifeline: lifeline }
    });
    Ok(SmppComponent { addresses, health: server.clone().recipient(), drain: server.recipient(), ended })
}

/// Where to listen, and with what.
type Sockets = Vec<(SocketAddr, Option<TlsHandshakes>)>;

fn sockets(settings: &SmppSettings, pair: Option<&Arc<CurrentPair>>) -> Result<Sockets, StartError> {
    let (Some(tls), Some(pair)) = (&settings.tls, pair) else { return Ok(vec![(settings.bind, None)]) };
    let handshakes = TlsHandshakes::new(Arc::clone(pair), tls, None);
    let handshakes = Some(handshakes.map_err(|error| StartError(error.to_string()))?);
    Ok(match tls.bind {
        Some(bind) => vec![(settings.bind, None), (bind, handshakes)],
        None => vec![(settings.bind, handshakes)],
    })
}

fn cannot_listen(bind: SocketAddr, error: &std::io::Error) -> StartError {
    StartError(format!(
        "could not listen on {bind}: another program may listen there, or this machine has no such address; choose another \
         with `bind` under [smpp] ({error})"
    ))
}

/// Owns the server: its tasks end with it.
struct SmppServer {
    state: Rc<SmppServerState>,
    listeners: RefCell<Vec<(TcpListener, Option<TlsHandshakes>)>>,
    pair: Option<Arc<CurrentPair>>,
    serving: String,
    _lifeline: Lifeline,
}

impl Actor for SmppServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for (listener, tls) in self.listeners.take() {
            ctx.spawn(listener::accept(listener, tls, Rc::clone(&self.state)).into_actor(self));
        }
        ctx.spawn(deliver::deliver(Rc::clone(&self.state)).into_actor(self));
        ctx.spawn(deliver::record(Rc::clone(&self.state)).into_actor(self));
        ctx.spawn(deliver::give_up(Rc::clone(&self.state)).into_actor(self));
        ctx.spawn(watch::watch(Rc::clone(&self.state)).into_actor(self));
        if let Some(pair) = self.pair.clone() {
            ctx.spawn(keep_fresh(pair).into_actor(self));
        }
    }
}

impl Handler<AskHealth> for SmppServer {
    type Result = Health;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Health {
        if self.state.draining.get() {
            return Health { state: State::Stopping, detail: "finishing the requests under way".to_owned() };
        }
        let (accounts, binds) = self.state.binds.count();
        let connections = self.state.connections.all.get();
        let unanswered = self.state.deliveries.open.get();
        let detail = format!(
            "serving SMPP on {}: {binds} binds of {accounts} accounts, {connections} connections, {unanswered} deliveries on \
             their way",
            self.serving
        );
        Health { state: State::Up, detail }
    }
}

impl Handler<Drain> for SmppServer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let state = Rc::clone(&self.state);
        state.draining.set(true);
        Box::pin(async move {
            let until = Instant::now() + state.settings.drain_within;
            for bound in state.binds.accounts() {
                bound.close("the server stops");
            }
            // Who is not bound has nothing under way.
            let has_bound = || state.connections.all.get() > state.connections.unbound.get();
            let busy = || has_bound() || state.deliveries.open.get() > 0;
            while busy() && Instant::now() < until {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }
}
