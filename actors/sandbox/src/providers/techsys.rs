//! Techsys: a form in, one sentence out. No ids, no receipts, no inbound SMS. See docs/providers/techsys.md.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_kit::settings_schema::Secret;

use crate::{
    behaviour::{Misbehaviour, SubmissionPlan},
    form_fields::FormFields,
    http::answer,
    provider_core::{ProviderCore, accepts, answer_submission, is_msisdn},
    router_client::RouterCall,
    sandbox_provider::{InboundOrder, SandboxProvider, SandboxProviderSettings},
};

/// The table `[sandbox.techsys]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TechsysSettings {
    /// The router's transport.
    pub transport: String,
    /// The only `bind` that is accepted; any that is not empty where it is not set.
    #[schemars(with = "Option<Secret>")]
    pub bind: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for TechsysSettings {
    fn default() -> Self {
        Self { transport: "techsys".to_owned(), bind: None, misbehave: Misbehaviour::default() }
    }
}

impl SandboxProviderSettings for TechsysSettings {
    const NAME: &str = "techsys";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(TechsysServer { core, bind: self.bind.clone() })
    }
}

pub(crate) struct TechsysServer {
    core: Arc<ProviderCore>,
    bind: Option<SecretString>,
}

impl TechsysServer {
    fn submit(&self, plan: &SubmissionPlan, body: &[u8]) -> HttpResponse {
        let form = FormFields::read(body);
        let (bind, to, text) = (form.text("bind"), form.text("msisdn"), form.text("text"));
        let refusal = if bind.is_empty() || !accepts(self.bind.as_ref().map(ExposeSecret::expose_secret), bind) {
            Some("Invalid bind")
        } else if !is_msisdn(to.strip_prefix('+').unwrap_or(to)) {
            Some("Invalid msisdn")
        } else if text.is_empty() {
            Some("Empty message")
        } else {
            plan.refused.then(|| plan.refusal("Message could not be queued"))
        };
        let words = if let Some(refusal) = refusal {
            self.core.seen.refused();
            refusal.to_owned()
        } else {
            self.core.take(&format!("{to} {text}"));
            // Whom it is from is a matter of the bind.
            self.core.show_on_handset("", to, text);
            "Message queued successfully".to_owned()
        };
        answer(StatusCode::OK, "text/plain", words)
    }
}

impl SandboxProvider for TechsysServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config.app_data(Data::from(self)).service(web::resource("").route(web::post().to(send)));
    }

    fn serves(&self) -> &'static str {
        "POST, a form; no receipts, no inbound SMS"
    }

    fn inbound(&self, _order: &InboundOrder) -> Option<RouterCall> {
        None
    }
}

async fn send(techsys: Data<TechsysServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer_submission(&techsys.core, &request, |plan| techsys.submit(plan, &body)).await
}
