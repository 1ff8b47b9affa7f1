//! A connection to the SMSC: made, bound, kept alive, made again when it is lost.

use std::{cell::Cell, io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use vumi_kit::backoff::Backoff;
use vumi_smpp_codec::{BadLength, Bind, BindMode, Codec, Command, CommandId, Frame, Password, Pdu, status};

use super::{
    Settings,
    state::{SharedSmpp, SmppState},
};
use crate::tls::{ServerSocket, secured};

type PduSource = ReadHalf<Box<dyn ServerSocket>>;
type PduSink = WriteHalf<Box<dyn ServerSocket>>;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The number of the bind.
const BIND_SEQUENCE: u32 = 1;

/// How long the SMSC has to close a connection that ends, after all is written.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection is not bound any more, or never was.
pub(super) struct SessionEnd {
    why: String,
    cause: EndCause,
    /// How long it was bound.
    served: Duration,
}

/// When it is to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndCause {
    /// Soon, and then less and less soon.
    Temporary,
    /// The SMSC still has our last session.
    AlreadyBound,
    /// Somebody must mend the account or the settings. SMSC lock accounts that knock too often.
    Refused,
}

impl SessionEnd {
    /// Why, in words for an operator.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    fn never_up(why: impl Into<String>) -> Self {
        Self { why: why.into(), cause: EndCause::Temporary, served: Duration::ZERO }
    }
}

/// The waits between connections.
#[derive(Default)]
struct BindWaits {
    failures: u32,
    last_wait: Duration,
}

impl BindWaits {
    /// One that served for longer than the wait before it was good: the waits begin anew.
    fn wait(&mut self, end: &SessionEnd, settings: &Settings) -> Duration {
        let Backoff { first, most } = settings.reconnect;
        self.failures = if end.served > self.last_wait { 1 } else { self.failures.saturating_add(1) };
        self.last_wait = match end.cause {
            EndCause::Temporary => Backoff::new(first, most).wait(self.failures),
            EndCause::AlreadyBound => settings.already_bound.max(first),
            EndCause::Refused => Backoff::new(most, most).wait(1),
        };
        self.last_wait
    }
}

/// Connects, and connects again, until the transport stops or is replaced.
pub(super) async fn keep_bound(shared: SharedSmpp, at: usize) {
    let settings = shared.borrow().settings.clone();
    let mut reconnects = BindWaits::default();
    loop {
        receiver_first(&shared, &settings, at).await;
        if shared.borrow().stopping || shared.borrow().is_replaced() {
            return;
        }
        let end = connect_and_serve(&shared, &settings, at).await;
        let stopping = shared.borrow().stopping;
        shared.borrow_mut().link_lost(at, &end.why, end.cause == EndCause::Refused);
        if stopping {
            return;
        }
        let wait = reconnects.wait(&end, &settings);
        {
            let state = shared.borrow();
            tracing::warn!(transport = %state.name, server = %settings.address(), why = %end.why, again_in_ms = wait.as_millis(), "not bound");
        }
        let stopped = shared.borrow().bound_changed.clone();
        let again_at = Instant::now() + wait;
        while !shared.borrow().stopping && timeout_at(again_at, stopped.notified()).await.is_ok() {}
    }
}

/// A transmitter waits for its receiver, so that no receipt finds nobody.
async fn receiver_first(shared: &SharedSmpp, settings: &Settings, at: usize) {
    let modes = settings.bind.modes();
    if modes.len() < 2 || at.is_multiple_of(modes.len()) {
        return;
    }
    let changed = shared.borrow().bound_changed.clone();
    loop {
        let notified = changed.notified();
        {
            let state = shared.borrow();
            let bound = state.connections.get(at - 1).is_some_and(|receiver| receiver.link.is_some());
            if bound || state.stopping || state.is_replaced() {
                return;
            }
        }
        notified.await;
    }
}

async fn connect_and_serve(shared: &SharedSmpp, settings: &Settings, at: usize) -> SessionEnd {
    let connected = timeout(settings.connect_limit, connect(settings)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => return SessionEnd::never_up(why),
        Err(_) => return SessionEnd::never_up(format!("can't connect: no answer within {:?}", settings.connect_limit)),
    };
    let (read, mut write) = split(stream);
    let mut reader = PduReader { read, codec: Codec::default(), buffer: BytesMut::with_capacity(CHUNK) };
    let mode = shared.borrow().connections.get(at).map_or_else(BindMode::default, |connection| connection.mode);
    match timeout(settings.bind_limit, bind(settings, mode, &mut reader, &mut write)).await {
        Ok(Ok(())) => {}
        Ok(Err(end)) => return end,
        Err(_) => return SessionEnd::never_up(format!("no answer to the bind within {:?}", settings.bind_limit)),
    }
    shared.borrow_mut().link_up(at);
    tracing::info!(transport = %shared.borrow().name, server = %settings.address(), ?mode, "bound");
    let since = Instant::now();
    let limit = settings.outbox.call_limit;
    let paused = Cell::new(false);
    let why = tokio::select! {
        why = reader.read_frames(shared, at, &paused) => why,
        why = write_out(write, shared, at) => why,
        why = enquire(shared, at, settings.enquire_link, limit, &paused) => why,
    };
    SessionEnd { why, cause: EndCause::Temporary, served: since.elapsed() }
}

/// Connects, with TLS where the settings say so.
pub(super) async fn connect(settings: &Settings) -> Result<Box<dyn ServerSocket>, String> {
    let can_not = |error: io::Error| format!("can't connect: {error}");
    let stream = TcpStream::connect(settings.address()).await.map_err(can_not)?;
    // PDUs are written together already; the kernel need not wait for more.
    stream.set_nodelay(true).map_err(can_not)?;
    secured(settings.tls_target(), stream).await.map_err(|why| format!("can't connect: {why}"))
}

/// The bind that the settings ask for.
pub(super) fn bind_pdu(settings: &Settings, mode: BindMode) -> Pdu {
    let octets = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Pdu::Bind(Box::new(Bind {
        mode,
        system_id: octets(&settings.system_id),
        password: Password(octets(settings.password.expose_secret())),
        system_type: octets(&settings.system_type),
        interface_version: settings.version.number(),
        addr_ton: 0,
        addr_npi: 0,
        address_range: octets(&settings.address_range),
    }))
}

/// Binds; an error says why not. Before the answer the SMSC may only ask whether we are there.
async fn bind(
    settings: &Settings,
    mode: BindMode,
    reader: &mut PduReader,
    write: &mut PduSink,
) -> Result<(), SessionEnd> {
    let refused = |why: String| SessionEnd { why, cause: EndCause::Refused, served: Duration::ZERO };
    write_one(write, 0, BIND_SEQUENCE, bind_pdu(settings, mode)).await?;
    loop {
        let frame = reader.next().await.map_err(|why| SessionEnd::never_up(format!("can't bind: {why}")))?;
        match (frame.command, frame.sequence) {
            (CommandId::ENQUIRE_LINK, sequence) => write_one(write, 0, sequence, Pdu::EnquireLinkResp).await?,
            (CommandId::GENERIC_NACK, _) => {
                let hint = "the SMSC does not know this kind of bind: set `bind` to `transmitter_and_receiver`";
                return Err(refused(format!("{hint} ({})", super::statuses::in_words(frame.status))));
            }
            (command, BIND_SEQUENCE) if command.is_response() => return bound(frame.status),
            // Such as outbind.
            _ => {}
        }
    }
}

/// What the answer to a bind says.
pub(super) fn bound(code: u32) -> Result<(), SessionEnd> {
    let said = super::statuses::in_words(code);
    let end = |why: String, cause| Err(SessionEnd { why, cause, served: Duration::ZERO });
    match code {
        status::ESME_ROK => Ok(()),
        status::ESME_RALYBND => end(format!("the SMSC still has our last session: {said}"), EndCause::AlreadyBound),
        status::ESME_RBINDFAIL => {
            let hint =
                "check `system_id` and `password`, how many sessions the account may have, and from which address";
            end(format!("the bind was refused: {said}; {hint}"), EndCause::Refused)
        }
        status::ESME_RINVPASWD | status::ESME_RINVSYSID => {
            end(format!("the bind was refused: {said}; check `system_id` and `password`"), EndCause::Refused)
        }
        status::ESME_RINVSYSTYP => end(format!("the bind was refused: {said}; check `system_type`"), EndCause::Refused),
        status::ESME_RINVBNDSTS
        | status::ESME_RSERTYPUNAUTH
        | status::ESME_RPROHIBITED
        | status::ESME_RSERTYPUNAVAIL
        | status::ESME_RSERTYPDENIED => end(format!("the bind was refused: {said}; check `bind`"), EndCause::Refused),
        _ => end(format!("the bind was put off: {said}"), EndCause::Temporary),
    }
}

async fn write_one(write: &mut PduSink, code: u32, sequence: u32, pdu: Pdu) -> Result<(), SessionEnd> {
    let mut out = BytesMut::new();
    let encoded = Command { status: code, sequence, pdu }.encode_into(&mut out);
    encoded.map_err(|error| SessionEnd::never_up(format!("can't bind: {error}")))?;
    let written = async {
        write.write_all(&out).await?;
        write.flush().await
    };
    written.await.map_err(|error: io::Error| SessionEnd::never_up(format!("can't bind: {error}")))
}

struct PduReader {
    read: PduSource,
    codec: Codec,
    buffer: BytesMut,
}

impl PduReader {
    async fn more(&mut self) -> Result<(), String> {
        self.buffer.reserve(CHUNK);
        match self.read.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the SMSC closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn next(&mut self) -> Result<Frame, String> {
        loop {
            match self.codec.next(&mut self.buffer) {
                Some(Ok(frame)) => return Ok(frame),
                Some(Err(bad)) => return Err(bad.to_string()),
                None => self.more().await?,
            }
        }
    }

    /// Reads PDUs until the connection is lost. While the SMSC does not read what is written, nothing is read: TCP then holds it back.
    async fn read_frames(&mut self, shared: &SharedSmpp, at: usize, paused: &Cell<bool>) -> String {
        loop {
            while let Some(read) = self.codec.next(&mut self.buffer) {
                let mut state = shared.borrow_mut();
                if state.is_replaced() {
                    return "this transport was replaced by a fresh one".to_owned();
                }
                match read {
                    Ok(frame) => state.on_frame(at, frame),
                    Err(bad) => {
                        out_of_step(&mut state, at, bad);
                        break;
                    }
                }
            }
            loop {
                let readable = {
                    let mut state = shared.borrow_mut();
                    let Some(link) = state.link(at) else { return "the connection is gone".to_owned() };
                    if !link.is_full() {
                        break;
                    }
                    link.signals.clone()
                };
                paused.set(true);
                readable.readable.notified().await;
            }
            if let Err(why) = self.more().await {
                let mut state = shared.borrow_mut();
                let ending = state.link(at).and_then(|link| link.ending.clone());
                return ending.unwrap_or(why);
            }
        }
    }
}

/// Where the next PDU begins is not known any more: it says so, and ends.
fn out_of_step(state: &mut SmppState, at: usize, bad: BadLength) {
    if let Some(link) = state.link(at) {
        link.answer(status::ESME_RINVCMDLEN, 0, Pdu::GenericNack);
        link.end(bad.to_string());
    }
}

/// Writes what waits, all at once, until that fails or the connection is to end.
async fn write_out(mut write: PduSink, shared: &SharedSmpp, at: usize) -> String {
    loop {
        let (mut out, ending, signals) = {
            let mut state = shared.borrow_mut();
            let Some(link) = state.link(at) else { return "the connection is gone".to_owned() };
            (link.take_out(), link.ending.clone(), link.signals.clone())
        };
        if out.is_empty() {
            let Some(why) = ending else {
                signals.writable.notified().await;
                continue;
            };
            // The SMSC may have sent its end already; and an unbind of ours is answered before.
            let _closed = timeout(LINGER, write.shutdown()).await;
            return why;
        }
        while out.has_remaining() {
            match write.write_buf(&mut out).await {
                Ok(0) => return "could not write".to_owned(),
                Ok(written) => {
                    if let Some(link) = shared.borrow_mut().link(at) {
                        link.wrote(written);
                    }
                }
                Err(error) => return format!("could not write: {error}"),
            }
        }
        // TLS may hold the end of it still.
        if let Err(error) = write.flush().await {
            return format!("could not write: {error}");
        }
    }
}

/// Asks the SMSC whether it is there when nothing came for a time; ends where nothing comes then either.
async fn enquire(shared: &SharedSmpp, at: usize, every: Duration, limit: Duration, paused: &Cell<bool>) -> String {
    loop {
        let Some(last) = last_received(shared, at) else { return "the connection is gone".to_owned() };
        if last.elapsed() < every {
            sleep_until(last + every).await;
            continue;
        }
        paused.set(false);
        if let Some(link) = shared.borrow_mut().link(at)
            && let Err(error) = link.send(0, None, Pdu::EnquireLink)
        {
            return error.to_string();
        }
        sleep(limit).await;
        let heard = last_received(shared, at).is_some_and(|received| received > last);
        if !heard && !paused.get() {
            return format!("nothing came for {every:?}, and no answer to enquire_link within {limit:?}");
        }
        if !heard {
            // It does not read, so that we did not either.
            return "the SMSC does not read".to_owned();
        }
    }
}

fn last_received(shared: &SharedSmpp, at: usize) -> Option<Instant> {
    shared.borrow_mut().link(at).map(|link| link.last_received)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::tests::settings, BindWaits, EndCause, SessionEnd, bound};

    #[test]
    fn answers_to_a_bind_are_told_apart() {
        for (codes, cause) in [
            (&[0x0D, 0x0E, 0x0F, 0x53, 0x04, 0x100, 0x101, 0x102, 0x103][..], EndCause::Refused),
            (&[0x05], EndCause::AlreadyBound),
            (&[0x58, 0x14, 0x08, 0x64, 0xFF, 0x400], EndCause::Temporary),
        ] {
            for code in codes {
                assert_eq!(bound(*code).err().map(|end| end.cause), Some(cause), "0x{code:X}");
            }
        }
        assert!(bound(0).is_ok());
    }

    #[test]
    fn what_is_refused_is_tried_seldom_and_what_was_good_soon() {
        let settings = settings("reconnect = { first = \"1s\", most = \"60s\" }\nalready_bound = \"45s\"");
        let mut reconnects = BindWaits::default();
        let end = |cause, served| SessionEnd { why: String::new(), cause, served };
        let seconds = Duration::from_secs;
        assert!(reconnects.wait(&end(EndCause::Refused, Duration::ZERO), &settings) >= seconds(30));
        assert_eq!(reconnects.wait(&end(EndCause::AlreadyBound, Duration::ZERO), &settings), seconds(45));
        assert!(reconnects.wait(&end(EndCause::Temporary, seconds(3600)), &settings) <= seconds(1));
        let waits: Vec<_> =
            (0..9).map(|_| reconnects.wait(&end(EndCause::Temporary, Duration::ZERO), &settings)).collect();
        assert!(waits.last().is_some_and(|wait| *wait >= seconds(30)), "{waits:?}");
    }
}
