//! What is kept of one person: found, and taken out again so that counts and ledgers stay whole.

use diesel::{define_sql_function, prelude::*, sql_types::Text};
use vumi_kit::{
    clock::Timestamp,
    export::{EXPORT_PAGE, ExportPage, NumberRange},
    session::SessionRecord,
    subscriber::{
        ErasePerson, ErasedRows, FindMentions, FindPerson, KeptAnswer, MentionTable, PersonKey, PersonPage, PersonRows,
        PersonTable, Subscriber,
    },
};

use super::{
    Conn, Failed, Fixed, Read, Tx, Write,
    export::page_end,
    life::LifeColumns,
    retention::forget_receipts,
    rows::{NOBODY, as_limit},
    sessions::{SessionRow, recount},
};
use crate::schema::{
    answers, callback_attempts, callback_deliveries, receipts, received_parts, received_sms, sessions, sms,
    sms_attempts, sms_events,
};

define_sql_function! {
    /// A text with another one in the place of a part of it.
    fn replace(text: Text, part: Text, by: Text) -> Text;
}

/// What stands where something was.
const ERASED: &str = "erased";

/// The account of received SMS that belonged to none when their person was forgotten: nobody gets them any more.
const NEVER_ANYBODYS: i64 = -1;

/// The next rows of a table behind a person's key, the key's columns first.
macro_rules! behind {
    ($conn:ident, $table:ident, $owner:ident, $after:ident, $columns:expr, $Row:ty) => {{
        let (owner, person) = &$after;
        let next = within_limit!($table::table)
            // Told twice: only a plain bound on the key's first column is a bound on the walk.
            .filter($table::$owner.ge(owner))
            .filter($table::$owner.gt(owner).or($table::$owner.eq(owner).and($table::person.gt(person))))
            .order(($table::$owner, $table::person))
            .limit(as_limit(EXPORT_PAGE))
            .select($columns);
        let rows: Vec<$Row> = next.load($conn)?;
        rows
    }};
}

impl Read for FindPerson {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<PersonPage, Failed> {
        let Self { subscriber, table, after } = self;
        let mut page = PersonPage::default();
        let keys: Vec<PersonKey> = match table {
            PersonTable::Sessions => {
                behind!(conn, sessions, owner, after, (sessions::owner, sessions::person), PersonKey)
            }
            PersonTable::Answers => {
                behind!(conn, answers, campaign, after, (answers::campaign, answers::person), PersonKey)
            }
        };
        let mut theirs: Vec<&PersonKey> = keys.iter().filter(|(_, person)| subscriber.has_key(person)).collect();
        // A row of `answers` is one answer of several.
        theirs.dedup();
        for key in theirs {
            match table {
                PersonTable::Sessions => {
                    let (owner, person) = key;
                    let session = sessions::table.find((owner, person)).select(SessionRow::as_select());
                    let session = session.first::<SessionRow>(conn).optional()?;
                    page.sessions.extend(session.map(SessionRecord::try_from).transpose()?);
                }
                PersonTable::Answers => page.answers.extend(answers_of(conn, key)?),
            }
        }
        if keys.len() == EXPORT_PAGE {
            page.next = keys.last().cloned();
        }
        Ok(page)
    }
}

fn answers_of(conn: &mut Conn, key: &PersonKey) -> QueryResult<Vec<KeptAnswer>> {
    let (campaign, person) = key;
    let given: Vec<(String, String)> = answers::table
        .filter(answers::campaign.eq(campaign))
        .filter(answers::person.eq(person))
        .order(answers::question)
        .select((answers::question, answers::answer))
        .load(conn)?;
    Ok(given.into_iter().map(|(question, answer)| KeptAnswer { key: key.clone(), question, answer }).collect())
}

/// The rows of a page whose texts name the person.
macro_rules! naming {
    ($conn:ident, $table:ident, $range:ident, $beside:expr, $columns:expr, $is_named:expr) => {{
        let (last, next) = page_end!($conn, $table, $range);
        let page = within_limit!($table::table)
            .filter($table::id.gt($range.after))
            .filter($table::id.le(last))
            .filter($beside)
            .order($table::id)
            .select(($table::id, $columns));
        let mut rows = Vec::new();
        for (id, texts) in page.load($conn)? {
            if $is_named(texts) {
                rows.push(id);
            }
        }
        Ok(ExportPage { rows, next })
    }};
}

impl Read for FindMentions {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<ExportPage<i64>, Failed> {
        let Self { subscriber, table, range } = self;
        let mentions = |text: &str| subscriber.numbers.iter().any(|number| text.contains(number.as_str()));
        match table {
            MentionTable::Deliveries => naming!(
                conn,
                callback_deliveries,
                range,
                callback_deliveries::sms.is_null(),
                callback_deliveries::body,
                |body: String| mentions(&body)
            ),
            MentionTable::Receipts => naming!(
                conn,
                receipts,
                range,
                receipts::sms.is_null(),
                (receipts::recipient, receipts::fields),
                |(recipient, fields): (Option<String>, String)| {
                    recipient.is_some_and(|recipient| subscriber.has(&recipient)) || mentions(&fields)
                }
            ),
            MentionTable::Parts => naming!(
                conn,
                received_parts,
                range,
                received_parts::id.gt(0),
                (received_parts::sender, received_parts::recipient),
                |(sender, recipient): (String, String)| subscriber.has(&sender) || subscriber.has(&recipient)
            ),
        }
    }
}

impl Write for ErasePerson {
    fn rows(&self) -> usize {
        Self::MOST
    }

    /// As those who count answers do.
    fn lock_keys(&self) -> Vec<String> {
        match &self.rows {
            PersonRows::Answers(keys) => keys.iter().map(|(campaign, _)| format!("answers {campaign}")).collect(),
            _ => Vec::new(),
        }
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<ErasedRows, Failed> {
        let Self { subscriber, rows } = self;
        Ok(match rows {
            PersonRows::Sms(ids) => erase_sms(tx, &subscriber, &ids)?,
            PersonRows::Received(ids) => erased(erase_received(tx, &subscriber, &ids)?),
            PersonRows::Sessions(keys) => {
                let mut ended = 0;
                for (owner, person) in &keys {
                    ended += diesel::delete(sessions::table.find((owner, person))).execute(tx.conn)?;
                }
                erased(ended)
            }
            PersonRows::Answers(keys) => {
                let mut changed = 0;
                for key in &keys {
                    changed += erase_answers(tx, &subscriber, key)?;
                }
                erased(changed)
            }
            PersonRows::Mentions(table, ids) => erased(erase_mentions(tx, table, &ids)?),
        })
    }
}

const fn erased(erased: usize) -> ErasedRows {
    ErasedRows { erased, under_way: 0 }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct SubscriberSms {
    id: i64,
    recipient: String,
    sender: String,
    provider_said: Option<String>,
    #[diesel(embed)]
    life: LifeColumns,
}

/// The address, or the pseudonym in its place.
fn instead<'a>(subscriber: &'a Subscriber, address: &'a str) -> &'a str {
    if subscriber.has(address) { subscriber.pseudonym.as_str() } else { address }
}

/// A text without the number, in whatever spelling it stands there.
fn without(subscriber: &Subscriber, text: &str) -> String {
    let numbers = subscriber.numbers.iter();
    numbers.fold(text.to_owned(), |text, number| text.replace(number.as_str(), subscriber.pseudonym.as_str()))
}

fn erase_sms(tx: &mut Tx<'_>, subscriber: &Subscriber, ids: &[i64]) -> QueryResult<ErasedRows> {
    let ids = ids.get(..ErasePerson::MOST).unwrap_or(ids).to_vec();
    let found: Vec<SubscriberSms> = find_all!(sms::table.select(SubscriberSms::as_select()), sms::id, ids, tx.conn);
    let (mut done, mut under_way) = (Vec::new(), 0);
    for row in &found {
        if !row.life.state(tx.now)?.is_at_rest() {
            under_way += 1;
            continue;
        }
        // Its time of change stays: nothing has happened to the SMS.
        Fixed(diesel::update(sms::table.find(row.id)).set((
            sms::recipient.eq(instead(subscriber, &row.recipient)),
            sms::sender.eq(instead(subscriber, &row.sender)),
            sms::message.eq(""),
            sms::udh.eq(None::<String>),
            // The client's own words, like the URL: nobody knows whom they name.
            sms::callback_url.eq(None::<String>),
            sms::reference.eq(None::<String>),
            sms::held_because.eq(None::<String>),
            sms::provider_said.eq(row.provider_said.as_deref().map(|said| without(subscriber, said))),
            sms::text_removed_at.eq(Some(tx.now.micros())),
        )))
        .execute(tx.conn)?;
        done.push(row.id);
    }
    if done.is_empty() {
        return Ok(ErasedRows { erased: 0, under_way });
    }
    let by = subscriber.pseudonym.as_str();
    for number in &subscriber.numbers {
        let part = number.as_str();
        let attempts = sms_attempts::table.filter(among!(sms_attempts::sms, "sms_attempts.sms", &done));
        diesel::update(attempts).set(sms_attempts::said.eq(replace(sms_attempts::said, part, by))).execute(tx.conn)?;
        let events = sms_events::table.filter(among!(sms_events::sms, "sms_events.sms", &done));
        diesel::update(events).set(sms_events::detail.eq(replace(sms_events::detail, part, by))).execute(tx.conn)?;
        let named = receipts::table.filter(among!(receipts::sms, "receipts.sms", &done));
        diesel::update(named.filter(receipts::recipient.eq(part))).set(receipts::recipient.eq(by)).execute(tx.conn)?;
    }
    forget_receipts(tx, &done)?;
    let posts = callback_deliveries::table.filter(among!(callback_deliveries::sms, "callback_deliveries.sms", &done));
    let posts: Vec<i64> = posts.select(callback_deliveries::id).load(tx.conn)?;
    empty_deliveries(tx, &posts)?;
    Ok(ErasedRows { erased: done.len(), under_way })
}

/// What was posted, or is to be, has nothing to post any more.
fn empty_deliveries(tx: &mut Tx<'_>, ids: &[i64]) -> QueryResult<usize> {
    let these = callback_deliveries::table.filter(among!(callback_deliveries::id, "callback_deliveries.id", ids));
    let emptied = diesel::update(these).set((
        callback_deliveries::body.eq(""),
        callback_deliveries::next_attempt_at.eq(None::<i64>),
        callback_deliveries::claimed_by.eq(None::<String>),
        callback_deliveries::parked_at.eq(None::<i64>),
    ));
    let emptied = emptied.execute(tx.conn)?;
    let attempts = callback_attempts::table;
    let theirs = attempts.filter(among!(callback_attempts::delivery, "callback_attempts.delivery", ids));
    diesel::update(theirs).set(callback_attempts::error.eq(None::<String>)).execute(tx.conn)?;
    Ok(emptied)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = received_sms)]
struct SubscriberReceived {
    id: i64,
    account: i64,
    sender: String,
    recipient: String,
    outcome: Option<String>,
}

fn erase_received(tx: &mut Tx<'_>, subscriber: &Subscriber, ids: &[i64]) -> QueryResult<usize> {
    let ids = ids.get(..ErasePerson::MOST).unwrap_or(ids).to_vec();
    let select = received_sms::table.select(SubscriberReceived::as_select());
    let found: Vec<SubscriberReceived> = find_all!(select, received_sms::id, ids, tx.conn);
    for row in &found {
        // One that a campaign has not dealt with ends here.
        let outcome = row.outcome.as_deref().map_or_else(|| ERASED.to_owned(), |outcome| without(subscriber, outcome));
        Fixed(diesel::update(received_sms::table.find(row.id)).set((
            received_sms::account.eq(if row.account == NOBODY { NEVER_ANYBODYS } else { row.account }),
            received_sms::sender.eq(instead(subscriber, &row.sender)),
            received_sms::recipient.eq(instead(subscriber, &row.recipient)),
            received_sms::message.eq(""),
            received_sms::outcome.eq(Some(outcome)),
            received_sms::route_at.eq(None::<i64>),
            received_sms::claimed_by.eq(None::<String>),
            received_sms::text_removed_at.eq(Some(tx.now.micros())),
        )))
        .execute(tx.conn)?;
    }
    Ok(found.len())
}

/// The answers that others gave, too, go on standing for themselves; one that is this person's alone may name them.
fn erase_answers(tx: &mut Tx<'_>, subscriber: &Subscriber, key: &PersonKey) -> QueryResult<usize> {
    let given = answers_of(tx.conn, key)?;
    let (campaign, person) = key;
    let transport = person.rsplit_once('/').map(|(transport, _)| transport);
    let pseudonym = subscriber.pseudonym.as_str();
    let pseudonym = transport.map_or_else(|| pseudonym.to_owned(), |transport| format!("{transport}/{pseudonym}"));
    for kept in &given {
        let stays =
            kept.answer == ERASED || super::sessions::count(tx.conn, campaign, &kept.question, &kept.answer)? > 1;
        let answer = if stays { &kept.answer } else { ERASED };
        let row = answers::table.find((campaign, person, &kept.question));
        let set = (answers::person.eq(&pseudonym), answers::answer.eq(answer));
        Fixed(diesel::update(row).set(set)).execute(tx.conn)?;
        if !stays {
            recount(tx, campaign, &kept.question, &kept.answer, -1)?;
            recount(tx, campaign, &kept.question, ERASED, 1)?;
        }
    }
    Ok(given.len())
}

fn erase_mentions(tx: &mut Tx<'_>, table: MentionTable, ids: &[i64]) -> QueryResult<usize> {
    match table {
        MentionTable::Deliveries => empty_deliveries(tx, ids),
        MentionTable::Receipts => {
            diesel::delete(receipts::table.filter(among!(receipts::id, "receipts.id", ids))).execute(tx.conn)
        }
        MentionTable::Parts => {
            let these = received_parts::table.filter(among!(received_parts::id, "received_parts.id", ids));
            diesel::delete(these).execute(tx.conn)
        }
    }
}
