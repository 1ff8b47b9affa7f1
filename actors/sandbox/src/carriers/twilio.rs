//! Twilio, and the many that copy it: `Messages.json`, a form in and JSON out, HTTP statuses that mean what they
//! say; receipts and inbound SMS as forms.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::post,
};
use base64::Engine as _;
use bytes::Bytes;
use form_urlencoded::Serializer;
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
    seen::Taken,
    settings::SandboxSettings,
};

/// The longest `Body`, in characters.
const LONGEST: usize = 1600;

/// The table `[sandbox.twilio]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TwilioSettings {
    /// The router's transport that receipts and inbound SMS are for. Default `twilio`.
    pub transport: String,
    /// The only account, in the path and as the user, that is accepted; any where it is not set.
    pub account: Option<String>,
    /// The only token (the password) that is accepted; any that is not empty where it is not set.
    pub token: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for TwilioSettings {
    fn default() -> Self {
        Self { transport: "twilio".to_owned(), account: None, token: None, misbehave: Misbehaviour::default() }
    }
}

/// A refusal: the HTTP status, Twilio's code, and words.
struct Refusal(StatusCode, u32, String);

impl Refusal {
    fn of_sms(code: u32, words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, code, words.into())
    }
}

/// See the file's head.
pub(crate) struct Twilio {
    carrier: Arc<Carrier>,
    account: Option<String>,
    token: Option<SecretString>,
}

impl Twilio {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.twilio.clone();
        let paths = (own.transport.as_str(), "receive.json");
        let carrier = Carrier::new("twilio", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, account: own.account, token: own.token })
    }

    fn check_credentials(&self, account: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = basic(headers).is_some_and(|(user, password)| {
            user == account
                && !password.is_empty()
                && accepts(self.account.as_deref(), &user)
                && accepts(self.token.as_ref().map(ExposeSecret::expose_secret), &password)
        });
        let words = "Authentication Error - invalid username";
        if known { Ok(()) } else { Err(Refusal(StatusCode::UNAUTHORIZED, 20003, words.to_owned())) }
    }

    fn take(&self, turn: &Turn, account: &str, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refusal> {
        self.check_credentials(account, headers)?;
        let form = Form::read(body);
        let (to, from, text) = (form.text("To"), form.text("From"), form.text("Body"));
        check(to, from, text)?;
        if turn.refused {
            let refusal = turn.refusal("21610, Attempt to send to unsubscribed recipient");
            let (code, words) = refusal.split_once(", ").unwrap_or(("30008", refusal));
            return Err(Refusal::of_sms(code.parse().unwrap_or(30008), words));
        }
        let taken = self.carrier.take(&format!("{to} {text}"));
        let sid = sid(taken);
        // Without `StatusCallback` nobody is told. With it, this carrier calls the router it was given in its own
        // settings, whatever stands there: a sandbox posts to nobody else.
        if !form.text("StatusCallback").is_empty() {
            self.carrier.send_receipt(turn, "application/x-www-form-urlencoded", || {
                let status = turn.receipt_status("delivered");
                let mut form = Serializer::new(String::with_capacity(320));
                form.append_pair("SmsSid", &sid).append_pair("SmsStatus", status);
                form.append_pair("MessageStatus", status).append_pair("To", to).append_pair("MessageSid", &sid);
                form.append_pair("AccountSid", account).append_pair("From", from);
                if matches!(status, "failed" | "undelivered") {
                    form.append_pair("ErrorCode", "30003");
                }
                form.append_pair("ApiVersion", "2010-04-01").finish()
            });
        }
        let message = json!({
            "account_sid": account, "api_version": "2010-04-01", "body": text, "direction": "outbound-api",
            "error_code": null, "error_message": null, "from": from, "messaging_service_sid": null,
            "num_media": "0", "price": null, "sid": sid, "status": "queued", "to": to,
            "uri": format!("/2010-04-01/Accounts/{account}/Messages/{sid}.json"),
        });
        Ok(answer(StatusCode::CREATED, "application/json", message.to_string()))
    }

    fn refuse(&self, Refusal(status, code, words): Refusal) -> Response {
        self.carrier.seen.refused();
        let more = format!("https://www.twilio.com/docs/errors/{code}");
        let body = json!({"code": code, "message": words, "more_info": more, "status": status.as_u16()});
        answer(status, "application/json", body.to_string())
    }
}

impl Provider for Twilio {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/2010-04-01/Accounts/{account}/Messages.json", post(send)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST 2010-04-01/Accounts/{account}/Messages.json, a form (kind = \"http\")"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<Call> {
        let sid = sid(self.carrier.next_number());
        let form = Serializer::new(String::new())
            .append_pair("SmsMessageSid", &sid)
            .append_pair("NumMedia", "0")
            .append_pair("SmsSid", &sid)
            .append_pair("SmsStatus", "received")
            .append_pair("Body", &order.text)
            .append_pair("To", &order.to)
            .append_pair("NumSegments", "1")
            .append_pair("MessageSid", &sid)
            .append_pair("AccountSid", self.account.as_deref().unwrap_or("AC123"))
            .append_pair("From", &format!("+{}", order.from.trim_start_matches('+')))
            .append_pair("ApiVersion", "2010-04-01")
            .finish();
        Some(if order.method.as_deref() == Some("GET") {
            Call { method: Method::GET, url: self.carrier.receive_url(Some(&form)), body: None }
        } else {
            let body = Some(("application/x-www-form-urlencoded", Bytes::from(form)));
            Call { method: Method::POST, url: self.carrier.receive_url(None), body }
        })
    }
}

async fn send(
    State(twilio): State<Arc<Twilio>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    take_turn(&twilio.carrier, |turn| {
        twilio.take(turn, &account, &headers, &body).unwrap_or_else(|refusal| twilio.refuse(refusal))
    })
    .await
}

/// The user and password of HTTP Basic authentication.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Whether Twilio would take it: E.164 to, somebody it is from, a text that is not too long.
fn check(to: &str, from: &str, text: &str) -> Result<(), Refusal> {
    if to.is_empty() {
        return Err(Refusal::of_sms(21604, "A 'To' phone number is required."));
    }
    if !to.strip_prefix('+').is_some_and(is_msisdn) {
        return Err(Refusal::of_sms(21211, format!("The 'To' number {to} is not a valid phone number.")));
    }
    if from.is_empty() {
        return Err(Refusal::of_sms(21603, "A 'From' phone number is required."));
    }
    // A short code stands there bare; what has a plus has to be a whole number.
    if from.strip_prefix('+').is_some_and(|number| number.len() < 7) {
        return Err(Refusal::of_sms(21212, format!("The 'From' number {from} is not a valid phone number.")));
    }
    match text.chars().count() {
        0 => Err(Refusal::of_sms(21602, "Message body is required.")),
        n if n > LONGEST => {
            Err(Refusal::of_sms(21617, "The concatenated message body exceeds the 1600 character limit."))
        }
        _ => Ok(()),
    }
}

fn sid(taken: Taken) -> String {
    format!("SM{:016x}{:016x}", taken.at, taken.number)
}
