//! Opera: submissions by XML-RPC, receipts and inbound SMS as XML.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use bytes::Bytes;
use dxr::{Fault, FaultResponse, MethodCall, MethodResponse, Value};
use quick_xml::escape::escape;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Provider;
use crate::{
    behaviour::{Misbehaviour, Turn},
    carrier::{Call, Carrier, InboundOrder, accepts, answer, is_msisdn, take_turn},
    post::Post,
    settings::SandboxSettings,
};

/// The table `[sandbox.opera]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperaSettings {
    /// The router's transport that receipts and inbound SMS are for. Default `opera`.
    pub transport: String,
    /// The only `Service` that is accepted.
    pub service: Option<String>,
    /// The only `Password` that is accepted.
    pub password: Option<SecretString>,
    /// The only `Channel` that is accepted.
    pub channel: Option<String>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for OperaSettings {
    fn default() -> Self {
        Self {
            transport: "opera".to_owned(),
            service: None,
            password: None,
            channel: None,
            misbehave: Misbehaviour::default(),
        }
    }
}

/// A submission, checked.
#[derive(Debug)]
struct Submission {
    numbers: Vec<String>,
    text: String,
    receipt: bool,
}

/// See the file's head.
pub(crate) struct Opera {
    carrier: Arc<Carrier>,
    service: Option<String>,
    password: Option<SecretString>,
    channel: Option<String>,
}

impl Opera {
    pub(crate) fn new(settings: &SandboxSettings, post: &Post) -> Result<Self, String> {
        let own = settings.opera.clone();
        let paths = (own.transport.as_str(), "receive.xml");
        let carrier = Carrier::new("opera", paths, &own.misbehave, settings, post.clone())?;
        Ok(Self { carrier, service: own.service, password: own.password, channel: own.channel })
    }

    fn submit(&self, turn: &Turn, body: &[u8]) -> Response {
        let submission = match self.read(body) {
            Ok(_) if turn.refused => Err(turn.refusal("The gateway is busy, try again later").to_owned()),
            checked => checked,
        };
        let xml = match submission {
            Ok(submission) => {
                let identifier = Value::String(self.deliver(turn, &submission));
                let value = Value::Struct(BTreeMap::from([("Identifier".to_owned(), identifier)]));
                MethodResponse { value }.to_xml()
            }
            Err(why) => {
                self.carrier.seen.refused();
                FaultResponse { fault: Fault::new(1, why) }.to_xml()
            }
        };
        match xml {
            Ok(xml) => answer(StatusCode::OK, "text/xml", xml),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        }
    }

    /// Reads and checks a call; the error is the fault's words.
    fn read(&self, body: &[u8]) -> Result<Submission, String> {
        let xml = std::str::from_utf8(body).map_err(|_| "the call is not UTF-8")?;
        let call = MethodCall::from_xml(xml).map_err(|_| "the call is no XML-RPC")?;
        if call.name != "EAPIGateway.SendSMS" {
            return Err(format!("there is no method {}", call.name));
        }
        let Some(Value::Struct(fields)) = call.params.first() else { return Err("one struct is expected".to_owned()) };
        let password = self.password.as_ref().map(ExposeSecret::expose_secret);
        for (name, wanted) in
            [("Service", self.service.as_deref()), ("Password", password), ("Channel", self.channel.as_deref())]
        {
            if !accepts(wanted, string(fields, name)?) {
                return Err("Authentication failed".to_owned());
            }
        }
        let numbers: Vec<String> = string(fields, "Numbers")?.split(',').map(str::to_owned).collect();
        if !numbers.iter().all(|number| is_msisdn(number.strip_prefix('+').unwrap_or(number))) {
            return Err("Numbers: not a list of MSISDNs".to_owned());
        }
        let (Some(Value::DateTime(delivery)), Some(Value::DateTime(expiry))) =
            (fields.get("Delivery"), fields.get("Expiry"))
        else {
            return Err("Delivery and Expiry have to be of type dateTime.iso8601".to_owned());
        };
        // Written out, they sort as they follow in time.
        if delivery.to_string() >= expiry.to_string() {
            return Err("Expiry has to be after Delivery".to_owned());
        }
        if !matches!(string(fields, "Priority")?, "standard" | "high") {
            return Err("Priority: standard or high".to_owned());
        }
        check_segments(fields)?;
        let receipt = match string(fields, "Receipt")? {
            "Y" => true,
            "N" => false,
            _ => return Err("Receipt: Y or N".to_owned()),
        };
        Ok(Submission { numbers, text: read_text(fields)?, receipt })
    }

    /// Takes the SMS and gives its identifier.
    fn deliver(&self, turn: &Turn, submission: &Submission) -> String {
        let mut identifier = String::new();
        for number in &submission.numbers {
            let taken = self.carrier.take(&format!("{number} {}", submission.text));
            if identifier.is_empty() {
                identifier = format!("{:016x}{:08x}", taken.at, taken.number);
            }
            if submission.receipt {
                self.carrier.send_receipt(turn, "text/xml", || {
                    let at = self.carrier.receipt_time(turn, taken.at).format("%Y%m%dT%H:%M:%S");
                    let plain = number.strip_prefix('+').unwrap_or(number);
                    let (id, status) = (taken.number, escape(turn.receipt_status("D")));
                    format!(
                        "<?xml version=\"1.0\"?>\n<!DOCTYPE receipts>\n<receipts><receipt><msgid>{id}</msgid>\
                         <reference>{identifier}</reference><msisdn>+{plain}</msisdn><status>{status}</status>\
                         <timestamp>{at}</timestamp><billed>NO</billed></receipt></receipts>\n"
                    )
                });
            }
        }
        identifier
    }
}

impl Provider for Opera {
    fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    fn routes(self: Arc<Self>) -> Router {
        Router::new().route("/", post(send)).with_state(self)
    }

    fn serves(&self) -> &'static str {
        "POST, XML-RPC EAPIGateway.SendSMS"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<Call> {
        let taken = self.carrier.next_number();
        let at = self.carrier.clock.now().format("%Y-%m-%d %H:%M:%S +0000");
        let fields = [
            ("MobileNetwork", "SANDBOX"),
            ("IsReceipt", "NO"),
            ("Text", order.text.as_str()),
            ("Local", order.to.as_str()),
            ("Remote", order.from.as_str()),
            ("ReceiveDate", at.as_str()),
            ("MessageID", &taken.number.to_string()),
        ]
        .map(|(name, value)| format!("  <field name=\"{name}\" type=\"string\">{}</field>\n", escape(value)));
        let xml = format!(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE bspostevent>\n<bspostevent>\n{}</bspostevent>\n",
            fields.concat()
        );
        let body = Some(("text/xml", Bytes::from(xml)));
        Some(Call { method: Method::POST, url: self.carrier.receive_url(None), body })
    }
}

async fn send(State(opera): State<Arc<Opera>>, body: Bytes) -> Response {
    take_turn(&opera.carrier, |turn| opera.submit(turn, &body)).await
}

fn string<'a>(fields: &'a BTreeMap<String, Value>, name: &str) -> Result<&'a str, String> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{name} has to be a string")),
        None => Err(format!("{name} is missing")),
    }
}

fn check_segments(fields: &BTreeMap<String, Value>) -> Result<(), String> {
    let segments = match fields.get("MaxSegments") {
        None => 1,
        Some(Value::Integer(segments)) => *segments,
        Some(Value::String(segments)) => segments.parse().unwrap_or(0),
        Some(_) => 0,
    };
    if (1..=9).contains(&segments) { Ok(()) } else { Err("MaxSegments: 1 to 9".to_owned()) }
}

/// `SMSText`: a string of ASCII, or base64 of UTF-8.
fn read_text(fields: &BTreeMap<String, Value>) -> Result<String, String> {
    let text = match fields.get("SMSText") {
        Some(Value::String(text)) if text.is_ascii() => text.clone(),
        Some(Value::String(_)) => return Err("SMSText with a character above 127 has to be base64".to_owned()),
        Some(Value::Base64(bytes)) => {
            String::from_utf8(bytes.clone()).map_err(|_| "SMSText: the base64 is not UTF-8")?
        }
        _ => return Err("SMSText is missing".to_owned()),
    };
    if text.is_empty() { Err("SMSText is empty".to_owned()) } else { Ok(text) }
}
