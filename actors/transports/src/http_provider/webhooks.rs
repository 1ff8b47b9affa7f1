//! What a provider posts to us, mapped to receipts and SMS by the settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vumi_kit::{
    address::{Address, Msisdn},
    clock::Timestamp,
    provider_text::{bounded_id, bounded_words},
    sms::{InboundPart, InboundSms, Receipt, SmsId},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read},
};

use super::reports::{JsonReport, json_reports};
use crate::{
    concatenation::{part_of_fields, part_of_header},
    json_body::json_body,
    provider_status::{usual_code, with_code},
    time::{TimeFormat, read_time},
    webhook_answer::{empty_answer, json_answer, receipt_json, received_answer},
    webhook_fields::{WebhookFields, address, msisdn},
};

/// How a call carries its fields.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FieldFormat {
    /// In the query or a form-encoded body.
    Form,
    /// In a JSON object; a field is a key of it, or a JSON pointer that begins with `/`.
    Json,
}

/// `[receipt]`: which fields of a delivery receipt mean what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptSettings {
    /// `form` or `json`.
    pub(super) format: FieldFormat,
    /// In JSON, the list whose elements are the receipts: a JSON pointer, empty for the body itself. The other fields are
    /// those of an element. None: one receipt a call, and one for each element of the lists that the pointers lead
    /// through by a `0`.
    #[schemars(example = &"/results")]
    pub(super) each: Option<String>,
    /// The field with the provider's id.
    id: String,
    /// The field with our id, where the provider hands it back: then the receipt is about this SMS.
    #[schemars(example = &"reference")]
    sms: Option<String>,
    /// The field with the number of the part that the receipt is about, counted from 1.
    #[schemars(example = &"part")]
    part: Option<String>,
    /// The field with the recipient, if it is to match as well.
    to: Option<String>,
    /// The field with the status.
    status: String,
    /// The field with the code of a failure, shown with the status. None: one of the usual names, such as `ErrorCode`.
    #[schemars(example = &"reason")]
    code: Option<String>,
    /// Each of the provider's statuses as one of ours, 1 to 14.
    pub(super) statuses: BTreeMap<String, i16>,
    /// What a status means that is not listed; none: such a receipt is refused.
    #[schemars(example = 7)]
    pub(super) other_status: Option<i16>,
    /// The field with the time.
    #[schemars(example = &"time")]
    at: Option<String>,
    /// How it is written: `seconds` or `milliseconds` since 1970, `yymmddhhmm`, `yymmddhhmmss`, `yyyymmddhhmm`,
    /// `yyyymmddhhmmss`, `rfc3339`, `rfc2822`, or a pattern such as `%d/%m/%Y %H:%M`; UTC where it names no zone. None: by
    /// its looks.
    #[schemars(example = &"yymmddhhmm")]
    at_format: Option<TimeFormat>,
}

/// `[inbound]`: which fields of an SMS from a person mean what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InboundSettings {
    /// `form` or `json`.
    pub(super) format: FieldFormat,
    /// In JSON, the list whose elements are the SMS, as for receipts.
    #[schemars(example = &"/results")]
    pub(super) each: Option<String>,
    /// The field with the person's number.
    from: String,
    /// The field with our number.
    to: String,
    /// The field with the text.
    text: String,
    /// The field of a form that names the text's character set. None, or an unknown name: that of the content type, or the
    /// transport's `charset`.
    #[schemars(example = &"charset")]
    charset: Option<String>,
    /// The field with the provider's id; it tells a repeated SMS.
    id: Option<String>,
    /// The field with the time.
    at: Option<String>,
    /// How it is written, as `receipt.at_format`.
    #[schemars(example = &"rfc3339")]
    at_format: Option<TimeFormat>,
    /// The fields that say which part of a longer SMS it is.
    #[serde(default)]
    part: PartSettings,
    /// What is answered; none: the SMS as JSON.
    reply: Option<FixedAnswer>,
}

/// `[inbound.part]`: the fields that make one SMS of its parts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PartSettings {
    /// What the parts of one SMS have in common.
    reference: String,
    /// How many parts it has.
    total: String,
    /// Which one it is, counted from 1.
    number: String,
    /// The user data header in hexadecimal digits, which says all three.
    header: String,
}

impl Default for PartSettings {
    fn default() -> Self {
        Self {
            reference: "concat-ref".to_owned(),
            total: "concat-total".to_owned(),
            number: "concat-part".to_owned(),
            header: "udh".to_owned(),
        }
    }
}

/// A fixed answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FixedAnswer {
    /// Its content type.
    #[serde(rename = "type")]
    content: AnswerType,
    /// The body.
    #[serde(default)]
    body: String,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AnswerType {
    Text,
    Json,
    Xml,
}

impl FixedAnswer {
    fn answer(&self) -> WebhookAnswer {
        if self.body.is_empty() {
            return empty_answer(200);
        }
        let content_type = match self.content {
            AnswerType::Text => "text/plain; charset=utf-8",
            AnswerType::Json => "application/json",
            AnswerType::Xml => "text/xml; charset=utf-8",
        };
        WebhookAnswer { status: 200, content_type: Some(content_type), body: self.body.clone().into() }
    }
}

/// A call, or one of its reports.
enum WebhookCall<'a> {
    Form(WebhookFields<'a>),
    Json(JsonReport<'a>),
}

/// Reads each report of a call.
fn each_report<T>(
    request: &WebhookRequest,
    (format, each): (FieldFormat, Option<&str>),
    fields: &[&str],
    read: impl Fn(&WebhookCall<'_>) -> Result<T, Unreadable>,
    news: impl FnOnce(Vec<T>) -> WebhookNews,
) -> Result<WebhookNews, Unreadable> {
    match format {
        FieldFormat::Form => {
            let reports = WebhookFields::each(request, fields)?;
            each_read(reports.into_iter().map(|fields| read(&WebhookCall::Form(fields))), news)
        }
        FieldFormat::Json => {
            let body: Value = json_body(request)?;
            let reports = json_reports(&body, each, fields)?;
            each_read(reports.into_iter().map(|report| read(&WebhookCall::Json(report))), news)
        }
    }
}

impl WebhookCall<'_> {
    fn get(&self, field: &str) -> Option<String> {
        match self {
            Self::Form(fields) => fields.get(field).map(str::to_owned),
            Self::Json(report) => report.get(field),
        }
    }

    fn get_as(&self, field: Option<&String>) -> Option<String> {
        field.and_then(|field| self.get(field))
    }

    /// A field that says something.
    fn filled(&self, field: Option<&String>) -> Option<String> {
        self.get_as(field).filter(|value| !value.trim().is_empty())
    }

    fn require(&self, field: &str) -> Result<String, Unreadable> {
        self.get(field).ok_or_else(|| Unreadable::new(field, "is required"))
    }

    fn require_msisdn(&self, field: &str) -> Result<Msisdn, Unreadable> {
        msisdn(field, &self.require(field)?)
    }

    fn require_address(&self, field: &str) -> Result<Address, Unreadable> {
        address(field, &self.require(field)?)
    }

    /// The text of an SMS. In JSON it needs no character set of its own.
    fn require_text(&self, field: &str, label: Option<&str>) -> Result<String, Unreadable> {
        match self {
            Self::Form(fields) => fields.require_text(field, label),
            Self::Json(_) => self.require(field),
        }
    }

    fn time(&self, field: Option<&String>, format: Option<&TimeFormat>, request: &WebhookRequest) -> Option<Timestamp> {
        read_time(&self.get_as(field)?, format, request)
    }

    fn fields(&self, read: &[&str]) -> Vec<(String, String)> {
        match self {
            Self::Form(fields) => fields.pairs.clone(),
            Self::Json(report) => report.fields(read),
        }
    }
}

impl ReceiptSettings {
    /// The fields that are read.
    fn fields(&self) -> Vec<&str> {
        let optional = [&self.sms, &self.part, &self.to, &self.code, &self.at];
        [&self.id, &self.status].into_iter().chain(optional.into_iter().flatten()).map(String::as_str).collect()
    }

    fn read(&self, call: &WebhookCall<'_>, request: &WebhookRequest) -> Result<Receipt, Unreadable> {
        let status = call.require(&self.status)?;
        let ours =
            self.statuses.get(&status).copied().or(self.other_status).ok_or_else(|| {
                Unreadable::new(&self.status, "is not among the statuses in this transport's settings")
            })?;
        let provider_id = call.filled(Some(&self.id)).map(bounded_id);
        let sms = self.our_number(call, provider_id.is_some())?;
        if provider_id.is_none() && sms.is_none() {
            return Err(Unreadable::new(&self.id, "is required"));
        }
        let fields = call.fields(&self.fields());
        let code = call.filled(self.code.as_ref()).map(bounded_words);
        let code = code.as_deref().or_else(|| usual_code(&fields).filter(|_| self.code.is_none()));
        Ok(Receipt {
            provider_id,
            sms,
            part: call.filled(self.part.as_ref()).and_then(|part| part.trim().parse().ok()).filter(|part| *part > 0),
            to: self.to.as_ref().map(|field| call.require_msisdn(field)).transpose()?,
            provider_status: Some(with_code(&status, code)),
            at: call.time(self.at.as_ref(), self.at_format.as_ref(), request),
            ..Receipt::new(ours.into(), fields)
        })
    }

    /// Our number for the SMS. Another's reference is no reason to refuse a receipt that the provider's id tells.
    fn our_number(&self, call: &WebhookCall<'_>, has_id: bool) -> Result<Option<SmsId>, Unreadable> {
        let Some((field, id)) = self.sms.as_ref().zip(call.filled(self.sms.as_ref())) else { return Ok(None) };
        match id.trim().parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) if has_id => Ok(None),
            Err(_) => Err(Unreadable::new(field, "is not the number of an SMS")),
        }
    }
}

/// `receipt.json`.
pub(super) struct HttpReceipts(pub(super) ReceiptSettings);

impl WebhookForm for HttpReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let Self(settings) = self;
        let lists = (settings.format, settings.each.as_deref());
        each_report(request, lists, &settings.fields(), |call| settings.read(call, request), WebhookNews::Receipts)
    }

    /// 200 in any case: one that matches nothing yet is kept, and the provider need not send it again.
    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Receipts(receipts) => {
                json_answer(200, &receipts.iter().map(|(receipt, matched)| receipt_json(receipt, matched)).collect())
            }
            WebhookKept::Inbound(_) => empty_answer(200),
        }
    }
}

impl InboundSettings {
    /// The fields that are read.
    fn fields(&self) -> Vec<&str> {
        let optional = [&self.id, &self.at].into_iter().flatten();
        [&self.from, &self.to, &self.text].into_iter().chain(optional).map(String::as_str).collect()
    }

    fn read(&self, call: &WebhookCall<'_>, request: &WebhookRequest) -> Result<InboundSms, Unreadable> {
        let charset = call.filled(self.charset.as_ref());
        Ok(InboundSms {
            from: call.require_address(&self.from)?,
            to: call.require_address(&self.to)?,
            message: call.require_text(&self.text, charset.as_deref())?,
            charset,
            provider_id: call.filled(self.id.as_ref()).map(bounded_id),
            at: call.time(self.at.as_ref(), self.at_format.as_ref(), request),
            part: self.part.read(call),
        })
    }
}

impl PartSettings {
    fn read(&self, call: &WebhookCall<'_>) -> Option<InboundPart> {
        let said = |field: &String| call.get(field);
        let by_fields = || part_of_fields(&said(&self.reference)?, &said(&self.total)?, &said(&self.number)?);
        by_fields().or_else(|| part_of_header(&said(&self.header)?))
    }
}

/// `receive.json`.
pub(super) struct HttpInbound(pub(super) InboundSettings);

impl WebhookForm for HttpInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let Self(settings) = self;
        let lists = (settings.format, settings.each.as_deref());
        each_report(request, lists, &settings.fields(), |call| settings.read(call, request), WebhookNews::Inbound)
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match (&self.0.reply, kept) {
            (Some(reply), _) => reply.answer(),
            (None, WebhookKept::Inbound(received)) => received_answer(received),
            (None, WebhookKept::Receipts(_)) => empty_answer(200),
        }
    }
}
