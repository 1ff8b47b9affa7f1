//! Africa's Talking: `version1/messaging`, a form in and JSON (or XML) out; receipts and inbound SMS as forms.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use form_urlencoded::Serializer;
use quick_xml::escape::escape;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use vumi_kit::settings_schema::Secret;

use crate::{
    behaviour::{Misbehaviour, SubmissionPlan},
    form_fields::FormFields,
    http::{answer, header_text, json_answer},
    provider_core::{ProviderCore, accepts, answer_submission, is_msisdn},
    router_client::RouterCall,
    sandbox_provider::{FORM, InboundOrder, SandboxProvider, SandboxProviderSettings},
};

/// The table `[sandbox.africas_talking]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AfricasTalkingSettings {
    /// The router's transport that receipts and inbound SMS are for.
    pub transport: String,
    /// The only `username` that is accepted; any that is not empty where it is not set.
    #[schemars(example = &"vumi")]
    pub username: Option<String>,
    /// The only header `apiKey` that is accepted; any that is not empty where it is not set.
    #[schemars(with = "Option<Secret>")]
    pub api_key: Option<SecretString>,
    /// The only `from` that is accepted, as a registered sender; where it is not set, any or none is accepted.
    #[schemars(example = &"INFO")]
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

impl SandboxProviderSettings for AfricasTalkingSettings {
    const NAME: &str = "africas-talking";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(AfricasTalkingServer {
            core,
            username: self.username.clone(),
            api_key: self.api_key.clone(),
            sender: self.sender.clone(),
        })
    }
}

/// The answer for one recipient.
struct RecipientResult<'a> {
    code: u16,
    number: &'a str,
    status: &'a str,
    id: String,
}

pub(crate) struct AfricasTalkingServer {
    core: Arc<ProviderCore>,
    username: Option<String>,
    api_key: Option<SecretString>,
    sender: Option<String>,
}

impl AfricasTalkingServer {
    fn submit(&self, plan: &SubmissionPlan, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        let form = FormFields::read(body);
        let (key, user) = (header_text(request, "apikey"), form.text("username"));
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
        let as_json = header_text(request, "accept").contains("json");
        // A wrong sender refuses the whole request: the answer lists no recipients.
        if !accepts(self.sender.as_deref(), form.text("from")) {
            self.core.seen.refused();
            return summary("InvalidSenderId", &[], as_json);
        }
        let recipients: Vec<_> = form.text("to").split(',').map(|to| self.deliver(plan, &form, to.trim())).collect();
        let sent = recipients.iter().filter(|recipient| recipient.code == 101).count();
        let words = format!("Sent to {sent}/{} Total Cost: ZAR 0.2000", recipients.len());
        summary(&words, &recipients, as_json)
    }

    /// Takes or refuses the SMS for one recipient.
    fn deliver<'a>(&self, plan: &'a SubmissionPlan, form: &FormFields<'_>, to: &'a str) -> RecipientResult<'a> {
        let text = form.text("message");
        let refusal = match to.strip_prefix('+').is_some_and(is_msisdn) {
            false => Some("403, InvalidPhoneNumber"),
            true if plan.refused => Some(plan.refusal("406, UserInBlacklist")),
            true => None,
        };
        if let Some(refusal) = refusal {
            self.core.seen.refused();
            let (code, status) = refusal.split_once(", ").unwrap_or(("502", refusal));
            return RecipientResult { code: code.parse().unwrap_or(502), number: to, status, id: "None".to_owned() };
        }
        let taken = self.core.take(&format!("{to} {text}"));
        self.core.show_on_handset(form.text("from"), to, text);
        let id = format!("ATXid_{:016x}{:016x}", taken.at, taken.number);
        self.core.send_receipt(plan, FORM, || {
            let status = plan.receipt_status("Success");
            let mut form = Serializer::new(String::with_capacity(160));
            form.append_pair("id", &id).append_pair("status", status).append_pair("phoneNumber", to);
            form.append_pair("networkCode", "65501").append_pair("retryCount", "0");
            if matches!(status, "Rejected" | "Failed") {
                form.append_pair("failureReason", "UserIsInactive");
            }
            form.finish()
        });
        RecipientResult { code: 101, number: to, status: "Success", id }
    }

    fn refuse(&self, status: StatusCode, words: &str) -> HttpResponse {
        self.core.seen.refused();
        answer(status, "text/plain; charset=utf-8", words.to_owned())
    }
}

impl SandboxProvider for AfricasTalkingServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config.app_data(Data::from(self)).service(web::resource("/version1/messaging").route(web::post().to(send)));
    }

    fn serves(&self) -> &'static str {
        "POST version1/messaging, a form (kind = \"http\")"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall> {
        let taken = self.core.next_number();
        let form = Serializer::new(String::new())
            .append_pair("date", &self.core.clock.now().to_seconds_text())
            .append_pair("from", &with_plus(&order.from))
            .append_pair("id", &format!("{:016x}{:016x}", taken.at, taken.number))
            .append_pair("linkId", "")
            .append_pair("text", &order.text)
            .append_pair("to", &order.to)
            .append_pair("networkCode", "65501")
            .finish();
        Some(RouterCall::post(self.core.receive_url(None), FORM, form))
    }
}

async fn send(provider: Data<AfricasTalkingServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer_submission(&provider.core, &request, |plan| provider.submit(plan, &request, &body)).await
}

fn with_plus(number: &str) -> String {
    format!("+{}", number.trim_start_matches('+'))
}

/// The answer: always status 201; XML unless JSON was asked for.
fn summary(words: &str, recipients: &[RecipientResult<'_>], as_json: bool) -> HttpResponse {
    let cost = |recipient: &RecipientResult<'_>| if recipient.code == 101 { "ZAR 0.2000" } else { "0" };
    if as_json {
        let list: Vec<_> = recipients
            .iter()
            .map(|r| {
                let (code, number, status) = (r.code, r.number, r.status);
                json!({"statusCode": code, "number": number, "status": status, "cost": cost(r), "messageId": r.id})
            })
            .collect();
        let body = json!({"SMSMessageData": {"Message": words, "Recipients": list}});
        return json_answer(StatusCode::CREATED, &body);
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
