//! What Clickatell posts to us: receipts and SMS from people, GET or POST, form-encoded.

use vumi_kit::{
    sms::{InboundSms, Receipt, SmsId},
    webhook::{Unreadable, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read},
};

use super::codes;
use crate::{
    concatenation::part_of_header,
    time::{TimeFormat, read_time},
    webhook_answer::{empty_answer, receipt_answer, received_answer},
    webhook_fields::WebhookFields,
};

/// `receipt.json`.
pub(super) struct ClickatellReceipts;

impl WebhookForm for ClickatellReceipts {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let reports = WebhookFields::each(request, &["apiMsgId", "cliMsgId", "status", "timestamp"])?;
        each_read(reports.into_iter().map(|fields| read_receipt(fields, request)), WebhookNews::Receipts)
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Receipts(receipts) => receipt_answer(receipts),
            WebhookKept::Inbound(_) => empty_answer(200),
        }
    }
}

fn read_receipt(fields: WebhookFields<'_>, request: &WebhookRequest) -> Result<Receipt, Unreadable> {
    let provider_id = fields.require("apiMsgId")?.to_owned();
    let sms: SmsId =
        fields.require("cliMsgId")?.trim().parse().map_err(|_| Unreadable::new("cliMsgId", "is not a number"))?;
    let code = fields.require("status")?;
    let status =
        codes::status(code).ok_or_else(|| Unreadable::new("status", "is not one of Clickatell's codes, 1 to 14"))?;
    let provider_status = Some(code.to_owned());
    let at = fields.get("timestamp").and_then(|text| read_time(text, Some(&TimeFormat::SECONDS), request));
    Ok(Receipt {
        provider_id: Some(provider_id),
        sms: Some(sms),
        both_ids: true,
        provider_status,
        at,
        ..Receipt::new(status, fields.pairs)
    })
}

/// `receive.json`. Its `api_id` is not compared with the transport's: a two-way number can hang on another one than the
/// account sends with, and the call is authenticated already.
pub(super) struct ClickatellInbound;

impl WebhookForm for ClickatellInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let fields = WebhookFields::of(request);
        let provider_id = fields.require("moMsgId")?.to_owned();
        let charset = fields.get("charset").filter(|charset| !charset.is_empty()).map(str::to_owned);
        let inbound = InboundSms {
            from: fields.require_address("from")?,
            to: fields.require_address("to")?,
            message: fields.require_text("text", charset.as_deref())?,
            charset,
            provider_id: Some(provider_id),
            at: fields.get("timestamp").and_then(|text| read_time(text, None, request)),
            part: fields.get("udh").and_then(part_of_header),
        };
        Ok(WebhookNews::Inbound(vec![inbound]))
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        match kept {
            WebhookKept::Inbound(received) => received_answer(received),
            WebhookKept::Receipts(_) => empty_answer(200),
        }
    }
}
