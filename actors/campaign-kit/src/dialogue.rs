//! One turn of a dialogue: find where the person is, ask the campaign, keep where the person is now. The component and
//! the phone of the tests both take their turns here; neither actors nor timers are known in this file.

use std::{cell::RefCell, rc::Rc, time::Duration};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    Campaign, Limits, Screen, Session,
    session::bare,
    session_store::{SessionStore, TurnError},
};
use vumi_kit::{
    clock::Timestamp,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    session::{After, Answer, CloseSession, SaveSession, SessionRecord},
};

/// How long a dialogue that is over is kept, so that its last message is known when it comes again.
const KNOW_ENDED_FOR: Duration = Duration::from_secs(300);

/// So often is a turn taken anew because another process took one with the same person meanwhile.
const TURNS: usize = 4;

/// A session's state as it stands in the store. The screen is the last one shown: it answers a repeated message.
#[derive(Serialize, Deserialize)]
struct SavedTurn<State> {
    state: State,
    screen: Screen,
}

/// Who a message is from, as sessions are found: `<transport>/<msisdn>`.
pub(crate) fn person(message: &UserMessage) -> String {
    let (transport, from) = (message.transport_name.as_str(), bare(&message.from_addr));
    let mut person = String::with_capacity(transport.len() + 1 + from.len());
    person.push_str(transport);
    person.push('/');
    person.push_str(from);
    person
}

/// A campaign at a moment, about to take a turn.
pub(crate) struct Dialogue<'a, C> {
    pub(crate) campaign: &'a C,
    pub(crate) name: &'a Name,
    pub(crate) limits: &'a Limits,
    pub(crate) keep: &'a Rc<dyn SessionStore>,
    pub(crate) now: Timestamp,
    /// The last message of the session that was found, if there is one: whoever writes says after which.
    pub(crate) found: RefCell<Option<String>>,
}

impl<C: Campaign> Dialogue<'_, C> {
    /// Takes a turn. Answers the screen to show, kept already; none when the person has hung up.
    pub(crate) async fn turn(&self, person: &str, message: &UserMessage) -> Result<Option<Screen>, TurnError> {
        for _ in 1..TURNS {
            match self.try_turn(person, message).await {
                Err(TurnError::Overtaken) => {}
                done => return done,
            }
        }
        self.try_turn(person, message).await
    }

    async fn try_turn(&self, person: &str, message: &UserMessage) -> Result<Option<Screen>, TurnError> {
        let found = self.keep.find(self.name.clone(), person.to_owned()).await?;
        let last = found.as_ref().map(|record| record.last_message_id.clone());
        self.found.replace(last.clone());
        let (address, kept) = match found.and_then(|record| self.read(record, message)) {
            Some(Before::Answered(screen)) => return Ok(Some(screen)),
            Some(Before::Open { address, state }) => (address, Some(state)),
            None => (String::new(), None),
        };
        match (message.session_event, kept) {
            (Some(SessionEvent::Close), None) => Ok(None),
            (Some(SessionEvent::Close), Some(state)) => {
                let answers = self.end(self.session(state, message).at(address)).await?;
                let (owner, person) = (self.name.clone(), person.to_owned());
                let closed = self.keep.close(CloseSession { owner, person, after: last, answers }).await?;
                if closed { Ok(None) } else { Err(TurnError::Overtaken) }
            }
            (Some(SessionEvent::New), Some(state)) => {
                let answers = self.end(self.session(state, message).at(address)).await?;
                self.begin(person, message, answers).await
            }
            (_, None) => self.begin(person, message, Vec::new()).await,
            (_, Some(state)) => {
                let said = message.content.as_deref().unwrap_or_default().trim();
                self.answer(person, message, self.session(state, message), Some(said), Vec::new()).await
            }
        }
    }

    /// What there was before this message; nothing where the dialogue is over or its state can't be read.
    fn read(&self, record: SessionRecord, message: &UserMessage) -> Option<Before<C::State>> {
        match serde_json::from_str::<SavedTurn<C::State>>(&record.state) {
            Ok(kept) if record.last_message_id == message.message_id => Some(Before::Answered(kept.screen)),
            Ok(kept) => kept.screen.is_open().then_some(Before::Open { address: record.address, state: kept.state }),
            Err(error) => {
                // serde_json's words can quote what it read; the place is enough to find the change.
                let (line, column) = (error.line(), error.column());
                warn!(campaign = %self.name, message = %message.message_id, line, column, "a session's state can't be read: has the campaign changed? It begins anew");
                None
            }
        }
    }

    fn session(&self, state: C::State, message: &UserMessage) -> Session<C::State> {
        Session::new(state, message, self.now, self.name.clone(), self.keep.clone())
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

    /// Asks the campaign, and keeps its screen and state together with `earlier` answers and new ones.
    async fn answer(
        &self,
        person: &str,
        message: &UserMessage,
        mut session: Session<C::State>,
        said: Option<&str>,
        earlier: Vec<Answer>,
    ) -> Result<Option<Screen>, TurnError> {
        let screen = self.campaign.answer(&mut session, said).await;
        let (state, new) = session.finish()?;
        let mut answers = earlier;
        answers.extend(new);
        let kept = SavedTurn { state, screen };
        let session = SessionRecord {
            owner: self.name.clone(),
            person: person.to_owned(),
            address: message.to_addr.clone(),
            last_message_id: message.message_id.clone(),
            state: serde_json::to_string(&kept)?,
            expires_at: self.now.plus(self.lifetime(message.transport_type, &kept.screen)),
        };
        let after = self.found.borrow().clone().map_or(After::Nothing, After::Message);
        let saved = self.keep.save(SaveSession { session, after, answers }).await?;
        if saved { Ok(Some(kept.screen)) } else { Err(TurnError::Overtaken) }
    }

    fn lifetime(&self, network: TransportType, screen: &Screen) -> Duration {
        let lifetime = match network {
            TransportType::Ussd => self.limits.forget_ussd_after,
            _ => self.limits.forget_sms_after,
        };
        if screen.is_open() { lifetime } else { lifetime.min(KNOW_ENDED_FOR) }
    }
}

/// What a session's record says about a message.
enum Before<State> {
    /// It was answered before, with this screen.
    Answered(Screen),
    /// The dialogue is open.
    Open { address: String, state: State },
}
