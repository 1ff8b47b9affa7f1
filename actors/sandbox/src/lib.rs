//! Providers for people who have no account with one: servers on this machine that speak the wire protocols of
//! Clickatell (both of them), Opera, E-Scape, Techsys, Africa's Talking, Twilio, TruTeq and of an SMPP centre, take SMS,
//! send receipts, let people dial, and misbehave on request.
//!
//! It is a second implementation of the providers' documents: it shares no code with the transports but the codecs of SSMI and
//! SMPP, so that a misreading on one side shows. It is no simulator of networks: it has no routing, no prices, and nothing in it
//! happens by chance.
//!
//! To add a provider that speaks HTTP: a file in `providers/` with its settings and its server
//! (`sandbox_provider.rs` has the two traits), its line in the list in `providers.rs`, and its tests in `tests/`.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use secrecy::ExposeSecret as _;
use tokio::{net::TcpListener, sync::oneshot};
use vumi_kit::clock::Clock;

mod aggregator;
mod behaviour;
mod connections;
mod control;
mod due_queue;
mod form_fields;
mod front_page;
mod http;
mod phone;
mod provider_core;
mod providers;
mod router_client;
mod sandbox_provider;
mod seen;
mod server;
mod settings;
mod smsc;
mod truteq;

#[cfg(test)]
mod tests;

pub use behaviour::{DropWhen, Misbehaviour, ReceiptMode};
pub use settings::*;
pub use smsc::{IdForm, ReceiptForm, SmscMisbehaviour, SmscSettings, SmscUssdDialect};
pub use truteq::TruteqSettings;

use aggregator::UssdAggregator;
use control::{ControlPages, SandboxAddresses};
use phone::{HandsetJournal, LongPolls};
use provider_core::{ProviderCore, SharedContext};
use router_client::{ReceiptPoster, RouterClientOptions};
use smsc::{ReceiptLimits, SmscNetwork};
use truteq::HandsetNetwork;

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An address can't be listened on.
    #[error("the sandbox can't listen on {address}; another sandbox or router? change sandbox.{key}")]
    Bind {
        /// The setting that names the address: `http_bind`, `truteq_bind` or `smsc_bind`.
        key: &'static str,
        /// The address that the setting gives.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The settings can't work.
    #[error("sandbox.{key}: {what}")]
    Settings {
        /// The key, dotted.
        key: String,
        /// What is wrong and what to change.
        what: String,
    },
    /// The client that calls the router can't be made.
    #[error("the sandbox can't make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The system gave no thread, runtime or socket.
    #[error("the sandbox can't start its thread")]
    Thread(#[source] io::Error),
}

/// A running sandbox. It also ends when this is dropped; [`RunningSandbox::stop`] waits for the end.
#[derive(Debug)]
pub struct RunningSandbox {
    http: SocketAddr,
    truteq: SocketAddr,
    smsc: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl RunningSandbox {
    /// Where the providers that speak HTTP listen.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Where TruTeq listens.
    #[must_use]
    pub const fn truteq_address(&self) -> SocketAddr {
        self.truteq
    }

    /// Where the SMPP centre listens.
    #[must_use]
    pub const fn smsc_address(&self) -> SocketAddr {
        self.smsc
    }

    /// Closes all connections and ends the threads; queued receipts are not posted. Blocks for a few milliseconds.
    pub fn stop(self) {
        let Self { stop, thread, .. } = self;
        drop(stop);
        if thread.join().is_err() {
            tracing::error!("the sandbox's thread had panicked");
        }
    }
}

/// Starts the sandbox on threads of its own, so that its work and the router's do not wait for each other.
/// All addresses are bound when it returns.
pub fn start(settings: SandboxSettings) -> Result<RunningSandbox, SandboxError> {
    if let Some(problem) = settings.check().into_iter().next() {
        return Err(SandboxError::Settings { key: problem.key, what: problem.what });
    }
    let (http_listener, http) = bind("http_bind", settings.http_bind)?;
    let (truteq_listener, truteq) = bind("truteq_bind", settings.truteq_bind)?;
    let (smsc_listener, smsc) = bind("smsc_bind", settings.smsc_bind)?;
    let (pages, poster) = assemble(&settings, SandboxAddresses { http, truteq, smsc })?;
    let listeners = Listeners { http: http_listener, truteq: truteq_listener, smsc: smsc_listener };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SandboxError::Thread)?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("sandbox".to_owned())
        .spawn(move || {
            let served = serve(pages, poster, settings.truteq, listeners, stopped);
            if let Err(error) = runtime.block_on(served) {
                tracing::error!(%error, "the sandbox ended");
            }
            runtime.shutdown_timeout(Duration::from_secs(1));
        })
        .map_err(SandboxError::Thread)?;
    Ok(RunningSandbox { http, truteq, smsc, stop, thread })
}

/// What is listened on.
struct Listeners {
    http: StdListener,
    truteq: StdListener,
    smsc: StdListener,
}

fn bind(key: &'static str, address: SocketAddr) -> Result<(StdListener, SocketAddr), SandboxError> {
    let listen = || {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let actual = listener.local_addr()?;
        Ok((listener, actual))
    };
    listen().map_err(|source| SandboxError::Bind { key, address, source })
}

/// Makes everything that the sockets serve.
fn assemble(
    settings: &SandboxSettings,
    addresses: SandboxAddresses,
) -> Result<(ControlPages, ReceiptPoster), SandboxError> {
    let wrong_url = |what: String| SandboxError::Settings { key: "callback_url".to_owned(), what };
    let (router, poster) = router_client::open(RouterClientOptions {
        username: &settings.username,
        password: settings.password.expose_secret(),
        call_limit: settings.call_limit,
        receipt_queue: settings.receipt_queue,
        receipt_connections: settings.receipt_connections,
        receipt_attempts: settings.receipt_attempts,
    })
    .map_err(SandboxError::Client)?;
    let callback_url = settings.callback_url.clone();
    let aggregator = UssdAggregator::new(router.clone(), callback_url.clone());
    let journal = Arc::new(HandsetJournal::new(Clock::system()));
    let context = SharedContext { callback_url: callback_url.clone(), max_ids: settings.seen_ids, router, journal };
    let providers = settings.servers(&context).map_err(wrong_url)?;
    // These two call nobody: receipts and SMS go over the router's own connections.
    let core =
        |name, misbehave| ProviderCore::new(name, (name, "receive.json"), misbehave, &context).map_err(wrong_url);
    let network = HandsetNetwork::new(core("truteq", &settings.truteq.misbehave)?, settings.truteq.answer_limit);
    let limits = ReceiptLimits { queue: settings.receipt_queue, attempts: settings.receipt_attempts };
    let smsc =
        SmscNetwork::new(core("smsc", &settings.smsc.misbehave)?, settings.smsc.clone(), limits, settings.seen_ids);
    let (network, smsc, polls) = (Arc::new(network), Arc::new(smsc), LongPolls::new());
    let pages = ControlPages { providers, network, aggregator, smsc, polls, callback_url, addresses };
    Ok((pages, poster))
}

/// Serves until `stopped` ends: its sender sends nothing, it is dropped.
async fn serve(
    pages: ControlPages,
    poster: ReceiptPoster,
    settings: TruteqSettings,
    listeners: Listeners,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let network = Arc::clone(&pages.network);
    let handsets = truteq::serve(TcpListener::from_std(listeners.truteq)?, network, settings);
    let smsc = smsc::serve(TcpListener::from_std(listeners.smsc)?, Arc::clone(&pages.smsc));
    let mut server = server::serve(listeners.http, pages)?;
    let handle = server.handle();
    tokio::select! {
        ended = &mut server => return ended,
        () = handsets => {}
        () = smsc => {}
        () = poster.run() => {}
        _ = stopped => {}
    }
    // The server's future handles the stop.
    let (ended, ()) = tokio::join!(server, handle.stop(false));
    ended
}
