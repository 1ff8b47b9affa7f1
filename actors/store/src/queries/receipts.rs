//! Delivery receipts: matched with the SMS they speak of, or kept until it is known.

use diesel::prelude::*;
use form_urlencoded::Serializer;
use vumi_kit::{
    account::AccountId,
    callback::CallbackName,
    clock::Timestamp,
    ledger::{ListUnmatchedReceipts, ReceiptMatch, RecordReceipts},
    name::Name,
    sms::{Receipt, Sms, SmsId, TransportStatus},
};

use super::{
    Conn, Failed, Fixed, Read, Tx, Write, deliveries,
    rows::{self, SmsRow, as_limit},
};
use crate::schema::{receipts, sms};

impl Write for RecordReceipts {
    fn rows(&self) -> usize {
        self.receipts.len()
    }

    /// The submission's outcome may be recorded by another process at this moment.
    fn lock_keys(&self) -> Vec<String> {
        let ids = self.receipts.iter().filter_map(|receipt| receipt.provider_id.as_deref());
        ids.map(|id| lock_key(&self.transport, id)).collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<ReceiptMatch>, Failed> {
        let receipts: Vec<Receipt> = self.receipts.into_iter().map(Receipt::keepable).collect();
        let mut matches = Vec::with_capacity(receipts.len());
        for receipt in &receipts {
            matches.push(record(tx, self.account, &self.transport, receipt)?);
        }
        Ok(matches)
    }
}

/// What a transaction knows a provider's id by.
pub(super) fn lock_key(transport: &Name, provider_id: &str) -> String {
    format!("{transport} {provider_id}")
}

fn record(tx: &mut Tx<'_>, account: AccountId, transport: &Name, receipt: &Receipt) -> QueryResult<ReceiptMatch> {
    let fields = written(&receipt.fields);
    let Some(sms) = match_sms(tx, account, transport, receipt)? else {
        if !is_kept_unmatched(tx, account, transport, receipt, &fields)? {
            keep(tx, account, transport, receipt, &fields, None)?;
        }
        return Ok(ReceiptMatch::Unmatched);
    };
    let same = receipts::table.filter(receipts::sms.eq(sms.id)).filter(receipts::fields.eq(&fields));
    if diesel::select(diesel::dsl::exists(same)).get_result::<bool>(tx.conn)? {
        return Ok(ReceiptMatch::Repeated(Box::new(sms)));
    }
    keep(tx, account, transport, receipt, &fields, Some(sms.id))?;
    let news = News {
        provider_id: receipt.provider_id.as_deref(),
        status: receipt.status,
        at: receipt.at,
        fields: &receipt.fields,
    };
    apply(tx, sms, &news).map(|sms| ReceiptMatch::Matched(Box::new(sms)))
}

/// The SMS of the account that the receipt speaks of.
fn match_sms(tx: &mut Tx<'_>, account: AccountId, transport: &Name, receipt: &Receipt) -> QueryResult<Option<Sms>> {
    let row = match (receipt.sms, &receipt.provider_id) {
        (Some(id), provider_id) => {
            let named = sms::table.find(id).filter(sms::account.eq(account));
            let named = named.filter(sms::transport.eq(transport.as_str())).select(SmsRow::as_select());
            let named: Option<SmsRow> = for_update!(named).first(tx.conn).optional()?;
            // Where the provider's answer is still on its way, its id is taken from the receipt.
            named.filter(|row| match (row.provider_id(), provider_id) {
                (Some(known), Some(given)) => known == given,
                _ => true,
            })
        }
        (None, Some(provider_id)) => {
            let known = sms::table
                .filter(sms::transport.eq(transport.as_str()))
                .filter(sms::provider_id.eq(provider_id))
                .filter(sms::account.eq(account))
                .order(sms::id.desc())
                .select(SmsRow::as_select());
            match &receipt.to {
                Some(to) => for_update!(known.filter(sms::recipient.eq(to.as_str()))).first(tx.conn).optional()?,
                None => for_update!(known).first(tx.conn).optional()?,
            }
        }
        (None, None) => None,
    };
    row.map(Sms::try_from).transpose()
}

fn is_kept_unmatched(
    tx: &mut Tx<'_>,
    account: AccountId,
    transport: &Name,
    receipt: &Receipt,
    fields: &str,
) -> QueryResult<bool> {
    let kept = receipts::table
        .filter(receipts::sms.is_null())
        .filter(receipts::transport.eq(transport.as_str()))
        .filter(receipts::account.eq(account))
        .filter(receipts::fields.eq(fields))
        .select(receipts::id);
    let first = match &receipt.provider_id {
        Some(provider_id) => kept.filter(receipts::provider_id.eq(provider_id)).first::<i64>(tx.conn),
        None => kept.filter(receipts::provider_id.is_null()).first(tx.conn),
    };
    Ok(first.optional()?.is_some())
}

fn keep(
    tx: &mut Tx<'_>,
    account: AccountId,
    transport: &Name,
    receipt: &Receipt,
    fields: &str,
    sms: Option<SmsId>,
) -> QueryResult<()> {
    diesel::insert_into(receipts::table)
        .values((
            receipts::account.eq(account),
            receipts::transport.eq(transport.as_str()),
            receipts::sms.eq(sms),
            receipts::named_sms.eq(receipt.sms),
            receipts::provider_id.eq(receipt.provider_id.as_deref()),
            receipts::recipient.eq(receipt.to.as_ref().map(|to| to.as_str())),
            receipts::status.eq(i32::from(receipt.status)),
            receipts::at.eq(receipt.at.map(Timestamp::micros)),
            receipts::fields.eq(fields),
            receipts::received_at.eq(tx.now.micros()),
        ))
        .execute(tx.conn)
        .map(drop)
}

/// What a receipt says of the SMS it is matched with.
struct News<'a> {
    provider_id: Option<&'a str>,
    status: TransportStatus,
    at: Option<Timestamp>,
    fields: &'a [(String, String)],
}

/// Changes the SMS as far as the news is news, and tells the account's callbacks in any case.
fn apply(tx: &mut Tx<'_>, mut sms: Sms, news: &News<'_>) -> QueryResult<Sms> {
    let supersedes = news.status.supersedes(sms.status);
    let learns_id = sms.provider_id.is_none() && news.provider_id.is_some();
    if supersedes {
        sms.status = news.status;
        if news.status == TransportStatus::Delivered {
            sms.delivered_at = Some(news.at.unwrap_or(tx.now));
        }
        if let Some((_, status)) = news.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case("status")) {
            sms.provider_response = Some(status.clone());
        }
    }
    if learns_id {
        sms.provider_id = news.provider_id.map(str::to_owned);
    }
    if supersedes || learns_id {
        sms.updated_at = tx.now;
        Fixed(diesel::update(sms::table.find(sms.id)).set((
            sms::status.eq(i32::from(sms.status)),
            sms::provider_said.eq(sms.provider_response.as_deref()),
            sms::provider_id.eq(sms.provider_id.as_deref()),
            sms::delivered_at.eq(sms.delivered_at.map(Timestamp::micros)),
            sms::updated_at.eq(sms.updated_at.micros()),
        )))
        .execute(tx.conn)?;
    }
    // Who sends a receipt has the SMS: it is not submitted again. "Message unknown" says the contrary.
    if news.status.supersedes(TransportStatus::UnknownMessage) {
        let left = sms::table.find(sms.id).filter(sms::next_attempt_at.is_not_null());
        Fixed(diesel::update(left).set(sms::next_attempt_at.eq(None::<i64>))).execute(tx.conn)?;
    }
    let body = callback_body(&sms, news.fields);
    deliveries::enqueue(tx, sms.account, CallbackName::SmsReceipt, Some(sms.id), &body)?;
    Ok(sms)
}

/// The receipt's fields as the provider sent them, then the SMS's.
fn callback_body(sms: &Sms, fields: &[(String, String)]) -> String {
    let mut body = Serializer::new(String::new());
    body.extend_pairs(fields);
    body.append_pair("id", &sms.id.to_string());
    body.append_pair("transport_name", sms.transport.as_str());
    body.append_pair("transport_status", &i16::from(sms.status).to_string());
    body.append_pair("transport_status_display", sms.status.display());
    body.finish()
}

/// An SMS whose provider has just said its id.
pub(super) struct Known {
    pub(super) id: SmsId,
    pub(super) account: AccountId,
    pub(super) recipient: String,
    pub(super) provider_id: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = receipts)]
struct Early {
    id: i64,
    account: AccountId,
    named_sms: Option<i64>,
    provider_id: Option<String>,
    recipient: Option<String>,
    status: i32,
    at: Option<i64>,
    fields: String,
    received_at: i64,
}

impl Early {
    fn is_of(&self, known: &Known) -> bool {
        let named = match self.named_sms {
            Some(id) => id == known.id,
            None => self.recipient.as_ref().is_none_or(|to| *to == known.recipient),
        };
        named && self.account == known.account && self.provider_id.as_ref() == Some(&known.provider_id)
    }
}

/// Matches the receipts that came before the provider's answers did.
pub(super) fn match_early_receipts(tx: &mut Tx<'_>, transport: &Name, known: &[Known]) -> QueryResult<()> {
    let ids: Vec<&str> = known.iter().map(|known| known.provider_id.as_str()).collect();
    let early: Vec<Early> = find_all!(
        receipts::table
            .filter(receipts::sms.is_null())
            .filter(receipts::transport.eq(transport.as_str()))
            .select(Early::as_select()),
        receipts::provider_id,
        ids,
        tx.conn
    );
    for receipt in early {
        for known in known.iter().filter(|known| receipt.is_of(known)) {
            let row: SmsRow = sms::table.find(known.id).select(SmsRow::as_select()).first(tx.conn)?;
            let sent = Sms::try_from(row)?;
            // A provider may use an id again: a receipt from before the SMS was accepted speaks of another one.
            if receipt.received_at < sent.created_at.micros() {
                continue;
            }
            Fixed(diesel::update(receipts::table.find(receipt.id)).set(receipts::sms.eq(Some(known.id))))
                .execute(tx.conn)?;
            let fields = read(&receipt.fields);
            let news = News {
                provider_id: Some(&known.provider_id),
                status: rows::status(receipt.status)?,
                at: receipt.at.map(Timestamp::from_micros),
                fields: &fields,
            };
            apply(tx, sent, &news)?;
            break;
        }
    }
    Ok(())
}

fn written(fields: &[(String, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn read(fields: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(fields.as_bytes()).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = receipts)]
struct Unmatched {
    transport: String,
    named_sms: Option<i64>,
    provider_id: Option<String>,
    recipient: Option<String>,
    status: i32,
    at: Option<i64>,
    fields: String,
    received_at: i64,
}

impl Read for ListUnmatchedReceipts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<(Timestamp, Name, Receipt)>, Failed> {
        let unmatched: Vec<Unmatched> = receipts::table
            .filter(receipts::sms.is_null())
            .order(receipts::id.desc())
            .limit(as_limit(self.limit))
            .select(Unmatched::as_select())
            .load(conn)?;
        let mut listed = Vec::with_capacity(unmatched.len());
        for row in unmatched {
            let receipt = Receipt {
                provider_id: row.provider_id,
                sms: row.named_sms,
                to: row.recipient.as_deref().map(rows::msisdn).transpose()?,
                status: rows::status(row.status)?,
                at: row.at.map(Timestamp::from_micros),
                fields: read(&row.fields),
            };
            listed.push((Timestamp::from_micros(row.received_at), rows::name(&row.transport)?, receipt));
        }
        Ok(listed)
    }
}
