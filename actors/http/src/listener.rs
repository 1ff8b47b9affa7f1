//! A listening socket with its workers: what `actix_web::HttpServer` does, with a stream of our own under it.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use actix_http::{HttpService, error::DispatchError};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App, Error,
    dev::{AppConfig, Extensions},
    http::KeepAlive,
    middleware::from_fn,
    rt::net::TcpStream,
    web::ServiceConfig,
};
use socket2::{Domain, Protocol, Socket, Type};
use vumi_front_kit::tls::{ClientSocket, TlsHandshakes};

use crate::{
    connection::{
        idle::OpenConnections,
        life::{ClientConnection, ConnectionLimits, LINGER},
        per_address::{ConnectionLimiter, TooManyConnections},
        stream::ClientStream,
        track::track,
        unread::UnreadAnswers,
    },
    tally::{ClientFault, Tally},
};

/// Connections that the system holds until they are accepted.
const BACKLOG: i32 = 1024;

/// An address to listen on.
pub(crate) struct ListenAddress {
    pub(crate) bind: SocketAddr,
    /// How TLS is spoken there; none: plain HTTP.
    pub(crate) tls: Option<TlsHandshakes>,
}

/// An address that is listened on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundAddress {
    /// With the port that it was given for port 0.
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }
}

/// Workers that serve the connections to some addresses.
pub(crate) struct Listener {
    pub(crate) workers: usize,
    /// Of each worker.
    pub(crate) max_connections: usize,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) limits: ConnectionLimits,
    pub(crate) per_address: Option<Arc<ConnectionLimiter>>,
    pub(crate) unread_answers: Arc<UnreadAnswers>,
    pub(crate) drain_within: Duration,
    pub(crate) tally: Arc<Tally>,
}

/// What a worker does with an accepted socket before HTTP begins.
#[derive(Clone)]
struct Acceptor {
    tls: Option<TlsHandshakes>,
    limits: ConnectionLimits,
    open: Arc<OpenConnections>,
    per_address: Option<Arc<ConnectionLimiter>>,
    unread_answers: Arc<UnreadAnswers>,
    tally: Arc<Tally>,
}

impl Listener {
    /// Listens, and serves what `configure` mounts. Answers where, in the order given; an error is of one address.
    pub(crate) fn run(
        self,
        addresses: Vec<ListenAddress>,
        configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Result<(Server, Vec<BoundAddress>), (SocketAddr, io::Error)> {
        let mut builder = Server::build()
            .workers(self.workers)
            .max_concurrent_connections(self.max_connections)
            .shutdown_timeout(self.drain_within.as_secs().max(1))
            // The supervisor handles signals.
            .disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        let listener = Arc::new(self);
        let mut bound = Vec::with_capacity(addresses.len());
        for ListenAddress { bind, tls } in addresses {
            let of_bind = |error| (bind, error);
            let socket = listening_socket(bind).map_err(of_bind)?;
            let address = socket.local_addr().map_err(of_bind)?;
            bound.push(BoundAddress { address, is_tls: tls.is_some() });
            let (listener, stopping, configure) = (Arc::clone(&listener), stopping.clone(), configure.clone());
            let worker = move || listener.worker(tls.clone(), &stopping, configure.clone());
            builder = builder.listen("http", socket, worker).map_err(of_bind)?;
        }
        Ok((builder.run(), bound))
    }

    /// Serves the connections of one worker.
    fn worker<F: Fn(&mut ServiceConfig) + Clone + 'static>(
        &self,
        tls: Option<TlsHandshakes>,
        stopping: &GracefulShutdownSignal,
        configure: F,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> + use<F> {
        let (acceptor, tally, stopping) = (self.acceptor(tls), Arc::clone(&self.tally), stopping.clone());
        let app = App::new().wrap(from_fn(track)).configure(configure);
        let app = app.into_factory().map_err(|error: Error| error.error_response());
        let http = HttpService::<ClientStream, _, _>::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.limits.head)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|stream: &ClientStream, data: &mut Extensions| {
                data.insert(Arc::clone(stream.connection()));
            })
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |socket: TcpStream| acceptor.clone().accept(socket))
            .and_then(http)
            .map_err(move |error| log_end(&tally, &error))
    }

    fn acceptor(&self, tls: Option<TlsHandshakes>) -> Acceptor {
        Acceptor {
            tls,
            limits: self.limits,
            open: OpenConnections::new(self.max_connections, Arc::clone(&self.tally)),
            per_address: self.per_address.clone(),
            unread_answers: Arc::clone(&self.unread_answers),
            tally: Arc::clone(&self.tally),
        }
    }
}

impl Acceptor {
    async fn accept(self, socket: TcpStream) -> Result<(ClientStream, Option<SocketAddr>), DispatchError> {
        let address = socket.peer_addr().ok();
        let counted = self.per_address.as_ref().map(|limiter| limiter.admit(&socket)).transpose();
        let counted = counted.map_err(|TooManyConnections| {
            self.tally.count(ClientFault::TooManyConnections);
            DispatchError::Io(io::ErrorKind::ConnectionRefused.into())
        })?;
        let connection = Arc::new(ClientConnection::new(self.limits, self.tls.is_some()));
        // Held and counted during the handshake, too.
        let place = self.open.open(&connection);
        let socket = match &self.tls {
            None => ClientSocket::Plain(socket),
            Some(tls) => tls.shake_hands(socket).await.ok_or_else(|| {
                self.tally.count(ClientFault::NoTls);
                DispatchError::Io(io::ErrorKind::ConnectionAborted.into())
            })?,
        };
        let (answers, tally) = (Arc::clone(&self.unread_answers), Arc::clone(&self.tally));
        Ok((ClientStream::new(socket, connection, answers, tally, place, counted.flatten()), address))
    }
}

/// actix tells its own errors as errors of the router: here they are counted, and its lines are left out.
fn log_end(tally: &Tally, error: &DispatchError) {
    match error {
        DispatchError::Parse(_) => tally.count(ClientFault::NotHttp),
        // A client that hung up, or one whose end is counted where it was decided.
        DispatchError::Io(_) | DispatchError::DisconnectTimeout | DispatchError::SlowRequestTimeout => {}
        other => tracing::error!(error = %other, "an HTTP connection failed"),
    }
}

fn listening_socket(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
