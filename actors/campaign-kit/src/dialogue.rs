//! One turn of a dialogue: find the person's session, ask the campaign for a screen, save the session. The campaign's actor
//! and the phone of the tests both take their turns here; this file knows neither actors nor timers.

use std::{cell::RefCell, rc::Rc, time::Duration};

use super::{
    Campaign, KnownBy, Limits, Screen, Session,
    session::{TurnWrites, without_plus},
    session_store::{SessionStore, TurnError},
    stored_dialogue::{DialogueBefore, StoredDialogue},
};
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    session::{After, CloseSession, SaveSession, SessionRecord},
};

/// How long a dialogue that is over is kept, so that its last message is recognised when it is delivered again.
const KEEP_ENDED_FOR: Duration = Duration::from_secs(300);

/// How often a turn is tried where other processes change the same person's session meanwhile.
const ATTEMPTS: usize = 4;

/// The key of a person's session: `<transport>/<msisdn>`, or `<msisdn>` of a person who is known by the number.
pub(crate) fn person(known_by: KnownBy, message: &UserMessage) -> String {
    let (transport, from) = (message.transport_name.as_str(), without_plus(&message.from_addr));
    if known_by == KnownBy::Number && Msisdn::parse(from).is_ok() {
        return from.to_owned();
    }
    let mut person = String::with_capacity(transport.len() + 1 + from.len());
    person.push_str(transport);
    person.push('/');
    person.push_str(from);
    person
}

/// A campaign at a moment, for one turn.
pub(crate) struct Dialogue<'a, C> {
    pub(crate) campaign: &'a C,
    pub(crate) name: &'a Name,
    pub(crate) limits: &'a Limits,
    pub(crate) sessions: &'a Rc<dyn SessionStore>,
    pub(crate) now: Timestamp,
    /// Messages of the person whose turn was given up and may have been saved all the same: what they led to was not shown.
    pub(crate) given_up: &'a [String],
    /// The last message of the session that was found: a write applies only to the session as it was after that message.
    pub(crate) last_message: RefCell<Option<String>>,
}

impl<C: Campaign> Dialogue<'_, C> {
    /// Takes a turn. Returns the screen to show, which is saved already; None when the person has hung up.
    pub(crate) async fn turn(&self, person: &str, message: &UserMessage) -> Result<Option<Screen>, TurnError> {
        for _ in 1..ATTEMPTS {
            match self.try_turn(person, message).await {
                Err(TurnError::Conflict) => {}
                done => return done,
            }
        }
        self.try_turn(person, message).await
    }

    async fn try_turn(&self, person: &str, message: &UserMessage) -> Result<Option<Screen>, TurnError> {
        let found = self.sessions.find(self.name.clone(), person.to_owned()).await?;
        let last = found.as_ref().map(|record| record.last_message_id.clone());
        self.last_message.replace(last.clone());
        let before = found.and_then(|record| StoredDialogue::read(record, self.name, message));
        if message.session_event == Some(SessionEvent::Close) {
            return self.close(person, message, before).await.map(|()| None);
        }
        let Some(before) = before else { return self.begin(person, message, TurnWrites::default()).await };
        if before.last_message_id == message.message_id {
            return Ok(Some(before.stored.screen));
        }
        if !before.stored.screen.is_open() {
            return self.begin(person, message, TurnWrites::default()).await;
        }
        if message.session_event == Some(SessionEvent::New) || !before.goes_on_with(message, self.now) {
            return self.begin_again(person, message, before).await;
        }
        if self.given_up.contains(&before.last_message_id) {
            // The person has not seen this screen, and answers an earlier one.
            return Ok(Some(before.stored.screen));
        }
        let input = message.content.as_deref().unwrap_or_default().trim();
        let session = self.session(before.stored.state, before.stored.dialogue.as_deref(), message);
        self.answer(person, message, session, Some(input), TurnWrites::default()).await
    }

    /// The person has hung up, or the network timed out. What waits to be gone on with is kept.
    async fn close(
        &self,
        person: &str,
        message: &UserMessage,
        before: Option<DialogueBefore<C::State>>,
    ) -> Result<(), TurnError> {
        let Some(before) = before else { return Ok(()) };
        let over = !before.stored.screen.is_open() || before.last_message_id == message.message_id;
        if over || !before.goes_on_with(message, self.now) {
            return Ok(());
        }
        let DialogueBefore { address, last_message_id: last, stored } = before;
        let session = self.session(stored.state, stored.dialogue.as_deref(), message).at(address.clone());
        let (state, TurnWrites { answers, sms }) = self.end(session).await?;
        let (owner, person) = (self.name.clone(), person.to_owned());
        let applied = if self.limits.keep > Duration::ZERO {
            let stored = StoredDialogue::cut_off(state, stored.screen, message);
            let session = SessionRecord {
                owner,
                person,
                address,
                last_message_id: message.message_id.clone(),
                state: serde_json::to_string(&stored)?,
                expires_at: self.now.plus(self.limits.keep),
            };
            self.sessions.save(SaveSession { session, after: After::Message(last), answers, sms }).await?
        } else {
            self.sessions.close(CloseSession { owner, person, after: Some(last), answers, sms }).await?
        };
        if applied { Ok(()) } else { Err(TurnError::Conflict) }
    }

    fn session(&self, state: C::State, dialogue: Option<&str>, message: &UserMessage) -> Session<C::State> {
        let id = message.session_id().or(dialogue.map(Into::into));
        let id = id.map_or_else(|| message.message_id.clone(), |id| id.into_owned());
        let sender = self.campaign.sms_sender().cloned();
        Session::new(state, id, message, self.now, self.name.clone(), self.sessions.clone(), sender)
    }

    async fn end(&self, mut session: Session<C::State>) -> Result<(C::State, TurnWrites), TurnError> {
        self.campaign.ended(&mut session).await;
        session.finish()
    }

    async fn begin(
        &self,
        person: &str,
        message: &UserMessage,
        earlier: TurnWrites,
    ) -> Result<Option<Screen>, TurnError> {
        let session = self.session(C::State::default(), None, message).opened_by(message);
        self.answer(person, message, session, None, earlier).await
    }

    /// The person begins anew over a dialogue that is not over: the campaign may go on with it.
    async fn begin_again(
        &self,
        person: &str,
        message: &UserMessage,
        before: DialogueBefore<C::State>,
    ) -> Result<Option<Screen>, TurnError> {
        let is_active = before.stored.is_active(self.now);
        let mut session = self.session(before.stored.state, None, message).opened_by(message);
        if let Some(screen) = self.campaign.resume(&mut session).await {
            return self.save(person, message, session, screen, TurnWrites::default()).await;
        }
        // One that expired or was cut off was told so, or ends without it.
        let last = if is_active { self.end(session.at(before.address)).await?.1 } else { TurnWrites::default() };
        self.begin(person, message, last).await
    }

    /// Asks the campaign, and saves its screen and state together with the `earlier` answers and the new ones.
    async fn answer(
        &self,
        person: &str,
        message: &UserMessage,
        mut session: Session<C::State>,
        input: Option<&str>,
        earlier: TurnWrites,
    ) -> Result<Option<Screen>, TurnError> {
        let screen = self.campaign.answer(&mut session, input).await;
        self.save(person, message, session, screen, earlier).await
    }

    async fn save(
        &self,
        person: &str,
        message: &UserMessage,
        session: Session<C::State>,
        screen: Screen,
        earlier: TurnWrites,
    ) -> Result<Option<Screen>, TurnError> {
        let dialogue = session.id().to_owned();
        let (state, new) = session.finish()?;
        let TurnWrites { answers, sms } = earlier.and(new);
        let (active_until, expires_at) = self.lifetime(message.transport_type, &screen);
        let stored = StoredDialogue {
            state,
            screen,
            dialogue: Some(dialogue),
            transport: Some(message.transport_name.clone()),
            network: Some(message.transport_type),
            active_until: Some(active_until.micros()),
        };
        let session = SessionRecord {
            owner: self.name.clone(),
            person: person.to_owned(),
            address: message.to_addr.clone(),
            last_message_id: message.message_id.clone(),
            state: serde_json::to_string(&stored)?,
            expires_at,
        };
        let after = self.last_message.borrow().clone().map_or(After::Nothing, After::Message);
        let saved = self.sessions.save(SaveSession { session, after, answers, sms }).await?;
        if saved { Ok(Some(stored.screen)) } else { Err(TurnError::Conflict) }
    }

    /// Until when an input goes on with the dialogue, and until when its state is kept.
    fn lifetime(&self, network: TransportType, screen: &Screen) -> (Timestamp, Timestamp) {
        let lifetime = match network {
            TransportType::Ussd => self.limits.forget_ussd_after,
            _ => self.limits.forget_sms_after,
        };
        let kept = if screen.is_open() { lifetime.max(self.limits.keep) } else { lifetime.min(KEEP_ENDED_FOR) };
        (self.now.plus(lifetime), self.now.plus(kept))
    }
}
