//! What the transport knows: sessions, what waits for the wire, for the router and for the store.
//!
//! One value, on one thread, changed by short synchronous calls: [`super::inbound`] hears the server,
//! [`super::outbound`] takes the campaigns' answers, [`super::sms`] the SMS. The futures that read, write and
//! wait share it and never hold it across an `await`.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use tokio::sync::Notify;
use vumi_kit::{
    address::Msisdn,
    clock::{Clock, Timestamp},
    health::{Health, State},
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    router::Happened,
    session::SessionRecord,
};
use vumi_ssmi_codec::{ClientCommand, UssdType};

use super::{
    Settings,
    complaints::Complaints,
    lanes::Lanes,
    pages::Rest,
    sessions::{Session, Table},
    sms::SmsDesk,
    wire::Wire,
};

/// A message on its way to the router, and the session it belongs to.
pub(super) struct ToRouter {
    pub(super) message: UserMessage,
    pub(super) first_id: String,
}

/// A change of a session on its way to the store.
pub(super) enum Keep {
    Save(Box<SessionRecord>),
    Close,
}

/// How the futures wake one another.
#[derive(Default)]
pub(super) struct Signals {
    /// There is something to write.
    pub(super) writable: Notify,
    /// There is something to tell the router of replies.
    pub(super) happened: Notify,
    /// There is something for the ledger.
    pub(super) ledger: Notify,
    /// Something was finished: there may be room to read more.
    pub(super) room: Notify,
    /// Something was finished: a drain may be done.
    pub(super) finished: Notify,
    /// The connection is to end for good.
    pub(super) stop: Notify,
}

impl Signals {
    pub(super) fn progress(&self) {
        self.room.notify_one();
        self.finished.notify_one();
    }
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LinkState {
    Starting,
    Up,
    Down { since: Timestamp, why: String },
    Stopping,
}

/// See the module.
pub(super) struct Core {
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) settings: Rc<Settings>,
    pub(super) table: Table,
    pub(super) wire: Wire,
    /// Replies that wait for the connection.
    pub(super) held: VecDeque<UserMessage>,
    /// What became of replies, until the router has heard it.
    pub(super) happened: VecDeque<Happened>,
    pub(super) to_router: Rc<Lanes<ToRouter>>,
    pub(super) to_store: Rc<Lanes<Keep>>,
    pub(super) sms: SmsDesk,
    pub(super) signals: Rc<Signals>,
    pub(super) complaints: Complaints,
    pub(super) link: LinkState,
    /// No new sessions any more.
    pub(super) draining: bool,
    /// A link check that was not answered yet.
    pub(super) unanswered_check: bool,
    /// Reading stood still since the last link check: its answer may be among what was not read.
    pub(super) reading_stood_still: bool,
}

pub(super) type Shared = Rc<RefCell<Core>>;

impl Core {
    pub(super) fn new(name: Name, clock: Clock, settings: Rc<Settings>) -> Self {
        Self {
            table: Table::new(settings.lifetime, settings.max_sessions),
            wire: Wire::default(),
            held: VecDeque::new(),
            happened: VecDeque::new(),
            to_router: Rc::default(),
            to_store: Rc::default(),
            sms: SmsDesk::default(),
            signals: Rc::default(),
            complaints: Complaints::new(name.clone()),
            link: LinkState::Starting,
            draining: false,
            unanswered_check: false,
            reading_stood_still: false,
            name,
            clock,
            settings,
        }
    }

    /// Whether more can be read: what was read before is on its way, and answers are being written.
    pub(super) fn has_room(&self) -> bool {
        self.to_router.len() < self.settings.window
            && self.to_store.len() < self.settings.queue
            && (self.sms.no_account_since.is_some() || self.sms.for_ledger() < self.settings.queue)
            && self.wire.has_room()
    }

    /// Sends a frame that nobody waits for, if there is a connection.
    pub(super) fn say(&mut self, command: &ClientCommand) -> Vec<char> {
        if !self.wire.up {
            tracing::debug!(transport = %self.name, "not connected: a frame was not sent");
            return Vec::new();
        }
        match self.wire.frame(command) {
            Ok(replaced) => {
                self.signals.writable.notify_one();
                replaced
            }
            Err(bad) => {
                self.complaints.add("a frame could not be written", bad);
                Vec::new()
            }
        }
    }

    /// A text of ours in a session that no campaign answers.
    pub(super) fn say_last_word(&mut self, person: &Msisdn, text: String) {
        let msisdn = person.as_str().to_owned();
        self.say(&ClientCommand::Ussd { msisdn, kind: UssdType::End, message: text });
    }

    /// Keeps a session open whose campaign is away: it is being started again, or it stopped before us and its next life
    /// goes on from the store.
    pub(super) fn ask_again(&mut self, person: &Msisdn, first_id: &str) {
        if self.table.get(person).is_none_or(|session| session.first_id != first_id) {
            return;
        }
        self.table.touch(person, false, self.clock.now());
        let (msisdn, message) = (person.as_str().to_owned(), self.settings.texts.again.clone());
        self.say(&ClientCommand::Ussd { msisdn, kind: UssdType::Response, message });
    }

    /// A message of the session to its campaign.
    pub(super) fn message(&self, person: &Msisdn, code: &str, event: SessionEvent, now: Timestamp) -> UserMessage {
        let mut message = UserMessage::from_person(&self.name, TransportType::Ussd, person.as_str(), code, now);
        message.session_event = Some(event);
        message
    }

    /// Tells the campaign that the session is over, for whatever reason, and forgets it.
    pub(super) fn tell_over(&mut self, person: Msisdn, session: Session, content: Option<String>, now: Timestamp) {
        let mut message = self.message(&person, &session.code, SessionEvent::Close, now);
        message.content = content;
        self.to_store.push(person.clone(), Keep::Close);
        self.to_router.push(person, ToRouter { message, first_id: session.first_id });
    }

    /// Has the store remember a session.
    pub(super) fn save(&mut self, person: &Msisdn) {
        let Some(session) = self.table.get(person) else { return };
        let record = SessionRecord {
            owner: self.name.clone(),
            person: person.as_str().to_owned(),
            address: session.code.clone(),
            last_message_id: session.first_id.clone(),
            state: state_text(session.rest.as_ref()),
            expires_at: session.stored_until,
        };
        self.to_store.push(person.clone(), Keep::Save(Box::new(record)));
    }

    /// Ends sessions whose lifetime is over, and refuses the replies that waited within them.
    pub(super) fn sweep(&mut self) {
        let now = self.clock.now();
        for person in self.table.all_over(now) {
            if let Some(session) = self.table.close(&person) {
                self.tell_over(person, session, None, now);
            }
        }
        if !self.held.is_empty() && self.link != LinkState::Starting {
            for message in std::mem::take(&mut self.held) {
                self.write_or_hold(message);
            }
        }
    }

    pub(super) fn health(&self) -> Health {
        let server = self.settings.address();
        let sessions = self.table.len();
        let (mut state, mut detail) = match &self.link {
            LinkState::Starting => (State::Starting, "reading its open sessions from the store".to_owned()),
            LinkState::Up => (State::Up, format!("connected to {server}, {sessions} sessions")),
            LinkState::Down { since, why } => (
                State::Degraded,
                format!("not connected to {server} since {} UTC: {why}; {sessions} sessions", since.to_seconds_text()),
            ),
            LinkState::Stopping => (State::Stopping, format!("stopping, {sessions} sessions")),
        };
        if let (Some(since), Some(account)) = (self.sms.no_account_since, &self.settings.account) {
            state = if state == State::Up { State::Degraded } else { state };
            detail = format!(
                "no account `{account}` since {} UTC (make it: vumi account add {account}), {} SMS and delivery reports \
                 wait for it; {detail}",
                since.to_seconds_text(),
                self.sms.for_ledger()
            );
        }
        let trouble = self.complaints.summary();
        if !trouble.is_empty() {
            detail.push_str("; ");
            detail.push_str(&trouble);
        }
        Health { state, detail }
    }
}

fn state_text(rest: Option<&Rest>) -> String {
    rest.and_then(|rest| serde_json::to_string(rest).ok()).unwrap_or_else(|| "null".to_owned())
}
