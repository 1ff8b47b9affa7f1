//! What the transport knows: its connections, what waits for the ledger, answers that came late.
//!
//! One value on one thread, changed by short synchronous calls. The futures that read, write and wait share it and never
//! hold it across an `await`.

use std::{cell::RefCell, rc::Rc};

use tokio::sync::Notify;
use vumi_kit::{
    clock::{Clock, Timestamp},
    health::{Health, State},
    name::Name,
    start_token::StartToken,
};
use vumi_smpp_codec::{BindMode, CommandId, FieldFault, IncomingPdu, MessageResp, Pdu, status, tag};

use super::{
    Settings,
    inbox::{Inbox, ReplyTo},
    late::LateAnswers,
    link::{AnswerOf, Link, PartAnswer},
    settings::no_dialogues,
    statuses::{SubmitStatus, meaning},
    ussd::{self, profile::SmppDialogue},
};
use crate::{fault_log::FaultLog, outbox::SubmitReadiness, ussd::Dialogues};

/// How a connection is while it is not bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Down {
    pub(super) since: Timestamp,
    pub(super) why: String,
    /// The SMSC refuses our account or settings.
    pub(super) refused: bool,
}

/// A connection that is to be there: of which session, and which way.
pub(super) struct SmscConnection {
    pub(super) mode: BindMode,
    pub(super) link: Option<Link>,
    pub(super) down: Option<Down>,
    /// The last sequence_number of its links: a fresh one goes on.
    last_sequence: u32,
}

/// See the module.
pub(super) struct SmppState {
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) settings: Rc<Settings>,
    pub(super) connections: Vec<SmscConnection>,
    pub(super) inbox: Inbox,
    pub(super) late: LateAnswers,
    pub(super) faults: FaultLog,
    /// A place in a window was freed, or a connection was bound.
    pub(super) place_freed: Rc<Notify>,
    /// Connections were bound or lost.
    pub(super) readiness_changed: Rc<Notify>,
    /// The same, for all who wait; or the transport stops.
    pub(super) bound_changed: Rc<Notify>,
    /// Something was finished: a drain may be done.
    pub(super) finished: Rc<Notify>,
    /// Nothing is bound again.
    pub(super) stopping: bool,
    /// Receipts that matched no SMS when they came.
    pub(super) unmatched: u64,
    pub(super) dialogues: Dialogues<SmppDialogue>,
    /// The open sessions of USSD are read from the store.
    pub(super) restored: bool,
    /// No screen goes out any more.
    pub(super) stopped: bool,
    /// The number of the last dialogue that we began.
    pub(super) last_begun: u16,
    full_in_a_row: u32,
    next_link: u64,
    token: StartToken,
}

pub(super) type SharedSmpp = Rc<RefCell<SmppState>>;

impl SmppState {
    pub(super) fn new(name: Name, clock: Clock, settings: Rc<Settings>, token: StartToken) -> Self {
        let modes = (0..settings.sessions).flat_map(|_| settings.bind.modes());
        let connections = modes.map(|mode| SmscConnection { mode: *mode, link: None, down: None, last_sequence: 0 });
        let held = settings.ussd.as_ref().map_or_else(no_dialogues, |ussd| ussd.dialogues());
        Self {
            dialogues: Dialogues::new(name.clone(), clock.clone(), held),
            restored: false,
            stopped: false,
            last_begun: 0,
            connections: connections.collect(),
            inbox: Inbox::default(),
            late: LateAnswers::default(),
            faults: FaultLog::new(name.clone()),
            place_freed: Rc::default(),
            readiness_changed: Rc::default(),
            bound_changed: Rc::default(),
            finished: Rc::default(),
            stopping: false,
            unmatched: 0,
            full_in_a_row: 0,
            next_link: 0,
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

    pub(super) fn link(&mut self, at: usize) -> Option<&mut Link> {
        self.connections.get_mut(at)?.link.as_mut()
    }

    /// The link of a place, unless another one has taken it.
    fn link_of(&mut self, place: ReplyTo) -> Option<&mut Link> {
        self.link(place.connection).filter(|link| link.id == place.link)
    }

    /// The link with the most free places; none: all windows are full.
    pub(super) fn freest_link(&mut self) -> Option<&mut Link> {
        let links = self.connections.iter_mut().filter_map(|connection| connection.link.as_mut());
        links.filter(|link| link.free() > 0).max_by_key(|link| link.free())
    }

    /// Whether SMS can be submitted.
    pub(super) fn readiness(&self) -> SubmitReadiness {
        let links = self.connections.iter().filter_map(|connection| connection.link.as_ref());
        match links.filter(|link| link.submits()).map(Link::window).sum() {
            0 if self.connections.iter().any(|one| one.down.as_ref().is_some_and(|down| down.refused)) => {
                SubmitReadiness::Refused
            }
            0 => SubmitReadiness::Unconnected,
            window => SubmitReadiness::Ready { window },
        }
    }

    /// Bound.
    pub(super) fn link_up(&mut self, at: usize) {
        self.next_link += 1;
        let (window, id, freed) = (self.settings.window, self.next_link, self.place_freed.clone());
        if let Some(connection) = self.connections.get_mut(at) {
            // The bind had the first number.
            let last = connection.last_sequence.max(1);
            connection.link = Some(Link::new(id, connection.mode, window, last, freed));
            connection.down = None;
        }
        self.retry_screens();
        self.changed();
    }

    /// The connection is lost, or was never bound.
    pub(super) fn link_lost(&mut self, at: usize, why: &str, refused: bool) {
        let (now, mut lost) = (self.clock.now(), None);
        if let Some(connection) = self.connections.get_mut(at) {
            let since = connection.down.as_ref().map_or(now, |down| down.since);
            connection.down = Some(Down { since, why: why.to_owned(), refused });
            if let Some(link) = connection.link.take() {
                lost = Some(link.lose());
            }
        }
        if let Some(lost) = lost {
            self.on_screens_lost(lost);
        }
        self.changed();
    }

    fn changed(&self) {
        self.place_freed.notify_waiters();
        self.bound_changed.notify_waiters();
        self.readiness_changed.notify_one();
        self.finished.notify_one();
    }

    /// Counts what an answer says of full queues; answers how many in a row said so.
    pub(super) fn count_answer(&mut self, code: u32) -> u32 {
        let full = meaning(&self.settings, code) == SubmitStatus::QueueFull;
        self.full_in_a_row = if full { self.full_in_a_row.saturating_add(1) } else { 0 };
        self.full_in_a_row
    }

    /// Handles a PDU that came after the bind.
    pub(super) fn on_frame(&mut self, at: usize, frame: IncomingPdu) {
        let Some(link) = self.link(at) else { return };
        link.last_received = tokio::time::Instant::now();
        if frame.command.is_response() {
            self.on_response(at, frame);
        } else {
            self.on_request(at, frame);
        }
    }

    fn on_response(&mut self, at: usize, frame: IncomingPdu) {
        let IncomingPdu { command, status: code, sequence, body } = frame;
        let (message_id, congestion) = match &body {
            Ok(Pdu::SubmitSmResp(resp) | Pdu::DataSmResp(resp)) => {
                (id_of(resp), resp.tlvs.octet(tag::CONGESTION_STATE))
            }
            Ok(Pdu::UnbindResp) => {
                if let Some(link) = self.link(at) {
                    link.unbound = true;
                    link.end("unbound");
                }
                return;
            }
            Ok(Pdu::EnquireLinkResp) => return,
            Ok(_) | Err(_) => (None, None),
        };
        if let Err(fault) = &body {
            self.faults.record("answers with a fault in them", fault);
        }
        let nacked = command == CommandId::GENERIC_NACK;
        if !nacked && command != CommandId::SUBMIT_SM_RESP && command != CommandId::DATA_SM_RESP {
            return self.faults.record("answers to nothing we asked", command);
        }
        let binds_again = !nacked && meaning(&self.settings, code) == SubmitStatus::BindAgain;
        let Some(link) = self.link(at) else { return };
        if let Some(congestion) = congestion {
            link.set_congestion(congestion);
        }
        let screen = link.screens.take(sequence);
        if binds_again {
            link.end("the SMSC says that the session is not bound as it should be");
        }
        if let Some(screen) = screen {
            return self.on_screen_answer(screen, code, nacked);
        }
        let Some(link) = self.link(at) else { return };
        let answered = link.answered(sequence, PartAnswer { status: code, message_id, nacked });
        match answered {
            AnswerOf::Part => {}
            AnswerOf::Late(key, answer) => self.late.keep(key, answer),
            AnswerOf::Nothing => self.faults.record("answers to nothing we asked", command),
        }
    }

    fn on_request(&mut self, at: usize, frame: IncomingPdu) {
        let IncomingPdu { command, sequence, body, .. } = frame;
        match body {
            Ok(Pdu::EnquireLink) => self.answer(at, status::ESME_ROK, sequence, Pdu::EnquireLinkResp),
            Ok(Pdu::Unbind) => {
                self.answer(at, status::ESME_ROK, sequence, Pdu::UnbindResp);
                if let Some(link) = self.link(at) {
                    link.end("the SMSC ended the session");
                }
            }
            Ok(Pdu::DeliverSm(message)) => self.on_message(at, sequence, command, *message),
            Ok(Pdu::DataSm(data)) => self.on_message(at, sequence, command, (*data).into()),
            Ok(Pdu::AlertNotification(_) | Pdu::Outbind(_)) => {}
            Ok(_) => {
                self.faults.record("requests that a client does not take", command);
                self.refuse(at, sequence, command, status::ESME_RINVCMDID);
            }
            Err(fault) => self.on_fault(at, sequence, command, &fault),
        }
    }

    fn on_fault(&mut self, at: usize, sequence: u32, command: CommandId, fault: &FieldFault) {
        self.faults.record("PDUs with a fault in them refused", format!("{command}, {fault}"));
        self.refuse(at, sequence, command, fault.status());
    }

    /// A message that can't be kept is refused; others are answered when the ledger has them.
    fn on_message(&mut self, at: usize, sequence: u32, command: CommandId, message: vumi_smpp_codec::Message) {
        let Some(link) = self.link(at).map(|link| link.id) else { return };
        let response = command.response().unwrap_or(CommandId::DELIVER_SM_RESP);
        let place = ReplyTo { connection: at, link, sequence, response };
        if ussd::is_ussd(&message) {
            return self.on_ussd(place, command, &message);
        }
        if self.stopping || self.inbox.len() >= self.settings.queue {
            self.faults.record("SMS and receipts put off: as many wait for the ledger as `queue` allows", command);
            return self.settle(place, status::ESME_RX_T_APPN);
        }
        match super::inbound::read(&self.settings, &message, self.clock.now()) {
            Ok(arrived) => {
                if let Some(odd) = arrived.odd {
                    self.faults.record(odd, command);
                }
                self.inbox.push(place, arrived.item);
            }
            Err(refusal) => {
                self.faults.record("SMS from people refused: an address can't be read", command);
                self.settle(place, refusal);
            }
        }
    }

    /// Answers a message, if its connection is still there.
    pub(super) fn settle(&mut self, place: ReplyTo, code: u32) {
        let resp = MessageResp::default();
        let pdu =
            if place.response == CommandId::DATA_SM_RESP { Pdu::DataSmResp(resp) } else { Pdu::DeliverSmResp(resp) };
        if let Some(link) = self.link_of(place) {
            link.answer(code, place.sequence, pdu);
        }
        self.finished.notify_one();
    }

    fn answer(&mut self, at: usize, code: u32, sequence: u32, pdu: Pdu) {
        if let Some(link) = self.link(at) {
            link.answer(code, sequence, pdu);
        }
    }

    /// Answers a request that is not taken: with its own response, header only.
    fn refuse(&mut self, at: usize, sequence: u32, command: CommandId, code: u32) {
        if let Some(command) = command.response() {
            self.answer(at, code, sequence, Pdu::Unknown { command, raw: bytes::Bytes::new() });
        }
    }

    pub(super) fn health(&self) -> Health {
        let bound = self.connections.iter().filter(|one| one.link.is_some()).count();
        let all = self.connections.len();
        let links = || self.connections.iter().filter_map(|one| one.link.as_ref());
        let (taken, window) = (
            links().map(Link::taken).sum::<usize>(),
            links().filter(|link| link.submits()).map(Link::window).sum::<usize>(),
        );
        let mut detail = format!(
            "{bound} of {all} connections bound to {}, {taken} of {window} PDUs in flight",
            self.settings.address()
        );
        let down = self.connections.iter().filter(|one| one.link.is_none()).find_map(|one| one.down.as_ref());
        if let Some(Down { since, why, .. }) = down {
            detail = format!("not bound since {} UTC: {why}; {detail}", since.to_seconds_text());
        }
        if self.settings.ussd.is_some() {
            detail = format!("{detail}, {} USSD sessions", self.dialogues.len());
        }
        if self.unmatched > 0 {
            detail = format!("{detail}; receipts that matched no SMS when they came: {}", self.unmatched);
        }
        let faults = self.faults.summary();
        if !faults.is_empty() {
            detail = format!("{detail}; {faults}");
        }
        let state = match (self.stopping, bound == all, down) {
            (true, ..) => State::Stopping,
            (false, true, _) => State::Up,
            (false, false, None) => State::Starting,
            (false, false, Some(_)) => State::Degraded,
        };
        Health { state, detail }
    }
}

/// The id of an answer; none: it is empty, and never learned.
fn id_of(resp: &MessageResp) -> Option<String> {
    let id = String::from_utf8_lossy(&resp.message_id);
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}
