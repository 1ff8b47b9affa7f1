//! Clickatell's HTTP API 2.x: `http/sendmsg`, `http/querymsg`, receipts and inbound SMS as forms.

use std::{fmt::Write as _, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use bytes::Bytes;
use form_urlencoded::Serializer;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Provider;
use crate::{
    behaviour::{Misbehaviour, Receipts, Turn},
    carrier::{Call, Carrier, InboundOrder, accepts, answer, is_msisdn, take_turn},
    form::Form,
    post::Post,
    seen::Taken,
    settings::SandboxSettings,
};

/// The table `[sandbox.clickatell]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClickatellSettings {
    /// The router's transport that receipts and inbound SMS are for. Default `clickatell`.
    pub transport: String,
    /// The only `user` that is accepted.
    pub user: Option<String>,
    /// The only `password` that is accepted.
    pub password: Option<SecretString>,
    /// The only `api_id` that is accepted.
    pub api_id: Option<String>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for ClickatellSettings {
    fn default() -> Self {
        Self {
            transport: "clickatell".to_owned(),
            user: None,
            password: None,
            api_id: None,
            misbehave: Misbehaviour::default(),
        }
    }
}

/// An error line without `ERR: `.
type Refusal = &'static str;

const AUTHENTICATION_FAILED: Refusal = "001, Authentication failed";
const UNKNOWN_API_MESSAGE: Refusal = "103, Unknown API message ID";
const UNKNOWN_CLIENT_MESSAGE: Refusal = "104, Unknown client message ID";
const BAD_DESTINATION: Refusal = "105, Invalid destination address";
const EMPTY_MESSAGE: Refusal = "107, Empty message";
const BAD_API_ID: Refusal = "108, Invalid or missing API ID";
const NO_MESSAGE_ID: Refusal = "109, Missing message ID";
const BAD_MESSAGE_TYPE: Refusal = "112, Invalid message type";
const TOO_MANY_PARTS: Refusal = "113, Maximum message parts exceeded";
const CANNOT_ROUTE: Refusal = "114, Cannot route message";
const BAD_UNICODE: Refusal = "116, Invalid Unicode data";

/// See the file's head.
pub(crate) struct Clickatell {
    carrier: Arc<Carrier>,
    user: Option<String>,
    password: Option<SecretString>,
    api_id: Option<String>,
}

impl Clickatell {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.clickatell.clone();
        let paths = (own.transport.as_str(), "receive.json");
        let carrier = Carrier::new("clickatell", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, user: own.user, password: own.password, api_id: own.api_id })
    }

    fn check_credentials(&self, form: &Form<'_>) -> Result<(), Refusal> {
        let password = self.password.as_ref().map(ExposeSecret::expose_secret);
        let (user, given) = (form.text("user"), form.text("password"));
        if user.is_empty() || given.is_empty() || !accepts(self.user.as_deref(), user) || !accepts(password, given) {
            return Err(AUTHENTICATION_FAILED);
        }
        match form.text("api_id") {
            "" => Err(BAD_API_ID),
            id if accepts(self.api_id.as_deref(), id) => Ok(()),
            _ => Err(BAD_API_ID),
        }
    }

    fn submit(&self, turn: &Turn, body: &[u8]) -> Response {
        let form = Form::read(body);
        let checked = self.check_credentials(&form).and_then(|()| check_text(&form));
        let refusal = match checked {
            Err(refusal) => Some(refusal),
            Ok(()) if turn.refused => Some(turn.refusal(CANNOT_ROUTE)),
            Ok(()) => None,
        };
        if let Some(refusal) = refusal {
            self.carrier.seen.refused();
            return text(format!("ERR: {refusal}"));
        }
        let recipients: Vec<&str> = form.text("to").split(',').collect();
        let [only] = recipients.as_slice() else {
            let mut lines = String::new();
            for to in recipients {
                let line = self.deliver(turn, &form, to, false);
                let _written_to_a_string = writeln!(lines, "{line} To: {to}");
            }
            return text(lines);
        };
        text(self.deliver(turn, &form, only, true))
    }

    /// Takes the SMS for one recipient and says so.
    fn deliver(&self, turn: &Turn, form: &Form<'_>, to: &str, only: bool) -> String {
        if !is_msisdn(to) {
            self.carrier.seen.refused();
            return format!("ERR: {BAD_DESTINATION}");
        }
        let client_id = form.text("climsgid");
        let taken = match (client_id, only) {
            ("", _) => self.carrier.take(&format!("{to} {}", form.text("text"))),
            (id, true) => self.carrier.take(id),
            (id, false) => self.carrier.take(&format!("{id} {to}")),
        };
        let id = api_message_id(taken);
        // Bit 2 of `callback` asks for final statuses.
        let wants_receipt =
            form.text("callback").parse::<u8>().is_ok_and(|mask| mask & 2 != 0) && form.text("deliv_ack") == "1";
        if wants_receipt {
            self.carrier.send_receipt(turn, "application/x-www-form-urlencoded", || {
                let at = self.carrier.receipt_time(turn, taken.at).micros() / 1_000_000;
                Serializer::new(String::with_capacity(160))
                    .append_pair("apiMsgId", &id)
                    .append_pair("cliMsgId", client_id)
                    .append_pair("to", to)
                    .append_pair("from", form.text("from"))
                    .append_pair("timestamp", &at.to_string())
                    .append_pair("status", turn.receipt_status("004"))
                    .append_pair("charge", "0.300000")
                    .finish()
            });
        }
        format!("ID: {id}")
    }

    fn query(&self, body: &[u8]) -> Result<String, Refusal> {
        let form = Form::read(body);
        self.check_credentials(&form)?;
        let taken = match (form.text("apimsgid"), form.text("climsgid")) {
            ("", "") => return Err(NO_MESSAGE_ID),
            ("", client_id) => self.carrier.seen.find(client_id).ok_or(UNKNOWN_CLIENT_MESSAGE)?,
            (id, _) => read_api_message_id(id).filter(|taken| self.carrier.gave(*taken)).ok_or(UNKNOWN_API_MESSAGE)?,
        };
        let rules = self.carrier.behaviour.rules();
        let received = rules.receipts != Receipts::None
            && taken.at + i64::try_from(rules.receipt_delay.as_micros()).unwrap_or(i64::MAX / 2)
                <= self.carrier.clock.now().micros();
        Ok(format!("ID: {} Status: {}", api_message_id(taken), if received { "004" } else { "003" }))
    }
}

impl Provider for Clickatell {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/http/sendmsg", post(send)).route("/http/querymsg", post(query)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST http/sendmsg, POST http/querymsg (HTTP API 2.x)"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<Call> {
        let taken = self.carrier.next_number();
        let form = Serializer::new(String::new())
            .append_pair("api_id", self.api_id.as_deref().unwrap_or("1"))
            .append_pair("moMsgId", &api_message_id(taken))
            .append_pair("from", &order.from)
            .append_pair("to", &order.to)
            .append_pair("timestamp", &self.carrier.clock.now().to_seconds_text())
            .append_pair("text", &order.text)
            .append_pair("charset", "UTF-8")
            .finish();
        Some(if order.method.as_deref() == Some("GET") {
            Call { method: Method::GET, url: self.carrier.receive_url(Some(&form)), body: None }
        } else {
            let body = Some(("application/x-www-form-urlencoded", Bytes::from(form)));
            Call { method: Method::POST, url: self.carrier.receive_url(None), body }
        })
    }
}

async fn send(State(clickatell): State<Arc<Clickatell>>, body: Bytes) -> Response {
    take_turn(&clickatell.carrier, |turn| clickatell.submit(turn, &body)).await
}

async fn query(State(clickatell): State<Arc<Clickatell>>, body: Bytes) -> Response {
    text(clickatell.query(&body).unwrap_or_else(|refusal| format!("ERR: {refusal}")))
}

/// HTTP 200 whatever it says.
fn text(body: String) -> Response {
    answer(StatusCode::OK, "text/plain", body)
}

/// The moment and the number, so that a query needs no table of ids.
fn api_message_id(taken: Taken) -> String {
    format!("{:016x}{:016x}", taken.at, taken.number)
}

fn read_api_message_id(id: &str) -> Option<Taken> {
    let (at, number) = id.split_at_checked(16)?;
    Some(Taken { at: i64::from_str_radix(at, 16).ok()?, number: u64::from_str_radix(number, 16).ok()? })
}

/// Whether the text is one that Clickatell takes: not empty, of a known type, in no more parts than `concat` allows.
fn check_text(form: &Form<'_>) -> Result<(), Refusal> {
    let text = form.text("text");
    if text.is_empty() {
        return Err(EMPTY_MESSAGE);
    }
    if !matches!(form.get("msg_type"), None | Some("SMS_TEXT")) {
        return Err(BAD_MESSAGE_TYPE);
    }
    let parts = if form.text("unicode") == "1" {
        let units = text.len() / 4;
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex || !text.len().is_multiple_of(4) {
            return Err(BAD_UNICODE);
        }
        if units <= 70 { 1 } else { units.div_ceil(67) }
    } else {
        // The characters of GSM 03.38's extension table take two septets.
        let septets: usize = text.chars().map(|c| if "^{}\\[~]|€\u{c}".contains(c) { 2 } else { 1 }).sum();
        if septets <= 160 { 1 } else { septets.div_ceil(153) }
    };
    if parts > form.text("concat").parse().unwrap_or(1) { Err(TOO_MANY_PARTS) } else { Ok(()) }
}
