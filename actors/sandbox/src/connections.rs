//! Accepts TCP connections, so many at once.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// How many routers can be connected to one provider at once; further connections are closed.
const MAX_CONNECTIONS: usize = 64;

/// Accepts connections for ever; each is served by a task of its own. `provider` names who listens, in the log.
pub(crate) async fn accept_all<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    provider: &'static str,
    serve: impl Fn(TcpStream) -> S,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, provider, "the sandbox could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(max = MAX_CONNECTIONS, provider, "the sandbox has too many connections");
            continue;
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, provider, "a connection to the sandbox keeps its delay");
        }
        let served = serve(socket);
        tokio::spawn(async move {
            served.await;
            drop(permit);
        });
    }
}
