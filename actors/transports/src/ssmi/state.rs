//! What the transport knows: the connection, the sessions, replies, and SMS under way.
//!
//! One value on one thread, changed by short synchronous calls. The futures that read, write and wait share it and never
//! hold it across an `await`.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Map, Value};
use tokio::sync::Notify;
use vumi_kit::{
    address::Msisdn,
    clock::Clock,
    health::{Health, State},
    message::UserMessage,
    name::Name,
    router::Refused,
    start_token::StartToken,
};
use vumi_ssmi_codec::{AckKind, Genfields, Malformed, Phase, ServerCommand, UssdType};

use super::{
    Settings,
    server_link::{LinkState, ServerLink},
    sms_inbox::SmsInbox,
    sms_numbers::SmsNumbers,
};
use crate::{
    fault_log::FaultLog,
    ussd::{DialogueOwner, Dialogues, InputKind, UndeliveredMessage, UssdInput},
};

/// See the module.
pub(super) struct SsmiState {
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) settings: Rc<Settings>,
    pub(super) link: ServerLink,
    pub(super) dialogues: Dialogues<()>,
    pub(super) numbers: SmsNumbers,
    pub(super) inbox: SmsInbox,
    token: StartToken,
}

pub(super) type SharedState = Rc<RefCell<SsmiState>>;

impl SsmiState {
    pub(super) fn new(name: Name, clock: Clock, settings: Rc<Settings>, token: StartToken) -> Self {
        Self {
            link: ServerLink::new(name.clone()),
            dialogues: Dialogues::new(name.clone(), clock.clone(), settings.dialogues()),
            numbers: SmsNumbers::default(),
            inbox: SmsInbox::new(settings.clone()),
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
        self.dialogues.lets_read() && self.inbox.lets_read() && !self.link.frames.is_full()
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
        let input_kind = match kind {
            UssdType::New => InputKind::New,
            UssdType::Response => InputKind::Answer,
            UssdType::End | UssdType::Timeout => InputKind::End,
            UssdType::Redirect | UssdType::NetworkInitiated => InputKind::Either,
            UssdType::Other(number) => {
                self.link.faults.record("USSD messages of an unknown type ignored", format!("type {number}"));
                return;
            }
        };
        let (metadata, provider) = (metadata(kind, phase, genfields.as_ref()), operator(genfields.as_ref()));
        let at = self.clock.now();
        let input = UssdInput { person, kind: input_kind, text, dialogue: (), metadata, provider, at };
        self.dialogues.on_input(input, &mut self.link);
    }

    fn on_sms_number(&mut self, msisdn: &str, number: String) {
        let known = Msisdn::parse(msisdn).is_ok_and(|person| self.numbers.assign(&person, number));
        if !known {
            self.link.faults.record("SEQs that belong to no SMS", "it was sent before, or came too late");
        }
    }

    /// Takes a campaign's reply.
    pub(super) fn reply(&mut self, message: UserMessage) -> Result<(), Refused> {
        self.dialogues.take(message, &mut self.link)
    }

    /// Bytes were written to the socket.
    pub(super) fn wrote(&mut self, bytes: usize) {
        let written = self.link.frames.wrote(bytes);
        self.dialogues.written(written);
        self.link.signals.progress();
    }

    /// The open sessions are read.
    pub(super) fn restored(&mut self) {
        self.link.state = LinkState::Down { since: self.clock.now(), why: "connecting".to_owned() };
    }

    /// Logged in: what was held is sent.
    pub(super) fn link_up(&mut self) {
        self.link.state = LinkState::Up;
        self.dialogues.retry_held(&mut self.link);
    }

    /// The connection is lost.
    pub(super) fn link_lost(&mut self, state: LinkState) {
        self.numbers.link_lost(self.link.frames.written());
        let unwritten = self.link.lose(state);
        self.dialogues.hold(unwritten);
        self.link.signals.progress();
    }

    /// Closes the connection for good.
    pub(super) fn stop(&mut self) {
        self.link_lost(LinkState::Stopping);
        self.dialogues.refuse_held(&mut self.link);
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
        let (server, sessions) = (self.settings.address(), self.dialogues.len());
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

impl DialogueOwner for SsmiState {
    type Key = ();

    fn dialogues(&mut self) -> &mut Dialogues<()> {
        &mut self.dialogues
    }

    fn faults(&mut self) -> &mut FaultLog {
        &mut self.link.faults
    }

    fn not_routed(&mut self, person: &Msisdn, undelivered: &UndeliveredMessage, why: String, later: bool) {
        self.dialogues.not_routed(person, undelivered, why, later, &mut self.link);
    }

    fn sweep(&mut self) {
        self.dialogues.sweep(&mut self.link);
        self.numbers.sweep();
    }

    fn progressed(&self) {
        self.link.signals.progress();
    }

    fn finished(&self) -> Rc<Notify> {
        self.link.signals.finished.clone()
    }

    /// People have their screens, router and store know everything.
    fn is_settled(&self) -> bool {
        let up = self.link.is_up();
        self.dialogues.is_settled(up)
            && (!up || self.link.frames.is_empty())
            && (self.inbox.no_account_since.is_some() || self.inbox.len() == 0)
    }
}

/// The protocol's own fields: `phase`, `ussd_type`, and of an extended message `genfields`, raw and by label.
fn metadata(kind: UssdType, phase: Phase, genfields: Option<&Genfields>) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("ussd_type".to_owned(), u32::from(kind).into());
    metadata.insert("phase".to_owned(), u32::from(phase).into());
    if let Some(genfields) = genfields {
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
