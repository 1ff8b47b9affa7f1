//! TruTeq's server: the routers' connections, and the sessions that end by their timeout.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::interval};

use super::{handset_network::HandsetNetwork, router_connection, settings::TruteqSettings};
use crate::connections::accept_all;

/// Accepts connections and ends sessions without messages, for ever.
pub(crate) async fn serve(listener: TcpListener, network: Arc<HandsetNetwork>, settings: TruteqSettings) {
    let period = (settings.session_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let session_timeout = settings.session_timeout;
    let settings = Arc::new(settings);
    let connections = accept_all(listener, "truteq", |socket| {
        router_connection::run(socket, Arc::clone(&network), Arc::clone(&settings))
    });
    let expiry = async {
        let mut checks = interval(period);
        loop {
            checks.tick().await;
            network.expire(session_timeout);
        }
    };
    tokio::join!(connections, expiry);
}
