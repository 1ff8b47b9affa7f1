//! HTTP answers as the sandbox's servers give them, and the one that is none: a connection closed without a byte.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Extensions,
    http::{StatusCode, header},
    rt::net::TcpStream as AsyncTcpStream,
};
use bytes::Bytes;
use serde_json::Value;

/// An answer with a content type and a body.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::CONTENT_TYPE, content_type)).body(body.into())
}

/// An answer in JSON.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> HttpResponse {
    answer(status, "application/json", body.to_string())
}

/// A request's header as text; empty if there is none.
pub(crate) fn header_text<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A second handle of a connection's socket. actix-web answers every request; with this handle a handler can close
/// the connection instead.
struct SocketHandle(TcpStream);

/// Keeps a second handle of each new connection's socket. It costs a file descriptor per connection, of which a
/// server for one router on loopback has few.
pub(crate) fn keep_socket(io: &dyn Any, connection: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<AsyncTcpStream>() else { return };
    match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => {
            connection.insert(SocketHandle(TcpStream::from(socket)));
        }
        Err(error) => tracing::warn!(%error, "the sandbox can not drop this connection on request"),
    }
}

/// Closes the request's connection in both directions. The response it returns is never sent.
pub(crate) fn drop_connection(request: &HttpRequest) -> HttpResponse {
    if let Some(SocketHandle(socket)) = request.conn_data::<SocketHandle>()
        && let Err(error) = socket.shutdown(Shutdown::Both)
    {
        // The router has closed it first.
        tracing::debug!(%error, "a sandbox connection was closed already");
    }
    HttpResponse::NoContent().finish()
}
