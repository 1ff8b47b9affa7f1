//! One bound connection: what waits to be written, what waits for an answer, and its window.

use std::{cell::Cell, collections::HashMap, rc::Rc};

use bytes::BytesMut;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use vumi_kit::sms::SmsId;
use vumi_smpp_codec::{BindMode, EncodeError, Message, OutgoingPdu, Pdu};

use super::ussd::{LostScreens, SentScreens};

/// Octets that may wait for an SMSC that does not read; beyond, nothing more is read from it nor submitted to it.
const MOST_UNWRITTEN: usize = 256 * 1024;

/// Parts whose attempt has ended and that may still be answered, of one connection. The oldest is forgotten first.
const MOST_UNANSWERED: usize = 10_000;

/// The highest sequence_number; 1 follows.
const LAST_SEQUENCE: u32 = 0x7fff_ffff;

/// From this congestion_state on (5.0) half of the window is used, and at the most a single place.
const NEARLY_CONGESTED: u8 = 90;
const CONGESTED: u8 = 100;

/// A part of an SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PartKey {
    pub(super) sms: SmsId,
    pub(super) number: u8,
}

/// The SMSC's answer to a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartAnswer {
    pub(super) status: u32,
    /// The id that it gave.
    pub(super) message_id: Option<String>,
    /// It could not read the PDU.
    pub(super) nacked: bool,
}

/// What became of a part that was sent; the channel is dropped where the connection was lost after it was written.
#[derive(Debug)]
pub(super) enum PartFate {
    Answered(PartAnswer),
    NeverWritten,
}

/// How the futures of a connection wake one another.
#[derive(Default)]
pub(super) struct LinkSignals {
    /// Octets wait to be written, or the connection is to end.
    pub(super) writable: Notify,
    /// Octets were written.
    pub(super) readable: Notify,
}

/// A place in the window of a connection, held while an answer is waited for.
pub(super) struct WindowPlace {
    taken: Rc<Cell<usize>>,
    freed: Rc<Notify>,
}

impl Drop for WindowPlace {
    fn drop(&mut self) {
        self.taken.set(self.taken.get().saturating_sub(1));
        self.freed.notify_one();
    }
}

struct Unanswered {
    key: PartKey,
    fate: oneshot::Sender<PartFate>,
    /// Where its PDU ends in the stream.
    end: u64,
}

/// What the answer to a sequence_number was.
pub(super) enum AnswerOf {
    /// A part's: its attempt hears of it.
    Part,
    /// A part's, whose attempt has ended.
    Late(PartKey, PartAnswer),
    /// Nothing of ours.
    Nothing,
}

/// See the module.
pub(super) struct Link {
    /// Tells it from an earlier connection in its place.
    pub(super) id: u64,
    pub(super) mode: BindMode,
    pub(super) signals: Rc<LinkSignals>,
    pub(super) last_received: Instant,
    /// Why it is to end once all is written.
    pub(super) ending: Option<String>,
    /// Unbind was sent; and answered.
    pub(super) unbound: bool,
    window: usize,
    congestion: u8,
    taken: Rc<Cell<usize>>,
    freed: Rc<Notify>,
    out: BytesMut,
    sequence: u32,
    unanswered: HashMap<u32, Unanswered>,
    /// Screens of USSD: they go beside the window, for a person waits.
    pub(super) screens: SentScreens,
    /// Octets ever put into `out`, and ever written.
    queued: u64,
    written: u64,
}

impl Link {
    /// `freed` is told when a place in the window is free again.
    pub(super) fn new(id: u64, mode: BindMode, window: usize, last_sequence: u32, freed: Rc<Notify>) -> Self {
        Self {
            id,
            mode,
            signals: Rc::default(),
            last_received: Instant::now(),
            ending: None,
            unbound: false,
            window,
            congestion: 0,
            taken: Rc::default(),
            freed,
            out: BytesMut::new(),
            sequence: last_sequence,
            unanswered: HashMap::new(),
            screens: SentScreens::default(),
            queued: 0,
            written: 0,
        }
    }

    /// Whether SMS may be submitted over it.
    pub(super) fn submits(&self) -> bool {
        self.mode != BindMode::Receiver && self.ending.is_none()
    }

    /// How many places its window has now.
    pub(super) fn window(&self) -> usize {
        match self.congestion {
            CONGESTED.. => 1,
            NEARLY_CONGESTED.. => (self.window / 2).max(1),
            _ => self.window,
        }
    }

    /// The places that are free.
    pub(super) fn free(&self) -> usize {
        if self.submits() && !self.is_full() { self.window().saturating_sub(self.taken.get()) } else { 0 }
    }

    /// How many PDUs wait for their answers.
    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }

    /// What an answer said of the SMSC's load.
    pub(super) fn set_congestion(&mut self, congestion: u8) {
        self.congestion = congestion;
    }

    /// Whether the SMSC reads too slowly.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= MOST_UNWRITTEN
    }

    /// Sends a part. Answers where its fate will be told, and its place.
    pub(super) fn submit(
        &mut self,
        key: PartKey,
        message: Message,
    ) -> Result<(oneshot::Receiver<PartFate>, WindowPlace), EncodeError> {
        let sequence = self.send(0, None, Pdu::SubmitSm(Box::new(message)))?;
        if self.unanswered.len() >= MOST_UNANSWERED {
            let oldest = self.unanswered.iter().filter(|(_, one)| one.fate.is_closed()).min_by_key(|(_, one)| one.end);
            if let Some(oldest) = oldest.map(|(sequence, _)| *sequence) {
                self.unanswered.remove(&oldest);
            }
        }
        let (fate, told) = oneshot::channel();
        self.unanswered.insert(sequence, Unanswered { key, fate, end: self.queued });
        self.taken.set(self.taken.get() + 1);
        Ok((told, WindowPlace { taken: self.taken.clone(), freed: self.freed.clone() }))
    }

    /// Sends a PDU: a request with the next sequence_number, an answer with that of its request. Answers the number.
    pub(super) fn send(&mut self, status: u32, answers: Option<u32>, pdu: Pdu) -> Result<u32, EncodeError> {
        let sequence = answers.unwrap_or(if self.sequence >= LAST_SEQUENCE { 1 } else { self.sequence + 1 });
        let before = self.out.len();
        OutgoingPdu { status, sequence, pdu }.encode_into(&mut self.out)?;
        if answers.is_none() {
            self.sequence = sequence;
        }
        self.queued += u64::try_from(self.out.len() - before).unwrap_or_default();
        self.signals.writable.notify_one();
        Ok(sequence)
    }

    /// The same, where what is sent is always within the book.
    pub(super) fn answer(&mut self, status: u32, sequence: u32, pdu: Pdu) {
        if let Err(error) = self.send(status, Some(sequence), pdu) {
            tracing::error!(%error, "an answer of SMPP could not be written");
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, sequence: u32, answer: PartAnswer) -> AnswerOf {
        let Some(Unanswered { key, fate, .. }) = self.unanswered.remove(&sequence) else { return AnswerOf::Nothing };
        match fate.send(PartFate::Answered(answer)) {
            Err(PartFate::Answered(answer)) => AnswerOf::Late(key, answer),
            _ => AnswerOf::Part,
        }
    }

    /// What waits to be written; it is written at once.
    pub(super) fn take_out(&mut self) -> BytesMut {
        self.out.split()
    }

    pub(super) fn wrote(&mut self, octets: usize) {
        self.written += u64::try_from(octets).unwrap_or_default();
        self.signals.readable.notify_one();
    }

    /// Ends it once what waits is written.
    pub(super) fn end(&mut self, why: impl Into<String>) {
        self.ending.get_or_insert(why.into());
        self.signals.writable.notify_one();
    }

    /// Where the last PDU ends in the stream.
    pub(super) const fn queued(&self) -> u64 {
        self.queued
    }

    /// It is lost: those who wait for answers hear of it.
    pub(super) fn lose(mut self) -> LostScreens {
        let screens = self.screens.lose(self.written);
        for waiting in self.unanswered.into_values() {
            if waiting.end > self.written {
                // Its attempt may have ended.
                let _heard = waiting.fate.send(PartFate::NeverWritten);
            }
        }
        screens
    }
}
