//! The running router, and the order of its stop.

use std::net::SocketAddr;

use actix::{Addr, Arbiter};
use tokio::sync::mpsc;
use tracing::warn;

use super::registry::{Role, StopComponents, Supervisor};

/// The running router.
pub struct Running {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) store: vumi_store::OpenStore,
    pub(super) address: Option<SocketAddr>,
    /// Resolves with the part without which nothing is worth running.
    pub(super) fatal: mpsc::Receiver<&'static str>,
    /// The store's and the router's arbiters.
    pub(super) arbiters: Vec<Arbiter>,
}

impl Running {
    /// Where the HTTP API listens, if it runs here.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Resolves when a part has ended without which nothing is worth running, and names it.
    pub async fn fatal(&mut self) -> &'static str {
        match self.fatal.recv().await {
            Some(part) => part,
            None => std::future::pending().await,
        }
    }

    /// Stops everything in reverse order; each stage finishes what is under way, within its bound.
    ///
    /// Campaigns open first and close after the transports: as long as a transport takes what people type, a campaign
    /// is there to answer. The broker closes last, since campaigns answer over it, too.
    pub async fn stop(self) {
        for role in [Role::FrontEnd, Role::Broadcasts, Role::Callbacks, Role::Transport, Role::Campaign, Role::Broker] {
            if self.supervisor.send(StopComponents(role)).await.is_err() {
                warn!("the supervisor is gone: the parts end with the process");
            }
        }
        self.store.close().await;
        for arbiter in self.arbiters {
            arbiter.stop();
        }
    }
}
