//! The state of the connection to the server: the frames that wait to be written, and how the futures wake one another.

use std::rc::Rc;

use tokio::sync::Notify;
use vumi_kit::{address::UssdCode, clock::Timestamp, name::Name};
use vumi_ssmi_codec::{ClientCommand, SCREEN_UNITS, UssdType, screen_units, to_latin1};

use super::frame_buffer::FrameBuffer;
use crate::{
    fault_log::FaultLog,
    ussd::{CarriedReply, PageSize, ScreenKind, ScreenNetwork, ScreensState, UnwrittenScreen, UssdScreen},
};

/// How the futures of the transport wake one another.
#[derive(Default)]
pub(super) struct Signals {
    /// Frames wait to be written.
    pub(super) writable: Notify,
    /// SMS or delivery reports wait for the ledger.
    pub(super) ledger: Notify,
    /// Something was finished: reading may go on.
    pub(super) readable: Notify,
    /// Something was finished: a drain may be done.
    pub(super) finished: Rc<Notify>,
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
    pub(super) fn lose(&mut self, state: LinkState) -> Vec<CarriedReply> {
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
}

impl ScreenNetwork<()> for ServerLink {
    fn state(&self) -> ScreensState {
        match self.state {
            LinkState::Starting => ScreensState::Starting,
            LinkState::Up => ScreensState::Up,
            LinkState::Down { .. } => ScreensState::Down,
            LinkState::Stopping => ScreensState::Stopping,
        }
    }

    fn spelled(&self, text: &str) -> (String, Vec<char>) {
        let (text, replaced) = to_latin1(text);
        (text.into_owned(), replaced)
    }

    fn page_size(&self, _: &str) -> PageSize {
        PageSize { most: SCREEN_UNITS, units: screen_units }
    }

    fn begin(&mut self, _: &UssdCode) -> Result<(), String> {
        Ok(())
    }

    fn show(&mut self, screen: UssdScreen<'_, ()>, reply: Option<CarriedReply>) -> Result<(), Box<UnwrittenScreen>> {
        if !self.is_up() && reply.is_none() {
            tracing::debug!(transport = %self.transport, "not connected: a screen was not sent");
            return Ok(());
        }
        let kind = match screen.kind {
            ScreenKind::Question => UssdType::Response,
            ScreenKind::Last => UssdType::End,
            ScreenKind::PushedQuestion | ScreenKind::Notification => UssdType::NetworkInitiated,
        };
        let msisdn = screen.person.as_str().to_owned();
        if let Err(bad) = self.frames.add(&ClientCommand::Ussd { msisdn, kind, message: screen.text }) {
            return Err(Box::new(UnwrittenScreen { why: bad.to_string(), reply }));
        }
        if let Some(reply) = reply {
            self.frames.last_carries(reply);
        }
        self.signals.writable.notify_one();
        Ok(())
    }

    fn replies_under_way(&self) -> usize {
        self.frames.unwritten_replies()
    }

    fn faults(&mut self) -> &mut FaultLog {
        &mut self.faults
    }
}
