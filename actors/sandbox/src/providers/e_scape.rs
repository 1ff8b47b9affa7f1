//! E-Scape: a Kannel behind an HTML form. No ids, no receipts. See docs/providers/e-scape.md.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use form_urlencoded::Serializer;
use quick_xml::escape::escape;
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

/// The table `[sandbox.e_scape]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EScapeSettings {
    /// The router's transport that inbound SMS are for.
    pub transport: String,
    /// The only `smsc` that is accepted; also the one inbound SMS come from.
    #[schemars(example = &"vumi")]
    pub smsc: Option<String>,
    /// The only `api_id` that is accepted.
    #[schemars(with = "Option<Secret>")]
    pub api_id: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for EScapeSettings {
    fn default() -> Self {
        Self { transport: "e-scape".to_owned(), smsc: None, api_id: None, misbehave: Misbehaviour::default() }
    }
}

impl SandboxProviderSettings for EScapeSettings {
    const NAME: &str = "e-scape";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(EScapeServer { core, smsc: self.smsc.clone(), api_id: self.api_id.clone() })
    }
}

pub(crate) struct EScapeServer {
    core: Arc<ProviderCore>,
    smsc: Option<String>,
    api_id: Option<SecretString>,
}

impl EScapeServer {
    fn submit(&self, plan: &SubmissionPlan, body: &[u8]) -> HttpResponse {
        let form = FormFields::read(body);
        let rows: String = if form.text("send") == "go" {
            form.text("r").split(',').map(|to| self.row(plan, &form, to)).collect()
        } else {
            // Without `send` the provider shows the form: a page without a row.
            self.core.seen.refused();
            String::new()
        };
        let page = format!(
            "<html><head><title>Send SMS</title></head><body>\n<table class=\"widefat\" border=\"0\">\n\
             <thead><tr><th>from</th><th>to</th><th>smsc</th><th>status</th><th>text</th></tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table>\n</body></html>\n"
        );
        answer(StatusCode::OK, "text/html; charset=utf-8", page)
    }

    /// Takes or refuses the SMS for one recipient; returns its row of the answer.
    fn row(&self, plan: &SubmissionPlan, form: &FormFields<'_>, to: &str) -> String {
        let api_id = self.api_id.as_ref().map(ExposeSecret::expose_secret);
        let (from, smsc, text) = (form.text("s"), form.text("smsc"), form.text("text"));
        let status = if !accepts(self.smsc.as_deref(), smsc) || !accepts(api_id, form.text("api_id")) {
            "1: Authorization failed"
        } else if !to.strip_prefix('+').is_some_and(is_msisdn) {
            "2: Invalid recipient"
        } else if text.is_empty() {
            // Not 3: with that status Kannel queues the SMS.
            "5: Empty message"
        } else if plan.refused {
            plan.refusal("4: Rejected by the smsc")
        } else {
            "0: Accepted for delivery"
        };
        if status.starts_with("0:") {
            self.core.take(&format!("{to} {text}"));
            self.core.show_on_handset(from, to, text);
        } else {
            self.core.seen.refused();
        }
        let cells = [from, to, smsc, status, text].map(|cell| format!("<td>{}</td>", escape(cell)));
        format!("<tr>{}</tr>\n", cells.concat())
    }
}

impl SandboxProvider for EScapeServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config.app_data(Data::from(self)).service(web::resource("").route(web::post().to(send)));
    }

    fn serves(&self) -> &'static str {
        "POST, a form; answers an HTML table; no receipts"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall> {
        let query = Serializer::new(String::new())
            .append_pair("smsc", self.smsc.as_deref().unwrap_or("SANDBOX"))
            .append_pair("svc", "sms")
            .append_pair("s", &order.from)
            .append_pair("r", &order.to)
            .append_pair("text", &order.text)
            .finish();
        Some(RouterCall::get(self.core.receive_url(Some(&query))))
    }
}

async fn send(e_scape: Data<EScapeServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer_submission(&e_scape.core, &request, |plan| e_scape.submit(plan, &body)).await
}
