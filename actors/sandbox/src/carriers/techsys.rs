//! Techsys: one form, one sentence. No ids, no receipts, no inbound SMS.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use bytes::Bytes;
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

/// The table `[sandbox.techsys]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TechsysSettings {
    /// The router's transport. Default `techsys`.
    pub transport: String,
    /// The only `bind` that is accepted; any that is not empty where it is not set.
    pub bind: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for TechsysSettings {
    fn default() -> Self {
        Self { transport: "techsys".to_owned(), bind: None, misbehave: Misbehaviour::default() }
    }
}

/// See the file's head.
pub(crate) struct Techsys {
    carrier: Arc<Carrier>,
    bind: Option<SecretString>,
}

impl Techsys {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.techsys.clone();
        let paths = (own.transport.as_str(), "receive.json");
        let carrier = Carrier::new("techsys", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, bind: own.bind })
    }

    fn submit(&self, turn: &Turn, body: &[u8]) -> Response {
        let form = Form::read(body);
        let (bind, to, text) = (form.text("bind"), form.text("msisdn"), form.text("text"));
        let refusal = if bind.is_empty() || !accepts(self.bind.as_ref().map(ExposeSecret::expose_secret), bind) {
            Some("Invalid bind")
        } else if !is_msisdn(to.strip_prefix('+').unwrap_or(to)) {
            Some("Invalid msisdn")
        } else if text.is_empty() {
            Some("Empty message")
        } else {
            turn.refused.then(|| turn.refusal("Message could not be queued"))
        };
        let words = if let Some(refusal) = refusal {
            self.carrier.seen.refused();
            refusal.to_owned()
        } else {
            self.carrier.take(&format!("{to} {text}"));
            "Message queued successfully".to_owned()
        };
        answer(StatusCode::OK, "text/plain", words)
    }
}

impl Provider for Techsys {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/", post(send)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST, a form; no receipts, no inbound SMS"
    }

    fn inbound(&self, _order: &InboundOrder) -> Option<Call> {
        None
    }
}

async fn send(State(techsys): State<Arc<Techsys>>, body: Bytes) -> Response {
    take_turn(&techsys.carrier, |turn| techsys.submit(turn, &body)).await
}
