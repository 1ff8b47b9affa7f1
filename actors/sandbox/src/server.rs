//! The HTTP server of the providers and the control pages.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::Server,
    http::KeepAlive,
    web::{self, Data, PayloadConfig, ServiceConfig},
};

use crate::{
    control::{self, ControlPages},
    http::keep_socket,
};

/// The longest body of a request, in bytes.
const MAX_BODY: usize = 2 * 1024 * 1024;

/// Makes the server; it serves while it is polled.
pub(crate) fn serve(listener: TcpListener, pages: ControlPages) -> io::Result<Server> {
    let pages = Data::from(Arc::new(pages));
    let server = HttpServer::new(move || {
        let pages = pages.clone();
        App::new().app_data(PayloadConfig::new(MAX_BODY)).configure(move |config| mount(config, pages))
    })
    .on_connect(keep_socket)
    .workers(1)
    .tcp_nodelay(true)
    // The router's idle connections stay open: closing one would race with its next submission.
    .keep_alive(KeepAlive::Os)
    .client_request_timeout(Duration::ZERO)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

/// Each provider's routes below `/{name}`, and the control pages beside them.
fn mount(config: &mut ServiceConfig, pages: Data<ControlPages>) {
    for provider in &pages.providers {
        let scope = web::scope(&format!("/{}", provider.core().name));
        config.service(scope.configure(|config| Arc::clone(provider).mount(config)));
    }
    config.app_data(pages).configure(control::mount);
}
