//! Opera: submissions by XML-RPC, receipts and inbound SMS as XML. See docs/providers/opera.md.

use std::{collections::BTreeMap, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use dxr::{Fault, FaultResponse, MethodCall, MethodResponse, Value};
use quick_xml::escape::escape;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_kit::settings_schema::Secret;

use crate::{
    behaviour::{Misbehaviour, SubmissionPlan},
    http::answer,
    provider_core::{ProviderCore, accepts, answer_submission, is_msisdn},
    router_client::RouterCall,
    sandbox_provider::{InboundOrder, SandboxProvider, SandboxProviderSettings},
};

/// The table `[sandbox.opera]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperaSettings {
    /// The router's transport that receipts and inbound SMS are for.
    pub transport: String,
    /// The only `Service` that is accepted.
    #[schemars(example = &"1234")]
    pub service: Option<String>,
    /// The only `Password` that is accepted.
    #[schemars(with = "Option<Secret>")]
    pub password: Option<SecretString>,
    /// The only `Channel` that is accepted.
    #[schemars(example = &"111")]
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

impl SandboxProviderSettings for OperaSettings {
    const NAME: &str = "opera";
    const RECEIVE: &str = "receive.xml";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(OperaServer {
            core,
            service: self.service.clone(),
            password: self.password.clone(),
            channel: self.channel.clone(),
        })
    }
}

/// A checked submission.
#[derive(Debug)]
struct OperaSubmission {
    numbers: Vec<String>,
    text: String,
    receipt: bool,
}

pub(crate) struct OperaServer {
    core: Arc<ProviderCore>,
    service: Option<String>,
    password: Option<SecretString>,
    channel: Option<String>,
}

impl OperaServer {
    fn submit(&self, plan: &SubmissionPlan, body: &[u8]) -> HttpResponse {
        let submission = match self.read(body) {
            Ok(_) if plan.refused => Err(plan.refusal("The gateway is busy, try again later").to_owned()),
            checked => checked,
        };
        let xml = match submission {
            Ok(submission) => {
                let identifier = Value::String(self.deliver(plan, &submission));
                let value = Value::Struct(BTreeMap::from([("Identifier".to_owned(), identifier)]));
                MethodResponse { value }.to_xml()
            }
            Err(why) => {
                self.core.seen.refused();
                FaultResponse { fault: Fault::new(1, why) }.to_xml()
            }
        };
        match xml {
            Ok(xml) => answer(StatusCode::OK, "text/xml", xml),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        }
    }

    /// Reads and checks a call; the error is the text of the fault.
    fn read(&self, body: &[u8]) -> Result<OperaSubmission, String> {
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
        // As text they sort by time.
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
        Ok(OperaSubmission { numbers, text: read_text(fields)?, receipt })
    }

    /// Takes the SMS for every number; returns the identifier.
    fn deliver(&self, plan: &SubmissionPlan, submission: &OperaSubmission) -> String {
        let mut identifier = String::new();
        for number in &submission.numbers {
            let taken = self.core.take(&format!("{number} {}", submission.text));
            // Whom it is from is a matter of the channel.
            self.core.show_on_handset("", number, &submission.text);
            if identifier.is_empty() {
                identifier = format!("{:016x}{:08x}", taken.at, taken.number);
            }
            if submission.receipt {
                self.core.send_receipt(plan, "text/xml", || {
                    let at = self.core.receipt_time(plan, taken.at).format("%Y%m%dT%H:%M:%S");
                    let plain = number.strip_prefix('+').unwrap_or(number);
                    let (id, status) = (taken.number, escape(plan.receipt_status("D")));
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

impl SandboxProvider for OperaServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config.app_data(Data::from(self)).service(web::resource("").route(web::post().to(send)));
    }

    fn serves(&self) -> &'static str {
        "POST, XML-RPC EAPIGateway.SendSMS"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall> {
        let taken = self.core.next_number();
        let at = self.core.clock.now().format("%Y-%m-%d %H:%M:%S +0000");
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
        Some(RouterCall::post(self.core.receive_url(None), "text/xml", xml))
    }
}

async fn send(opera: Data<OperaServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer_submission(&opera.core, &request, |plan| opera.submit(plan, &body)).await
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
