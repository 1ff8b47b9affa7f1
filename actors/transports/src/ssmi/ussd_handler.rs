//! What follows a USSD message from the server, and a message that the router did not take.

use serde_json::{Map, Value};
use vumi_kit::{
    address::{Msisdn, UssdCode},
    clock::Timestamp,
    message::SessionEvent,
};
use vumi_ssmi_codec::{Genfields, Phase, UssdType};

use super::{
    Settings,
    paging::{UnshownText, first_page},
    server_link::ServerLink,
    session_table::Opened,
    ussd_sessions::{ToRouter, UssdSessions},
};

/// A USSD message, plain or extended.
pub(super) struct UssdInput {
    pub(super) person: Msisdn,
    pub(super) kind: UssdType,
    pub(super) phase: Phase,
    pub(super) genfields: Option<Genfields>,
    pub(super) text: String,
    pub(super) at: Timestamp,
}

/// What the handling of a USSD message reads and changes.
pub(super) struct UssdHandler<'a> {
    pub(super) settings: &'a Settings,
    pub(super) sessions: &'a mut UssdSessions,
    pub(super) link: &'a mut ServerLink,
    /// No new sessions.
    pub(super) draining: bool,
}

impl UssdHandler<'_> {
    pub(super) fn handle(&mut self, input: UssdInput) {
        if let Some(session) = self.sessions.table.close_if_over(&input.person, input.at) {
            self.sessions.ended(input.person.clone(), session, None, input.at);
        }
        match input.kind {
            UssdType::New => self.begin(input),
            UssdType::Response => self.resume(input),
            UssdType::End | UssdType::Timeout => self.end(input),
            // Handed on by another service, or begun by the network: one with a code begins a session.
            UssdType::Redirect | UssdType::NetworkInitiated => {
                if UssdCode::parse(&input.text).is_ok() {
                    self.begin(input);
                } else {
                    self.resume(input);
                }
            }
            UssdType::Other(number) => {
                self.link.faults.record("USSD messages of an unknown type ignored", format!("type {number}"));
            }
        }
    }

    fn begin(&mut self, input: UssdInput) {
        let Ok(code) = UssdCode::parse(&input.text) else {
            self.link.faults.record("new sessions without a USSD code refused", "the text is no code");
            self.close_with(&input.person, &self.settings.texts.unavailable);
            return;
        };
        if self.draining {
            self.close_with(&input.person, &self.settings.texts.unavailable);
            return;
        }
        let mut message = self.sessions.message(&input.person, code.as_str(), SessionEvent::New, input.at);
        let first_id = message.message_id.clone();
        message.transport_metadata = metadata(&input);
        message.set_session_id(&first_id);
        message.provider = operator(input.genfields.as_ref());
        match self.sessions.table.open(&input.person, code.into(), first_id.clone(), input.at) {
            Opened::Fresh => {}
            Opened::Replaced(old) => self.sessions.ended(input.person.clone(), *old, None, input.at),
            Opened::Full => {
                let open = self.sessions.table.len();
                self.link.faults.record("new sessions refused: as many open as `max_sessions` allows", open);
                self.close_with(&input.person, &self.settings.texts.full);
                return;
            }
        }
        self.sessions.save(&input.person);
        self.sessions.to_router.push(input.person, ToRouter { message, first_id });
    }

    fn resume(&mut self, mut input: UssdInput) {
        let Some(session) = self.sessions.table.get_mut(&input.person) else {
            tracing::debug!(transport = %self.sessions.transport, "a message of a session that is not open: closed");
            self.close_with(&input.person, &self.settings.texts.gone);
            return;
        };
        if session.closing {
            tracing::debug!(transport = %self.sessions.transport, "a message of a session that is being closed");
            return;
        }
        let (code, first_id) = (session.code.clone(), session.first_id.clone());
        if let Some(unshown) = session.unshown.take() {
            if unshown.closes || input.text.trim() == self.settings.texts.more_key() {
                self.next_page(&input.person, &first_id, &unshown, input.at);
                return;
            }
            self.sessions.save(&input.person);
        }
        if self.sessions.table.touch(&input.person, true, input.at) {
            self.sessions.save(&input.person);
        }
        let mut message = self.sessions.message(&input.person, &code, SessionEvent::Resume, input.at);
        message.transport_metadata = metadata(&input);
        message.set_session_id(&first_id);
        message.provider = operator(input.genfields.as_ref());
        message.content = Some(std::mem::take(&mut input.text));
        self.sessions.to_router.push(input.person, ToRouter { message, first_id });
    }

    fn next_page(&mut self, person: &Msisdn, first_id: &str, unshown: &UnshownText, now: Timestamp) {
        let (page, rest) = first_page(&unshown.text, &self.settings.texts.more);
        let ends = unshown.closes && rest.is_none();
        let kind = if ends { UssdType::End } else { UssdType::Response };
        self.link.send_screen(person, kind, page);
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

    fn end(&mut self, input: UssdInput) {
        let Some(session) = self.sessions.table.close(&input.person) else {
            tracing::debug!(transport = %self.sessions.transport, "the end of a session that is not open");
            return;
        };
        let content = (!input.text.is_empty()).then_some(input.text);
        self.sessions.ended(input.person, session, content, input.at);
    }

    fn close_with(&mut self, person: &Msisdn, text: &str) {
        self.link.send_screen(person, UssdType::End, text.to_owned());
    }

    /// The router did not take a message. `later`: it may take the next one. The person gets a screen in any case.
    pub(super) fn not_routed(
        &mut self,
        person: &Msisdn,
        undelivered: &UndeliveredMessage,
        why: String,
        later: bool,
        now: Timestamp,
    ) {
        self.link.faults.record("messages the router did not take", why);
        match undelivered.event {
            Some(SessionEvent::Close) => {}
            Some(SessionEvent::Resume) if later => self.ask_again(person, &undelivered.first_id, now),
            _ => {
                if self.sessions.close_if(person, &undelivered.first_id) {
                    self.close_with(person, &self.settings.texts.unavailable);
                }
            }
        }
    }

    /// Keeps a session open whose campaign is away: it restarts, or has stopped before this transport and will read its
    /// sessions from the store.
    fn ask_again(&mut self, person: &Msisdn, first_id: &str, now: Timestamp) {
        if self.sessions.table.get(person).is_none_or(|session| session.first_id != first_id) {
            return;
        }
        self.sessions.table.touch(person, false, now);
        self.link.send_screen(person, UssdType::Response, self.settings.texts.again.clone());
    }
}

/// What is needed of a message that may not reach its campaign.
pub(super) struct UndeliveredMessage {
    event: Option<SessionEvent>,
    first_id: String,
}

impl UndeliveredMessage {
    pub(super) fn of(job: &ToRouter) -> Self {
        Self { event: job.message.session_event, first_id: job.first_id.clone() }
    }
}

/// The protocol's own fields: `phase`, `ussd_type`, and of an extended message `genfields`, raw and by label.
fn metadata(input: &UssdInput) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("ussd_type".to_owned(), u32::from(input.kind).into());
    metadata.insert("phase".to_owned(), u32::from(input.phase).into());
    if let Some(genfields) = &input.genfields {
        let mut labelled = Map::new();
        labelled.insert("raw".to_owned(), genfields.0.clone().into());
        labelled.extend(genfields.labelled().map(|(label, value)| (label.to_owned(), value.into())));
        metadata.insert("genfields".to_owned(), labelled.into());
    }
    metadata
}

fn operator(genfields: Option<&Genfields>) -> Option<String> {
    genfields?.get("operator_id").map(str::to_owned)
}
