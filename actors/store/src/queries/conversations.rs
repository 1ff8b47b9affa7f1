//! Conversations of accounts, and their versions.

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    clock::Timestamp,
    conversation::{
        Conversation, ConversationCode, CountConversationChanges, DeleteConversation, FindConversation,
        FindConversationVersion, KEPT_VERSIONS, KeptConversation, ListConversations, MOST_CONVERSATIONS,
        PutConversation,
    },
    name::Name,
};

use super::{Conn, Failed, Read, Tx, Write, rows};
use crate::schema::{conversation_changes, conversation_versions, conversations};

#[derive(Queryable, Selectable)]
#[diesel(table_name = conversations)]
struct ConversationRow {
    id: i64,
    account: i64,
    name: String,
    version: i64,
    ussd: Option<String>,
    sms: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl ConversationRow {
    fn conversation(self) -> QueryResult<Conversation> {
        Ok(Conversation {
            id: self.id,
            account: self.account,
            name: rows::name(&self.name)?,
            version: self.version,
            ussd: code(self.ussd)?,
            sms: code(self.sms)?,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

fn code(text: Option<String>) -> QueryResult<Option<ConversationCode>> {
    let read = text.map(|text| text.parse()).transpose();
    read.map_err(|wrong| Error::DeserializationError(Box::new(wrong)))
}

impl Write for PutConversation {
    const GROWS: bool = true;

    /// Codes and names are everybody's: one is given at a time.
    fn lock_keys(&self) -> Vec<String> {
        vec!["conversations".to_owned()]
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<KeptConversation, Failed> {
        let of_account = conversations::table.filter(conversations::account.eq(self.account));
        let before: Option<ConversationRow> = match &self.name {
            Some(name) => {
                let named = of_account.filter(conversations::name.eq(name.as_str()));
                named.select(ConversationRow::as_select()).first(tx.conn).optional()?
            }
            None => None,
        };
        if let Some(taken) = taken(tx, &self, before.as_ref().map(|row| row.id))? {
            return Ok(KeptConversation::CodeTaken(taken));
        }
        let kept = match before {
            Some(before) => (another_version(&self, tx, before)?, false),
            None if self.replace => return Ok(KeptConversation::NotFound),
            None => {
                let count: i64 = of_account.count().get_result(tx.conn)?;
                if usize::try_from(count).unwrap_or(usize::MAX) >= MOST_CONVERSATIONS {
                    return Ok(KeptConversation::TooMany);
                }
                (first_version(&self, tx)?, true)
            }
        };
        let (conversation, is_new) = kept;
        note_change(tx)?;
        Ok(KeptConversation::Kept(conversation, is_new))
    }
}

/// The code of another conversation that this one asks for.
fn taken(tx: &mut Tx<'_>, put: &PutConversation, own: Option<i64>) -> QueryResult<Option<ConversationCode>> {
    let own = own.unwrap_or_default();
    if let Some(asked) = &put.ussd {
        let other =
            conversations::table.filter(conversations::ussd.eq(asked.to_string())).filter(conversations::id.ne(own));
        if other.count().get_result::<i64>(tx.conn)? > 0 {
            return Ok(Some(asked.clone()));
        }
    }
    if let Some(asked) = &put.sms {
        let other =
            conversations::table.filter(conversations::sms.eq(asked.to_string())).filter(conversations::id.ne(own));
        if other.count().get_result::<i64>(tx.conn)? > 0 {
            return Ok(Some(asked.clone()));
        }
    }
    Ok(None)
}

fn first_version(put: &PutConversation, tx: &mut Tx<'_>) -> Result<Conversation, Failed> {
    let now = tx.now.micros();
    let (ussd, sms) = (text_of(put.ussd.as_ref()), text_of(put.sms.as_ref()));
    // A name that nobody has until its number is known: names of accounts have no blank.
    let name = put.name.as_ref().map_or_else(|| " ".to_owned(), ToString::to_string);
    let id: i64 = diesel::insert_into(conversations::table)
        .values((
            conversations::account.eq(put.account),
            conversations::name.eq(&name),
            conversations::version.eq(1),
            conversations::ussd.eq(ussd),
            conversations::sms.eq(sms),
            conversations::created_at.eq(now),
            conversations::updated_at.eq(now),
        ))
        .returning(conversations::id)
        .get_result(tx.conn)?;
    let name = match &put.name {
        Some(name) => name.clone(),
        None => numbered(put, tx, id)?,
    };
    keep_text(put, tx, id, 1)?;
    let at = tx.now;
    let (account, ussd, sms) = (put.account, put.ussd.clone(), put.sms.clone());
    Ok(Conversation { id, account, name, version: 1, ussd, sms, created_at: at, updated_at: at })
}

/// The name `conversation-<id>`, unless the account has given it to another: then a longer one.
fn numbered(put: &PutConversation, tx: &mut Tx<'_>, id: i64) -> Result<Name, Failed> {
    let mut text = format!("conversation-{id}");
    let has = |tx: &mut Tx<'_>, text: &str| -> QueryResult<bool> {
        let named = conversations::table.filter(conversations::account.eq(put.account));
        Ok(named.filter(conversations::name.eq(text)).count().get_result::<i64>(tx.conn)? > 0)
    };
    while has(tx, &text)? {
        text.push_str("-new");
    }
    let row = conversations::table.find(id);
    diesel::update(row).set(conversations::name.eq(&text)).execute(tx.conn)?;
    Ok(rows::name(&text)?)
}

fn another_version(put: &PutConversation, tx: &mut Tx<'_>, before: ConversationRow) -> Result<Conversation, Failed> {
    let version = before.version.saturating_add(1);
    let ussd = text_of(put.ussd.as_ref()).or_else(|| before.ussd.clone());
    let sms = text_of(put.sms.as_ref()).or_else(|| before.sms.clone());
    let changed = (
        conversations::version.eq(version),
        conversations::ussd.eq(&ussd),
        conversations::sms.eq(&sms),
        conversations::updated_at.eq(tx.now.micros()),
    );
    diesel::update(conversations::table.find(before.id)).set(changed).execute(tx.conn)?;
    keep_text(put, tx, before.id, version)?;
    let old = conversation_versions::table.filter(conversation_versions::conversation.eq(before.id));
    let old = old.filter(conversation_versions::version.le(version.saturating_sub(KEPT_VERSIONS)));
    diesel::delete(old).execute(tx.conn)?;
    let row = ConversationRow { version, ussd, sms, updated_at: tx.now.micros(), ..before };
    Ok(row.conversation()?)
}

fn keep_text(put: &PutConversation, tx: &mut Tx<'_>, id: i64, version: i64) -> QueryResult<()> {
    let row = (
        conversation_versions::conversation.eq(id),
        conversation_versions::version.eq(version),
        conversation_versions::text.eq(&put.text),
        conversation_versions::created_at.eq(tx.now.micros()),
    );
    diesel::insert_into(conversation_versions::table).values(row).execute(tx.conn).map(drop)
}

fn text_of(code: Option<&ConversationCode>) -> Option<String> {
    code.map(ToString::to_string)
}

fn note_change(tx: &mut Tx<'_>) -> QueryResult<()> {
    diesel::insert_into(conversation_changes::table)
        .values((conversation_changes::id.eq(1), conversation_changes::changes.eq(1)))
        .on_conflict(conversation_changes::id)
        .do_update()
        .set(conversation_changes::changes.eq(conversation_changes::changes + 1))
        .execute(tx.conn)
        .map(drop)
}

impl Write for DeleteConversation {
    fn write(self, tx: &mut Tx<'_>) -> Result<bool, Failed> {
        let named = conversations::table.filter(conversations::account.eq(self.account));
        let named = named.filter(conversations::name.eq(self.name.as_str()));
        let Some(id) = named.select(conversations::id).first::<i64>(tx.conn).optional()? else { return Ok(false) };
        remove(tx, &[id])?;
        Ok(true)
    }
}

/// Removes all conversations of an account.
pub(super) fn forget_account(tx: &mut Tx<'_>, account: i64) -> QueryResult<()> {
    let theirs = conversations::table.filter(conversations::account.eq(account)).select(conversations::id);
    let ids: Vec<i64> = theirs.load(tx.conn)?;
    if ids.is_empty() { Ok(()) } else { remove(tx, &ids) }
}

fn remove(tx: &mut Tx<'_>, ids: &[i64]) -> QueryResult<()> {
    for id in ids {
        let versions = conversation_versions::table.filter(conversation_versions::conversation.eq(id));
        diesel::delete(versions).execute(tx.conn)?;
        diesel::delete(conversations::table.find(id)).execute(tx.conn)?;
    }
    note_change(tx)
}

impl Read for ListConversations {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Conversation>, Failed> {
        let rows: Vec<ConversationRow> = match self.account {
            Some(account) => conversations::table
                .filter(conversations::account.eq(account))
                .order(conversations::name)
                .select(ConversationRow::as_select())
                .load(conn)?,
            None => conversations::table.order(conversations::id).select(ConversationRow::as_select()).load(conn)?,
        };
        Ok(rows.into_iter().map(ConversationRow::conversation).collect::<QueryResult<_>>()?)
    }
}

impl Read for FindConversation {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<(Conversation, String)>, Failed> {
        let named = conversations::table.filter(conversations::account.eq(self.account));
        let named = named.filter(conversations::name.eq(self.name.as_str()));
        let row: Option<ConversationRow> = named.select(ConversationRow::as_select()).first(conn).optional()?;
        let Some(row) = row else { return Ok(None) };
        let text = conversation_versions::table.find((row.id, row.version)).select(conversation_versions::text);
        let text: Option<String> = text.first(conn).optional()?;
        Ok(text.map(|text| Ok::<_, Error>((row.conversation()?, text))).transpose()?)
    }
}

impl Read for FindConversationVersion {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<String>, Failed> {
        let row = conversation_versions::table.find((self.id, self.version)).select(conversation_versions::text);
        Ok(row.first(conn).optional()?)
    }
}

impl Read for CountConversationChanges {
    const LOOKUP: bool = true;

    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<i64, Failed> {
        let changes = conversation_changes::table.find(1_i64).select(conversation_changes::changes);
        Ok(changes.first(conn).optional()?.unwrap_or_default())
    }
}
