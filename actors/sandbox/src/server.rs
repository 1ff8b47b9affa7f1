//! The HTTP server under the carriers. It can do one thing a usual server can't: close a connection instead of
//! answering, as a carrier's does when it dies at the wrong moment.

use std::time::Duration;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;

/// An answer that stands for none: the server closes the connection when it meets one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the carrier closed the connection without an answer")]
pub(crate) struct Cut;

impl Cut {
    pub(crate) fn response() -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        response.extensions_mut().insert(Self);
        response
    }
}

/// Serves for ever. Connections are bounded by the process's files: this is a server for one router, on loopback.
pub(crate) async fn serve(listener: TcpListener, app: Router) {
    let app = TowerToHyperService::new(app);
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "the sandbox could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a sandbox connection keeps its delay");
        }
        let app = app.clone();
        let answer = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let answered = app.call(request);
            async move {
                let Ok(response) = answered.await;
                match response.extensions().get::<Cut>() {
                    Some(cut) => Err(*cut),
                    None => Ok(response),
                }
            }
        });
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await {
                tracing::trace!(%error, "a sandbox connection ended");
            }
        });
    }
}
