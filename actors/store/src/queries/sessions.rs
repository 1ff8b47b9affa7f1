//! USSD sessions, and what people answered.

use diesel::{prelude::*, query_dsl::methods, upsert::excluded};
use vumi_kit::{
    clock::Timestamp,
    session::{
        After, Answer, CloseSession, CountAnswers, FindAnswers, FindSession, OpenSessions, SaveSession, SessionRecord,
    },
};

use super::{Conn, Failed, Fixed, Read, Tx, Write, dialogue_sms, rows};
use crate::schema::{answer_counts, answers, sessions};

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(super) struct SessionRow {
    owner: String,
    person: String,
    address: String,
    last_message_id: String,
    state: String,
    expires_at: i64,
}

impl TryFrom<SessionRow> for SessionRecord {
    type Error = diesel::result::Error;
    fn try_from(row: SessionRow) -> Result<Self, Self::Error> {
        Ok(Self {
            owner: rows::name(&row.owner)?,
            person: row.person,
            address: row.address,
            last_message_id: row.last_message_id,
            state: row.state,
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}

impl Read for FindSession {
    // A person's next message is looked at after the answer to the one before was committed. Where that is not so (another
    // process has the person's other message), what is written then says after which message, and applies only if that
    // still holds.
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Option<SessionRecord>, Failed> {
        let row: Option<SessionRow> = sessions::table
            .find((self.owner.as_str(), &self.person))
            .filter(sessions::expires_at.ge(now.micros()))
            .select(SessionRow::as_select())
            .first(conn)
            .optional()?;
        Ok(row.map(SessionRecord::try_from).transpose()?)
    }
}

impl Read for OpenSessions {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<SessionRecord>, Failed> {
        let rows: Vec<SessionRow> = sessions::table
            .filter(sessions::owner.eq(self.owner.as_str()))
            .filter(sessions::expires_at.ge(now.micros()))
            .order(sessions::person)
            .select(SessionRow::as_select())
            .load(conn)?;
        Ok(rows.into_iter().map(SessionRecord::try_from).collect::<Result<_, _>>()?)
    }
}

impl Write for SaveSession {
    fn rows(&self) -> usize {
        1 + self.sms.len()
    }

    fn lock_keys(&self) -> Vec<String> {
        counted(&self.answers).into_iter().chain(dialogue_sms::lock_keys(&self.sms)).collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let applied = match &self.after {
            After::Anything => put(tx, &self.session, i64::MAX)?,
            After::Nothing => put(tx, &self.session, tx.now.micros())?,
            After::Message(last) => change(tx, &self.session, last)?,
        };
        if applied {
            keep_answers(tx, &self.answers)?;
            dialogue_sms::keep(tx, self.sms)?;
        }
        Ok(applied)
    }
}

/// Writes a session where there is none, or one that expires before a moment.
fn put(tx: &mut Tx<'_>, session: &SessionRecord, over: i64) -> QueryResult<bool> {
    let upsert = diesel::insert_into(sessions::table)
        .values((
            sessions::owner.eq(session.owner.as_str()),
            sessions::person.eq(&session.person),
            sessions::address.eq(&session.address),
            sessions::last_message_id.eq(&session.last_message_id),
            sessions::state.eq(&session.state),
            sessions::expires_at.eq(session.expires_at.micros()),
        ))
        .on_conflict((sessions::owner, sessions::person))
        .do_update()
        .set((
            sessions::address.eq(excluded(sessions::address)),
            sessions::last_message_id.eq(excluded(sessions::last_message_id)),
            sessions::state.eq(excluded(sessions::state)),
            sessions::expires_at.eq(excluded(sessions::expires_at)),
        ));
    let opened = methods::FilterDsl::filter(upsert, sessions::expires_at.lt(over)).returning(sessions::person);
    Fixed(opened).load::<String>(tx.conn).map(|opened| !opened.is_empty())
}

/// Writes a session where its last message is this one.
fn change(tx: &mut Tx<'_>, session: &SessionRecord, last: &str) -> QueryResult<bool> {
    let before = sessions::table
        .find((session.owner.as_str(), &session.person))
        .filter(sessions::last_message_id.eq(last))
        .filter(sessions::expires_at.ge(tx.now.micros()));
    let changed = diesel::update(before).set((
        sessions::address.eq(&session.address),
        sessions::last_message_id.eq(&session.last_message_id),
        sessions::state.eq(&session.state),
        sessions::expires_at.eq(session.expires_at.micros()),
    ));
    Fixed(changed.returning(sessions::person)).load::<String>(tx.conn).map(|changed| !changed.is_empty())
}

impl Write for CloseSession {
    fn rows(&self) -> usize {
        1 + self.sms.len()
    }

    fn lock_keys(&self) -> Vec<String> {
        counted(&self.answers).into_iter().chain(dialogue_sms::lock_keys(&self.sms)).collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let session = sessions::table.find((self.owner.as_str(), &self.person));
        let applied = match &self.after {
            None => {
                diesel::delete(session).execute(tx.conn)?;
                true
            }
            Some(last) => {
                let as_found = session.filter(sessions::last_message_id.eq(last));
                let as_found = as_found.filter(sessions::expires_at.ge(tx.now.micros()));
                diesel::delete(as_found).execute(tx.conn)? > 0
            }
        };
        if applied {
            keep_answers(tx, &self.answers)?;
            dialogue_sms::keep(tx, self.sms)?;
        }
        Ok(applied)
    }
}

/// What several processes count in the same rows, in whatever order people answer.
fn counted(given: &[Answer]) -> Vec<String> {
    given.iter().map(|answer| format!("answers {}", answer.campaign)).collect()
}

fn keep_answers(tx: &mut Tx<'_>, given: &[Answer]) -> QueryResult<()> {
    for answer in given {
        let key = (answer.campaign.as_str(), &answer.person, &answer.question);
        let before = answers::table.find(key).select(answers::answer);
        let before: Option<String> = for_update!(before).first(tx.conn).optional()?;
        match before {
            Some(before) if before == answer.answer => continue,
            Some(before) => recount(tx, answer.campaign.as_str(), &answer.question, &before, -1)?,
            None => {}
        }
        Fixed(
            diesel::insert_into(answers::table)
                .values((
                    answers::campaign.eq(answer.campaign.as_str()),
                    answers::person.eq(&answer.person),
                    answers::question.eq(&answer.question),
                    answers::answer.eq(&answer.answer),
                ))
                .on_conflict((answers::campaign, answers::person, answers::question))
                .do_update()
                .set(answers::answer.eq(excluded(answers::answer))),
        )
        .execute(tx.conn)?;
        recount(tx, answer.campaign.as_str(), &answer.question, &answer.answer, 1)?;
    }
    Ok(())
}

/// Counts an answer to a question of a campaign once more, or once less.
pub(super) fn recount(tx: &mut Tx<'_>, campaign: &str, question: &str, answer: &str, by: i64) -> QueryResult<()> {
    Fixed(
        diesel::insert_into(answer_counts::table)
            .values((
                answer_counts::campaign.eq(campaign),
                answer_counts::question.eq(question),
                answer_counts::answer.eq(answer),
                answer_counts::count.eq(by),
            ))
            .on_conflict((answer_counts::campaign, answer_counts::question, answer_counts::answer))
            .do_update()
            .set(answer_counts::count.eq(answer_counts::count + excluded(answer_counts::count))),
    )
    .execute(tx.conn)
}

/// How often an answer was given.
pub(super) fn count(conn: &mut Conn, campaign: &str, question: &str, answer: &str) -> QueryResult<i64> {
    let its = answer_counts::table.find((campaign, question, answer)).select(answer_counts::count);
    Ok(its.first(conn).optional()?.unwrap_or(0))
}

impl Read for CountAnswers {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<(String, u64)>, Failed> {
        let counts: Vec<(String, i64)> = answer_counts::table
            .filter(answer_counts::campaign.eq(self.campaign.as_str()))
            .filter(answer_counts::question.eq(&self.question))
            .filter(answer_counts::count.gt(0))
            .order((answer_counts::count.desc(), answer_counts::answer))
            .select((answer_counts::answer, answer_counts::count))
            .load(conn)?;
        Ok(counts.into_iter().map(|(answer, count)| (answer, count.unsigned_abs())).collect())
    }
}

impl Read for FindAnswers {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<(String, String)>, Failed> {
        Ok(answers::table
            .filter(answers::campaign.eq(self.campaign.as_str()))
            .filter(answers::person.eq(&self.person))
            .order(answers::question)
            .select((answers::question, answers::answer))
            .load(conn)?)
    }
}
