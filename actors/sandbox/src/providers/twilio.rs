//! Twilio, and the many that copy it: `Messages.json`, a form in and JSON out, HTTP statuses that mean what they
//! say; receipts and inbound SMS as forms.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use base64::Engine as _;
use form_urlencoded::Serializer;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use vumi_kit::settings_schema::Secret;

use crate::{
    behaviour::{Misbehaviour, SubmissionPlan},
    form_fields::FormFields,
    http::{header_text, json_answer},
    provider_core::{ProviderCore, accepts, answer_submission, is_msisdn},
    router_client::RouterCall,
    sandbox_provider::{FORM, InboundOrder, SandboxProvider, SandboxProviderSettings},
    seen::Taken,
};

/// The longest `Body`, in characters.
const LONGEST: usize = 1600;

/// The table `[sandbox.twilio]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwilioSettings {
    /// The router's transport that receipts and inbound SMS are for.
    pub transport: String,
    /// The only account, in the path and as the user, that is accepted; any where it is not set.
    #[schemars(example = &"AC0123456789")]
    pub account: Option<String>,
    /// The only token (the password) that is accepted; any that is not empty where it is not set.
    #[schemars(with = "Option<Secret>")]
    pub token: Option<SecretString>,
    /// How it misbehaves.
    pub misbehave: Misbehaviour,
}

impl Default for TwilioSettings {
    fn default() -> Self {
        Self { transport: "twilio".to_owned(), account: None, token: None, misbehave: Misbehaviour::default() }
    }
}

impl SandboxProviderSettings for TwilioSettings {
    const NAME: &str = "twilio";

    fn transport(&self) -> &str {
        &self.transport
    }

    fn misbehave(&self) -> &Misbehaviour {
        &self.misbehave
    }

    fn server(&self, core: Arc<ProviderCore>) -> Arc<dyn SandboxProvider> {
        Arc::new(TwilioServer { core, account: self.account.clone(), token: self.token.clone() })
    }
}

/// A refusal: the HTTP status, Twilio's code, and its text.
struct TwilioRefusal(StatusCode, u32, String);

impl TwilioRefusal {
    fn of_sms(code: u32, words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, code, words.into())
    }
}

pub(crate) struct TwilioServer {
    core: Arc<ProviderCore>,
    account: Option<String>,
    token: Option<SecretString>,
}

impl TwilioServer {
    fn check_credentials(&self, account: &str, request: &HttpRequest) -> Result<(), TwilioRefusal> {
        let known = basic(request).is_some_and(|(user, password)| {
            user == account
                && !password.is_empty()
                && accepts(self.account.as_deref(), &user)
                && accepts(self.token.as_ref().map(ExposeSecret::expose_secret), &password)
        });
        let words = "Authentication Error - invalid username";
        if known { Ok(()) } else { Err(TwilioRefusal(StatusCode::UNAUTHORIZED, 20003, words.to_owned())) }
    }

    fn take(
        &self,
        plan: &SubmissionPlan,
        account: &str,
        request: &HttpRequest,
        body: &[u8],
    ) -> Result<HttpResponse, TwilioRefusal> {
        self.check_credentials(account, request)?;
        let form = FormFields::read(body);
        let (to, from, text) = (form.text("To"), form.text("From"), form.text("Body"));
        check(to, from, text)?;
        if plan.refused {
            let refusal = plan.refusal("21610, Attempt to send to unsubscribed recipient");
            let (code, words) = refusal.split_once(", ").unwrap_or(("30008", refusal));
            return Err(TwilioRefusal::of_sms(code.parse().unwrap_or(30008), words));
        }
        let taken = self.core.take(&format!("{to} {text}"));
        self.core.show_on_handset(from, to, text);
        let sid = sid(taken);
        // Without `StatusCallback` there is no receipt. Its URL is not used: the sandbox calls only the router of its
        // own settings.
        if !form.text("StatusCallback").is_empty() {
            self.core.send_receipt(plan, FORM, || {
                let status = plan.receipt_status("delivered");
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
        Ok(json_answer(StatusCode::CREATED, &message))
    }

    fn refuse(&self, TwilioRefusal(status, code, words): TwilioRefusal) -> HttpResponse {
        self.core.seen.refused();
        let more = format!("https://www.twilio.com/docs/errors/{code}");
        let body = json!({"code": code, "message": words, "more_info": more, "status": status.as_u16()});
        json_answer(status, &body)
    }
}

impl SandboxProvider for TwilioServer {
    fn core(&self) -> &Arc<ProviderCore> {
        &self.core
    }

    fn mount(self: Arc<Self>, config: &mut ServiceConfig) {
        config
            .app_data(Data::from(self))
            .service(web::resource("/2010-04-01/Accounts/{account}/Messages.json").route(web::post().to(send)));
    }

    fn serves(&self) -> &'static str {
        "POST 2010-04-01/Accounts/{account}/Messages.json, a form (kind = \"http\")"
    }

    fn inbound(&self, order: &InboundOrder) -> Option<RouterCall> {
        let sid = sid(self.core.next_number());
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
        Some(order.form_call(&self.core, form))
    }
}

async fn send(
    twilio: Data<TwilioServer>,
    request: HttpRequest,
    account: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    answer_submission(&twilio.core, &request, |plan| {
        twilio.take(plan, &account, &request, &body).unwrap_or_else(|refusal| twilio.refuse(refusal))
    })
    .await
}

/// The user and password of HTTP Basic authentication.
fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let encoded = header_text(request, "authorization").strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Checks what Twilio checks: `To` in E.164, a `From`, a text that is not too long.
fn check(to: &str, from: &str, text: &str) -> Result<(), TwilioRefusal> {
    if to.is_empty() {
        return Err(TwilioRefusal::of_sms(21604, "A 'To' phone number is required."));
    }
    if !to.strip_prefix('+').is_some_and(is_msisdn) {
        return Err(TwilioRefusal::of_sms(21211, format!("The 'To' number {to} is not a valid phone number.")));
    }
    if from.is_empty() {
        return Err(TwilioRefusal::of_sms(21603, "A 'From' phone number is required."));
    }
    // A short code has no plus; with a plus it has to be a whole number.
    if from.strip_prefix('+').is_some_and(|number| number.len() < 7) {
        return Err(TwilioRefusal::of_sms(21212, format!("The 'From' number {from} is not a valid phone number.")));
    }
    match text.chars().count() {
        0 => Err(TwilioRefusal::of_sms(21602, "Message body is required.")),
        n if n > LONGEST => {
            Err(TwilioRefusal::of_sms(21617, "The concatenated message body exceeds the 1600 character limit."))
        }
        _ => Ok(()),
    }
}

fn sid(taken: Taken) -> String {
    format!("SM{:016x}{:016x}", taken.at, taken.number)
}
