//! How many connections one address may hold: one machine must not take those of all others.
//!
//! A connection too many is told so with a 429 before it says anything, and closed: waiting for its request would
//! keep it as long as it likes to be slow. Proxies that the settings trust hold connections for many, as many as they
//! need.
//!
//! And how long a connection may last to a server whose answers are all short.

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

use super::{
    origin::{Origins, household},
    refusal::Refusal,
};

/// When a client that holds too many connections may try again, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// The connections there are, by address.
pub(crate) struct Connections {
    held: Mutex<HashMap<IpAddr, Held>>,
    most: usize,
    origins: Origins,
}

#[derive(Default)]
struct Held {
    connections: usize,
    /// Whether the log has it that this address wants too many.
    told: bool,
}

/// A connection that counts for its address as long as it lives.
struct Connection {
    of: Arc<Connections>,
    address: IpAddr,
}

/// Stands on a connection that was one too many. Its request may have come already: it must not be done.
pub(crate) struct TurnedAway;

impl Connections {
    pub(crate) fn new(most: usize, origins: Origins) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), most, origins })
    }

    /// Takes a new connection in, or turns it away.
    pub(crate) fn arrive(self: &Arc<Self>, io: &dyn Any, on: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
        // A client that is gone already has no address and needs no place.
        let Ok(peer) = stream.peer_addr() else { return };
        if self.origins.trusts(peer.ip()) {
            return;
        }
        match self.take(household(peer.ip())) {
            Some(connection) => {
                on.insert(connection);
            }
            None => {
                on.insert(TurnedAway);
                turn_away(stream);
            }
        }
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Connection> {
        let mut all = self.all();
        let held = all.entry(address).or_default();
        if held.connections >= self.most {
            if !held.told {
                held.told = true;
                tracing::warn!(most = self.most, "an address holds too many connections: further ones are refused");
            }
            return None;
        }
        held.connections += 1;
        Some(Connection { of: Arc::clone(self), address })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut all = self.of.all();
        if let Some(held) = all.get_mut(&self.address) {
            held.connections = held.connections.saturating_sub(1);
            // What is kept is bounded by the connections there are.
            if held.connections == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// What a client is told that holds too many connections.
pub(crate) const fn refusal() -> Refusal {
    Refusal::TooMany(RETRY_AFTER_S, "connections from one address")
}

/// Stands on a connection that ends in time, or at its time.
struct Hourglass(JoinHandle<()>);

impl Drop for Hourglass {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends a connection after a time, whatever its client does: actix would read a chunked body that nobody wants for as long
/// as it comes.
pub(crate) fn end_after(limit: Duration, io: &dyn Any, on: &mut Extensions) {
    let Some(Ok(socket)) = io.downcast_ref::<TcpStream>().map(|stream| SockRef::from(stream).try_clone()) else {
        return;
    };
    on.insert(Hourglass(rt::spawn(async move {
        rt::time::sleep(limit).await;
        let _gone_already = socket.shutdown(Shutdown::Both);
    })));
}

/// Says why, as far as the socket takes it at once, and hangs up.
fn turn_away(stream: &TcpStream) {
    // Past tokio, which does not know yet that the socket can be written to.
    let socket = SockRef::from(stream);
    let _told_or_not = socket.send(&refusal().raw());
    let _gone_already = socket.shutdown(Shutdown::Both);
}
