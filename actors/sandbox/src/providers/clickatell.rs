//! Clickatell's HTTP API 2.x: `http/sendmsg`, `http/querymsg`, receipts and inbound SMS as forms.
//! See docs/providers/clickatell.md.

use std::{fmt::Write as _, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use form_urlencoded::Serializer;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_kit::settings_schema::Secret;

use crate::{
    behaviour::{Misbehaviour, ReceiptMode, SubmissionPlan},
    form_fields::FormFields,
    http::answer,
    provider_core::{ProviderCore, accepts, answer_submission, is_msisdn},
    router_client::RouterCall,
    sandbox_provider::{FORM, InboundOrder, SandboxProvider, SandboxProviderSettings},
    seen::Taken,
};

/// The table `[sandbox.clickatell]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClickatellSettings {
    /// The router's transport that receipts and inbound SMS are for.
    pub transport: String,
    /// The only `user` that is accepted.
    pub user: Option<String>,
    /// The only `password` that is accepted.
    #[schemars(with = "Option<Secret>")]
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

impl SandboxProviderSettings for ClickatellSettings {
    const NAME: &str = "clickatell";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(ClickatellServer {
            core,
            user: self.user.clone(),
            password: self.password.clone(),
            api_id: self.api_id.clone(),
        })
    }
}

/// An error line without `ERR: `.
type ErrorLine = &'static str;

const AUTHENTICATION_FAILED: ErrorLine = "001, Authentication failed";
const UNKNOWN_API_MESSAGE: ErrorLine = "103, Unknown API message ID";
const UNKNOWN_CLIENT_MESSAGE: ErrorLine = "104, Unknown client message ID";
const BAD_DESTINATION: ErrorLine = "105, Invalid destination address";
const EMPTY_MESSAGE: ErrorLine = "107, Empty message";
const BAD_API_ID: ErrorLine = "108, Invalid or missing API ID";
const NO_MESSAGE_ID: ErrorLine = "109, Missing message ID";
const BAD_MESSAGE_TYPE: ErrorLine = "112, Invalid message type";
const BAD_HEADER: ErrorLine = "102, Invalid user data header";
const TOO_MANY_PARTS: ErrorLine = "113, Maximum message parts exceeded";
const CANNOT_ROUTE: ErrorLine = "114, Cannot route message";
const BAD_UNICODE: ErrorLine = "116, Invalid Unicode data";

pub(crate) struct ClickatellServer {
    core: Arc<ProviderCore>,
    user: Option<String>,
    password: Option<SecretString>,
    api_id: Option<String>,
}

impl ClickatellServer {
    fn check_credentials(&self, form: &FormFields<'_>) -> Result<(), ErrorLine> {
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

    fn submit(&self, plan: &SubmissionPlan, body: &[u8]) -> HttpResponse {
        let form = FormFields::read(body);
        let checked = self.check_credentials(&form).and_then(|()| check_text(&form));
        let refusal = match checked {
            Err(refusal) => Some(refusal),
            Ok(()) if plan.refused => Some(plan.refusal(CANNOT_ROUTE)),
            Ok(()) => None,
        };
        if let Some(refusal) = refusal {
            self.core.seen.refused();
            return text(format!("ERR: {refusal}"));
        }
        let recipients: Vec<&str> = form.text("to").split(',').collect();
        let [only] = recipients.as_slice() else {
            let mut lines = String::new();
            for to in recipients {
                let line = self.deliver(plan, &form, to, false);
                let _written_to_a_string = writeln!(lines, "{line} To: {to}");
            }
            return text(lines);
        };
        text(self.deliver(plan, &form, only, true))
    }

    /// Takes or refuses the SMS for one recipient; returns its line of the answer.
    fn deliver(&self, plan: &SubmissionPlan, form: &FormFields<'_>, to: &str, only: bool) -> String {
        if !is_msisdn(to) {
            self.core.seen.refused();
            return format!("ERR: {BAD_DESTINATION}");
        }
        let client_id = form.text("climsgid");
        let taken = match (client_id, only) {
            ("", _) => self.core.take(&format!("{to} {}", form.text("text"))),
            (id, true) => self.core.take(id),
            (id, false) => self.core.take(&format!("{id} {to}")),
        };
        self.core.show_on_handset(form.text("from"), to, form.text("text"));
        let id = api_message_id(taken);
        // Bit 2 of `callback` asks for final statuses.
        let wants_receipt =
            form.text("callback").parse::<u8>().is_ok_and(|mask| mask & 2 != 0) && form.text("deliv_ack") == "1";
        if wants_receipt {
            self.core.send_receipt(plan, FORM, || {
                let at = self.core.receipt_time(plan, taken.at).micros() / 1_000_000;
                Serializer::new(String::with_capacity(160))
                    .append_pair("apiMsgId", &id)
                    .append_pair("cliMsgId", client_id)
                    .append_pair("to", to)
                    .append_pair("from", form.text("from"))
                    .append_pair("timestamp", &at.to_string())
                    .append_pair("status", plan.receipt_status("004"))
                    .append_pair("charge", "0.300000")
                    .finish()
            });
        }
        format!("ID: {id}")
    }

    fn query(&self, body: &[u8]) -> Result<String, ErrorLine> {
        let form = FormFields::read(body);
        self.check_credentials(&form)?;
        let taken = match (form.text("apimsgid"), form.text("climsgid")) {
            ("", "") => return Err(NO_MESSAGE_ID),
            ("", client_id) => self.core.seen.find(client_id).ok_or(UNKNOWN_CLIENT_MESSAGE)?,
            (id, _) => read_api_message_id(id).filter(|taken| self.core.gave(*taken)).ok_or(UNKNOWN_API_MESSAGE)?,
        };
        let rules = self.core.behaviour.rules();
        let received = rules.receipts != ReceiptMode::None
            && taken.at + i64::try_from(rules.receipt_delay.as_micros()).unwrap_or(i64::MAX / 2)
                <= self.core.clock.now().micros();
        Ok(format!("ID: {} Status: {}", api_message_id(taken), if received { "004" } else { "003" }))
    }
}

impl SandboxProvider for ClickatellServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config
            .app_data(Data::from(self))
            .service(web::resource("/http/sendmsg").route(web::post().to(send)))
            .service(web::resource("/http/querymsg").route(web::post().to(query)));
    }

    fn serves(&self) -> &'static str {
        "POST http/sendmsg, POST http/querymsg (HTTP API 2.x)"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall> {
        let taken = self.core.next_number();
        let form = Serializer::new(String::new())
            .append_pair("api_id", self.api_id.as_deref().unwrap_or("1"))
            .append_pair("moMsgId", &api_message_id(taken))
            .append_pair("from", &order.from)
            .append_pair("to", &order.to)
            .append_pair("timestamp", &self.core.clock.now().to_seconds_text())
            .append_pair("text", &order.text)
            .append_pair("charset", "UTF-8")
            .finish();
        Some(order.form_call(&self.core, form))
    }
}

async fn send(clickatell: Data<ClickatellServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer_submission(&clickatell.core, &request, |plan| clickatell.submit(plan, &body)).await
}

async fn query(clickatell: Data<ClickatellServer>, body: Bytes) -> HttpResponse {
    text(clickatell.query(&body).unwrap_or_else(|refusal| format!("ERR: {refusal}")))
}

/// Errors too have status 200.
fn text(body: String) -> HttpResponse {
    answer(StatusCode::OK, "text/plain", body)
}

/// The time and the number in one id, so that a query needs no table of ids.
fn api_message_id(taken: Taken) -> String {
    format!("{:016x}{:016x}", taken.at, taken.number)
}

fn read_api_message_id(id: &str) -> Option<Taken> {
    let (at, number) = id.split_at_checked(16)?;
    Some(Taken { at: i64::from_str_radix(at, 16).ok()?, number: u64::from_str_radix(number, 16).ok()? })
}

/// Checks that Clickatell takes octets and their header: hex, 140 octets at the most.
fn check_data(data: &str, udh: &str) -> Result<(), ErrorLine> {
    let hex = |text: &str| text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match (hex(data) && !data.is_empty(), hex(udh)) {
        (true, true) if data.len() + udh.len() > 2 * 140 => Err(TOO_MANY_PARTS),
        (true, true) => Ok(()),
        (true, false) => Err(BAD_HEADER),
        (false, _) => Err(EMPTY_MESSAGE),
    }
}

/// Checks that Clickatell takes the text: not empty, of a known type, in no more parts than `concat` allows.
fn check_text(form: &FormFields<'_>) -> Result<(), ErrorLine> {
    if let Some(data) = form.get("data") {
        return check_data(data, form.text("udh"));
    }
    let text = form.text("text");
    if text.is_empty() {
        return Err(EMPTY_MESSAGE);
    }
    if !matches!(form.get("msg_type"), None | Some("SMS_TEXT" | "SMS_FLASH")) {
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
