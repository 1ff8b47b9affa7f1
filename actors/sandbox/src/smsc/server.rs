//! Accepts the routers' connections to the centre.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::{network::SmscNetwork, session};
use crate::connections::accept_all;

/// Accepts connections for ever.
pub(crate) async fn serve(listener: TcpListener, network: Arc<SmscNetwork>) {
    accept_all(listener, "smsc", |socket| session::run(socket, Arc::clone(&network))).await;
}
