//! What a campaign knows about the person it talks to.

use std::{cell::RefCell, rc::Rc};

use super::session_store::{SessionStore, TurnError};
use vumi_kit::{
    clock::Timestamp,
    message::{TransportType, UserMessage},
    name::Name,
    session::Answer,
};

/// A person's dialogue with a campaign.
pub struct Session<State> {
    /// Where the person is: what stands here after an answer is there again at the next message.
    pub state: State,
    msisdn: String,
    code: String,
    transport: Name,
    transport_type: TransportType,
    opened_with: Option<String>,
    now: Timestamp,
    campaign: Name,
    keep: Rc<dyn SessionStore>,
    answers: Vec<Answer>,
    trouble: RefCell<Option<TurnError>>,
}

impl<State> Session<State> {
    /// The person's number, without `+`; on networks without numbers, the person's address there.
    #[must_use]
    pub fn msisdn(&self) -> &str {
        &self.msisdn
    }

    /// What the person dialled (`*120*663*79#`) or wrote to (`38080`).
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The transport the person came by.
    #[must_use]
    pub const fn transport(&self) -> &Name {
        &self.transport
    }

    /// The kind of network the person is on.
    #[must_use]
    pub const fn transport_type(&self) -> TransportType {
        self.transport_type
    }

    /// The text of the SMS that began the dialogue, at its first turn only; never in a USSD session.
    #[must_use]
    pub fn opened_with(&self) -> Option<&str> {
        self.opened_with.as_deref()
    }

    /// When the message is answered.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Keeps what the person answered to a question, beyond the session. A later answer replaces an earlier one.
    /// It is written in one transaction with the session, after the turn: until then nothing here counts it.
    pub fn remember(&mut self, question: impl Into<String>, answer: impl Into<String>) {
        self.answers.push(Answer {
            campaign: self.campaign.clone(),
            person: self.msisdn.clone(),
            question: question.into(),
            answer: answer.into(),
        });
    }

    /// How often each answer to a question was given, by everybody, the most frequent first.
    ///
    /// If the store fails it is empty, and whatever screen the campaign makes of that is not shown: the person is
    /// told that something went wrong. The same goes for [`Session::answers`]; so neither needs error handling.
    pub async fn counts(&self, question: &str) -> Vec<(String, u64)> {
        let counted = self.keep.counts(self.campaign.clone(), question.to_owned()).await;
        self.or_trouble(counted)
    }

    /// What this person answered before: question and answer.
    pub async fn answers(&self) -> Vec<(String, String)> {
        let answered = self.keep.answers(self.campaign.clone(), self.msisdn.clone()).await;
        self.or_trouble(answered)
    }

    fn or_trouble<T>(&self, found: Result<Vec<T>, TurnError>) -> Vec<T> {
        found.unwrap_or_else(|trouble| {
            self.trouble.replace(Some(trouble));
            Vec::new()
        })
    }

    pub(super) fn new(
        state: State,
        message: &UserMessage,
        now: Timestamp,
        campaign: Name,
        keep: Rc<dyn SessionStore>,
    ) -> Self {
        Self {
            state,
            msisdn: bare(&message.from_addr).to_owned(),
            code: message.to_addr.clone(),
            transport: message.transport_name.clone(),
            transport_type: message.transport_type,
            opened_with: None,
            now,
            campaign,
            keep,
            answers: Vec::new(),
            trouble: RefCell::new(None),
        }
    }

    pub(super) fn opened_by(mut self, text: Option<&str>) -> Self {
        self.opened_with = text.map(str::to_owned);
        self
    }

    pub(super) fn at(mut self, code: String) -> Self {
        self.code = code;
        self
    }

    /// The state and what is to be remembered, unless the store failed on the way.
    pub(super) fn finish(self) -> Result<(State, Vec<Answer>), TurnError> {
        match self.trouble.into_inner() {
            Some(trouble) => Err(trouble),
            None => Ok((self.state, self.answers)),
        }
    }
}

/// A number without its `+`.
pub(super) fn bare(address: &str) -> &str {
    address.strip_prefix('+').unwrap_or(address)
}
