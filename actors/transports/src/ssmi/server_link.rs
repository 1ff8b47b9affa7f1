//! The state of the connection to the server: the frames that wait to be written, and how the futures wake one another.

use std::rc::Rc;

use tokio::sync::Notify;
use vumi_kit::{address::Msisdn, clock::Timestamp, name::Name};
use vumi_ssmi_codec::{ClientCommand, UssdType};

use super::frame_buffer::{FrameBuffer, FramedReply};
use crate::fault_log::FaultLog;

/// How the futures of the transport wake one another.
#[derive(Default)]
pub(super) struct Signals {
    /// Frames wait to be written.
    pub(super) writable: Notify,
    /// Events wait for the router.
    pub(super) events: Notify,
    /// SMS or delivery reports wait for the ledger.
    pub(super) ledger: Notify,
    /// Something was finished: reading may go on.
    pub(super) readable: Notify,
    /// Something was finished: a drain may be done.
    pub(super) finished: Notify,
    /// The connection is to end for good.
    pub(super) stop: Notify,
}

impl Signals {
    pub(super) fn progress(&self) {
        self.readable.notify_one();
        self.finished.notify_one();
    }
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LinkState {
    /// The open sessions are being read from the store.
    Starting,
    /// Logged in.
    Up,
    Down {
        since: Timestamp,
        why: String,
    },
    Stopping,
}

/// See the module.
pub(super) struct ServerLink {
    transport: Name,
    pub(super) state: LinkState,
    pub(super) frames: FrameBuffer,
    pub(super) signals: Rc<Signals>,
    pub(super) faults: FaultLog,
    /// A link check was sent and is not answered yet.
    pub(super) unanswered_check: bool,
    /// Reading paused since the last link check: the answer may be among what was not read.
    pub(super) reading_paused: bool,
}

impl ServerLink {
    pub(super) fn new(transport: Name) -> Self {
        Self {
            state: LinkState::Starting,
            frames: FrameBuffer::default(),
            signals: Rc::default(),
            faults: FaultLog::new(transport.clone()),
            unanswered_check: false,
            reading_paused: false,
            transport,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == LinkState::Up
    }

    /// The connection is lost. Answers the replies that were not written whole.
    pub(super) fn lose(&mut self, state: LinkState) -> Vec<FramedReply> {
        self.state = state;
        self.unanswered_check = false;
        self.reading_paused = false;
        self.frames.clear()
    }

    /// Sends a frame whose delivery nobody waits for; dropped where there is no connection.
    pub(super) fn send(&mut self, command: &ClientCommand) {
        if !self.is_up() {
            tracing::debug!(transport = %self.transport, "not connected: a frame was not sent");
            return;
        }
        match self.frames.add(command) {
            Ok(_replaced) => self.signals.writable.notify_one(),
            Err(bad) => self.faults.record("a frame could not be written", bad),
        }
    }

    /// Sends a screen of our own, one that is no campaign's reply.
    pub(super) fn send_screen(&mut self, person: &Msisdn, kind: UssdType, message: String) {
        self.send(&ClientCommand::Ussd { msisdn: person.as_str().to_owned(), kind, message });
    }
}
