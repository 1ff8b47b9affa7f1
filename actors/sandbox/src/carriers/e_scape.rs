//! E-Scape: a Kannel behind an HTML form. No ids, no receipts.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use bytes::Bytes;
use form_urlencoded::Serializer;
use quick_xml::escape::escape;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Provider;
use crate::{
    behaviour::{Misbehaviour, Turn},
    carrier::{Call, Carrier, InboundOrder, accepts, answer, is_msisdn, take_turn},
    form::Form,
    post::Post,
    settings::SandboxSettings,
};

/// The table `[sandbox.e_scape]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EScapeSettings {
    /// The router's transport that inbound SMS are for. Default `e-scape`.
    pub transport: String,
    /// The only `smsc` that is accepted; also the one inbound SMS come from.
    pub smsc: Option<String>,
    /// The only `api_id` that is accepted.
    pub api_id: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for EScapeSettings {
    fn default() -> Self {
        Self { transport: "e-scape".to_owned(), smsc: None, api_id: None, misbehave: Misbehaviour::default() }
    }
}

/// See the file's head.
pub(crate) struct EScape {
    carrier: Arc<Carrier>,
    smsc: Option<String>,
    api_id: Option<SecretString>,
}

impl EScape {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.e_scape.clone();
        let paths = (own.transport.as_str(), "receive.json");
        let carrier = Carrier::new("e-scape", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, smsc: own.smsc, api_id: own.api_id })
    }

    fn submit(&self, turn: &Turn, body: &[u8]) -> Response {
        let form = Form::read(body);
        let rows: String = if form.text("send") == "go" {
            form.text("r").split(',').map(|to| self.row(turn, &form, to)).collect()
        } else {
            // The form was shown, not sent: a page without a row.
            self.carrier.seen.refused();
            String::new()
        };
        let page = format!(
            "<html><head><title>Send SMS</title></head><body>\n<table class=\"widefat\" border=\"0\">\n\
             <thead><tr><th>from</th><th>to</th><th>smsc</th><th>status</th><th>text</th></tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table>\n</body></html>\n"
        );
        answer(StatusCode::OK, "text/html; charset=utf-8", page)
    }

    /// Takes the SMS for one recipient; the row says so.
    fn row(&self, turn: &Turn, form: &Form<'_>, to: &str) -> String {
        let api_id = self.api_id.as_ref().map(ExposeSecret::expose_secret);
        let (from, smsc, text) = (form.text("s"), form.text("smsc"), form.text("text"));
        let status = if !accepts(self.smsc.as_deref(), smsc) || !accepts(api_id, form.text("api_id")) {
            "1: Authorization failed"
        } else if !to.strip_prefix('+').is_some_and(is_msisdn) {
            "2: Invalid recipient"
        } else if text.is_empty() {
            // Not 3: Kannel queues with that one.
            "5: Empty message"
        } else if turn.refused {
            turn.refusal("4: Rejected by the smsc")
        } else {
            "0: Accepted for delivery"
        };
        if status.starts_with("0:") {
            self.carrier.take(&format!("{to} {text}"));
        } else {
            self.carrier.seen.refused();
        }
        let cells = [from, to, smsc, status, text].map(|cell| format!("<td>{}</td>", escape(cell)));
        format!("<tr>{}</tr>\n", cells.concat())
    }
}

impl Provider for EScape {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/", post(send)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST, a form; answers an HTML table; no receipts"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<Call> {
        let query = Serializer::new(String::new())
            .append_pair("smsc", self.smsc.as_deref().unwrap_or("SANDBOX"))
            .append_pair("svc", "sms")
            .append_pair("s", &order.from)
            .append_pair("r", &order.to)
            .append_pair("text", &order.text)
            .finish();
        Some(Call { method: Method::GET, url: self.carrier.receive_url(Some(&query)), body: None })
    }
}

async fn send(State(e_scape): State<Arc<EScape>>, body: Bytes) -> Response {
    take_turn(&e_scape.carrier, |turn| e_scape.submit(turn, &body)).await
}
