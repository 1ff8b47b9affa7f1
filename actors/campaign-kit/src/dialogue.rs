//! One turn of a dialogue: find the person's session, ask the campaign for a screen, save the session. The campaign's actor
//! and the phone of the tests both take their turns here; this file knows neither actors nor timers.

use std::{cell::RefCell, rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Campaign, Limits, Screen, Session,
    session::without_plus,
    session_store::{SessionStore, TurnError},
};
use vumi_kit::{
    clock::Timestamp,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    session::{After, Answer, CloseSession, SaveSession, SessionRecord},
};

/// How long a dialogue that is over is kept, so that its last message is recognised when it is delivered again.
const KEEP_ENDED_FOR: Duration = Duration::from_secs(300);

/// How often a turn is tried where other processes change the same person's session meanwhile.
const ATTEMPTS: usize = 4;

/// A session's state as it is stored. The screen is the last one shown: it answers a repeated message.
#[derive(Serialize, Deserialize)]
struct StoredState<State> {
    state: State,
    screen: Screen,
}

/// The key of a person's session: `<transport>/<msisdn>`.
pub(crate) fn person(message: &UserMessage) -> String {
    let (transport, from) = (message.transport_name.as_str(), without_plus(&message.from_addr));
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
        let (address, state) = match found.and_then(|record| self.read(record, message)) {
            Some(Before::Answered(screen)) => return Ok(Some(screen)),
            Some(Before::Open { address, state }) => (address, Some(state)),
            None => (String::new(), None),
        };
        match (message.session_event, state) {
            (Some(SessionEvent::Close), None) => Ok(None),
            (Some(SessionEvent::Close), Some(state)) => {
                let answers = self.end(self.session(state, message).at(address)).await?;
                let (owner, person) = (self.name.clone(), person.to_owned());
                let closed = self.sessions.close(CloseSession { owner, person, after: last, answers }).await?;
                if closed { Ok(None) } else { Err(TurnError::Conflict) }
            }
            (Some(SessionEvent::New), Some(state)) => {
                let answers = self.end(self.session(state, message).at(address)).await?;
                self.begin(person, message, answers).await
            }
            (_, None) => self.begin(person, message, Vec::new()).await,
            (_, Some(state)) => {
                let input = message.content.as_deref().unwrap_or_default().trim();
                self.answer(person, message, self.session(state, message), Some(input), Vec::new()).await
            }
        }
    }

    /// The dialogue before this message; None where it is over or its state can't be read.
    fn read(&self, record: SessionRecord, message: &UserMessage) -> Option<Before<C::State>> {
        match serde_json::from_str::<StoredState<C::State>>(&record.state) {
            Ok(stored) if record.last_message_id == message.message_id => Some(Before::Answered(stored.screen)),
            Ok(stored) => {
                stored.screen.is_open().then_some(Before::Open { address: record.address, state: stored.state })
            }
            Err(error) => {
                // serde_json's message can quote what it read; the position is enough to find the change.
                let (line, column) = (error.line(), error.column());
                vumi_kit::warn_limited!(self.name.as_str(), campaign = %self.name, message = %message.message_id, line, column, "a session's state can't be read: has the campaign changed? The dialogue begins anew");
                None
            }
        }
    }

    fn session(&self, state: C::State, message: &UserMessage) -> Session<C::State> {
        Session::new(state, message, self.now, self.name.clone(), self.sessions.clone())
    }

    async fn end(&self, mut session: Session<C::State>) -> Result<Vec<Answer>, TurnError> {
        self.campaign.ended(&mut session).await;
        Ok(session.finish()?.1)
    }

    async fn begin(
        &self,
        person: &str,
        message: &UserMessage,
        answers: Vec<Answer>,
    ) -> Result<Option<Screen>, TurnError> {
        let text = message.content.as_deref().filter(|_| message.transport_type != TransportType::Ussd);
        let session = self.session(C::State::default(), message).opened_by(text.map(str::trim));
        self.answer(person, message, session, None, answers).await
    }

    /// Asks the campaign, and saves its screen and state together with the `earlier` answers and the new ones.
    async fn answer(
        &self,
        person: &str,
        message: &UserMessage,
        mut session: Session<C::State>,
        input: Option<&str>,
        earlier: Vec<Answer>,
    ) -> Result<Option<Screen>, TurnError> {
        let screen = self.campaign.answer(&mut session, input).await;
        let (state, new) = session.finish()?;
        let mut answers = earlier;
        answers.extend(new);
        let stored = StoredState { state, screen };
        let session = SessionRecord {
            owner: self.name.clone(),
            person: person.to_owned(),
            address: message.to_addr.clone(),
            last_message_id: message.message_id.clone(),
            state: serde_json::to_string(&stored)?,
            expires_at: self.now.plus(self.lifetime(message.transport_type, &stored.screen)),
        };
        let after = self.last_message.borrow().clone().map_or(After::Nothing, After::Message);
        let saved = self.sessions.save(SaveSession { session, after, answers }).await?;
        if saved { Ok(Some(stored.screen)) } else { Err(TurnError::Conflict) }
    }

    fn lifetime(&self, network: TransportType, screen: &Screen) -> Duration {
        let lifetime = match network {
            TransportType::Ussd => self.limits.forget_ussd_after,
            _ => self.limits.forget_sms_after,
        };
        if screen.is_open() { lifetime } else { lifetime.min(KEEP_ENDED_FOR) }
    }
}

/// What the stored session means for a message.
enum Before<State> {
    /// The message was answered before, with this screen.
    Answered(Screen),
    /// The dialogue is open.
    Open { address: String, state: State },
}
