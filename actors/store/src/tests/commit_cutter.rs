//! A way to the server that loses the connection at a COMMIT: before the server has it, or before its answer comes back.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// When the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    BeforeTheServer,
    AfterTheServer,
}

pub(super) struct CommitCutter {
    address: SocketAddr,
    next: Arc<Mutex<Option<Cut>>>,
}

impl CommitCutter {
    /// Starts one in front of the server of this URL.
    pub(super) fn start(url: &str) -> Self {
        let server = authority(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, next) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(None)));
        let cut = next.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                join(client, TcpStream::connect(&server).unwrap(), cut.clone());
            }
        });
        Self { address, next }
    }

    /// The URL by this way.
    pub(super) fn url(&self, url: &str) -> String {
        url.replace(authority(url), &self.address.to_string())
    }

    /// Cuts the next COMMIT.
    pub(super) fn cut(&self, cut: Cut) {
        *self.next.lock().unwrap() = Some(cut);
    }
}

/// Host and port.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1.split('/').next().unwrap();
    rest.rsplit('@').next().unwrap()
}

fn join(client: TcpStream, server: TcpStream, next: Arc<Mutex<Option<Cut>>>) {
    let mute = Arc::new(AtomicBool::new(false));
    let (muted, mut from, mut to) = (mute.clone(), server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        pump(&mut from, &mut to, |_| !muted.load(Ordering::SeqCst));
    });
    let (mut from, mut to) = (client, server);
    std::thread::spawn(move || {
        pump(&mut from, &mut to, |bytes| {
            let is_commit = bytes.windows(6).any(|part| part == b"COMMIT");
            let cut = if is_commit { next.lock().unwrap().take() } else { None };
            mute.store(cut == Some(Cut::AfterTheServer), Ordering::SeqCst);
            cut != Some(Cut::BeforeTheServer)
        });
    });
}

/// Passes on what comes while it is to be passed on, then ends both.
fn pump(from: &mut TcpStream, to: &mut TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !passes(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _gone_already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
