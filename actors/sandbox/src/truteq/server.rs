//! Accepts the routers' connections.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::interval,
};

use super::{handset_network::HandsetNetwork, router_connection, settings::TruteqSettings};

/// How many routers can be connected at once; further connections are closed.
const MAX_CONNECTIONS: usize = 64;

/// Accepts connections and ends sessions without messages, for ever.
pub(crate) async fn serve(listener: TcpListener, network: Arc<HandsetNetwork>, settings: TruteqSettings) {
    let period = (settings.session_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut expiry_checks = interval(period);
    let settings = Arc::new(settings);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => start(socket, &permits, &network, &settings),
                Err(error) => {
                    tracing::warn!(%error, "the sandbox's TruTeq could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            _ = expiry_checks.tick() => network.expire(settings.session_timeout),
        }
    }
}

fn start(socket: TcpStream, permits: &Arc<Semaphore>, network: &Arc<HandsetNetwork>, settings: &Arc<TruteqSettings>) {
    let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
        tracing::warn!(max = MAX_CONNECTIONS, "the sandbox's TruTeq has too many connections");
        return;
    };
    let (network, settings) = (Arc::clone(network), Arc::clone(settings));
    tokio::spawn(async move {
        router_connection::run(socket, network, settings).await;
        drop(permit);
    });
}
