//! Limits on connections: how many one address may hold, and how long one may last to a server of short answers.
//!
//! One connection too many is answered 429 before its request is read, and closed: a slow client could otherwise hold it
//! while it sends. Trusted proxies are not limited, because they hold connections for many clients.

use std::{
    any::Any,
    collections::HashMap,
    net::{IpAddr, Shutdown},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    dev::Extensions,
    rt::{self, net::TcpStream, task::JoinHandle},
};
use socket2::SockRef;

use crate::{
    request::trusted_proxies::{TrustedProxies, client_prefix},
    response::error::ApiError,
};

/// When a client that holds too many connections may try again, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// Counts the open connections of each client prefix.
pub(crate) struct ConnectionLimiter {
    by_prefix: Mutex<HashMap<IpAddr, PrefixConnections>>,
    max: usize,
    trusted_proxies: TrustedProxies,
}

#[derive(Default)]
struct PrefixConnections {
    open: usize,
    /// A warning has been logged.
    logged: bool,
}

/// A connection that is counted for its client prefix until it is dropped.
struct CountedConnection {
    limiter: Arc<ConnectionLimiter>,
    prefix: IpAddr,
}

/// Marks a connection that was one too many. Its request may have arrived already and must not be handled.
pub(crate) struct ConnectionRejected;

impl ConnectionLimiter {
    pub(crate) fn new(max: usize, trusted_proxies: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { by_prefix: Mutex::default(), max, trusted_proxies })
    }

    /// Counts a new connection, or rejects it.
    pub(crate) fn on_connect(self: &Arc<Self>, io: &dyn Any, connection: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
        // A client that has closed already has no address and holds nothing.
        let Ok(peer) = stream.peer_addr() else { return };
        if self.trusted_proxies.trusts(peer.ip()) {
            return;
        }
        match self.count(client_prefix(peer.ip())) {
            Some(counted) => {
                connection.insert(counted);
            }
            None => {
                connection.insert(ConnectionRejected);
                reject(stream);
            }
        }
    }

    fn count(self: &Arc<Self>, prefix: IpAddr) -> Option<CountedConnection> {
        let mut by_prefix = self.lock();
        let of_prefix = by_prefix.entry(prefix).or_default();
        if of_prefix.open >= self.max {
            if !of_prefix.logged {
                of_prefix.logged = true;
                tracing::warn!(most = self.max, "an address holds too many connections: further ones are refused");
            }
            return None;
        }
        of_prefix.open += 1;
        Some(CountedConnection { limiter: Arc::clone(self), prefix })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, PrefixConnections>> {
        self.by_prefix.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut by_prefix = self.limiter.lock();
        if let Some(of_prefix) = by_prefix.get_mut(&self.prefix) {
            of_prefix.open = of_prefix.open.saturating_sub(1);
            // The map is bounded by the open connections.
            if of_prefix.open == 0 {
                by_prefix.remove(&self.prefix);
            }
        }
    }
}

/// The answer to a client that holds too many connections.
pub(crate) const fn too_many_connections() -> ApiError {
    ApiError::TooManyRequests(RETRY_AFTER_S, "connections from one address")
}

/// A timer that closes its connection; dropped with the connection.
struct ConnectionDeadline(JoinHandle<()>);

impl Drop for ConnectionDeadline {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Closes a connection after a time, whatever its client does: actix would otherwise read a chunked body that no handler
/// takes for as long as it is sent.
pub(crate) fn close_after(limit: Duration, io: &dyn Any, connection: &mut Extensions) {
    let Some(Ok(socket)) = io.downcast_ref::<TcpStream>().map(|stream| SockRef::from(stream).try_clone()) else {
        return;
    };
    connection.insert(ConnectionDeadline(rt::spawn(async move {
        rt::time::sleep(limit).await;
        let _closed_already = socket.shutdown(Shutdown::Both);
    })));
}

/// Sends the refusal, as far as the socket takes it at once, and closes.
fn reject(stream: &TcpStream) {
    // Not through tokio, which does not know yet that the socket is writable.
    let socket = SockRef::from(stream);
    let _sent_or_not = socket.send(&too_many_connections().raw());
    let _closed_already = socket.shutdown(Shutdown::Both);
}
