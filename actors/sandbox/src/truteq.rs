//! TruTeq: the far end of SSMI, with a network of handsets behind it.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::behaviour::Misbehaviour;

pub(crate) mod exchange;
mod line;

use exchange::Exchange;

/// How many routers can be connected at once; further connections are closed.
const MOST_LINES: usize = 64;

/// The table `[sandbox.truteq]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruteqSettings {
    /// The only username that may log in.
    pub username: Option<String>,
    /// The only password that may log in.
    pub password: Option<SecretString>,
    /// How long a handset waits for the router's reply. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub answer_limit: Duration,
    /// How long a session lives without a message; then the network ends it (type 4). Default `180s`.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// How it misbehaves. `delay` and `refuse_every` are of SMS: a refused one ends in a delivery report.
    pub misbehave: Misbehaviour,
}

impl Default for TruteqSettings {
    fn default() -> Self {
        Self {
            username: None,
            password: None,
            answer_limit: Duration::from_secs(10),
            session_timeout: Duration::from_secs(180),
            misbehave: Misbehaviour::default(),
        }
    }
}

/// Takes routers' connections, and ends sessions that nobody goes on with, for ever.
pub(crate) async fn serve(listener: TcpListener, exchange: Arc<Exchange>, settings: TruteqSettings) {
    let look = (settings.session_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut looks = tokio::time::interval(look);
    let settings = Arc::new(settings);
    let lines = Arc::new(tokio::sync::Semaphore::new(MOST_LINES));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => match Arc::clone(&lines).try_acquire_owned() {
                    Ok(place) => {
                        let (exchange, settings) = (Arc::clone(&exchange), Arc::clone(&settings));
                        tokio::spawn(async move {
                            line::run(socket, exchange, settings).await;
                            drop(place);
                        });
                    }
                    Err(_) => tracing::warn!(most = MOST_LINES, "the sandbox's TruTeq has too many connections"),
                },
                Err(error) => {
                    tracing::warn!(%error, "the sandbox's TruTeq could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            _ = looks.tick() => exchange.expire(settings.session_timeout),
        }
    }
}
