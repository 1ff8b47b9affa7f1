//! Accepts the routers' connections to the centre.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;

use super::{network::SmscNetwork, session};
use crate::connections::accept_all;

/// How long a handset's session lives without a message, and how often that is looked at.
const SESSION_TIMEOUT: Duration = Duration::from_secs(180);
const SWEEP: Duration = Duration::from_secs(1);

/// Accepts connections for ever.
pub(crate) async fn serve(listener: TcpListener, network: Arc<SmscNetwork>) {
    let ends = async {
        loop {
            tokio::time::sleep(SWEEP).await;
            network.expire_handsets(SESSION_TIMEOUT);
        }
    };
    tokio::select! {
        () = ends => {}
        () = accept_all(listener, "smsc", |socket| session::run(socket, Arc::clone(&network))) => {}
    }
}
