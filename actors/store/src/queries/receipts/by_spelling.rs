//! Receipts of providers that write one id in several ways: matched by its spellings, the likelier first, where the
//! recipients agree.

use diesel::prelude::*;
use vumi_kit::{
    name::Name,
    sent_parts::IdSpellings,
    sms::{Receipt, Sms, SmsId},
};

use super::{
    super::{Tx, parts, rows::SmsRow},
    Early, Known,
};
use crate::schema::{receipts, sms};

/// SMS with one spelling that are looked at for a recipient that agrees: a provider may use its ids again.
const MOST_LOOKED_AT: i64 = 4;

/// The last digits that two spellings of a number have in common: one may lack its country code.
const COMMON_DIGITS: usize = 7;

/// The SMS that a receipt speaks of, and its id as the provider's answer wrote it. None also for receipts without
/// spellings.
pub(super) fn find(tx: &mut Tx<'_>, transport: &Name, receipt: &Receipt) -> QueryResult<Option<(Sms, String)>> {
    let (Some(given), Some(spellings)) = (&receipt.provider_id, &receipt.spellings) else { return Ok(None) };
    let mut tried: Vec<&str> = Vec::new();
    for spelling in std::iter::once(given.as_str()).chain(spellings.iter()) {
        if tried.contains(&spelling) {
            continue;
        }
        tried.push(spelling);
        // Nearly all are of one part, which the SMS's own id tells.
        let whole = whole(tx, transport, spelling)?;
        let found = match agreeing(tx, transport, receipt, whole)? {
            None => {
                let owners = parts::owners_by_spelling(tx, transport, spelling, MOST_LOOKED_AT)?;
                agreeing(tx, transport, receipt, owners)?
            }
            found => found,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first of them whose recipient agrees with the receipt's.
fn agreeing(
    tx: &mut Tx<'_>,
    transport: &Name,
    receipt: &Receipt,
    candidates: Vec<(SmsId, String)>,
) -> QueryResult<Option<(Sms, String)>> {
    for (id, known_id) in candidates {
        let row = sms::table.find(id).filter(sms::transport.eq(transport.as_str())).select(SmsRow::as_select());
        let row: Option<SmsRow> = for_update!(row).first(tx.conn).optional()?;
        let Some(found) = row.map(|row| row.at(tx.now)).transpose()? else { continue };
        if agree(receipt.to.as_ref().map(|to| to.as_str()), found.to.as_str()) {
            return Ok(Some((found, known_id)));
        }
    }
    Ok(None)
}

/// SMS that have this id, the latest first.
fn whole(tx: &mut Tx<'_>, transport: &Name, id: &str) -> QueryResult<Vec<(SmsId, String)>> {
    let whole = sms::table
        .filter(sms::transport.eq(transport.as_str()))
        .filter(sms::provider_id.eq(id))
        .order(sms::id.desc())
        .limit(MOST_LOOKED_AT)
        .select(sms::id);
    let whole: Vec<SmsId> = whole.load(tx.conn)?;
    Ok(whole.into_iter().map(|found| (found, id.to_owned())).collect())
}

/// Whether two numbers are the same as far as both say; a receipt without a number agrees with all.
pub(in super::super) fn agree(given: Option<&str>, recipient: &str) -> bool {
    fn tail(number: &str) -> &str {
        number.get(number.len().saturating_sub(COMMON_DIGITS)..).unwrap_or(number)
    }
    given.is_none_or(|given| tail(given) == tail(recipient))
}

/// What is kept of an unmatched receipt's id beside it: its folded spelling, where that differs.
pub(super) fn folded_id(receipt: &Receipt) -> Option<&str> {
    let folded = receipt.spellings.as_ref().map(|spellings| spellings.folded.as_str());
    folded.filter(|folded| receipt.provider_id.as_deref() != Some(*folded))
}

/// The ids by which an early receipt may have named it.
pub(super) fn all_of(known: &Known) -> impl Iterator<Item = &str> {
    std::iter::once(known.provider_id.as_str()).chain(known.spellings.iter().flat_map(IdSpellings::iter))
}

/// Receipts that came before the answers, and whose folded ids are spellings of those.
pub(super) fn early_ones(tx: &mut Tx<'_>, transport: &Name, known: &[Known]) -> QueryResult<Vec<Early>> {
    let spellings = known.iter().filter_map(|known| known.spellings.as_ref());
    let spellings: Vec<&str> = spellings.flat_map(IdSpellings::iter).collect();
    Ok(find_all!(
        receipts::table
            .filter(receipts::sms.is_null())
            .filter(receipts::transport.eq(transport.as_str()))
            .select(Early::as_select()),
        receipts::folded_id,
        spellings,
        tx.conn
    ))
}

/// Whether an early receipt speaks of an SMS that has an id with spellings.
pub(super) fn is_early_of(early: &Early, known: &Known, spellings: &IdSpellings) -> bool {
    let named = |id: &Option<String>| {
        id.as_deref().is_some_and(|id| id == known.provider_id || spellings.iter().any(|spelling| spelling == id))
    };
    agree(early.recipient.as_deref(), &known.recipient) && (named(&early.provider_id) || named(&early.folded_id))
}
