//! Clickatell's present platform: `messages`, in JSON.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Provider;
use crate::{
    behaviour::{Misbehaviour, Turn},
    carrier::{Call, Carrier, InboundOrder, accepts, answer, is_msisdn, take_turn},
    post::Post,
    settings::SandboxSettings,
};

/// The table `[sandbox.clickatell_platform]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClickatellPlatformSettings {
    /// The router's transport that receipts and inbound SMS are for. Default `clickatell-platform`.
    pub transport: String,
    /// The only `Authorization` that is accepted; any that is not empty where it is not set.
    pub api_key: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for ClickatellPlatformSettings {
    fn default() -> Self {
        Self { transport: "clickatell-platform".to_owned(), api_key: None, misbehave: Misbehaviour::default() }
    }
}

/// A submission. The platform has more keys; these are the ones we know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submission {
    content: String,
    to: Vec<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    client_message_id: Option<String>,
}

/// See the file's head.
pub(crate) struct ClickatellPlatform {
    carrier: Arc<Carrier>,
    api_key: Option<SecretString>,
}

impl ClickatellPlatform {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.clickatell_platform.clone();
        let paths = (own.transport.as_str(), "receive.json");
        let carrier = Carrier::new("clickatell-platform", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, api_key: own.api_key })
    }

    fn submit(&self, turn: &Turn, headers: &HeaderMap, body: &[u8]) -> Response {
        let key = headers.get(header::AUTHORIZATION).and_then(|key| key.to_str().ok()).unwrap_or_default();
        if key.is_empty() || !accepts(self.api_key.as_ref().map(ExposeSecret::expose_secret), key) {
            return self.refuse(StatusCode::UNAUTHORIZED, "Invalid or missing integration API key.");
        }
        let submission = match serde_json::from_slice::<Submission>(body) {
            Ok(submission) if submission.to.is_empty() => {
                return self.refuse(StatusCode::BAD_REQUEST, "Invalid or missing parameter: to.");
            }
            Ok(submission) if submission.content.is_empty() => {
                return self.refuse(StatusCode::BAD_REQUEST, "Empty message.");
            }
            Ok(submission) => submission,
            Err(_) => return self.refuse(StatusCode::BAD_REQUEST, "Malformed request."),
        };
        let messages: Vec<Value> = submission.to.iter().map(|to| self.deliver(turn, &submission, to)).collect();
        let all = messages.iter().all(|message| message.get("accepted") == Some(&Value::Bool(true)));
        let status = if all { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
        json_answer(status, &json!({"messages": messages, "error": null}))
    }

    /// Takes the SMS for one recipient and says so.
    fn deliver(&self, turn: &Turn, submission: &Submission, to: &str) -> Value {
        let refusal = match is_msisdn(to) {
            false => Some("Invalid destination address."),
            true if turn.refused => Some(turn.refusal("Cannot route message.")),
            true => None,
        };
        if let Some(refusal) = refusal {
            self.carrier.seen.refused();
            return json!({"apiMessageId": null, "accepted": false, "to": to, "error": refusal});
        }
        let taken = match (&submission.client_message_id, submission.to.len()) {
            (Some(id), 1) => self.carrier.take(id),
            (Some(id), _) => self.carrier.take(&format!("{id} {to}")),
            (None, _) => self.carrier.take(&format!("{to} {}", submission.content)),
        };
        let id = format!("{:016x}{:016x}", taken.at, taken.number);
        self.carrier.send_receipt(turn, "application/json", || {
            let status = turn.receipt_status("4");
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
                "timestamp": self.carrier.receipt_time(turn, taken.at).micros() / 1000,
            })
            .to_string()
        });
        json!({"apiMessageId": id, "accepted": true, "to": to, "error": null})
    }

    fn refuse(&self, status: StatusCode, error: &str) -> Response {
        self.carrier.seen.refused();
        json_answer(status, &json!({"messages": [], "error": error}))
    }
}

impl Provider for ClickatellPlatform {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/messages", post(send)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST messages (the present platform, JSON)"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<Call> {
        let taken = self.carrier.next_number();
        let (charset, text) = escaped(&order.text);
        let body = json!({
            "messageId": format!("{:016x}{:016x}", taken.at, taken.number),
            "fromNumber": order.from,
            "toNumber": order.to,
            "timestamp": taken.at / 1000,
            "text": text,
            "charset": charset,
        });
        let body = Some(("application/json", Bytes::from(body.to_string())));
        Some(Call { method: Method::POST, url: self.carrier.receive_url(None), body })
    }
}

async fn send(State(platform): State<Arc<ClickatellPlatform>>, headers: HeaderMap, body: Bytes) -> Response {
    take_turn(&platform.carrier, |turn| platform.submit(turn, &headers, &body)).await
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    answer(status, "application/json", body.to_string())
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
