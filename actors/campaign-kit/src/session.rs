//! A person's dialogue, as the campaign sees it.

use std::{cell::RefCell, rc::Rc};

use super::session_store::{SessionStore, TurnError};
use vumi_kit::{
    campaign_sms::{CampaignSender, CampaignSms, CampaignSmsRefused, DialogueSms},
    clock::Timestamp,
    message::{ScreenLimit, TransportType, UserMessage},
    name::Name,
    session::Answer,
    store::StoreError,
    text::keepable,
};

/// The longest question or answer that is kept, in bytes: both are in an index, and PostgreSQL bounds its rows.
const LONGEST_KEY: usize = 1_000;

/// The most SMS that a turn sends.
const MOST_SMS: usize = 20;

/// What a turn writes beside the session.
#[derive(Default)]
pub(super) struct TurnWrites {
    pub(super) answers: Vec<Answer>,
    pub(super) sms: Vec<DialogueSms>,
}

impl TurnWrites {
    /// These, and those of a later part of the turn.
    pub(super) fn and(mut self, later: Self) -> Self {
        self.answers.extend(later.answers);
        self.sms.extend(later.sms);
        self
    }
}

/// A person's dialogue with a campaign.
pub struct Session<State> {
    /// The campaign's state of this dialogue: its value after an answer is there again at the next message.
    pub state: State,
    id: String,
    operator: Option<String>,
    msisdn: String,
    code: String,
    transport: Name,
    transport_type: TransportType,
    screen_limit: ScreenLimit,
    opened_with: Option<String>,
    dialled_inputs: Vec<String>,
    now: Timestamp,
    campaign: Name,
    store: Rc<dyn SessionStore>,
    sender: Option<CampaignSender>,
    message_id: String,
    sms: Vec<DialogueSms>,
    answers: Vec<Answer>,
    error: RefCell<Option<TurnError>>,
}

impl<State> Session<State> {
    /// The dialogue's id: the same from its beginning to its end, also across restarts of the router, and no other dialogue over
    /// the same transport has it. Over USSD it is the network's session, so a person who dials again and goes on
    /// ([`Campaign::resume`](crate::Campaign::resume)) has another one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of the message that is answered. A message that is delivered again has the same, and so has a turn that is taken
    /// again.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The mobile network operator, as the transport calls it.
    #[must_use]
    pub fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }

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

    /// What the person dialled beyond the code of the route, at the dialogue's first turn only: `1`, `2` of
    /// `*120*663*79*1*2#` where `*120*663*79#` is the route. A campaign that has shortcuts takes them as the first answers; any
    /// other shows its first screen: codes that go too far are published, too.
    #[must_use]
    pub fn dialled_inputs(&self) -> &[String] {
        &self.dialled_inputs
    }

    /// How much a USSD screen holds on the person's transport.
    #[must_use]
    pub const fn screen_limit(&self) -> ScreenLimit {
        self.screen_limit
    }

    /// When the message is answered.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Stores the person's answer to a question beyond the session. A later answer replaces an earlier one. It is written in
    /// one transaction with the session, after the turn: until then [`Session::counts`] does not count it. Of each text the
    /// first 1,000 bytes are kept.
    pub fn remember(&mut self, question: impl Into<String>, answer: impl Into<String>) {
        self.answers.push(Answer {
            campaign: self.campaign.clone(),
            person: self.msisdn.clone(),
            question: as_key(question.into()),
            answer: as_key(answer.into()),
        });
    }

    /// Sends the person an SMS beside the answer, by the account, transport and sender of
    /// [`Campaign::sms_sender`](crate::Campaign::sms_sender): now, or `at` a moment of the next 400 days; one that is past is
    /// now. It is kept as an SMS of the ledger in one transaction with the session, after the turn: once for each `step` of this
    /// message, though the turn may be taken twice. An error says, for the log, why it can't be sent; the turn goes on, and
    /// what to show is up to the campaign.
    pub async fn send_sms(
        &mut self,
        step: &str,
        text: impl Into<String>,
        at: Option<Timestamp>,
    ) -> Result<(), CampaignSmsRefused> {
        let Some(sender) = self.sender.clone() else {
            return Err(CampaignSmsRefused::Never("the campaign has no sender for SMS".to_owned()));
        };
        self.send_sms_as(sender, step, text, at).await
    }

    /// As [`Self::send_sms`], by a sender of its own.
    pub async fn send_sms_as(
        &mut self,
        sender: CampaignSender,
        step: &str,
        text: impl Into<String>,
        at: Option<Timestamp>,
    ) -> Result<(), CampaignSmsRefused> {
        if self.sms.len() >= MOST_SMS {
            return Err(CampaignSmsRefused::Never(format!("a turn sends {MOST_SMS} SMS at the most")));
        }
        let (campaign, to, text) = (self.campaign.clone(), self.msisdn.clone(), text.into());
        let asked = CampaignSms { campaign, sender, to, text, at: at.filter(|at| *at > self.now) };
        let prepared = self.store.prepare_sms(asked).await?;
        self.sms.push(DialogueSms::of_turn(&self.campaign, &self.message_id, step, prepared));
        Ok(())
    }

    /// How often each answer to a question was given, by everybody, the most frequent first.
    ///
    /// Empty if the store fails; the screen that the campaign makes of that is not shown: the person reads
    /// [`Campaign::sorry`](crate::Campaign::sorry). The same holds for [`Session::answers`], so neither needs error handling.
    pub async fn counts(&self, question: &str) -> Vec<(String, u64)> {
        let counted = self.store.counts(self.campaign.clone(), question.to_owned()).await;
        self.or_record_error(counted)
    }

    /// This person's answers: question and answer.
    pub async fn answers(&self) -> Vec<(String, String)> {
        let answered = self.store.answers(self.campaign.clone(), self.msisdn.clone()).await;
        self.or_record_error(answered)
    }

    /// Gives the turn up: something outside that the campaign asks gave no answer. Nothing of the turn is saved, whatever screen
    /// the campaign returns. A person in a session reads [`Campaign::delayed`](crate::Campaign::delayed) where it was `late`,
    /// else [`Campaign::sorry`](crate::Campaign::sorry); an SMS comes again. `why` is for the log and the health: it names no
    /// text and no number of a person.
    pub fn give_up(&self, why: impl Into<String>, late: bool) {
        self.error.replace(Some(TurnError::Unanswered { why: why.into(), late }));
    }

    /// From now on in this turn [`Self::remember`], [`Self::counts`] and [`Self::answers`] are those of another name than the
    /// campaign's: for one that runs services of several owners.
    pub fn keep_answers_under(&mut self, name: Name) {
        self.campaign = name;
    }

    /// The store has failed in something that the campaign asked of it: the turn fails, as it does where the store fails in
    /// [`Self::counts`].
    pub fn fail(&self, error: StoreError) {
        self.error.replace(Some(error.into()));
    }

    fn or_record_error<T>(&self, found: Result<Vec<T>, TurnError>) -> Vec<T> {
        found.unwrap_or_else(|error| {
            self.error.replace(Some(error));
            Vec::new()
        })
    }

    pub(super) fn new(
        state: State,
        id: String,
        message: &UserMessage,
        now: Timestamp,
        campaign: Name,
        store: Rc<dyn SessionStore>,
        sender: Option<CampaignSender>,
    ) -> Self {
        Self {
            state,
            id,
            operator: message.provider.clone(),
            msisdn: without_plus(&message.from_addr).to_owned(),
            code: message.to_addr.clone(),
            transport: message.transport_name.clone(),
            transport_type: message.transport_type,
            screen_limit: message.screen_limit.unwrap_or_default(),
            opened_with: None,
            dialled_inputs: Vec::new(),
            now,
            campaign,
            store,
            sender,
            message_id: message.message_id.clone(),
            sms: Vec::new(),
            answers: Vec::new(),
            error: RefCell::new(None),
        }
    }

    /// At a beginning: what began it.
    pub(super) fn opened_by(mut self, message: &UserMessage) -> Self {
        let text = message.content.as_deref().filter(|_| message.transport_type != TransportType::Ussd);
        self.opened_with = text.map(|text| text.trim().to_owned());
        self.dialled_inputs.clone_from(&message.dialled_inputs);
        self
    }

    pub(super) fn at(mut self, code: String) -> Self {
        self.code = code;
        self
    }

    /// The state and what else is to be stored, unless the store has failed during the turn.
    pub(super) fn finish(self) -> Result<(State, TurnWrites), TurnError> {
        match self.error.into_inner() {
            Some(error) => Err(error),
            None => Ok((self.state, TurnWrites { answers: self.answers, sms: self.sms })),
        }
    }
}

/// A text as every database keeps it in an index.
fn as_key(text: String) -> String {
    let mut text = keepable(text);
    text.truncate(text.floor_char_boundary(LONGEST_KEY));
    text
}

/// A number without its `+`.
pub(super) fn without_plus(address: &str) -> &str {
    address.strip_prefix('+').unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_KEY, as_key};

    #[test]
    fn a_long_answer_is_cut_between_two_characters_and_a_nul_is_none() {
        let kept = as_key(format!("a{}", "é".repeat(9_000)));
        assert_eq!((kept.len(), kept.chars().last()), (LONGEST_KEY - 1, Some('é')));
        assert!(!as_key("a\0b".to_owned()).contains('\0'));
    }
}
