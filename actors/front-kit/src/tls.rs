//! TLS for a listener.
//!
//! The certificate is in files that somebody else renews. They are looked at every few seconds, and at once after SIGHUP. A new
//! pair is used for the connections that begin then; one that is broken is refused, and the pair before goes on.

mod pair;
mod reload;
mod settings;
mod socket;

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpStream, sync::Semaphore};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs},
};

pub use self::{
    pair::{TlsPairError, TlsPairFacts, read_facts},
    reload::{CurrentPair, keep_fresh},
    settings::TlsSettings,
    socket::ClientSocket,
};

/// Bytes of an answer that TLS holds for a client which does not read: they count as unread.
pub const TLS_BUFFER: usize = 16 * 1024;

/// Shakes hands with clients, a bounded number at once and each within a time.
#[derive(Clone)]
pub struct TlsHandshakes {
    acceptor: TlsAcceptor,
    within: Duration,
    at_once: Arc<Semaphore>,
}

impl TlsHandshakes {
    /// With this pair, for a protocol of this name in ALPN, where it has one.
    pub fn new(pair: Arc<CurrentPair>, settings: &TlsSettings, protocol: Option<&[u8]>) -> Result<Self, TlsPairError> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsPairError::Unusable(pair.table.to_owned(), error.to_string()))?;
        let mut config = config.with_no_client_auth().with_cert_resolver(pair);
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            within: settings.handshake_within,
            at_once: Arc::new(Semaphore::new(settings.handshakes)),
        })
    }

    /// The socket with TLS on it; none: the client does not speak it, or not in time.
    pub async fn shake_hands(&self, socket: TcpStream) -> Option<ClientSocket> {
        let shake = async {
            let _turn = self.at_once.acquire().await.ok()?;
            let accept = self.acceptor.accept_with(socket, |session| session.set_buffer_limit(Some(TLS_BUFFER)));
            accept.await.ok()
        };
        let stream = tokio::time::timeout(self.within, shake).await.ok().flatten()?;
        Some(ClientSocket::Tls(Box::new(stream)))
    }
}
