//! What a provider's file has to implement: its settings' trait and its server's trait.

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use serde::Deserialize;

use crate::{behaviour::Misbehaviour, provider_core::ProviderCore, router_client::RouterCall};

/// A provider's table of settings, `[sandbox.NAME]`, and how its server is made from it.
pub(crate) trait SandboxProviderSettings {
    /// The provider's name in the sandbox's URLs.
    const NAME: &'static str;

    /// The last part of the path at the router that inbound SMS are posted to.
    const RECEIVE: &'static str = "receive.json";

    /// The router's transport that receipts and inbound SMS are for.
    fn transport(&self) -> &str;

    /// How the provider misbehaves at the start.
    fn misbehave(&self) -> &Misbehaviour;

    /// Makes the provider's server.
    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider>;
}

/// A server that speaks one provider's protocol over HTTP.
pub(crate) trait SandboxProvider: Send + Sync {
    fn core(&self) -> &Arc<ProviderCore>;

    /// Adds its routes, below `/{name}`.
    fn mount(self: Arc<Self>, config: &mut ServiceConfig);

    /// What `GET /` says of it: the paths that a transport's `url` leads to.
    fn serves(&self) -> &'static str;

    /// The call that delivers an SMS from a person; none if the provider delivers none.
    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall>;
}

/// An SMS from a person, as `POST /inbound/{provider}` gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboundOrder {
    /// The person.
    pub(crate) from: String,
    /// The number written to; TruTeq has one for premium SMS only.
    #[serde(default)]
    pub(crate) to: String,
    pub(crate) text: String,
    /// `GET` or `POST`, for providers that can do both; how a long SMS is cut, for SMPP: `udh8`, `udh16`, `sar` or
    /// `payload`.
    #[serde(default)]
    pub(crate) method: Option<String>,
}

impl InboundOrder {
    /// The call of a provider that delivers forms by POST, or by GET if the order asks for it.
    pub(crate) fn form_call(&self, core: &ProviderCore, form: String) -> RouterCall {
        if self.method.as_deref() == Some("GET") {
            RouterCall::get(core.receive_url(Some(&form)))
        } else {
            RouterCall::post(core.receive_url(None), FORM, form)
        }
    }
}

/// The content type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
