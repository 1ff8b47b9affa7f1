//! Rows, and the kit's types made of them.

use std::borrow::Cow;

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    address::{Address, Msisdn},
    clock::Timestamp,
    consent::ConsentNotice,
    esme::ReceiptRequest,
    name::Name,
    sms::{InboundSms, Received, Sms, TransportStatus},
    sms_options::{Content, Priority, SmsOptions},
};

use super::{Conn, Fixed, life::LifeColumns};
use crate::schema::{received_sms, sms};

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
pub(super) struct SmsRow {
    id: i64,
    account: i64,
    transport: String,
    recipient: String,
    sender: String,
    message: String,
    #[diesel(column_name = provider_said)]
    provider_response: Option<String>,
    provider_id: Option<String>,
    attempts: i32,
    delivered_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    segments: i32,
    priority: i32,
    content: String,
    udh: Option<String>,
    give_up_at: i64,
    reference: Option<String>,
    callback_url: Option<String>,
    route: Option<String>,
    #[diesel(embed)]
    life: LifeColumns,
}

impl SmsRow {
    pub(super) fn provider_id(&self) -> Option<&String> {
        self.provider_id.as_ref()
    }

    /// The SMS as it is at this moment.
    pub(super) fn at(self, now: Timestamp) -> Result<Sms, Error> {
        let row = self;
        let (callback_url, receipts) = told(row.callback_url);
        Ok(Sms {
            id: row.id,
            account: row.account,
            transport: name(&row.transport)?,
            to: msisdn(&row.recipient)?,
            from: address(&row.sender)?,
            message: row.message,
            state: row.life.state(now)?,
            status: row.life.status()?,
            provider_response: row.provider_response,
            provider_id: row.provider_id,
            attempts: row.attempts,
            delivered_at: row.delivered_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            segments: segments(row.segments)?,
            priority: priority(row.priority)?,
            content: content(&row.content, row.udh)?,
            scheduled_at: row.life.scheduled_at(),
            expires_at: Timestamp::from_micros(row.give_up_at),
            reference: row.reference,
            callback_url,
            receipts,
            route: row.route.as_deref().map(name).transpose()?,
        })
    }
}

/// The SMS with these numbers, in one statement and in no order.
pub(super) fn find_sms(conn: &mut Conn, ids: &[i64], now: Timestamp) -> QueryResult<Vec<Sms>> {
    let found = Fixed(sms::table.filter(among!(sms::id, "sms.id", ids)).select(SmsRow::as_select()));
    found.load::<SmsRow>(conn)?.into_iter().map(|row| row.at(now)).collect()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = received_sms)]
pub(super) struct ReceivedRow {
    id: i64,
    account: i64,
    transport: String,
    message_id: String,
    sender: String,
    recipient: String,
    message: String,
    charset: Option<String>,
    provider_id: Option<String>,
    at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    consent: Option<String>,
    incomplete: i32,
}

/// The account of received SMS that belong to none yet.
pub(super) const NOBODY: i64 = 0;

impl ReceivedRow {
    pub(super) fn into_received(self, repeated: bool) -> Result<Received, Error> {
        Ok(Received {
            id: self.id,
            account: (self.account != NOBODY).then_some(self.account),
            transport: name(&self.transport)?,
            message_id: self.message_id,
            sms: InboundSms {
                from: address(&self.sender)?,
                to: address(&self.recipient)?,
                message: self.message,
                charset: self.charset,
                provider_id: self.provider_id,
                at: self.at.map(Timestamp::from_micros),
                part: None,
            },
            repeated,
            incomplete: self.incomplete != 0,
            tags: Vec::new(),
            consent: self.consent.as_deref().and_then(ConsentNotice::kept),
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

pub(super) fn name(text: &str) -> Result<Name, Error> {
    Name::parse(text).map_err(|wrong| Error::DeserializationError(Box::new(wrong)))
}

pub(super) fn msisdn(text: &str) -> Result<Msisdn, Error> {
    Msisdn::parse(text).map_err(|wrong| Error::DeserializationError(Box::new(wrong)))
}

pub(super) fn address(text: &str) -> Result<Address, Error> {
    Address::inbound(text).map_err(|wrong| Error::DeserializationError(Box::new(wrong)))
}

pub(super) fn status(number: i32) -> Result<TransportStatus, Error> {
    i16::try_from(number).map(TransportStatus::from).map_err(|wrong| Error::DeserializationError(Box::new(wrong)))
}

pub(super) fn segments(number: i32) -> Result<u32, Error> {
    u32::try_from(number).map_err(|wrong| Error::DeserializationError(Box::new(wrong)))
}

/// A priority as its column has it.
pub(super) const fn priority_number(priority: Priority) -> i32 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

pub(super) fn priority(number: i32) -> Result<Priority, Error> {
    let known = Priority::ALL.into_iter().find(|priority| priority_number(*priority) == number);
    known.ok_or_else(|| Error::DeserializationError(format!("no priority has the number {number}").into()))
}

/// A content as its columns have it, the second with the header.
pub(super) fn content_columns(content: &Content) -> (Cow<'static, str>, Option<&str>) {
    match content {
        Content::Text => ("text".into(), None),
        Content::Flash => ("flash".into(), None),
        Content::Binary { udh } => ("binary".into(), udh.as_deref()),
        Content::Raw { data_coding, protocol_id, udh } => {
            (format!("{RAW}{data_coding} {protocol_id}").into(), udh.as_deref())
        }
    }
}

/// Before data coding and protocol id.
const RAW: &str = "raw ";

fn raw(numbers: &str, udh: Option<String>) -> Option<Content> {
    let (data_coding, protocol_id) = numbers.split_once(' ')?;
    Some(Content::Raw { data_coding: data_coding.parse().ok()?, protocol_id: protocol_id.parse().ok()?, udh })
}

/// What the column of an SMS's own callbacks keeps: their URL, or the receipts that an ESME asked for.
pub(super) fn told_column(options: &SmsOptions) -> Option<Cow<'_, str>> {
    match &options.receipts {
        Some(request) => Some(request.to_string().into()),
        None => options.callback_url.as_deref().map(Cow::Borrowed),
    }
}

/// Reads what [`told_column`] wrote.
fn told(kept: Option<String>) -> (Option<String>, Option<ReceiptRequest>) {
    match kept.as_deref().map(str::parse) {
        Some(Ok(request)) => (None, Some(request)),
        Some(Err(_)) | None => (kept, None),
    }
}

pub(super) fn content(word: &str, udh: Option<String>) -> Result<Content, Error> {
    match word {
        "text" => Ok(Content::Text),
        "flash" => Ok(Content::Flash),
        "binary" => Ok(Content::Binary { udh }),
        other => {
            let raw = other.strip_prefix(RAW).and_then(|numbers| raw(numbers, udh));
            raw.ok_or_else(|| Error::DeserializationError(format!("no content is called {other}").into()))
        }
    }
}

/// A count or offset as the database takes it.
pub(super) fn as_limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
