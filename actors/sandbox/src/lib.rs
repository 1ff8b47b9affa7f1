//! Carriers for people without one: servers on this machine that speak the wire protocols of Clickatell (both of
//! them), Opera, E-Scape, Techsys, Africa's Talking, Twilio and TruTeq, take SMS, send receipts, let people dial, and
//! misbehave on request.
//!
//! It is a second reading of the providers' documents: it shares no code with the transports (but SSMI's codec,
//! which lives in the kit), so that a misreading on one side shows. It is no simulator of networks: it has no
//! routing, no prices, and nothing of it happens by chance.
//!
//! To add a carrier that speaks HTTP: a file in `carriers/` with its settings and a `Provider`, its table in
//! [`SandboxSettings`], its line in `carriers::all`, and its tests in `tests/`.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot};

mod behaviour;
mod carrier;
mod carriers;
mod control;
mod form;
mod later;
mod page;
mod post;
mod seen;
mod server;
mod settings;
mod truteq;

#[cfg(test)]
mod tests;

pub use behaviour::{DropWhen, Misbehaviour, Receipts};
pub use settings::{
    AfricasTalkingSettings, ClickatellPlatformSettings, ClickatellSettings, EScapeSettings, OperaSettings,
    SandboxSettings, TechsysSettings, TruteqSettings, TwilioSettings,
};

use control::Board;
use post::PostRoom;
use truteq::exchange::Exchange;

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("the sandbox can't listen on {address}; another sandbox or router? change sandbox.{key}")]
    Bind {
        /// The setting that names the address: `http_bind` or `truteq_bind`.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The settings can't work.
    #[error("sandbox.{key}: {what}")]
    Settings {
        /// The key, dotted.
        key: String,
        /// What is wrong.
        what: String,
    },
    /// The client that calls the router can't be made.
    #[error("the sandbox can't make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The system gave no thread or no runtime.
    #[error("the sandbox can't start its thread")]
    Thread(#[source] io::Error),
}

/// A running sandbox. Dropped, it ends by itself; [`Running::stop`] waits for that.
#[derive(Debug)]
pub struct Running {
    http: SocketAddr,
    truteq: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Where the carriers that speak HTTP listen.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Where TruTeq listens.
    #[must_use]
    pub const fn truteq_address(&self) -> SocketAddr {
        self.truteq
    }

    /// Closes all connections and ends the thread; receipts that wait are not posted any more. Blocks for the few
    /// milliseconds that takes.
    pub fn stop(self) {
        let Self { stop, thread, .. } = self;
        drop(stop);
        if thread.join().is_err() {
            tracing::error!("the sandbox's thread had panicked");
        }
    }
}

/// Starts the sandbox on a thread of its own, so that its work never waits in a router's arbiter, nor the other way.
/// Both addresses are bound when it returns.
pub fn start(settings: SandboxSettings) -> Result<Running, StartError> {
    if let Some(problem) = settings.check().into_iter().next() {
        return Err(StartError::Settings { key: problem.key, what: problem.what });
    }
    let (http, http_at) = bind("http_bind", settings.http_bind)?;
    let (truteq, truteq_at) = bind("truteq_bind", settings.truteq_bind)?;
    let (board, post_room) = set_up(settings, http_at, truteq_at)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("sandbox".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = serve(board, post_room, http, truteq) => if let Err(error) = result {
                        tracing::error!(%error, "the sandbox ended");
                    },
                    // An error is the sender dropped, which is the sign to stop.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        })
        .map_err(StartError::Thread)?;
    Ok(Running { http: http_at, truteq: truteq_at, stop, thread })
}

fn bind(key: &'static str, address: SocketAddr) -> Result<(StdListener, SocketAddr), StartError> {
    let listen = || {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let actual = listener.local_addr()?;
        Ok((listener, actual))
    };
    listen().map_err(|source| StartError::Bind { key, address, source })
}

fn set_up(settings: SandboxSettings, http: SocketAddr, truteq: SocketAddr) -> Result<(Board, PostRoom), StartError> {
    let wrong_url = |what: String| StartError::Settings { key: "callback_url".to_owned(), what };
    let (post, post_room) = post::open(&settings).map_err(StartError::Client)?;
    let providers = carriers::all(&settings, &post).map_err(wrong_url)?;
    let paths = ("truteq", "receive.json");
    let carrier =
        carrier::Carrier::new("truteq", paths, &settings.truteq.misbehave, &settings, post).map_err(wrong_url)?;
    let exchange = Arc::new(Exchange::new(carrier, settings.truteq.answer_limit));
    Ok((Board { providers, exchange, settings, http, truteq }, post_room))
}

async fn serve(board: Board, post_room: PostRoom, http: StdListener, truteq: StdListener) -> io::Result<()> {
    let (http, truteq) = (TcpListener::from_std(http)?, TcpListener::from_std(truteq)?);
    let lines = truteq::serve(truteq, Arc::clone(&board.exchange), board.settings.truteq.clone());
    tokio::join!(server::serve(http, control::app(board)), lines, post_room.work());
    Ok(())
}
