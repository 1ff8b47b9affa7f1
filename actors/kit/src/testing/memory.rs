//! Sessions and answers in a map: what a campaign's tests have for a store.

use std::{cell::RefCell, cmp::Reverse, collections::BTreeMap};

use async_trait::async_trait;

use crate::{
    campaign::{Keep, Trouble},
    clock::Clock,
    name::Name,
    session::{Answer, CloseSession, SaveSession, SessionRecord},
};

/// Sessions by owner and person; answers by campaign, person and question.
pub(crate) struct Memory {
    clock: Clock,
    sessions: RefCell<BTreeMap<(Name, String), SessionRecord>>,
    answers: RefCell<BTreeMap<(Name, String, String), String>>,
}

impl Memory {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, sessions: RefCell::default(), answers: RefCell::default() }
    }

    pub(crate) fn find_session(&self, owner: Name, person: String) -> Option<SessionRecord> {
        let now = self.clock.now();
        self.sessions.borrow().get(&(owner, person)).filter(|session| session.expires_at > now).cloned()
    }

    pub(crate) fn save_session(&self, SaveSession { session, answers }: SaveSession) {
        self.sessions.borrow_mut().insert((session.owner.clone(), session.person.clone()), session);
        self.keep_answers(answers);
    }

    pub(crate) fn close_session(&self, CloseSession { owner, person, answers }: CloseSession) {
        self.sessions.borrow_mut().remove(&(owner, person));
        self.keep_answers(answers);
    }

    fn keep_answers(&self, answers: Vec<Answer>) {
        let keyed = |given: Answer| ((given.campaign, given.person, given.question), given.answer);
        self.answers.borrow_mut().extend(answers.into_iter().map(keyed));
    }

    pub(crate) fn count_answers(&self, of: &Name, to: &str) -> Vec<(String, u64)> {
        let mut counts = BTreeMap::<String, u64>::new();
        for ((campaign, _, question), answer) in &*self.answers.borrow() {
            if campaign == of && question == to {
                *counts.entry(answer.clone()).or_default() += 1;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        counts
    }

    pub(crate) fn find_answers(&self, to: &Name, by: &str) -> Vec<(String, String)> {
        let answers = self.answers.borrow();
        let theirs = answers.iter().filter(|((campaign, person, _), _)| campaign == to && person == by);
        theirs.map(|((_, _, question), answer)| (question.clone(), answer.clone())).collect()
    }
}

#[async_trait(?Send)]
impl Keep for Memory {
    async fn find(&self, owner: Name, person: String) -> Result<Option<SessionRecord>, Trouble> {
        Ok(self.find_session(owner, person))
    }

    async fn save(&self, save: SaveSession) -> Result<(), Trouble> {
        self.save_session(save);
        Ok(())
    }

    async fn close(&self, close: CloseSession) -> Result<(), Trouble> {
        self.close_session(close);
        Ok(())
    }

    async fn counts(&self, campaign: Name, question: String) -> Result<Vec<(String, u64)>, Trouble> {
        Ok(self.count_answers(&campaign, &question))
    }

    async fn answers(&self, campaign: Name, person: String) -> Result<Vec<(String, String)>, Trouble> {
        Ok(self.find_answers(&campaign, &person))
    }
}
