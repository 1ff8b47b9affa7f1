//! What the transport knows: the connection, the sessions, replies, and SMS under way.
//!
//! One value on one thread, changed by short synchronous calls. The futures that read, write and wait share it and never
//! hold it across an `await`.

use std::{cell::RefCell, rc::Rc};

use vumi_kit::{
    address::Msisdn,
    clock::Clock,
    health::{Health, State},
    message::UserMessage,
    name::Name,
    router::Refused,
    start_token::StartToken,
};
use vumi_ssmi_codec::{AckKind, Malformed, ServerCommand};

use super::{
    Settings,
    replies::Replies,
    server_link::{LinkState, ServerLink},
    sms_inbox::SmsInbox,
    sms_numbers::SmsNumbers,
    ussd_handler::{UndeliveredMessage, UssdHandler, UssdInput},
    ussd_sessions::UssdSessions,
};

/// See the module.
pub(super) struct SsmiState {
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) settings: Rc<Settings>,
    pub(super) link: ServerLink,
    pub(super) sessions: UssdSessions,
    pub(super) replies: Replies,
    pub(super) numbers: SmsNumbers,
    pub(super) inbox: SmsInbox,
    /// No new sessions any more.
    pub(super) draining: bool,
    token: StartToken,
}

pub(super) type SharedState = Rc<RefCell<SsmiState>>;

impl SsmiState {
    pub(super) fn new(name: Name, clock: Clock, settings: Rc<Settings>, token: StartToken) -> Self {
        Self {
            link: ServerLink::new(name.clone()),
            sessions: UssdSessions::new(name.clone(), settings.lifetime, settings.max_sessions),
            replies: Replies::new(name.clone(), settings.clone()),
            numbers: SmsNumbers::default(),
            inbox: SmsInbox::new(settings.clone()),
            draining: false,
            token,
            name,
            clock,
            settings,
        }
    }

    /// Whether a fresh transport has taken this one's place.
    pub(super) fn is_replaced(&self) -> bool {
        self.token.is_replaced()
    }

    /// Whether more may be read: what was read before is on its way, and answers are being written.
    pub(super) fn lets_read(&self) -> bool {
        self.sessions.to_router.len() < self.settings.window
            && self.sessions.to_store.len() < self.settings.queue
            && self.inbox.lets_read()
            && !self.link.frames.is_full()
    }

    /// Handles a command that follows the login. An error ends the connection.
    pub(super) fn on_command(&mut self, command: Result<ServerCommand, Malformed>) -> Result<(), String> {
        match command {
            Err(malformed) => self.link.faults.record("malformed frames skipped", malformed),
            Ok(ServerCommand::Ack { kind: AckKind::LinkCheck }) => self.link.unanswered_check = false,
            Ok(ussd @ (ServerCommand::Ussd { .. } | ServerCommand::ExtendedUssd { .. })) => self.on_ussd(ussd),
            Ok(ServerCommand::RemoteLogout { .. }) => return Err("the server logged us out".to_owned()),
            Ok(ServerCommand::Nack { kind }) => {
                self.link.faults.record("NACKs from the server", format!("type {kind}"));
            }
            Ok(ServerCommand::FreeText { text }) => {
                tracing::debug!(transport = %self.name, length = text.len(), "the server sent free text");
            }
            Ok(ServerCommand::Ack { .. } | ServerCommand::ImsiReply { .. }) => {
                self.link.faults.record("answers to nothing we asked", "an ACK or IMSI reply");
            }
            Ok(ServerCommand::Seq { msisdn, sequence }) => self.on_sms_number(&msisdn, sequence),
            Ok(sms) => self.inbox.on_command(sms, &mut self.link, self.clock.now()),
        }
        Ok(())
    }

    fn on_ussd(&mut self, command: ServerCommand) {
        let (msisdn, kind, phase, genfields, text) = match command {
            ServerCommand::Ussd { msisdn, kind, phase, message } => (msisdn, kind, phase, None, message),
            ServerCommand::ExtendedUssd { msisdn, kind, phase, genfields, message } => {
                (msisdn, kind, phase, Some(genfields), message)
            }
            _ => return,
        };
        let Ok(person) = Msisdn::parse(&msisdn) else {
            self.link.faults.record("malformed frames skipped", "a USSD message without a valid MSISDN");
            return;
        };
        let at = self.clock.now();
        self.ussd().handle(UssdInput { person, kind, phase, genfields, text, at });
    }

    fn on_sms_number(&mut self, msisdn: &str, number: String) {
        let known = Msisdn::parse(msisdn).is_ok_and(|person| self.numbers.assign(&person, number));
        if !known {
            self.link.faults.record("SEQs that belong to no SMS", "it was sent before, or came too late");
        }
    }

    fn ussd(&mut self) -> UssdHandler<'_> {
        UssdHandler {
            settings: &self.settings,
            sessions: &mut self.sessions,
            link: &mut self.link,
            draining: self.draining,
        }
    }

    /// The router did not take a message.
    pub(super) fn not_routed(&mut self, person: &Msisdn, undelivered: &UndeliveredMessage, why: String, later: bool) {
        let now = self.clock.now();
        self.ussd().not_routed(person, undelivered, why, later, now);
    }

    /// Takes a campaign's reply.
    pub(super) fn reply(&mut self, message: UserMessage) -> Result<(), Refused> {
        self.replies.take(message, &mut self.sessions, &mut self.link, self.clock.now())
    }

    /// Bytes were written to the socket.
    pub(super) fn wrote(&mut self, bytes: usize) {
        let written = self.link.frames.wrote(bytes);
        self.replies.written(written, &mut self.sessions, &self.link, self.clock.now());
        self.link.signals.progress();
    }

    /// Logged in: what was held is sent.
    pub(super) fn link_up(&mut self) {
        self.link.state = LinkState::Up;
        self.replies.retry_held(&mut self.sessions, &mut self.link, self.clock.now());
    }

    /// The connection is lost.
    pub(super) fn link_lost(&mut self, state: LinkState) {
        self.numbers.link_lost(self.link.frames.written());
        let unwritten = self.link.lose(state);
        self.replies.hold_unwritten(unwritten, &mut self.sessions);
        self.link.signals.progress();
    }

    /// Closes the connection for good.
    pub(super) fn stop(&mut self) {
        self.link_lost(LinkState::Stopping);
        self.replies.refuse_held(&mut self.link, self.clock.now());
    }

    /// Ends sessions whose lifetime is over, and refuses the replies that were held within them.
    pub(super) fn sweep(&mut self) {
        let now = self.clock.now();
        self.sessions.sweep(now);
        if self.link.state != LinkState::Starting {
            self.replies.retry_held(&mut self.sessions, &mut self.link, now);
        }
        self.numbers.sweep();
    }

    /// Nothing is under way: people have their screens, router and store know everything.
    pub(super) fn is_settled(&self) -> bool {
        let answered = !self.link.is_up() || (self.sessions.table.waiting() == 0 && self.link.frames.is_empty());
        answered
            && self.sessions.to_router.len() == 0
            && self.sessions.to_store.len() == 0
            && self.replies.events.is_empty()
            && (self.inbox.no_account_since.is_some() || self.inbox.len() == 0)
    }

    pub(super) fn health(&self) -> Health {
        let (mut state, mut detail) = self.link_health();
        if let (Some(since), Some(account)) = (self.inbox.no_account_since, &self.settings.account) {
            state = if state == State::Up { State::Degraded } else { state };
            detail = format!(
                "no account `{account}` since {} UTC (make it: vumi account add {account}), {} SMS and delivery reports \
                 wait for it; {detail}",
                since.to_seconds_text(),
                self.inbox.len()
            );
        }
        let faults = self.link.faults.summary();
        if !faults.is_empty() {
            detail.push_str("; ");
            detail.push_str(&faults);
        }
        Health { state, detail }
    }

    fn link_health(&self) -> (State, String) {
        let (server, sessions) = (self.settings.address(), self.sessions.table.len());
        match &self.link.state {
            LinkState::Starting => (State::Starting, "reading its open sessions from the store".to_owned()),
            LinkState::Up => (State::Up, format!("connected to {server}, {sessions} sessions")),
            LinkState::Down { since, why } => {
                let since = since.to_seconds_text();
                (State::Degraded, format!("not connected to {server} since {since} UTC: {why}; {sessions} sessions"))
            }
            LinkState::Stopping => (State::Stopping, format!("stopping, {sessions} sessions")),
        }
    }
}
