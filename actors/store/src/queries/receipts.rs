//! Delivery receipts: matched with the SMS they speak of, or kept until it is known.

use std::time::Duration;

use diesel::prelude::*;
use form_urlencoded::Serializer;
use vumi_kit::{
    callback::CallbackName,
    clock::Timestamp,
    ledger::{ListUnmatchedReceipts, ReceiptMatch, RecordReceipts},
    life::{LifeEvent, SmsState},
    name::Name,
    provider_text::bounded_id,
    receipt::fields_beside,
    sent_parts::IdSpellings,
    sms::{Receipt, Sms, SmsId, TransportStatus},
};

mod by_spelling;

/// How exact the time of a provider that counts minutes is.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) use self::by_spelling::agree as same_recipient;
use super::{
    Conn, Failed, Fixed, Read, Tx, Write, deliveries, esmes,
    life::{check_step, moves},
    parts,
    rows::{self, SmsRow, as_limit},
};
use crate::schema::{receipts, sms, sms_attempts};

/// Receipts that are kept of one SMS, or unmatched of one provider's id. A carrier that goes on is heard where it says
/// something new, and not kept.
const MOST_KEPT: usize = 100;

impl Write for RecordReceipts {
    fn rows(&self) -> usize {
        self.receipts.len()
    }

    /// The submission's outcome may be recorded by another process at this moment.
    fn lock_keys(&self) -> Vec<String> {
        let ids = self.receipts.iter().flat_map(|receipt| {
            let spellings = receipt.spellings.iter().flat_map(IdSpellings::iter);
            receipt.provider_id.as_deref().into_iter().chain(spellings)
        });
        ids.map(|id| lock_key(&self.transport, id)).collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<ReceiptMatch>, Failed> {
        let receipts: Vec<Receipt> = self.receipts.into_iter().map(Receipt::keepable).collect();
        let (mut matches, mut surplus) = (Vec::with_capacity(receipts.len()), 0);
        for receipt in &receipts {
            let recorded = record(tx, &self.transport, receipt)?;
            surplus += usize::from(!recorded.kept);
            matches.push(recorded.matched);
        }
        if surplus > 0 {
            vumi_kit::warn_limited!(self.transport.as_str(), transport = %self.transport, surplus, most = MOST_KEPT, "receipts of one SMS or id beyond the most that are kept");
        }
        Ok(matches)
    }
}

/// What a transaction knows a provider's id by.
pub(super) fn lock_key(transport: &Name, provider_id: &str) -> String {
    format!("{transport} {}", bounded_id(provider_id.to_owned()))
}

/// What came of a receipt; whether it is in the ledger, now or before.
struct Recorded {
    matched: ReceiptMatch,
    kept: bool,
}

fn record(tx: &mut Tx<'_>, transport: &Name, receipt: &Receipt) -> QueryResult<Recorded> {
    if let Some((sms, known_id)) = by_spelling::find(tx, transport, receipt)? {
        return record_matched(tx, transport, receipt, sms, Some(&known_id));
    }
    match find(tx, transport, receipt)? {
        Some(sms) => record_matched(tx, transport, receipt, sms, receipt.provider_id.as_deref()),
        None => Ok(Recorded { matched: ReceiptMatch::Unmatched, kept: record_unmatched(tx, transport, receipt)? }),
    }
}

/// `provider_id`: the id as the answer to the submission wrote it.
fn record_matched(
    tx: &mut Tx<'_>,
    transport: &Name,
    receipt: &Receipt,
    sms: Sms,
    provider_id: Option<&str>,
) -> QueryResult<Recorded> {
    let digest = receipt.digest();
    let known = receipts::table.filter(receipts::sms.eq(sms.id)).filter(receipts::digest.eq(&digest));
    if diesel::select(diesel::dsl::exists(known)).get_result::<bool>(tx.conn)? {
        return Ok(Recorded { matched: ReceiptMatch::Repeated(Box::new(sms)), kept: true });
    }
    let its = receipts::table.filter(receipts::sms.eq(sms.id)).order(receipts::id).select(receipts::id);
    let kept = its.limit(as_limit(MOST_KEPT)).load::<i64>(tx.conn)?.len() < MOST_KEPT;
    if kept {
        keep(tx, transport, receipt, &digest, Some(sms.id))?;
    }
    let news = News {
        provider_id,
        of_parts: receipt.spellings.is_some(),
        part: receipt.part,
        status: receipt.status,
        provider_status: receipt.provider_status.as_deref(),
        at: receipt.at,
    };
    let (sms, changed) = apply(tx, sms, &news)?;
    if kept || changed {
        tell(tx, &sms, &receipt.fields)?;
    }
    let matched = if kept || changed { ReceiptMatch::Matched } else { ReceiptMatch::Repeated };
    Ok(Recorded { matched: matched(Box::new(sms)), kept })
}

/// Keeps it for the SMS that may get its id, once. False: as many are kept already.
fn record_unmatched(tx: &mut Tx<'_>, transport: &Name, receipt: &Receipt) -> QueryResult<bool> {
    let digest = receipt.digest();
    let unmatched = receipts::table.filter(receipts::sms.is_null()).filter(receipts::transport.eq(transport.as_str()));
    if diesel::select(diesel::dsl::exists(unmatched.filter(receipts::digest.eq(&digest))))
        .get_result::<bool>(tx.conn)?
    {
        return Ok(true);
    }
    let others = unmatched.select(receipts::id).limit(as_limit(MOST_KEPT));
    let others: Vec<i64> = match &receipt.provider_id {
        Some(provider_id) => others.filter(receipts::provider_id.eq(provider_id)).load(tx.conn)?,
        None => others.filter(receipts::provider_id.is_null()).load(tx.conn)?,
    };
    let kept = others.len() < MOST_KEPT;
    if kept {
        keep(tx, transport, receipt, &digest, None)?;
    }
    Ok(kept)
}

/// The SMS of the transport that the receipt speaks of, whoever's it is.
fn find(tx: &mut Tx<'_>, transport: &Name, receipt: &Receipt) -> QueryResult<Option<Sms>> {
    let row = match receipt.sms {
        Some(id) => find_named(tx, transport, id, receipt)?,
        None if receipt.spellings.is_some() => None,
        None => find_by_provider_id(tx, transport, receipt)?,
    };
    row.map(|row| row.at(tx.now)).transpose()
}

fn find_named(tx: &mut Tx<'_>, transport: &Name, id: SmsId, receipt: &Receipt) -> QueryResult<Option<SmsRow>> {
    let named = sms::table.find(id).filter(sms::transport.eq(transport.as_str())).select(SmsRow::as_select());
    let Some(row): Option<SmsRow> = for_update!(named).first(tx.conn).optional()? else {
        // Not a number of ours: what tells the SMS is the provider's id, unless the provider always hands ours back.
        return if receipt.both_ids { Ok(None) } else { find_by_provider_id(tx, transport, receipt) };
    };
    // Where the provider's answer is still on its way, its id is taken from the receipt.
    let (Some(known), Some(given)) = (row.provider_id(), &receipt.provider_id) else { return Ok(Some(row)) };
    let ours = known == given
        || parts::owner(tx, transport, given)? == Some(id)
        || !receipt.both_ids && !is_of_another(tx, transport, id, given)?;
    Ok(ours.then_some(row))
}

/// Whether a provider's id is known as another SMS's: then one of the two ids that a receipt names is wrong.
fn is_of_another(tx: &mut Tx<'_>, transport: &Name, id: SmsId, provider_id: &str) -> QueryResult<bool> {
    let known = sms::table
        .filter(sms::transport.eq(transport.as_str()))
        .filter(sms::provider_id.eq(provider_id))
        .order(sms::id.desc())
        .select(sms::id);
    let owner: Option<SmsId> = known.first(tx.conn).optional()?;
    let owner = if owner.is_some() { owner } else { parts::owner(tx, transport, provider_id)? };
    Ok(owner.is_some_and(|owner| owner != id))
}

fn find_by_provider_id(tx: &mut Tx<'_>, transport: &Name, receipt: &Receipt) -> QueryResult<Option<SmsRow>> {
    let Some(provider_id) = &receipt.provider_id else { return Ok(None) };
    let known = sms::table
        .filter(sms::transport.eq(transport.as_str()))
        .filter(sms::provider_id.eq(provider_id))
        .order(sms::id.desc())
        .select(SmsRow::as_select());
    let found: Option<SmsRow> = match &receipt.to {
        Some(to) => for_update!(known.filter(sms::recipient.eq(to.as_str()))).first(tx.conn).optional()?,
        None => for_update!(known).first(tx.conn).optional()?,
    };
    if found.is_some() {
        return Ok(found);
    }
    let Some(owner) = parts::owner(tx, transport, provider_id)? else { return Ok(None) };
    let owner = sms::table.find(owner).select(SmsRow::as_select());
    match &receipt.to {
        Some(to) => for_update!(owner.filter(sms::recipient.eq(to.as_str()))).first(tx.conn).optional(),
        None => for_update!(owner).first(tx.conn).optional(),
    }
}

fn keep(tx: &mut Tx<'_>, transport: &Name, receipt: &Receipt, digest: &str, sms: Option<SmsId>) -> QueryResult<()> {
    diesel::insert_into(receipts::table)
        .values((
            receipts::transport.eq(transport.as_str()),
            receipts::sms.eq(sms),
            receipts::named_sms.eq(receipt.sms),
            receipts::provider_id.eq(receipt.provider_id.as_deref()),
            receipts::recipient.eq(receipt.to.as_ref().map(|to| to.as_str())),
            receipts::status.eq(i32::from(receipt.status)),
            receipts::at.eq(receipt.at.map(Timestamp::micros)),
            receipts::fields.eq(written(&receipt.fields)),
            receipts::received_at.eq(tx.now.micros()),
            receipts::part.eq(receipt.part.map(i32::from)),
            receipts::provider_status.eq(receipt.provider_status.as_deref()),
            receipts::digest.eq(digest),
            receipts::folded_id.eq(by_spelling::folded_id(receipt).filter(|_| sms.is_none())),
        ))
        .execute(tx.conn)
        .map(drop)
}

/// What a receipt says of the SMS it is matched with.
pub(super) struct News<'a> {
    pub(super) provider_id: Option<&'a str>,
    /// The transport may have submitted the SMS in parts.
    pub(super) of_parts: bool,
    pub(super) part: Option<u8>,
    pub(super) status: TransportStatus,
    provider_status: Option<&'a str>,
    at: Option<Timestamp>,
}

/// Changes the SMS as far as the news is news; answers whether it was.
fn apply(tx: &mut Tx<'_>, mut sms: Sms, news: &News<'_>) -> QueryResult<(Sms, bool)> {
    let of_parts = parts::follow(tx, &sms, news)?;
    let status = of_parts.failed.unwrap_or(news.status);
    let supersedes = match of_parts.failed {
        Some(failed) => failed.supersedes(sms.status),
        None if of_parts.unsent || (of_parts.incomplete && status == TransportStatus::Delivered) => false,
        None => status.supersedes(sms.status),
    };
    let learns_id = sms.provider_id.is_none() && news.provider_id.is_some();
    if supersedes {
        sms.status = status;
        let delivered = status == TransportStatus::Delivered;
        sms.delivered_at = if delivered { Some(delivered_at(tx, &sms, news.at)?) } else { None };
        if let Some(words) = news.provider_status {
            sms.provider_response = Some(words.to_owned());
        }
    }
    if learns_id {
        sms.provider_id = news.provider_id.map(str::to_owned);
    }
    if supersedes || learns_id {
        sms.updated_at = tx.now;
        moves::report(tx, &sms)?;
    }
    let ended = supersedes && sms.status.is_final();
    // Who sends a receipt has the SMS: it is not submitted again. "Message unknown" says the contrary.
    let unsent = of_parts.unsent && of_parts.failed.is_none();
    if news.status.supersedes(TransportStatus::UnknownMessage) && !unsent {
        moves::settle(tx, sms.id)?;
        if supersedes {
            let before = std::mem::replace(&mut sms.state, SmsState::at_rest(sms.status, false));
            check_step(sms.id, before, &[LifeEvent::Receipt], sms.state);
        }
    }
    if ended {
        esmes::tell(tx, &sms)?;
    }
    Ok((sms, supersedes || learns_id))
}

/// When it reached the phone, as the provider says. One that counts minutes may name a moment shortly before the SMS was
/// submitted; then that moment is taken.
fn delivered_at(tx: &mut Tx<'_>, sms: &Sms, said: Option<Timestamp>) -> QueryResult<Timestamp> {
    let Some(said) = said else { return Ok(tx.now) };
    if said >= sms.updated_at {
        return Ok(said);
    }
    let attempts = sms_attempts::table.filter(sms_attempts::sms.eq(sms.id)).order(sms_attempts::attempt.desc());
    let submitted: Option<i64> = attempts.select(sms_attempts::at).first(tx.conn).optional()?;
    let submitted = submitted.map_or(sms.created_at, Timestamp::from_micros);
    Ok(if said.plus(MINUTE) >= submitted { said.max(submitted) } else { said })
}

/// Tells the account of the SMS, whoever brought the receipt; one that ended without a receipt has no fields but its own.
pub(super) fn tell(tx: &mut Tx<'_>, sms: &Sms, fields: &[(String, String)]) -> QueryResult<()> {
    let fields = callback_fields(sms, fields);
    if let Some(url) = &sms.callback_url {
        deliveries::enqueue_to(tx, url, sms.account, sms.id, &fields)?;
    }
    deliveries::enqueue(tx, sms.account, CallbackName::SmsReceipt, Some(sms.id), &fields)
}

/// The receipt's fields as the provider sent them, then the SMS's.
fn callback_fields(sms: &Sms, fields: &[(String, String)]) -> Vec<(String, String)> {
    let status = sms.shown_status();
    let ours = [
        ("id", sms.id.to_string()),
        ("transport_name", sms.transport.to_string()),
        ("transport_status", i16::from(status).to_string()),
        ("transport_status_display", status.display().to_owned()),
    ];
    let names = ours.each_ref().map(|(name, _)| *name);
    let ours = ours.map(|(name, value)| (name.to_owned(), value));
    fields_beside(&names, fields).into_iter().chain(ours).collect()
}

/// An SMS whose provider has just said its id.
pub(super) struct Known {
    pub(super) id: SmsId,
    pub(super) recipient: String,
    pub(super) provider_id: String,
    pub(super) spellings: Option<IdSpellings>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = receipts)]
struct Early {
    id: i64,
    named_sms: Option<i64>,
    provider_id: Option<String>,
    recipient: Option<String>,
    status: i32,
    at: Option<i64>,
    fields: String,
    received_at: i64,
    part: Option<i32>,
    provider_status: Option<String>,
    digest: Option<String>,
    folded_id: Option<String>,
}

impl Early {
    fn is_of(&self, known: &Known) -> bool {
        if let Some(spellings) = &known.spellings {
            return self.named_sms.is_none() && by_spelling::is_early_of(self, known, spellings);
        }
        let named = match self.named_sms {
            Some(id) => id == known.id,
            None => self.recipient.as_ref().is_none_or(|to| *to == known.recipient),
        };
        named && self.provider_id.as_ref() == Some(&known.provider_id)
    }
}

/// Matches the receipts that came before the provider's answers did.
pub(super) fn match_early_receipts(tx: &mut Tx<'_>, transport: &Name, known: &[Known]) -> QueryResult<()> {
    let ids: Vec<&str> = known.iter().flat_map(by_spelling::all_of).collect();
    let mut early: Vec<Early> = find_all!(
        receipts::table
            .filter(receipts::sms.is_null())
            .filter(receipts::transport.eq(transport.as_str()))
            .select(Early::as_select()),
        receipts::provider_id,
        ids,
        tx.conn
    );
    early.extend(by_spelling::early_ones(tx, transport, known)?);
    early.sort_unstable_by_key(|receipt| receipt.id);
    early.dedup_by_key(|receipt| receipt.id);
    for receipt in early {
        for known in known.iter().filter(|known| receipt.is_of(known)) {
            let row: SmsRow = sms::table.find(known.id).select(SmsRow::as_select()).first(tx.conn)?;
            let sent = row.at(tx.now)?;
            // A provider may use an id again: a receipt from before the SMS was accepted speaks of another one.
            if receipt.received_at < sent.created_at.micros() {
                continue;
            }
            adopt_one(tx, &receipt, known, sent)?;
            break;
        }
    }
    Ok(())
}

fn adopt_one(tx: &mut Tx<'_>, receipt: &Early, known: &Known, sent: Sms) -> QueryResult<()> {
    // The same receipt may have come again and been matched by our own number.
    let same =
        receipts::table.filter(receipts::sms.eq(known.id)).filter(receipts::digest.eq(receipt.digest.as_deref()));
    if diesel::select(diesel::dsl::exists(same)).get_result::<bool>(tx.conn)? {
        return diesel::delete(receipts::table.find(receipt.id)).execute(tx.conn).map(drop);
    }
    Fixed(diesel::update(receipts::table.find(receipt.id)).set(receipts::sms.eq(Some(known.id)))).execute(tx.conn)?;
    let news = News {
        provider_id: Some(&known.provider_id),
        of_parts: known.spellings.is_some(),
        part: receipt.part.and_then(|part| u8::try_from(part).ok()),
        status: rows::status(receipt.status)?,
        provider_status: receipt.provider_status.as_deref(),
        at: receipt.at.map(Timestamp::from_micros),
    };
    let (sms, _) = apply(tx, sent, &news)?;
    tell(tx, &sms, &read(&receipt.fields))
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
    part: Option<i32>,
    provider_status: Option<String>,
}

impl Read for ListUnmatchedReceipts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<(Timestamp, Name, Receipt)>, Failed> {
        let unmatched: Vec<Unmatched> = within_limit!(receipts::table)
            .filter(receipts::sms.is_null())
            .order((receipts::received_at.desc(), receipts::id.desc()))
            .limit(as_limit(self.limit))
            .select(Unmatched::as_select())
            .load(conn)?;
        let mut listed = Vec::with_capacity(unmatched.len());
        for row in unmatched {
            let receipt = Receipt {
                provider_id: row.provider_id,
                sms: row.named_sms,
                part: row.part.and_then(|part| u8::try_from(part).ok()),
                to: row.recipient.as_deref().map(rows::msisdn).transpose()?,
                provider_status: row.provider_status,
                at: row.at.map(Timestamp::from_micros),
                ..Receipt::new(rows::status(row.status)?, read(&row.fields))
            };
            listed.push((Timestamp::from_micros(row.received_at), rows::name(&row.transport)?, receipt));
        }
        Ok(listed)
    }
}

/// Deletes receipts that nobody asked for long enough, so many at the most; answers how many.
pub(super) fn sweep_unmatched(tx: &mut Tx<'_>, most: usize) -> QueryResult<usize> {
    let until = tx.now.minus(tx.rules.keep_unmatched_receipts).micros();
    let old = receipts::table
        .filter(receipts::sms.is_null())
        .filter(receipts::received_at.lt(until))
        .order((receipts::received_at, receipts::id))
        .limit(as_limit(most))
        .select(receipts::id);
    let old: Vec<i64> = skip_locked!(old).load(tx.conn)?;
    for id in &old {
        diesel::delete(receipts::table.find(id)).execute(tx.conn)?;
    }
    Ok(old.len())
}
