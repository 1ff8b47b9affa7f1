//! What follows a USSD message from the network, and a message that the router did not take.

use serde_json::{Map, Value};
use vumi_kit::{
    address::{Msisdn, UssdCode},
    clock::Timestamp,
    message::SessionEvent,
};

use super::{
    network::{DialogueKey, ScreenKind, ScreenNetwork, UssdScreen},
    paging::{UnshownText, first_page},
    session_table::{Opened, SessionStart},
    settings::DialogueSettings,
    ussd_sessions::{ToRouter, UssdSessions},
};

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    /// A dialogue begins; the text is the code dialled.
    New,
    /// It goes on; the text is what the person typed.
    Answer,
    End,
    /// Handed on by another service, or begun by the network: one with a code begins a dialogue, another goes on.
    Either,
}

/// A USSD message of a person.
pub(crate) struct UssdInput<D> {
    pub(crate) person: Msisdn,
    pub(crate) kind: InputKind,
    pub(crate) text: String,
    /// How the network knows the dialogue.
    pub(crate) dialogue: D,
    /// The protocol's own fields, for the campaign.
    pub(crate) metadata: Map<String, Value>,
    /// The mobile network operator.
    pub(crate) provider: Option<String>,
    pub(crate) at: Timestamp,
}

/// What the handling of a USSD message reads and changes.
pub(super) struct UssdHandler<'a, D, N> {
    pub(super) settings: &'a DialogueSettings,
    pub(super) sessions: &'a mut UssdSessions<D>,
    pub(super) network: &'a mut N,
    pub(super) draining: bool,
}

impl<D: DialogueKey, N: ScreenNetwork<D>> UssdHandler<'_, D, N> {
    pub(super) fn handle(&mut self, input: UssdInput<D>) {
        if let Some(session) = self.sessions.table.close_if_over(&input.person, input.at) {
            self.sessions.ended(input.person.clone(), session, None, input.at);
        }
        match input.kind {
            InputKind::New => self.begin(input),
            InputKind::Answer => self.resume(input),
            InputKind::End => self.end(input),
            InputKind::Either if UssdCode::parse(&input.text).is_ok() => self.begin(input),
            InputKind::Either => self.resume(input),
        }
    }

    fn begin(&mut self, input: UssdInput<D>) {
        let UssdInput { person, text, dialogue, metadata, provider, at, .. } = input;
        let Ok(code) = UssdCode::parse(&text) else {
            self.network.faults().record("new sessions without a USSD code refused", "the text is no code");
            return self.close_with(&person, &dialogue, &self.settings.texts.unavailable);
        };
        if self.draining {
            return self.close_with(&person, &dialogue, &self.settings.texts.unavailable);
        }
        let mut message = self.sessions.message(&person, code.as_str(), SessionEvent::New, at);
        let first_id = message.message_id.clone();
        message.transport_metadata = metadata;
        message.set_session_id(&first_id);
        message.provider = provider;
        let start = SessionStart {
            code: code.into(),
            first_id: first_id.clone(),
            campaign: None,
            pushed: false,
            dialogue: dialogue.clone(),
        };
        match self.sessions.table.open(&person, start, at) {
            Opened::Fresh => {}
            Opened::Replaced(old) => self.sessions.ended(person.clone(), *old, None, at),
            Opened::Full => {
                let open = self.sessions.table.len();
                self.network.faults().record("new sessions refused: as many open as `max_sessions` allows", open);
                return self.close_with(&person, &dialogue, &self.settings.texts.full);
            }
        }
        self.sessions.save(&person);
        self.sessions.to_router.push(person, ToRouter { message, first_id, unseen: false });
    }

    fn resume(&mut self, input: UssdInput<D>) {
        let UssdInput { person, text, dialogue, metadata, provider, at, .. } = input;
        let open = self.sessions.table.get_mut(&person).filter(|session| session.dialogue.goes_on_as(&dialogue));
        let Some(session) = open else {
            tracing::debug!(transport = %self.sessions.transport, "a message of a session that is not open: closed");
            return self.close_with(&person, &dialogue, &self.settings.texts.gone);
        };
        if session.closing {
            tracing::debug!(transport = %self.sessions.transport, "a message of a session that is being closed");
            return;
        }
        let (code, first_id, campaign) = (session.code.clone(), session.first_id.clone(), session.campaign.clone());
        let mut changed = session.dialogue != dialogue;
        session.dialogue = dialogue.clone();
        if let Some(unshown) = session.unshown.take() {
            if unshown.closes || text.trim() == self.settings.texts.more_key() {
                return self.next_page(&person, &first_id, &unshown, at);
            }
            changed = true;
        }
        changed |= self.sessions.table.touch(&person, true, at);
        if changed {
            self.sessions.save(&person);
        }
        let mut message = self.sessions.message(&person, &code, SessionEvent::Resume, at);
        message.transport_metadata = metadata;
        message.set_session_id(&first_id);
        message.provider = provider;
        message.content = Some(text);
        message.for_campaign = campaign;
        self.sessions.to_router.push(person, ToRouter { message, first_id, unseen: false });
    }

    fn next_page(&mut self, person: &Msisdn, first_id: &str, unshown: &UnshownText, now: Timestamp) {
        let more = &self.settings.texts.more;
        let (page, rest) = first_page(&unshown.text, more, self.network.page_size(&unshown.text));
        let ends = unshown.closes && rest.is_none();
        let kind = if ends { ScreenKind::Last } else { ScreenKind::Question };
        let dialogue = self.sessions.table.get(person).map(|session| session.dialogue.clone()).unwrap_or_default();
        self.show(person, &dialogue, kind, page);
        if ends {
            self.sessions.close_if(person, first_id);
            return;
        }
        self.sessions.table.touch(person, false, now);
        if let Some(session) = self.sessions.table.get_mut(person) {
            session.unshown = rest.map(|text| UnshownText { text, closes: unshown.closes });
        }
        self.sessions.save(person);
    }

    fn end(&mut self, input: UssdInput<D>) {
        let open = self.sessions.table.get(&input.person);
        let ended = match open.filter(|session| session.dialogue.goes_on_as(&input.dialogue)) {
            Some(_) => self.sessions.table.close(&input.person),
            None => None,
        };
        let Some(session) = ended else {
            tracing::debug!(transport = %self.sessions.transport, "the end of a session that is not open");
            return;
        };
        let content = (!input.text.is_empty()).then_some(input.text);
        self.sessions.ended(input.person, session, content, input.at);
    }

    fn close_with(&mut self, person: &Msisdn, dialogue: &D, text: &str) {
        self.show(person, dialogue, ScreenKind::Last, text.to_owned());
    }

    /// Shows a screen of our own, one that is no campaign's reply.
    fn show(&mut self, person: &Msisdn, dialogue: &D, kind: ScreenKind, text: String) {
        if let Err(unwritten) = self.network.show(UssdScreen { person, dialogue, kind, text }, None) {
            self.network.faults().record("a screen could not be written", unwritten.why);
        }
    }

    /// The router did not take a message. `later`: it may take the next one. The person gets a screen in any case, unless they
    /// know nothing of the dialogue yet.
    pub(super) fn not_routed(
        &mut self,
        person: &Msisdn,
        undelivered: &UndeliveredMessage,
        why: String,
        later: bool,
        now: Timestamp,
    ) {
        self.network.faults().record("messages the router did not take", why);
        let UndeliveredMessage { event, first_id, unseen } = undelivered;
        match event {
            Some(SessionEvent::Close) => {}
            Some(SessionEvent::Resume) if later => self.ask_again(person, first_id, now),
            _ => {
                let dialogue = self.sessions.table.get(person).map(|session| session.dialogue.clone());
                if self.sessions.close_if(person, first_id) && !unseen {
                    let dialogue = dialogue.unwrap_or_default();
                    self.close_with(person, &dialogue, &self.settings.texts.unavailable);
                }
            }
        }
    }

    /// Keeps a session open whose campaign is away: it restarts, or has stopped before this transport and will read its
    /// sessions from the store.
    fn ask_again(&mut self, person: &Msisdn, first_id: &str, now: Timestamp) {
        let open = self.sessions.table.get(person).filter(|session| session.first_id == first_id);
        let Some(dialogue) = open.map(|session| session.dialogue.clone()) else { return };
        self.sessions.table.touch(person, false, now);
        self.show(person, &dialogue, ScreenKind::Question, self.settings.texts.again.clone());
    }
}

/// What is needed of a message that may not reach its campaign.
pub(crate) struct UndeliveredMessage {
    event: Option<SessionEvent>,
    first_id: String,
    unseen: bool,
}

impl UndeliveredMessage {
    pub(super) fn of(job: &ToRouter) -> Self {
        Self { event: job.message.session_event, first_id: job.first_id.clone(), unseen: job.unseen }
    }
}
