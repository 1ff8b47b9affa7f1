//! Clickatell's present platform: `messages`, in JSON.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use vumi_kit::settings_schema::Secret;

use crate::{
    behaviour::{Misbehaviour, SubmissionPlan},
    http::{header_text, json_answer},
    provider_core::{ProviderCore, accepts, answer_submission, is_msisdn},
    router_client::RouterCall,
    sandbox_provider::{InboundOrder, SandboxProvider, SandboxProviderSettings},
};

/// The table `[sandbox.clickatell_platform]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClickatellPlatformSettings {
    /// The router's transport that receipts and inbound SMS are for.
    pub transport: String,
    /// The only `Authorization` that is accepted; any that is not empty where it is not set.
    #[schemars(with = "Option<Secret>")]
    pub api_key: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for ClickatellPlatformSettings {
    fn default() -> Self {
        Self { transport: "clickatell-platform".to_owned(), api_key: None, misbehave: Misbehaviour::default() }
    }
}

impl SandboxProviderSettings for ClickatellPlatformSettings {
    const NAME: &str = "clickatell-platform";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(ClickatellPlatformServer { core, api_key: self.api_key.clone() })
    }
}

/// A submission. The platform has more keys; these are the ones that the sandbox reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlatformSubmission {
    content: String,
    to: Vec<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    client_message_id: Option<String>,
}

pub(crate) struct ClickatellPlatformServer {
    core: Arc<ProviderCore>,
    api_key: Option<SecretString>,
}

impl ClickatellPlatformServer {
    fn submit(&self, plan: &SubmissionPlan, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        let key = header_text(request, "authorization");
        if key.is_empty() || !accepts(self.api_key.as_ref().map(ExposeSecret::expose_secret), key) {
            return self.refuse(StatusCode::UNAUTHORIZED, "Invalid or missing integration API key.");
        }
        let submission = match serde_json::from_slice::<PlatformSubmission>(body) {
            Ok(submission) if submission.to.is_empty() => {
                return self.refuse(StatusCode::BAD_REQUEST, "Invalid or missing parameter: to.");
            }
            Ok(submission) if submission.content.is_empty() => {
                return self.refuse(StatusCode::BAD_REQUEST, "Empty message.");
            }
            Ok(submission) => submission,
            Err(_) => return self.refuse(StatusCode::BAD_REQUEST, "Malformed request."),
        };
        let messages: Vec<Value> = submission.to.iter().map(|to| self.deliver(plan, &submission, to)).collect();
        let all = messages.iter().all(|message| message.get("accepted") == Some(&Value::Bool(true)));
        let status = if all { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
        json_answer(status, &json!({"messages": messages, "error": null}))
    }

    /// Takes or refuses the SMS for one recipient; returns its part of the answer.
    fn deliver(&self, plan: &SubmissionPlan, submission: &PlatformSubmission, to: &str) -> Value {
        let refusal = match is_msisdn(to) {
            false => Some("Invalid destination address."),
            true if plan.refused => Some(plan.refusal("Cannot route message.")),
            true => None,
        };
        if let Some(refusal) = refusal {
            self.core.seen.refused();
            return json!({"apiMessageId": null, "accepted": false, "to": to, "error": refusal});
        }
        let taken = match (&submission.client_message_id, submission.to.len()) {
            (Some(id), 1) => self.core.take(id),
            (Some(id), _) => self.core.take(&format!("{id} {to}")),
            (None, _) => self.core.take(&format!("{to} {}", submission.content)),
        };
        let from = submission.from.as_deref().unwrap_or_default();
        self.core.show_on_handset(from, to, &submission.content);
        let id = format!("{:016x}{:016x}", taken.at, taken.number);
        self.core.send_receipt(plan, "application/json", || {
            let status = plan.receipt_status("4");
            let code = status.parse::<u16>().map_or_else(|_| json!(status), |code| json!(code));
            let received = status == "4";
            json!({
                "messageId": id,
                "clientMessageId": submission.client_message_id,
                "to": to,
                "from": submission.from,
                "statusCode": code,
                "status": if received { "RECEIVED_BY_RECIPIENT" } else { "OTHER" },
                "statusDescription": if received { "Message received by recipient" } else { "Not received" },
                "timestamp": self.core.receipt_time(plan, taken.at).micros() / 1000,
            })
            .to_string()
        });
        json!({"apiMessageId": id, "accepted": true, "to": to, "error": null})
    }

    fn refuse(&self, status: StatusCode, error: &str) -> HttpResponse {
        self.core.seen.refused();
        json_answer(status, &json!({"messages": [], "error": error}))
    }
}

impl SandboxProvider for ClickatellPlatformServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config.app_data(Data::from(self)).service(web::resource("/messages").route(web::post().to(send)));
    }

    fn serves(&self) -> &'static str {
        "POST messages (the present platform, JSON)"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall> {
        let taken = self.core.next_number();
        let (charset, text) = escaped(&order.text);
        let body = json!({
            "messageId": format!("{:016x}{:016x}", taken.at, taken.number),
            "fromNumber": order.from,
            "toNumber": order.to,
            "timestamp": taken.at / 1000,
            "text": text,
            "charset": charset,
        });
        Some(RouterCall::post(self.core.receive_url(None), "application/json", body.to_string()))
    }
}

async fn send(platform: Data<ClickatellPlatformServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer_submission(&platform.core, &request, |plan| platform.submit(plan, &request, &body)).await
}

/// A text as the platform delivers it: URL-escaped ISO-8859-1 where that has all characters, else UTF-16BE.
/// Everything but letters and digits is escaped, a space as `%20`.
fn escaped(text: &str) -> (&'static str, String) {
    let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let (charset, bytes) = match latin1 {
        Some(bytes) => ("ISO-8859-1", bytes),
        None => ("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    };
    let escape = |b: &u8| match b {
        b if b.is_ascii_alphanumeric() => char::from(*b).to_string(),
        b => format!("%{b:02X}"),
    };
    (charset, bytes.iter().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn inbound_texts_are_escaped_in_the_smallest_charset_that_has_them() {
        assert_eq!(escaped("a b+é"), ("ISO-8859-1", "a%20b%2B%E9".to_owned()));
        assert_eq!(escaped("й"), ("UTF-16BE", "%049".to_owned()));
    }
}
