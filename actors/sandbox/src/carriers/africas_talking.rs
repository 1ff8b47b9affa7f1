//! Africa's Talking: `version1/messaging`, a form in and JSON (or XML) out; receipts and inbound SMS as forms.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use form_urlencoded::Serializer;
use quick_xml::escape::escape;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::Provider;
use crate::{
    behaviour::{Misbehaviour, Turn},
    carrier::{Call, Carrier, InboundOrder, accepts, answer, is_msisdn, take_turn},
    form::Form,
    post::Post,
    settings::SandboxSettings,
};

/// The table `[sandbox.africas_talking]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AfricasTalkingSettings {
    /// The router's transport that receipts and inbound SMS are for. Default `africas-talking`.
    pub transport: String,
    /// The only `username` that is accepted; any that is not empty where it is not set.
    pub username: Option<String>,
    /// The only header `apiKey` that is accepted; any that is not empty where it is not set.
    pub api_key: Option<SecretString>,
    /// The only `from` that is accepted, as a registered sender is; any, or none, where it is not set.
    pub sender: Option<String>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for AfricasTalkingSettings {
    fn default() -> Self {
        Self {
            transport: "africas-talking".to_owned(),
            username: None,
            api_key: None,
            sender: None,
            misbehave: Misbehaviour::default(),
        }
    }
}

/// What the answer says of one recipient.
struct Recipient<'a> {
    code: u16,
    number: &'a str,
    status: &'a str,
    id: String,
}

/// See the file's head.
pub(crate) struct AfricasTalking {
    carrier: Arc<Carrier>,
    username: Option<String>,
    api_key: Option<SecretString>,
    sender: Option<String>,
}

impl AfricasTalking {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.africas_talking.clone();
        let paths = (own.transport.as_str(), "receive.json");
        let carrier = Carrier::new("africas-talking", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, username: own.username, api_key: own.api_key, sender: own.sender })
    }

    fn submit(&self, turn: &Turn, headers: &HeaderMap, body: &[u8]) -> Response {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let form = Form::read(body);
        let (key, user) = (header("apikey"), form.text("username"));
        let known = !key.is_empty()
            && !user.is_empty()
            && accepts(self.api_key.as_ref().map(ExposeSecret::expose_secret), key)
            && accepts(self.username.as_deref(), user);
        if !known {
            return self.refuse(StatusCode::UNAUTHORIZED, "The supplied authentication is invalid");
        }
        for field in ["to", "message"] {
            if form.text(field).is_empty() {
                let words = format!("Request is missing required form field '{field}'");
                return self.refuse(StatusCode::BAD_REQUEST, &words);
            }
        }
        let as_json = header(header::ACCEPT.as_str()).contains("json");
        // A wrong sender is not a recipient's fault: the whole request is refused, without a line for anybody.
        if !accepts(self.sender.as_deref(), form.text("from")) {
            self.carrier.seen.refused();
            return summary("InvalidSenderId", &[], as_json);
        }
        let recipients: Vec<_> =
            form.text("to").split(',').map(|to| self.deliver(turn, to.trim(), form.text("message"))).collect();
        let sent = recipients.iter().filter(|recipient| recipient.code == 101).count();
        let words = format!("Sent to {sent}/{} Total Cost: ZAR 0.2000", recipients.len());
        summary(&words, &recipients, as_json)
    }

    /// Takes the SMS for one recipient and says so.
    fn deliver<'a>(&self, turn: &'a Turn, to: &'a str, text: &str) -> Recipient<'a> {
        let refusal = match to.strip_prefix('+').is_some_and(is_msisdn) {
            false => Some("403, InvalidPhoneNumber"),
            true if turn.refused => Some(turn.refusal("406, UserInBlacklist")),
            true => None,
        };
        if let Some(refusal) = refusal {
            self.carrier.seen.refused();
            let (code, status) = refusal.split_once(", ").unwrap_or(("502", refusal));
            return Recipient { code: code.parse().unwrap_or(502), number: to, status, id: "None".to_owned() };
        }
        let taken = self.carrier.take(&format!("{to} {text}"));
        let id = format!("ATXid_{:016x}{:016x}", taken.at, taken.number);
        self.carrier.send_receipt(turn, "application/x-www-form-urlencoded", || {
            let status = turn.receipt_status("Success");
            let mut form = Serializer::new(String::with_capacity(160));
            form.append_pair("id", &id).append_pair("status", status).append_pair("phoneNumber", to);
            form.append_pair("networkCode", "65501").append_pair("retryCount", "0");
            if matches!(status, "Rejected" | "Failed") {
                form.append_pair("failureReason", "UserIsInactive");
            }
            form.finish()
        });
        Recipient { code: 101, number: to, status: "Success", id }
    }

    fn refuse(&self, status: StatusCode, words: &str) -> Response {
        self.carrier.seen.refused();
        answer(status, "text/plain; charset=utf-8", words.to_owned())
    }
}

impl Provider for AfricasTalking {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/version1/messaging", post(send)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST version1/messaging, a form (kind = \"http\")"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<Call> {
        let taken = self.carrier.next_number();
        let form = Serializer::new(String::new())
            .append_pair("date", &self.carrier.clock.now().to_seconds_text())
            .append_pair("from", &with_plus(&order.from))
            .append_pair("id", &format!("{:016x}{:016x}", taken.at, taken.number))
            .append_pair("linkId", "")
            .append_pair("text", &order.text)
            .append_pair("to", &order.to)
            .append_pair("networkCode", "65501")
            .finish();
        let body = Some(("application/x-www-form-urlencoded", Bytes::from(form)));
        Some(Call { method: Method::POST, url: self.carrier.receive_url(None), body })
    }
}

async fn send(State(provider): State<Arc<AfricasTalking>>, headers: HeaderMap, body: Bytes) -> Response {
    take_turn(&provider.carrier, |turn| provider.submit(turn, &headers, &body)).await
}

fn with_plus(number: &str) -> String {
    format!("+{}", number.trim_start_matches('+'))
}

/// The answer: 201 whatever it says, and XML unless JSON was asked for.
fn summary(words: &str, recipients: &[Recipient<'_>], as_json: bool) -> Response {
    let cost = |recipient: &Recipient<'_>| if recipient.code == 101 { "ZAR 0.2000" } else { "0" };
    if as_json {
        let list: Vec<_> = recipients
            .iter()
            .map(|r| {
                let (code, number, status) = (r.code, r.number, r.status);
                json!({"statusCode": code, "number": number, "status": status, "cost": cost(r), "messageId": r.id})
            })
            .collect();
        let body = json!({"SMSMessageData": {"Message": words, "Recipients": list}});
        return answer(StatusCode::CREATED, "application/json", body.to_string());
    }
    let list: String = recipients
        .iter()
        .map(|r| {
            let (code, number, status, cost, id) = (r.code, escape(r.number), escape(r.status), cost(r), &r.id);
            format!(
                "<Recipient><number>{number}</number><cost>{cost}</cost><status>{status}</status>\
                 <statusCode>{code}</statusCode><messageId>{id}</messageId></Recipient>"
            )
        })
        .collect();
    let body = format!(
        "<AfricasTalkingResponse><SMSMessageData><Message>{words}</Message><Recipients>{list}</Recipients>\
         </SMSMessageData></AfricasTalkingResponse>"
    );
    answer(StatusCode::CREATED, "application/xml", body)
}
