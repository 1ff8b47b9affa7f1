//! Consent: the ledger of it, which is only added to, what of it counts now, and what follows for SMS.
//!
//! Who is out is read by key where an SMS is accepted, claimed and begun. Who goes out takes back what is claimed and has not
//! begun, in the same transaction. On PostgreSQL others may be at work that began before: the writer waits for them before it
//! answers or hands anything over (`await_senders`), so that nothing begins after the confirmation.

use std::collections::{BTreeSet, HashMap};

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    address::{Address, Msisdn},
    audit::AuditEvent,
    clock::Timestamp,
    consent::{
        ConsentChange, ConsentDone, ConsentNotice, ConsentPage, ConsentRecord, ConsentScope, ConsentSource,
        ConsentState, ConsentWord, ExportConsent, FindConsent, OPTED_OUT, PersonConsent, SetConsent, consent_for,
    },
    sms::{InboundSms, NewSms, SmsId},
    text::keepable,
};

use super::{
    Conn, Failed, Fixed, Read, Tx, Write, audit, claims, life, permission,
    rows::{self, as_limit},
    waiting,
};
use crate::schema::{consent, consent_now};

/// The scope of every sender, as its column has it.
pub(super) const ALL: &str = "";

#[derive(Queryable, Selectable)]
#[diesel(table_name = consent)]
struct ConsentRow {
    id: i64,
    msisdn: String,
    scope: String,
    is_out: i32,
    at: i64,
    written_by: String,
    words: String,
}

impl TryFrom<ConsentRow> for ConsentRecord {
    type Error = Error;

    fn try_from(row: ConsentRow) -> Result<Self, Error> {
        let scope = if row.scope == ALL { ConsentScope::All } else { ConsentScope::Sender(rows::address(&row.scope)?) };
        Ok(Self {
            id: row.id,
            msisdn: rows::msisdn(&row.msisdn)?,
            scope,
            state: if row.is_out == 0 { ConsentState::In } else { ConsentState::Out },
            at: Timestamp::from_micros(row.at),
            by: ConsentSource(row.written_by),
            words: row.words,
        })
    }
}

fn records(rows: Vec<ConsentRow>) -> QueryResult<Vec<ConsentRecord>> {
    rows.into_iter().map(ConsentRecord::try_from).collect()
}

fn scope_column(scope: &ConsentScope) -> &str {
    scope.sender().map_or(ALL, Address::as_str)
}

/// What counts for a person now: at the most one entry for each scope.
fn current(conn: &mut Conn, msisdn: &str, most: usize) -> QueryResult<Vec<ConsentRecord>> {
    let now = consent_now::table
        .inner_join(consent::table.on(consent::id.eq(consent_now::consent)))
        .filter(consent_now::msisdn.eq(msisdn))
        .order(consent_now::scope)
        .limit(as_limit(most))
        .select(ConsentRow::as_select());
    records(now.load(conn)?)
}

impl Read for FindConsent {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<PersonConsent, Failed> {
        let last = consent::table
            .filter(consent::msisdn.eq(self.msisdn.as_str()))
            .order(consent::id.desc())
            .limit(as_limit(Self::MOST))
            .select(ConsentRow::as_select());
        let history = records(last.load(conn)?)?;
        Ok(PersonConsent { current: current(conn, self.msisdn.as_str(), Self::MOST)?, history })
    }
}

impl Read for ExportConsent {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<ConsentPage, Failed> {
        let page = within_limit!(consent::table)
            .filter(consent::id.gt(self.after))
            .order(consent::id)
            .limit(as_limit(Self::PAGE))
            .select(ConsentRow::as_select());
        let mut found = records(page.load(conn)?)?;
        let next = found.last().filter(|_| found.len() == Self::PAGE).map(|last| last.id);
        if self.current {
            let ids: Vec<i64> = found.iter().map(|record| record.id).collect();
            let people: Vec<String> = found.iter().map(|record| record.msisdn.as_str().to_owned()).collect();
            let now = consent_now::table.select(consent_now::consent);
            let now: Vec<i64> = now.filter(among!(consent_now::msisdn, "consent_now.msisdn", &people)).load(conn)?;
            let now: BTreeSet<i64> = now.into_iter().filter(|id| ids.binary_search(id).is_ok()).collect();
            found.retain(|record| now.contains(&record.id));
        }
        Ok(ConsentPage { records: found, next })
    }
}

impl Write for SetConsent {
    fn rows(&self) -> usize {
        self.changes.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<ConsentDone, Failed> {
        let (mut done, mut out) = (ConsentDone::default(), Vec::new());
        for change in self.changes.into_iter().take(Self::MOST) {
            let current = current(tx.conn, change.msisdn.as_str(), Self::MOST)?;
            let at = change.at.unwrap_or(tx.now);
            let before = match &change.scope {
                ConsentScope::Sender(sender) => consent_for(&current, sender),
                ConsentScope::All => current.iter().find(|record| record.scope == ConsentScope::All),
            };
            // What is said of all ends what was said of one.
            let alone = change.scope != ConsentScope::All || current.iter().all(|record| record.state == change.state);
            let is_so = before.is_some_and(|before| before.state == change.state && alone);
            if is_so || before.is_some_and(|before| before.at > at) {
                done.unchanged += 1;
                continue;
            }
            let entry = Entry { at, by: self.by.as_str(), words: &change.words, state: change.state };
            add(tx, &change.msisdn, &change.scope, &entry)?;
            done.changed += 1;
            if change.state == ConsentState::Out {
                out.push(change.msisdn);
            }
        }
        done.taken_back = take_back(tx, &out)?;
        if done.changed > 0 {
            let detail = format!("{} entries, {} SMS taken back", done.changed, done.taken_back);
            match self.account {
                Some(account) => audit::note_of_account(tx, account, AuditEvent::ConsentChanged, &detail)?,
                None => audit::note_general(tx, &self.by, AuditEvent::ConsentChanged, &detail)?,
            }
        }
        Ok(done)
    }
}

/// An entry that is new.
struct Entry<'a> {
    at: Timestamp,
    by: &'a str,
    words: &'a str,
    state: ConsentState,
}

/// Adds an entry, which counts from then on.
fn add(tx: &mut Tx<'_>, msisdn: &Msisdn, scope: &ConsentScope, entry: &Entry<'_>) -> QueryResult<()> {
    let (scope, is_out) = (scope_column(scope), i32::from(entry.state == ConsentState::Out));
    let words: String = keepable(entry.words.to_owned()).chars().take(ConsentChange::LONGEST_WORDS).collect();
    let id: i64 = diesel::insert_into(consent::table)
        .values((
            consent::msisdn.eq(msisdn.as_str()),
            consent::scope.eq(scope),
            consent::is_out.eq(is_out),
            consent::at.eq(entry.at.micros()),
            consent::written_by.eq(entry.by),
            consent::words.eq(words),
        ))
        .returning(consent::id)
        .get_result(tx.conn)?;
    if scope == ALL {
        // They are older, and count no more.
        let of_senders = consent_now::table.filter(consent_now::msisdn.eq(msisdn.as_str()));
        diesel::delete(of_senders.filter(consent_now::scope.ne(ALL))).execute(tx.conn)?;
    }
    let counts = (consent_now::is_out.eq(is_out), consent_now::consent.eq(id));
    diesel::insert_into(consent_now::table)
        .values((consent_now::msisdn.eq(msisdn.as_str()), consent_now::scope.eq(scope), counts))
        .on_conflict((consent_now::msisdn, consent_now::scope))
        .do_update()
        .set(counts)
        .execute(tx.conn)?;
    tx.nobody_is_out = Some(false);
    tx.state.consent_changed = true;
    Ok(())
}

/// What an SMS from a person says of their consent, before it is kept.
pub(super) struct Heard {
    /// Kept with the SMS.
    pub(super) notice: ConsentNotice,
    msisdn: Msisdn,
    scope: ConsentScope,
    words: String,
}

/// Listens for a word of consent.
pub(super) fn listen(tx: &mut Tx<'_>, sms: &InboundSms) -> QueryResult<Option<Heard>> {
    let (Some(word), Some(msisdn)) = (tx.rules.consent.meaning(&sms.message), sms.from.msisdn()) else {
        return Ok(None);
    };
    let of_sender = tx.rules.consent.is_of_sender() && word != ConsentWord::OutOfAll;
    let scope = if of_sender { ConsentScope::Sender(sms.to.clone()) } else { ConsentScope::All };
    let current = current(tx.conn, msisdn.as_str(), FindConsent::MOST)?;
    let known = consent_for(&current, &sms.to).map(|record| record.state);
    let all_out = scope == ConsentScope::All && current.iter().any(|record| record.scope != ConsentScope::All);
    let notice = match word {
        ConsentWord::Help => ConsentNotice::Help,
        ConsentWord::Out | ConsentWord::OutOfAll if known == Some(ConsentState::Out) && !all_out => {
            ConsentNotice::OutBefore
        }
        ConsentWord::Out | ConsentWord::OutOfAll => ConsentNotice::Out,
        ConsentWord::InIfOut if known != Some(ConsentState::Out) => return Ok(None),
        ConsentWord::In | ConsentWord::InIfOut if known == Some(ConsentState::In) => return Ok(None),
        ConsentWord::In | ConsentWord::InIfOut => ConsentNotice::In,
    };
    Ok(Some(Heard { notice, msisdn, scope, words: sms.message.clone() }))
}

/// Writes down what was heard in a received SMS, and takes back what its person does not want.
pub(super) fn write_down(tx: &mut Tx<'_>, heard: &Heard, received: i64) -> QueryResult<()> {
    let state = match heard.notice {
        ConsentNotice::Help => return Ok(()),
        ConsentNotice::Out | ConsentNotice::OutBefore => ConsentState::Out,
        ConsentNotice::In => ConsentState::In,
    };
    let by = format!("SMS {received}");
    add(tx, &heard.msisdn, &heard.scope, &Entry { at: tx.now, by: &by, words: heard.words.trim(), state })?;
    if state == ConsentState::Out {
        take_back(tx, std::slice::from_ref(&heard.msisdn))?;
    }
    Ok(())
}

/// Ends what is claimed for these people, has not begun and may not go out any more. What waits ends when it is to be claimed.
fn take_back(tx: &mut Tx<'_>, people: &[Msisdn]) -> QueryResult<usize> {
    if people.is_empty() {
        return Ok(0);
    }
    let people: Vec<&str> = people.iter().map(Msisdn::as_str).collect();
    let (mut count, mut transport) = (0, String::new());
    // Along the index of what is claimed, of which each transport has no more than it can hold.
    while let Some(next) = waiting::next_claimed_transport(tx.conn, &transport)? {
        count += claims::end_unbegun(tx, &next, &people)?;
        transport = next;
    }
    Ok(count)
}

/// Ends an SMS whose person is out, and tells its account.
pub(super) fn end(tx: &mut Tx<'_>, id: SmsId) -> QueryResult<()> {
    life::opt_out(tx, id)?;
    life::note(tx, &[id], "not sent", OPTED_OUT)
}

/// Which SMS of a batch their people do not want; an empty list: none of them.
pub(super) fn unwanted(tx: &mut Tx<'_>, batch: &[NewSms]) -> QueryResult<Vec<bool>> {
    if batch.is_empty() || nobody_is_out(tx)? {
        return Ok(Vec::new());
    }
    let people: BTreeSet<&str> = batch.iter().map(|sms| sms.to.as_str()).collect();
    let people: Vec<String> = people.into_iter().map(str::to_owned).collect();
    let now = consent_now::table.select((consent_now::msisdn, consent_now::scope, consent_now::is_out));
    let now: Vec<(String, String, i32)> = find_all!(now, consent_now::msisdn, people, tx.conn);
    if now.is_empty() {
        return Ok(Vec::new());
    }
    let now: HashMap<(&str, &str), bool> =
        now.iter().map(|(msisdn, scope, is_out)| ((msisdn.as_str(), scope.as_str()), *is_out != 0)).collect();
    let is_out = |sms: &NewSms| {
        let of = |scope| now.get(&(sms.to.as_str(), scope)).copied();
        of(sms.from.as_str()).or_else(|| of(ALL)).unwrap_or(false)
    };
    Ok(batch.iter().map(|sms| !permission::goes_to_those_out(sms.options.occasion) && is_out(sms)).collect())
}

/// Whether nobody ever said anything of consent. Asked once in a transaction.
fn nobody_is_out(tx: &mut Tx<'_>) -> QueryResult<bool> {
    if let Some(known) = tx.nobody_is_out {
        return Ok(known);
    }
    let anybody = consent_now::table.filter(consent_now::msisdn.gt("")).select(consent_now::msisdn).limit(1);
    let nobody = Fixed(anybody).load::<String>(tx.conn)?.is_empty();
    tx.nobody_is_out = Some(nobody);
    Ok(nobody)
}
