//! One socket of an ESME: its PDUs in and out.
//!
//! A single task reads, works and writes, so that the order of states is that of the PDUs. What takes time (a password, a
//! commit) is in `work`, a bounded number at once; while there is as much as may be, or while the ESME does not read what it
//! is sent, nothing further is read from the socket. Answers, questions and deliveries go out by one buffer, in the order in
//! which they come about: none of them waits for another kind.

mod deliveries;
mod requests;

use std::{collections::HashMap, io, net::IpAddr, pin::pin, rc::Rc, time::Duration};

use bytes::BytesMut;
use futures_util::{
    FutureExt, StreamExt,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::oneshot,
    time::{Instant, sleep_until},
};
use vumi_front_kit::tls::ClientSocket;
use vumi_smpp_codec::{BindMode, Codec, Command, EncodeError, MAX_LENGTH, Pdu, status};

use self::deliveries::SentDelivery;
use crate::{
    binds::{BindPlace, SessionCommand},
    login::BindStatus,
    state::{CountedSession, SmppServerState},
};

/// The longest PDU of an ESME that is not bound yet: a bind is much shorter.
const UNBOUND_LENGTH: usize = 1024;
/// The most octets that wait to be read by the ESME; beyond that nothing of its is read.
const MOST_UNREAD: usize = 256 * 1024;
/// How much room there is for a read at the least.
const READ_ROOM: usize = 2048;
/// How much room is made for one.
const READ_AT_ONCE: usize = 8 * 1024;
/// How long the rest of a PDU may take.
const REST_WITHIN: Duration = Duration::from_secs(10);
/// How long an ESME may read nothing of what waits for it.
const READS_WITHIN: Duration = Duration::from_secs(30);
/// How long an unbind waits: for requests under way, or for its answer.
const UNBIND_WITHIN: Duration = Duration::from_secs(5);
/// How long the ESME may take to close its end.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The largest sequence_number; after it comes 1.
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;

/// A session.
pub(crate) struct EsmeSession {
    state: Rc<SmppServerState>,
    counted: CountedSession,
    peer: IpAddr,
    codec: Codec,
    read: BytesMut,
    out: BytesMut,
    /// Something was written and may still be in TLS's buffer.
    unflushed: bool,
    work: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    /// A password is being checked.
    binding: bool,
    bound: Option<EsmeBind>,
    /// The last sequence_number of ours.
    sequence: u32,
    /// Delivered and not answered, by their sequence_number.
    delivering: HashMap<u32, SentDelivery>,
    /// The enquire_link that was not answered, and since when.
    asked: Option<(u32, Instant)>,
    probes: Vec<oneshot::Sender<()>>,
    began: Instant,
    last_read: Instant,
    /// When the ESME last read something, or something began to wait for it.
    last_written: Instant,
    end: End,
}

/// A bind of this session.
struct EsmeBind {
    place: BindPlace,
    mode: BindMode,
    /// Whether the ESME knows TLVs.
    tlvs: bool,
    /// It leaves deliveries unanswered: it is given none until it answers one.
    silent: bool,
}

/// How far the session's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It goes on.
    None,
    /// The ESME has asked to unbind: answered when its requests are.
    AskedToUnbind { sequence: u32, until: Instant },
    /// We have: closed when that is answered.
    Unbinding { until: Instant },
    /// What is written is flushed, then the ESME closes its end.
    Closing { until: Instant, shut: bool },
    /// At once.
    Gone,
}

/// What was worked on is done.
enum Done {
    /// Answer with this.
    Answer(Command),
    /// A bind was checked.
    Bind { sequence: u32, mode: BindMode, tlvs: bool, outcome: Result<BindPlace, BindStatus> },
}

impl EsmeSession {
    pub(crate) fn new(state: Rc<SmppServerState>, counted: CountedSession, peer: IpAddr) -> Self {
        let now = Instant::now();
        Self {
            state,
            counted,
            peer,
            codec: Codec::with_max_length(UNBOUND_LENGTH),
            read: BytesMut::new(),
            out: BytesMut::new(),
            unflushed: false,
            work: FuturesUnordered::new(),
            binding: false,
            bound: None,
            sequence: 0,
            delivering: HashMap::new(),
            asked: None,
            probes: Vec::new(),
            began: now,
            last_read: now,
            last_written: now,
            end: End::None,
        }
    }

    /// Serves the socket until it ends. What was delivered and not answered is delivered again.
    pub(crate) async fn serve(mut self, socket: ClientSocket) {
        let (mut reader, mut writer) = tokio::io::split(socket);
        let mut timer = pin!(sleep_until(self.deadline()));
        loop {
            self.take_frames();
            self.step_to_end();
            if self.end == End::Gone {
                break;
            }
            let deadline = self.deadline();
            // One that fires too early costs less than one that is set anew for each PDU.
            if timer.is_elapsed() || deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            let (may_read, may_write) = (self.may_read(), self.may_write());
            if may_read && self.read.capacity() - self.read.len() < READ_ROOM {
                self.read.reserve(READ_AT_ONCE);
            }
            let command: OptionFuture<_> = self.bound.as_mut().map(|bound| bound.place.commands.recv()).into();
            tokio::select! {
                read = reader.read_buf(&mut self.read), if may_read => match read {
                    Ok(0) | Err(_) => self.end = End::Gone,
                    Ok(_) => self.last_read = Instant::now(),
                },
                written = write_some(&mut writer, &mut self.out, self.end), if may_write => self.written(written),
                Some(done) = self.work.next(), if !self.work.is_empty() => {
                    self.done(done);
                    // What one commit has answered goes out in one write.
                    while let Some(Some(done)) = self.work.next().now_or_never() {
                        self.done(done);
                    }
                }
                Some(Some(command)) = command => self.command(command),
                () = timer.as_mut() => self.look_at_clock(),
            }
        }
        self.leave("the connection ended");
        self.return_deliveries("the connection ended");
    }

    fn may_read(&self) -> bool {
        let has_room = self.work.len() < self.state.settings.window && self.out.len() < MOST_UNREAD;
        has_room && self.read.len() < MAX_LENGTH
    }

    fn may_write(&self) -> bool {
        !self.out.is_empty() || self.unflushed || matches!(self.end, End::Closing { shut: false, .. })
    }

    fn written(&mut self, written: io::Result<Written>) {
        self.last_written = Instant::now();
        match (written, &mut self.end) {
            (Err(_), end) => *end = End::Gone,
            (Ok(Written::Shut), End::Closing { shut, .. }) => *shut = true,
            (Ok(_), _) => {}
        }
        self.unflushed = !self.out.is_empty();
    }

    /// Takes the PDUs that have come, as far as there is room for their work.
    fn take_frames(&mut self) {
        while self.work.len() < self.state.settings.window && self.out.len() < MOST_UNREAD {
            if matches!(self.end, End::Closing { .. } | End::Gone) {
                self.read.clear();
                return;
            }
            match self.codec.next(&mut self.read) {
                None => break,
                Some(Ok(frame)) => self.take(frame),
                Some(Err(_)) => {
                    self.answer(Command { status: status::ESME_RINVCMDLEN, sequence: 0, pdu: Pdu::GenericNack });
                    self.close();
                }
            }
        }
        if self.read.is_empty() {
            // An idle ESME holds no buffer.
            self.read = BytesMut::new();
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Answer(command) => self.answer(command),
            Done::Bind { sequence, mode, tlvs, outcome } => self.bind_done(sequence, mode, tlvs, outcome),
        }
    }

    fn command(&mut self, command: SessionCommand) {
        match command {
            SessionCommand::Deliver(delivery) => self.deliver(*delivery),
            SessionCommand::Probe(probe) => {
                self.probes.push(probe);
                self.ask();
            }
            SessionCommand::Close(why) => self.unbind(why),
        }
    }

    /// Writes a PDU. One that can't be written, since a peer's own field is too long to be sent back, is answered without it.
    fn answer(&mut self, command: Command) {
        let (status, sequence) = (command.status, command.sequence);
        if self.write(&command).is_err() {
            let _cannot_fail = self.write(&Command { status, sequence, pdu: Pdu::GenericNack });
        }
    }

    fn write(&mut self, command: &Command) -> Result<(), EncodeError> {
        if self.out.is_empty() {
            self.last_written = Instant::now();
        }
        self.unflushed = true;
        command.encode_into(&mut self.out)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= LAST_SEQUENCE { 1 } else { self.sequence + 1 };
        self.sequence
    }

    /// Asks whether the ESME is still there.
    fn ask(&mut self) {
        if self.asked.is_none() {
            let sequence = self.next_sequence();
            self.asked = Some((sequence, Instant::now()));
            self.answer(Command { status: status::ESME_ROK, sequence, pdu: Pdu::EnquireLink });
        }
    }

    /// Unbinds, and closes when that is answered.
    fn unbind(&mut self, why: &'static str) {
        if self.end != End::None {
            return;
        }
        tracing::info!(peer = %self.peer, why, "an ESME is unbound");
        self.leave(why);
        let sequence = self.next_sequence();
        self.answer(Command { status: status::ESME_ROK, sequence, pdu: Pdu::Unbind });
        self.end = End::Unbinding { until: Instant::now() + UNBIND_WITHIN };
    }

    fn close(&mut self) {
        self.leave("the connection is closed");
        self.end = End::Closing { until: Instant::now() + CLOSE_WITHIN, shut: false };
    }

    /// Gives up the place among the binds; what was handed over and not sent yet goes to another.
    fn leave(&mut self, why: &'static str) {
        let Some(mut bound) = self.bound.take() else { return };
        bound.place.commands.close();
        while let Ok(command) = bound.place.commands.try_recv() {
            if let SessionCommand::Deliver(delivery) = command {
                self.give_back(&delivery, why);
            }
        }
    }

    fn step_to_end(&mut self) {
        if let End::AskedToUnbind { sequence, .. } = self.end
            && self.work.is_empty()
        {
            self.answer(Command { status: status::ESME_ROK, sequence, pdu: Pdu::UnbindResp });
            self.close();
        }
    }

    /// When there is something to do that no event brings.
    fn deadline(&self) -> Instant {
        let settings = &self.state.settings;
        let end = match self.end {
            End::None | End::Gone => None,
            End::AskedToUnbind { until, .. } | End::Unbinding { until } | End::Closing { until, .. } => Some(until),
        };
        let bind = self.bound.is_none().then(|| self.began + settings.bind_within);
        let asked = match (self.asked, self.end) {
            (Some((_, since)), _) => since + settings.answer_within,
            (None, End::None) => self.last_read + settings.enquire_link_after,
            (None, _) => Instant::now() + UNBIND_WITHIN,
        };
        let rest = (!self.read.is_empty() && self.may_read()).then(|| self.last_read + REST_WITHIN);
        let unread = (!self.out.is_empty()).then(|| self.last_written + READS_WITHIN);
        let delivery = self.first_unanswered();
        let others = [bind.filter(|_| self.end == End::None), rest, unread, end, delivery].into_iter().flatten();
        others.fold(asked, Instant::min)
    }

    fn look_at_clock(&mut self) {
        let (now, settings) = (Instant::now(), &self.state.settings);
        let past = |since: Instant, within: Duration| now >= since + within;
        let has_ended = match self.end {
            End::None => self.bound.is_none() && past(self.began, settings.bind_within),
            End::AskedToUnbind { until, .. } | End::Unbinding { until } | End::Closing { until, .. } => now >= until,
            End::Gone => true,
        };
        let half = !self.read.is_empty() && self.may_read() && past(self.last_read, REST_WITHIN);
        let unread = !self.out.is_empty() && past(self.last_written, READS_WITHIN);
        let dead = self.asked.is_some_and(|(_, since)| past(since, settings.answer_within));
        if has_ended || half || unread || dead {
            self.end = End::Gone;
            return;
        }
        if self.end == End::None && self.asked.is_none() && past(self.last_read, settings.enquire_link_after) {
            self.ask();
        }
        self.look_for_unanswered(now);
    }
}

/// What a write has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// Some of what waits, or all.
    Some,
    /// Nothing more can be written.
    Shut,
}

/// Writes some of what waits, or flushes what was written; at the end it shuts the socket's own side down.
async fn write_some(writer: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut, end: End) -> io::Result<Written> {
    if !out.is_empty() {
        if writer.write_buf(out).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    } else if matches!(end, End::Closing { shut: false, .. }) {
        writer.shutdown().await?;
        return Ok(Written::Shut);
    }
    writer.flush().await?;
    Ok(Written::Some)
}
