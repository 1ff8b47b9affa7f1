//! The sockets that are listened on, and the connections that are taken.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use vumi_front_kit::{
    client_prefix::client_prefix,
    tls::{ClientSocket, TlsHandshakes},
};

use crate::{
    session::EsmeSession,
    state::{CountedSession, SmppServerState},
};

/// Connections that the system holds until they are taken.
const BACKLOG: i32 = 512;

/// How long nothing is accepted after an error: the process may have no descriptors left.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Time between looks whether there is room for another connection.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(50);

/// How many connections each address holds.
#[derive(Default)]
pub(crate) struct AddressCounts(HashMap<IpAddr, usize>);

impl AddressCounts {
    /// Counts one more; false: it has as many as it may.
    pub(crate) fn add(&mut self, address: IpAddr, most: usize) -> bool {
        let count = self.0.entry(address).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts one less.
    pub(crate) fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.0.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&address);
            }
        }
    }
}

/// Listens on an address; a server that was there a moment ago does not stand in the way.
pub(crate) fn listen(bind: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes connections until the server stops; each has a task of its own.
pub(crate) async fn accept(listener: TcpListener, tls: Option<TlsHandshakes>, state: Rc<SmppServerState>) {
    loop {
        while state.connections.all.get() >= state.settings.max_connections {
            tokio::time::sleep(LOOK_FOR_ROOM_EVERY).await;
        }
        match listener.accept().await {
            Ok((socket, peer)) => begin(socket, peer, tls.clone(), &state),
            Err(error) => {
                vumi_kit::warn_limited!("accept", %error, "a connection to the SMPP server could not be accepted");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

fn begin(socket: TcpStream, peer: SocketAddr, tls: Option<TlsHandshakes>, state: &Rc<SmppServerState>) {
    if state.draining.get() {
        return;
    }
    let Some(counted) = CountedSession::new(state, client_prefix(peer.ip())) else {
        vumi_kit::warn_limited!(
            "connections",
            "connections to the SMPP server were closed: there are as many as may be"
        );
        return;
    };
    // An answer goes out as soon as it is written.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let state = Rc::clone(state);
    actix_rt::spawn(async move {
        let socket = match tls {
            Some(tls) => tls.shake_hands(socket).await,
            None => Some(ClientSocket::Plain(socket)),
        };
        if let Some(socket) = socket {
            EsmeSession::new(state, counted, peer.ip()).serve(socket).await;
        }
    });
}
