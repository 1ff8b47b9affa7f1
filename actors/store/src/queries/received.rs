//! SMS from people: kept once, posted to callbacks, routed until somebody has dealt with them.

use std::{sync::Arc, time::Duration};

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    callback::CallbackName,
    clock::Timestamp,
    consent::ConsentNotice,
    ids::message_id,
    ledger::{
        Accepted, AnswerNotSent, ClaimReceived, KeepReceived, ListReceived, ListUnowned, OwnReceived, ReleaseReceived,
        SettleReceived, Settled, SmsOwner, StatusCursor,
    },
    name::Name,
    sms::{InboundSms, NewSms, Received, Sms, SmsId},
    sms_options::{Occasion, SmsOptions},
    text::keepable,
};

use super::{
    Conn, Evidence, Failed, Fixed, Read, Tx, Write, accept, consent, deliveries, esmes, idempotency, received_parts,
    rows::{NOBODY, ReceivedRow, address, as_limit, name},
};
use crate::{
    schema::{accounts, received_sms, sms},
    writer::config::REPEATED_WITHIN,
};

/// How long a campaign has to deal with an SMS before it is routed again. Campaigns give up after seconds, so this is
/// shorter than a transport's lease: a person who writes while the campaign is being restarted is answered soon.
const ROUTING_LEASE: Duration = Duration::from_secs(30);

impl Write for KeepReceived {
    const GROWS: bool = true;

    fn rows(&self) -> usize {
        self.inbound.len()
    }

    /// A provider that got no answer may repeat the call, to another process.
    fn lock_keys(&self) -> Vec<String> {
        let transport = &self.transport;
        let ids = self.inbound.iter().filter_map(|sms| sms.provider_id.as_deref());
        let ids = ids.map(|id| format!("received {transport} {id}"));
        let parts = self.inbound.iter().filter_map(|sms| Some((sms, sms.part.as_ref()?)));
        // The others may come to other processes.
        ids.chain(parts.map(|(sms, part)| received_parts::lock_key(transport, sms, part))).collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<Received>, Failed> {
        let inbound: Vec<InboundSms> = self.inbound.into_iter().map(InboundSms::keepable).collect();
        let owner = find_owner(tx, self.owner)?;
        let mut kept = Vec::with_capacity(inbound.len());
        for sms in inbound {
            kept.extend(match sms.part.clone() {
                Some(part) => received_parts::keep(tx, owner, &self.transport, sms, &part)?,
                None => Some(keep(tx, owner, &self.transport, sms, false)?),
            });
        }
        Ok(kept)
    }

    fn evidence(answer: &Vec<Received>) -> Option<Evidence> {
        answer.iter().find(|received| !received.repeated).map(|received| Evidence::Received(received.id))
    }
}

fn find_owner(tx: &mut Tx<'_>, owner: SmsOwner) -> QueryResult<Option<AccountId>> {
    match owner {
        SmsOwner::Account(account) => Ok(Some(account)),
        SmsOwner::Named(username) => account_named(tx, &username),
        SmsOwner::Nobody => Ok(None),
    }
}

fn account_named(tx: &mut Tx<'_>, username: &str) -> QueryResult<Option<AccountId>> {
    accounts::table.filter(accounts::username.eq(username)).select(accounts::id).first(tx.conn).optional()
}

/// Keeps an SMS, or knows it from before. `incomplete`: it lacks parts that did not come in time.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    owner: Option<AccountId>,
    transport: &Name,
    sms: InboundSms,
    incomplete: bool,
) -> QueryResult<Received> {
    let account = owner.unwrap_or(NOBODY);
    if let Some(provider_id) = &sms.provider_id {
        let before: Option<ReceivedRow> = received_sms::table
            // The first may have come before anybody said whose it is.
            .filter(received_sms::account.eq_any([account, NOBODY]))
            .filter(received_sms::transport.eq(transport.as_str()))
            .filter(received_sms::provider_id.eq(provider_id))
            // Not every provider's ids are unique (SSMI's are a sequence): another person or text is another SMS.
            .filter(received_sms::sender.eq(sms.from.as_str()))
            .filter(received_sms::recipient.eq(sms.to.as_str()))
            .filter(received_sms::message.eq(&sms.message))
            .filter(received_sms::created_at.gt(tx.now.minus(REPEATED_WITHIN).micros()))
            .select(ReceivedRow::as_select())
            .first(tx.conn)
            .optional()?;
        if let Some(row) = before {
            return row.into_received(true);
        }
    }
    let heard = consent::listen(tx, &sms)?;
    let notice = heard.as_ref().map(|heard| heard.notice);
    let (now, message_id) = (tx.now, message_id());
    let id = diesel::insert_into(received_sms::table)
        .values((
            received_sms::account.eq(account),
            received_sms::transport.eq(transport.as_str()),
            received_sms::message_id.eq(&message_id),
            received_sms::sender.eq(sms.from.as_str()),
            received_sms::recipient.eq(sms.to.as_str()),
            received_sms::message.eq(&sms.message),
            received_sms::charset.eq(sms.charset.as_deref()),
            received_sms::provider_id.eq(sms.provider_id.as_deref()),
            received_sms::at.eq(sms.at.map(|at| at.micros())),
            received_sms::route_at.eq(owner.map(|_| tx.now.plus(ROUTING_LEASE).micros())),
            received_sms::claimed_by.eq(owner.map(|_| &tx.rules.node)),
            received_sms::created_at.eq(now.micros()),
            received_sms::updated_at.eq(now.micros()),
            received_sms::consent.eq(notice.map(ConsentNotice::as_str)),
            received_sms::incomplete.eq(i32::from(incomplete)),
        ))
        .returning(received_sms::id)
        .get_result::<i64>(tx.conn)?;
    if let Some(heard) = &heard {
        consent::write_down(tx, heard, id)?;
    }
    let received = Received {
        id,
        account: owner,
        transport: transport.clone(),
        message_id,
        sms,
        repeated: false,
        incomplete,
        tags: Vec::new(),
        consent: notice,
        created_at: now,
        updated_at: now,
    };
    if owner.is_some() {
        pass_on(tx, account, &received)?;
    }
    Ok(received)
}

/// Has an SMS posted to its account's callbacks, and routed after the commit.
fn pass_on(tx: &mut Tx<'_>, account: AccountId, received: &Received) -> QueryResult<()> {
    deliveries::enqueue(tx, account, CallbackName::SmsReceived, None, &callback_fields(received))?;
    esmes::tell_received(tx, account, received)?;
    tx.state.received.push(received.clone());
    Ok(())
}

impl Read for ListUnowned {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Received>, Failed> {
        // Written out: the index holds these rows alone, and the database has to see that they are meant.
        let nobodys = diesel::dsl::sql::<diesel::sql_types::Bool>("account = 0");
        let unowned = received_sms::table.filter(nobodys).filter(received_sms::id.gt(self.after));
        let unowned = unowned.order(received_sms::id).limit(as_limit(self.limit)).select(ReceivedRow::as_select());
        let rows: Vec<ReceivedRow> = unowned.load(conn)?;
        Ok(rows.into_iter().map(|row| row.into_received(false)).collect::<QueryResult<_>>()?)
    }
}

impl Read for ListReceived {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Received>, Failed> {
        let begin = StatusCursor { updated_at: self.since, id: i64::MIN };
        let StatusCursor { updated_at, id } = self.after.map_or(begin, |place| place.max(begin));
        let rows: Vec<ReceivedRow> = within_limit!(received_sms::table)
            .filter(received_sms::account.eq(self.account))
            .filter(received_sms::transport.eq(self.transport.as_str()))
            .filter(received_sms::updated_at.ge(updated_at.micros()))
            .filter(received_sms::updated_at.gt(updated_at.micros()).or(received_sms::id.gt(id)))
            .order((received_sms::updated_at, received_sms::id))
            .limit(as_limit(self.limit))
            .select(ReceivedRow::as_select())
            .load(conn)?;
        Ok(rows.into_iter().map(|row| row.into_received(false)).collect::<QueryResult<_>>()?)
    }
}

impl Write for OwnReceived {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let Some(account) = account_named(tx, &self.username)? else { return Ok(false) };
        for id in self.ids {
            let unowned = received_sms::table.find(id).filter(received_sms::account.eq(NOBODY));
            let unowned = unowned.select(ReceivedRow::as_select());
            let Some(row): Option<ReceivedRow> = for_update!(unowned).first(tx.conn).optional()? else { continue };
            Fixed(diesel::update(received_sms::table.find(id)).set((
                received_sms::account.eq(account),
                received_sms::route_at.eq(Some(tx.now.plus(ROUTING_LEASE).micros())),
                received_sms::claimed_by.eq(Some(&tx.rules.node)),
                received_sms::updated_at.eq(tx.now.micros()),
            )))
            .execute(tx.conn)?;
            let received = Received { account: Some(account), updated_at: tx.now, ..row.into_received(false)? };
            pass_on(tx, account, &received)?;
        }
        Ok(true)
    }
}

fn callback_fields(received: &Received) -> Vec<(String, String)> {
    let sms = &received.sms;
    let fields = [
        ("id", received.id.to_string()),
        ("to_msisdn", sms.to.as_str().to_owned()),
        ("from_msisdn", sms.from.as_str().to_owned()),
        ("message", sms.message.clone()),
        ("charset", sms.charset.clone().unwrap_or_default()),
        ("transport_name", received.transport.to_string()),
        ("transport_msg_id", sms.provider_id.clone().unwrap_or_default()),
        ("received_at", sms.at.unwrap_or(received.created_at).to_seconds_text()),
        ("created_at", received.created_at.to_seconds_text()),
        ("updated_at", received.updated_at.to_seconds_text()),
    ];
    let incomplete = received.incomplete.then(|| ("incomplete", "true".to_owned()));
    fields.into_iter().chain(incomplete).map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Write for ClaimReceived {
    fn rows(&self) -> usize {
        self.limit
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<Received>, Failed> {
        let due = received_sms::table
            .filter(received_sms::route_at.le(tx.now.micros()))
            .order((received_sms::route_at, received_sms::id))
            .limit(as_limit(self.limit))
            .select(ReceivedRow::as_select());
        let due: Vec<ReceivedRow> = skip_locked!(due).load(tx.conn)?;
        let claimed = due.into_iter().map(|row| row.into_received(false)).collect::<QueryResult<Vec<_>>>()?;
        if claimed.is_empty() {
            return Ok(claimed);
        }
        let ids: Vec<i64> = claimed.iter().map(|received| received.id).collect();
        let these = received_sms::table.filter(among!(received_sms::id, "received_sms.id", &ids));
        Fixed(diesel::update(these).set((
            received_sms::route_at.eq(Some(tx.now.plus(ROUTING_LEASE).micros())),
            received_sms::claimed_by.eq(Some(&tx.rules.node)),
        )))
        .execute(tx.conn)?;
        Ok(claimed)
    }
}

impl Write for ReleaseReceived {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        let held = received_sms::table.filter(among!(received_sms::id, "received_sms.id", &self.ids));
        let held = held.filter(received_sms::route_at.is_not_null());
        // Where the lease has ended, another process may have it.
        let held = held.filter(received_sms::claimed_by.eq(&tx.rules.node));
        let due = (received_sms::route_at.eq(Some(tx.now.micros())), received_sms::claimed_by.eq(None::<String>));
        Fixed(diesel::update(held).set(due)).execute(tx.conn)?;
        Ok(())
    }
}

/// What settling needs to know.
#[derive(Queryable, Selectable)]
#[diesel(table_name = received_sms)]
struct Answerable {
    id: i64,
    account: i64,
    transport: String,
    sender: String,
    recipient: String,
    /// `None`: it was settled before.
    route_at: Option<i64>,
    reply: Option<i64>,
    consent: Option<String>,
}

impl Answerable {
    /// What an answer to it is sent for. What a person wrote about consent has one answer that goes out though they are out.
    fn occasion(&self) -> Occasion {
        let notice = self.consent.as_deref().and_then(ConsentNotice::kept);
        let is_first = self.route_at.is_some();
        if is_first && notice.is_some_and(ConsentNotice::is_answered) {
            Occasion::ConsentAnswer
        } else {
            Occasion::Answer
        }
    }
}

impl Write for SettleReceived {
    fn write(self, tx: &mut Tx<'_>) -> Result<Option<Settled>, Failed> {
        let known = received_sms::table.filter(received_sms::message_id.eq(&self.message_id));
        let known = known.select(Answerable::as_select());
        let Some(row): Option<Answerable> = for_update!(known).first(tx.conn).optional()? else { return Ok(None) };
        if let Some(key) = &self.answer_key
            && let Some(earlier) = idempotency::earlier(tx.conn, tx.now, row.account, key)?
        {
            return Ok(Some(repeated(row.id, &earlier)));
        }
        if row.route_at.is_none() && self.answer_key.is_none() && repeats(tx, &row, self.reply.as_deref())? {
            return Ok(None);
        }
        let mut outcome = self.outcome;
        let (reply, not_sent) = match self.reply.map(|text| answer(tx, &row, text, self.options)).transpose()? {
            None => (None, None),
            Some(Ok(reply)) => (Some(reply), None),
            Some(Err(why)) => (None, Some(why)),
        };
        if let Some(why) = not_sent {
            outcome.push_str("; not answered: ");
            outcome.push_str(why.words());
        }
        if let (Some(key), Some(reply)) = (&self.answer_key, &reply) {
            idempotency::keep(tx, row.account, key, std::slice::from_ref(reply))?;
        }
        if row.route_at.is_some() {
            settle(tx, row.id, outcome, reply.as_ref().map(|sms| sms.id))?;
        }
        Ok(Some(Settled { received: row.id, reply, not_sent }))
    }
}

/// Whether an answer without a key is the one that the settled SMS has, or none at all: a campaign that is asked again
/// gives the same one.
fn repeats(tx: &mut Tx<'_>, row: &Answerable, text: Option<&str>) -> QueryResult<bool> {
    let Some(text) = text else { return Ok(true) };
    let Some(reply) = row.reply else { return Ok(false) };
    let before = sms::table.find(reply).select(sms::message).first::<String>(tx.conn).optional()?;
    Ok(before == Some(keepable(text.to_owned())))
}

/// The same answer came before.
fn repeated(received: i64, earlier: &Accepted) -> Settled {
    match earlier {
        Accepted::Now(kept) | Accepted::Before(kept) => {
            Settled { received, reply: kept.first().cloned(), not_sent: None }
        }
        Accepted::KeyReused => Settled { received, reply: None, not_sent: Some(AnswerNotSent::KeyReused) },
        Accepted::AccountStopped => Settled { received, reply: None, not_sent: Some(AnswerNotSent::AccountStopped) },
    }
}

/// Keeps an answer: an SMS from the number that the person wrote to. What has a name and no number can't be answered.
fn answer(
    tx: &mut Tx<'_>,
    row: &Answerable,
    text: String,
    options: Arc<SmsOptions>,
) -> QueryResult<Result<Sms, AnswerNotSent>> {
    let (from, Some(to)) = (address(&row.recipient)?, address(&row.sender)?.msisdn()) else {
        return Ok(Err(AnswerNotSent::NoNumber));
    };
    if tx.is_stopped(row.account)? {
        return Ok(Err(AnswerNotSent::AccountStopped));
    }
    let (transport, message) = (name(&row.transport)?, keepable(text));
    let options = Arc::new(SmsOptions { occasion: row.occasion(), ..(*options).clone() });
    let new = NewSms { account: row.account, transport, to, from, message, route: None, options };
    accept::insert(tx, vec![new], None)?.pop().map(Ok).ok_or(diesel::result::Error::NotFound)
}

/// Its time of change stays: that is when it became its account's, and the order in which its client reads it.
fn settle(tx: &mut Tx<'_>, id: i64, outcome: String, reply: Option<SmsId>) -> QueryResult<()> {
    Fixed(diesel::update(received_sms::table.find(id)).set((
        received_sms::outcome.eq(Some(keepable(outcome))),
        received_sms::reply.eq(reply),
        received_sms::route_at.eq(None::<i64>),
        received_sms::claimed_by.eq(None::<String>),
    )))
    .execute(tx.conn)
    .map(drop)
}
