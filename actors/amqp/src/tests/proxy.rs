//! A TCP proxy in front of the broker that can be cut or stalled.

use std::net::SocketAddr;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// What the proxy does with connections.
#[derive(Clone, Copy, PartialEq)]
enum ProxyMode {
    Forward,
    /// Connections stay open, and nothing comes through.
    Stall,
    /// Connections are closed, and no new one is taken.
    Cut,
}

/// A proxy to the broker.
pub(super) struct BrokerProxy {
    pub(super) address: SocketAddr,
    mode: watch::Sender<ProxyMode>,
}

impl BrokerProxy {
    pub(super) async fn start(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, state) = watch::channel(ProxyMode::Forward);
        actix_rt::spawn(async move {
            let mut connections = JoinSet::new();
            let mut changes = state.clone();
            loop {
                tokio::select! {
                    Ok((near, _)) = listener.accept() => if *state.borrow() == ProxyMode::Forward {
                        connections.spawn(forward(near, broker.clone(), state.clone()));
                    },
                    changed = changes.changed() => match changed {
                        Ok(()) if *state.borrow() == ProxyMode::Cut => connections.shutdown().await,
                        Ok(()) => {}
                        Err(_) => return,
                    },
                }
            }
        });
        Self { address, mode }
    }

    pub(super) fn cut(&self) {
        self.mode.send_replace(ProxyMode::Cut);
    }

    pub(super) fn stall(&self) {
        self.mode.send_replace(ProxyMode::Stall);
    }

    pub(super) fn mend(&self) {
        self.mode.send_replace(ProxyMode::Forward);
    }
}

async fn forward(mut near: TcpStream, broker: String, mut mode: watch::Receiver<ProxyMode>) {
    let mut far = TcpStream::connect(broker).await.unwrap();
    let stalled = tokio::select! {
        _ended = tokio::io::copy_bidirectional(&mut near, &mut far) => false,
        stalled = mode.wait_for(|mode| *mode == ProxyMode::Stall) => stalled.is_ok(),
    };
    if stalled {
        let _cut = mode.wait_for(|mode| *mode != ProxyMode::Stall).await;
    }
}
