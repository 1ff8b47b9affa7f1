//! How many connections one address may hold.
//!
//! One connection too many is answered 429 before its request is read, and closed: a slow client could otherwise hold it
//! while it sends. Trusted proxies are not limited, because they hold connections for many clients.

use std::{
    collections::HashMap,
    io::Read,
    net::{IpAddr, Shutdown},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web::rt::net::TcpStream;
use socket2::SockRef;
use vumi_front_kit::client_prefix::client_prefix;

use crate::{request::trusted_proxies::TrustedProxies, response::error::ApiError};

/// When a client that holds too many connections may try again, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// The bytes of a rejected request that are discarded.
const MAX_DISCARDED: usize = 16 * 1024;

/// Counts the open connections of each client prefix.
pub(crate) struct ConnectionLimiter {
    by_prefix: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
    trusted_proxies: TrustedProxies,
}

/// A connection that is counted for its client prefix until it is dropped.
pub(crate) struct CountedConnection {
    limiter: Arc<ConnectionLimiter>,
    prefix: IpAddr,
}

impl CountedConnection {
    /// The client prefix that it is counted for.
    pub(crate) const fn prefix(&self) -> IpAddr {
        self.prefix
    }
}

/// The address holds too many connections.
#[derive(Debug)]
pub(crate) struct TooManyConnections;

impl ConnectionLimiter {
    pub(crate) fn new(max: usize, trusted_proxies: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { by_prefix: Mutex::default(), max, trusted_proxies })
    }

    /// Counts a new connection, or rejects it. `None`: it is a trusted proxy's, and not counted.
    pub(crate) fn admit(self: &Arc<Self>, stream: &TcpStream) -> Result<Option<CountedConnection>, TooManyConnections> {
        // A client that has closed already has no address and holds nothing.
        let Ok(peer) = stream.peer_addr() else { return Ok(None) };
        if self.trusted_proxies.trusts(peer.ip()) {
            return Ok(None);
        }
        let counted = self.count(client_prefix(peer.ip()));
        if counted.is_none() {
            reject(stream);
        }
        counted.map(Some).ok_or(TooManyConnections)
    }

    fn count(self: &Arc<Self>, prefix: IpAddr) -> Option<CountedConnection> {
        let mut by_prefix = self.lock();
        let open = by_prefix.entry(prefix).or_default();
        if *open >= self.max {
            return None;
        }
        *open += 1;
        Some(CountedConnection { limiter: Arc::clone(self), prefix })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_prefix.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut by_prefix = self.limiter.lock();
        if let Some(open) = by_prefix.get_mut(&self.prefix) {
            *open = open.saturating_sub(1);
            // The map is bounded by the open connections.
            if *open == 0 {
                by_prefix.remove(&self.prefix);
            }
        }
    }
}

/// Sends the refusal, as far as the socket takes it at once, and closes.
fn reject(stream: &TcpStream) {
    // Not through tokio, which does not know yet that the socket is writable.
    let socket = SockRef::from(stream);
    let refusal = ApiError::TooManyRequests(RETRY_AFTER_S, "connections from one address");
    let _sent_or_not = socket.send(&refusal.raw());
    let _closed_already = socket.shutdown(Shutdown::Both);
    // Closing a socket whose request is not read would take the refusal back.
    let mut request = [0; MAX_DISCARDED];
    let _nothing_there = (&mut &*socket).read(&mut request);
}
