//! Sessions and answers in a map: the store of a campaign's tests.

use std::{cell::RefCell, cmp::Reverse, collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use crate::session_store::{SessionStore, TurnError};
use vumi_kit::{
    address::Msisdn,
    campaign_sms::{CampaignSms, CampaignSmsRefused, DialogueSms, PreparedSms},
    clock::Clock,
    name::Name,
    session::{After, Answer, CloseSession, SaveSession, SessionRecord},
    sms::NewSms,
    sms_options::SmsOptions,
};

/// Sessions by owner and person; answers by campaign, person and question.
pub(crate) struct MemorySessions {
    clock: Clock,
    sessions: RefCell<BTreeMap<(Name, String), SessionRecord>>,
    answers: RefCell<BTreeMap<(Name, String, String), String>>,
    /// By their keys, in the order of their turns.
    sms: RefCell<Vec<DialogueSms>>,
}

impl MemorySessions {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, sessions: RefCell::default(), answers: RefCell::default(), sms: RefCell::default() }
    }

    pub(crate) fn find_session(&self, owner: Name, person: String) -> Option<SessionRecord> {
        let now = self.clock.now();
        self.sessions.borrow().get(&(owner, person)).filter(|session| session.expires_at > now).cloned()
    }

    pub(crate) fn save_session(&self, SaveSession { session, after, answers, sms }: SaveSession) -> bool {
        let before = self.find_session(session.owner.clone(), session.person.clone());
        let applies = match after {
            After::Anything => true,
            After::Nothing => before.is_none(),
            After::Message(last) => before.is_some_and(|before| before.last_message_id == last),
        };
        if !applies {
            return false;
        }
        self.sessions.borrow_mut().insert((session.owner.clone(), session.person.clone()), session);
        self.save_answers(answers);
        self.save_sms(sms);
        true
    }

    pub(crate) fn close_session(&self, CloseSession { owner, person, after, answers, sms }: CloseSession) -> bool {
        let before = self.find_session(owner.clone(), person.clone());
        if after.is_some() && before.map(|before| before.last_message_id) != after {
            return false;
        }
        self.sessions.borrow_mut().remove(&(owner, person));
        self.save_answers(answers);
        self.save_sms(sms);
        true
    }

    fn save_sms(&self, sms: Vec<DialogueSms>) {
        let mut kept = self.sms.borrow_mut();
        for one in sms {
            if kept.iter().all(|before| before.key.key != one.key.key) {
                kept.push(one);
            }
        }
    }

    /// What was sent beside answers, in the order of the turns.
    pub(crate) fn sent(&self) -> Vec<NewSms> {
        self.sms.borrow().iter().map(|sms| sms.prepared.sms.clone()).collect()
    }

    fn save_answers(&self, answers: Vec<Answer>) {
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
impl SessionStore for MemorySessions {
    async fn find(&self, owner: Name, person: String) -> Result<Option<SessionRecord>, TurnError> {
        Ok(self.find_session(owner, person))
    }

    async fn save(&self, save: SaveSession) -> Result<bool, TurnError> {
        Ok(self.save_session(save))
    }

    async fn close(&self, close: CloseSession) -> Result<bool, TurnError> {
        Ok(self.close_session(close))
    }

    async fn counts(&self, campaign: Name, question: String) -> Result<Vec<(String, u64)>, TurnError> {
        Ok(self.count_answers(&campaign, &question))
    }

    async fn answers(&self, campaign: Name, person: String) -> Result<Vec<(String, String)>, TurnError> {
        Ok(self.find_answers(&campaign, &person))
    }

    async fn prepare_sms(&self, asked: CampaignSms) -> Result<PreparedSms, CampaignSmsRefused> {
        let CampaignSms { campaign, sender, to, text, at } = asked;
        let to = Msisdn::parse(&to).map_err(|wrong| CampaignSmsRefused::Never(wrong.to_string()))?;
        let options = Arc::new(SmsOptions { send_at: at, ..SmsOptions::default() });
        // Nobody routes it: the campaign's name stands for a transport that its sender does not name.
        let transport = sender.transport.unwrap_or(campaign);
        let sms = NewSms { account: 1, transport, to, from: sender.from, message: text, route: None, options };
        Ok(PreparedSms { sms, charge: None })
    }
}
