//! What the front-end is given at its start.

use std::net::SocketAddr;

use actix::Recipient;
use vumi_kit::{health::AskParts, name::Name, store::Store, webhook::Webhook};

/// A transport that the API serves, and the webhooks that its provider calls.
#[derive(Clone, Debug)]
pub struct WebhookMount {
    /// The transport's name in the URLs.
    pub transport: Name,
    /// Mounted below `sms/{transport}/`.
    pub webhooks: Vec<Webhook>,
}

/// What the front-end is given at its start.
#[derive(Clone, Debug)]
pub struct HttpContext {
    /// The store's addresses.
    pub store: Store,
    /// The transports that the API serves.
    pub transports: Vec<WebhookMount>,
    /// The supervisor, for `/health/ready`.
    pub parts: Recipient<AskParts>,
    /// Where the sandbox's pages are, for the page at `/`; none without a sandbox.
    pub sandbox: Option<SocketAddr>,
}
