//! Tells a connection what its requests do, and ends one whose client sends a body that nobody reads.

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, header::CONTENT_LENGTH},
    middleware::Next,
};

use super::life::ClientConnection;

/// The connection of a request; none in tests without a socket.
pub(crate) fn connection_of(request: &HttpRequest) -> Option<&Arc<ClientConnection>> {
    request.conn_data::<Arc<ClientConnection>>()
}

/// Middleware of every request.
pub(crate) async fn track<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let connection = connection_of(request.request()).cloned();
    let has_body = has_body(request.request());
    if let Some(connection) = &connection {
        connection.begin_request();
    }
    let mut response = next.call(request).await;
    let goes_on = connection.is_none_or(|connection| connection.end_request(has_body));
    if let Ok(response) = &mut response
        && !goes_on
    {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

fn has_body(request: &HttpRequest) -> bool {
    let length = request.headers().get(CONTENT_LENGTH);
    request.chunked().unwrap_or(true) || length.is_some_and(|length| length.as_bytes() != b"0")
}
