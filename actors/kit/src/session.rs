//! USSD sessions and people's answers, as the store keeps them.
//!
//! A connector owns its sessions: the transport remembers the code that a person dialled, the campaign where
//! the person is in its dialogue. Each is one row, found by owner and person.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use crate::{
    campaign_sms::DialogueSms,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads, Writes, store_address},
};

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The connector it belongs to.
    pub owner: Name,
    /// The person: for a transport the MSISDN, for a campaign `<transport>/<msisdn>`.
    pub person: String,
    /// The USSD code dialled or the short code written to.
    pub address: String,
    /// The id of the last message handled: a message that comes again is recognised.
    pub last_message_id: String,
    /// The owner's own state, JSON.
    pub state: String,
    /// After this moment it is forgotten.
    pub expires_at: Timestamp,
}

/// Finds a session that has not expired.
#[derive(Clone, Debug)]
pub struct FindSession {
    /// The connector.
    pub owner: Name,
    /// The person.
    pub person: String,
}
impl Operation for FindSession {
    type Access = Reads;
    type Answer = Option<SessionRecord>;
}

/// All sessions of a connector that have not expired: what a transport reads when it starts.
#[derive(Clone, Debug)]
pub struct OpenSessions {
    /// The connector.
    pub owner: Name,
}
impl Operation for OpenSessions {
    type Access = Reads;
    type Answer = Vec<SessionRecord>;
}

/// What a session has to be for a write to apply: another process may have written it since it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// Whatever it is: for an owner that is one process only.
    Anything,
    /// There is none that has not expired.
    Nothing,
    /// It has not expired, and this is its last message.
    Message(String),
}

/// Writes a session, new or changed, and what the person answered with it, in one transaction. Answers whether it
/// applied; if not, nothing was written.
#[derive(Clone, Debug)]
pub struct SaveSession {
    /// The session.
    pub session: SessionRecord,
    /// What it has to be before.
    pub after: After,
    /// Answers to keep beyond the session.
    pub answers: Vec<Answer>,
    /// SMS to the person, kept with it as SMS of the ledger. One that the account's quotas do not allow by then is left out and
    /// logged.
    pub sms: Vec<DialogueSms>,
}
impl Operation for SaveSession {
    type Access = Writes;
    type Answer = bool;
}

/// Forgets a session, and keeps what the person answered with its last message. Answers whether it applied; if not,
/// nothing was written.
#[derive(Clone, Debug)]
pub struct CloseSession {
    /// The connector.
    pub owner: Name,
    /// The person.
    pub person: String,
    /// The last message that the session has to have, and then not to have expired; none for whatever there is.
    pub after: Option<String>,
    /// Answers to keep beyond the session.
    pub answers: Vec<Answer>,
    pub sms: Vec<DialogueSms>,
}
impl Operation for CloseSession {
    type Access = Writes;
    type Answer = bool;
}

/// What a person answered to a campaign's question; a later answer replaces an earlier one, and the counts follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The campaign.
    pub campaign: Name,
    /// The person's MSISDN.
    pub person: String,
    /// The question, in the campaign's own words.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// How often each answer to a question was given, most frequent first.
#[derive(Clone, Debug)]
pub struct CountAnswers {
    /// The campaign.
    pub campaign: Name,
    /// The question.
    pub question: String,
}
impl Operation for CountAnswers {
    type Access = Reads;
    type Answer = Vec<(String, u64)>;
}

/// The most rows of a page of answers.
pub const ANSWERS_PAGE: usize = 5_000;

/// How often each answer to each question of a campaign was given, by question and answer: a page of [`ANSWERS_PAGE`].
#[derive(Clone, Debug)]
pub struct ListAnswerCounts {
    pub campaign: Name,
    /// The question and answer behind which the page begins; none: at the first.
    pub after: Option<(String, String)>,
}
impl Operation for ListAnswerCounts {
    type Access = Reads;
    type Answer = Vec<(String, String, u64)>;
}

/// What people answered to a campaign, by person and question: a page of [`ANSWERS_PAGE`].
#[derive(Clone, Debug)]
pub struct ListAnswers {
    pub campaign: Name,
    /// The person and question behind which the page begins; none: at the first.
    pub after: Option<(String, String)>,
}
impl Operation for ListAnswers {
    type Access = Reads;
    type Answer = Vec<Answer>;
}

/// What a person answered before: question and answer.
#[derive(Clone, Debug)]
pub struct FindAnswers {
    /// The campaign.
    pub campaign: Name,
    /// The person's MSISDN.
    pub person: String,
}
impl Operation for FindAnswers {
    type Access = Reads;
    type Answer = Vec<(String, String)>;
}

store_address! {
    /// The address of the sessions' actor.
    Sessions {
        find: FindSession,
        open: OpenSessions,
        save: SaveSession,
        close: CloseSession,
        count: CountAnswers,
        list_counts: ListAnswerCounts,
        list: ListAnswers,
        answers: FindAnswers,
    }
}
