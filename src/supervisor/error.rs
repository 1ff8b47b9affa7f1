//! Why the router did not start.

use std::net::SocketAddr;

use vumi_kit::{component::StartError, name::Name, store::StoreError};

/// Why the router did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailed {
    /// The store could not be opened.
    #[error("store")]
    Store(#[from] vumi_store::OpenError),
    /// The store could not answer.
    #[error("store")]
    Operation(#[from] StoreError),
    /// The sandbox's password could not be hashed.
    #[error(transparent)]
    Password(#[from] vumi_front_kit::password::HashError),
    /// A component could not start.
    #[error("{0}: {1}")]
    Component(Name, StartError),
    /// An account that everybody knows would be open to everybody.
    #[error(
        "http.bind: {0} can be reached from outside, and the account `{1}` was made by the sandbox's settings, so its \
         password is known: bind to 127.0.0.1, or `vumi account remove {1}`"
    )]
    SandboxAccount(SocketAddr, String),
    /// A middleware could not be made: its key below `middleware`, and why.
    #[error("middleware[{0}]: {1}")]
    Middleware(String, String),
    /// Something that start-up relies on ended at once.
    #[error("{0} ended while starting: see the log above")]
    Terminated(&'static str),
}
