//! The open sessions, and what follows their changes: messages for the campaigns, writes for the store.

use std::{rc::Rc, time::Duration};

use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    session::SessionRecord,
};

use super::{
    network::DialogueKey,
    person_work::PersonWork,
    session_table::{SessionTable, UssdSession},
};

/// A message on its way to the router.
pub(super) struct ToRouter {
    pub(super) message: UserMessage,
    /// The id of the message that began its session.
    pub(super) first_id: String,
    /// The network begins it, and nothing of it was shown.
    pub(super) unseen: bool,
}

/// A change of a session on its way to the store.
pub(super) enum SessionChange {
    Save(Box<SessionRecord>),
    Close,
}

/// See the module.
pub(crate) struct UssdSessions<D> {
    pub(super) transport: Name,
    pub(super) table: SessionTable<D>,
    pub(super) to_router: Rc<PersonWork<ToRouter>>,
    pub(super) to_store: Rc<PersonWork<SessionChange>>,
}

impl<D: DialogueKey> UssdSessions<D> {
    pub(super) fn new(transport: Name, lifetime: Duration, most: usize) -> Self {
        Self { transport, table: SessionTable::new(lifetime, most), to_router: Rc::default(), to_store: Rc::default() }
    }

    /// A message of a session to its campaign.
    pub(super) fn message(&self, person: &Msisdn, code: &str, event: SessionEvent, now: Timestamp) -> UserMessage {
        let mut message = UserMessage::from_person(&self.transport, TransportType::Ussd, person.as_str(), code, now);
        message.session_event = Some(event);
        message
    }

    /// Tells the campaign that a session has ended which was removed from the table, and has the store forget it.
    pub(super) fn ended(&self, person: Msisdn, session: UssdSession<D>, content: Option<String>, now: Timestamp) {
        let mut message = self.message(&person, &session.code, SessionEvent::Close, now);
        message.set_session_id(&session.first_id);
        message.content = content;
        message.for_campaign = session.campaign;
        self.to_store.push(person.clone(), SessionChange::Close);
        let job = ToRouter { message, first_id: session.first_id, unseen: session.pushed };
        self.to_router.push(person, job);
    }

    /// Closes the person's session if it began with this message. Its campaign closed it, or can't be told.
    pub(super) fn close_if(&mut self, person: &Msisdn, first_id: &str) -> bool {
        let closed = self.table.close_if(person, first_id).is_some();
        if closed {
            self.to_store.push(person.clone(), SessionChange::Close);
        }
        closed
    }

    /// Has the store keep a session as it is now.
    pub(super) fn save(&self, person: &Msisdn) {
        let Some(session) = self.table.get(person) else { return };
        let record = SessionRecord {
            owner: self.transport.clone(),
            person: person.as_str().to_owned(),
            address: session.code.clone(),
            last_message_id: session.first_id.clone(),
            state: session.state_text(),
            expires_at: session.stored_until,
        };
        self.to_store.push(person.clone(), SessionChange::Save(Box::new(record)));
    }

    /// Ends the sessions whose lifetime is over.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        for person in self.table.all_over(now) {
            if let Some(session) = self.table.close(&person) {
                self.ended(person, session, None, now);
            }
        }
    }
}
