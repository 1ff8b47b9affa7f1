//! The connection to the server: made, logged in, kept alive, made again when it is lost.

use std::{io, rc::Rc, time::Duration};

use bytes::{Buf, BytesMut};
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use vumi_kit::backoff::Backoff;
use vumi_ssmi_codec::{AckKind, ClientCommand, Codec, Malformed, Password, ServerCommand, SsmiCommand};

use super::{
    Settings,
    server_link::{LinkState, Signals},
    state::SharedState,
};
use crate::tls::{ServerSocket, secured};

/// The two directions of a connection.
type Reading = ReadHalf<Box<dyn ServerSocket>>;
type Writing = WriteHalf<Box<dyn ServerSocket>>;

/// Why a connection ends that belongs to a transport which went on after it was blocked.
const REPLACED: &str = "this transport was replaced by a fresh one";

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How a connection ended.
enum LinkEnd {
    /// The transport stops.
    Stopped,
    /// It is to be made again.
    Lost {
        /// For this reason.
        why: String,
        /// How long it was logged in.
        served: Duration,
    },
}

impl LinkEnd {
    /// It never was logged in.
    const fn never_up(why: String) -> Self {
        Self::Lost { why, served: Duration::ZERO }
    }
}

/// The waits between connections: they grow while connections fail, and begin anew after one that was good.
#[derive(Default)]
struct Reconnects {
    failures: u32,
    last_wait: Duration,
}

impl Reconnects {
    /// The wait after a connection that was logged in for so long. One that served for longer than the wait before it
    /// was good: people are not to wait for a server that drops its connections now and then. One that is dropped at
    /// once after the login counts as a failure.
    fn wait(&mut self, served: Duration, backoff: &Backoff) -> Duration {
        self.failures = if served > self.last_wait { 1 } else { self.failures.saturating_add(1) };
        self.last_wait = backoff.wait(self.failures);
        self.last_wait
    }
}

/// Connects, and connects again, until the transport is to stop.
pub(super) async fn keep_connected(shared: SharedState) {
    let (settings, signals) = {
        let state = shared.borrow();
        (state.settings.clone(), state.link.signals.clone())
    };
    let mut reconnects = Reconnects::default();
    loop {
        let end = connect_and_serve(&shared, &settings, &signals).await;
        let LinkEnd::Lost { why, served } = end else { return };
        let wait = reconnects.wait(served, &settings.reconnect);
        down(&shared, why, wait);
        tokio::select! {
            () = sleep(wait) => {}
            () = signals.stop.notified() => return,
        }
    }
}

fn down(shared: &SharedState, why: String, wait: Duration) {
    let mut state = shared.borrow_mut();
    let now = state.clock.now();
    let since = match &state.link.state {
        LinkState::Down { since, .. } => *since,
        _ => now,
    };
    tracing::warn!(transport = %state.name, server = %state.settings.address(), %why, again_in_ms = wait.as_millis(),
        "not connected");
    state.link_lost(LinkState::Down { since, why });
}

async fn connect_and_serve(shared: &SharedState, settings: &Settings, signals: &Rc<Signals>) -> LinkEnd {
    if shared.borrow().is_replaced() {
        return LinkEnd::Stopped;
    }
    let address = settings.address();
    let connect = timeout(settings.connect_limit, TcpStream::connect(&address));
    let connected = tokio::select! {
        connected = connect => connected,
        () = signals.stop.notified() => return LinkEnd::Stopped,
    };
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return LinkEnd::never_up(format!("can't connect: {error}")),
        Err(_) => return LinkEnd::never_up(format!("can't connect: no answer within {:?}", settings.connect_limit)),
    };
    // Frames are written together already; the kernel need not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        return LinkEnd::never_up(format!("can't connect: {error}"));
    }
    let secured = tokio::select! {
        secured = timeout(settings.connect_limit, secured(settings.tls_target(), stream)) => secured,
        () = signals.stop.notified() => return LinkEnd::Stopped,
    };
    let stream = match secured {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => return LinkEnd::never_up(format!("can't connect: {why}")),
        Err(_) => return LinkEnd::never_up(format!("can't connect: no TLS within {:?}", settings.connect_limit)),
    };
    let (read, write) = split(stream);
    let mut reader = FrameReader { read, codec: Codec::default(), buffer: BytesMut::with_capacity(CHUNK) };
    let mut write = write;
    let logged_in = tokio::select! {
        logged_in = timeout(settings.login_limit, log_in(settings, &mut reader, &mut write)) => logged_in,
        () = signals.stop.notified() => return LinkEnd::Stopped,
    };
    match logged_in {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return LinkEnd::never_up(why),
        Err(_) => return LinkEnd::never_up(format!("no answer to the login within {:?}", settings.login_limit)),
    }
    {
        let mut state = shared.borrow_mut();
        tracing::info!(transport = %state.name, server = %address, sessions = state.dialogues.len(), "logged in");
        state.link_up();
    }
    let since = Instant::now();
    let why = tokio::select! {
        why = reader.read_commands(shared, signals) => why,
        error = write_frames(write, shared, signals) => format!("could not write: {error}"),
        why = check_link(shared, settings.link_check) => why,
        () = signals.stop.notified() => return LinkEnd::Stopped,
    };
    LinkEnd::Lost { why, served: since.elapsed() }
}

/// Logs in; an error says why not. The first answer decides.
async fn log_in(settings: &Settings, reader: &mut FrameReader, write: &mut Writing) -> Result<(), String> {
    let password = Password(settings.password.expose_secret().to_owned());
    let login = ClientCommand::Login { username: settings.username.clone(), password };
    let frame = login.encode().map_err(|bad| bad.to_string())?.bytes;
    let written = async {
        write.write_all(&frame).await?;
        write.flush().await
    };
    written.await.map_err(|error: io::Error| format!("can't log in: {error}"))?;
    match reader.next().await.map_err(|error| format!("can't log in: {error}"))? {
        Ok(ServerCommand::Ack { kind: AckKind::Login }) => Ok(()),
        Ok(ServerCommand::Nack { kind }) => {
            Err(format!("the login was refused (NACK {kind}): check `username` and `password`"))
        }
        Ok(_) => Err("the login was refused: the server answered with something else".to_owned()),
        Err(malformed) => Err(format!("the login was refused: {malformed}")),
    }
}

struct FrameReader {
    read: Reading,
    codec: Codec<ServerCommand>,
    buffer: BytesMut,
}

impl FrameReader {
    async fn more(&mut self) -> io::Result<()> {
        self.buffer.reserve(CHUNK);
        match self.read.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }

    async fn next(&mut self) -> io::Result<Result<ServerCommand, Malformed>> {
        loop {
            if let Some(item) = self.codec.next(&mut self.buffer) {
                return Ok(item);
            }
            self.more().await?;
        }
    }

    /// Reads commands until the connection is lost. While no more can be taken, nothing is read: TCP
    /// then holds the server back.
    async fn read_commands(&mut self, shared: &SharedState, signals: &Signals) -> String {
        loop {
            {
                let mut state = shared.borrow_mut();
                if state.is_replaced() {
                    return REPLACED.to_owned();
                }
                while let Some(item) = self.codec.next(&mut self.buffer) {
                    if let Err(why) = state.on_command(item) {
                        return why;
                    }
                }
            }
            while !shared.borrow().lets_read() {
                shared.borrow_mut().link.reading_paused = true;
                signals.readable.notified().await;
            }
            if let Err(error) = self.more().await {
                return error.to_string();
            }
        }
    }
}

/// Writes frames, all that wait at once, until that fails.
async fn write_frames(mut write: Writing, shared: &SharedState, signals: &Signals) -> io::Error {
    loop {
        let mut frames = shared.borrow_mut().link.frames.take();
        if frames.is_empty() {
            signals.writable.notified().await;
            continue;
        }
        while frames.has_remaining() {
            // The fresh one has a connection of its own.
            if shared.borrow().is_replaced() {
                return io::Error::other(REPLACED);
            }
            match write.write(&frames).await {
                Ok(0) => return io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    frames.advance(written);
                    shared.borrow_mut().wrote(written);
                }
                Err(error) => return error,
            }
        }
        // TLS may hold the end of it still.
        if let Err(error) = write.flush().await {
            return error;
        }
    }
}

/// Sends link checks, until one is not answered by the time of the next.
async fn check_link(shared: &SharedState, every: Duration) -> String {
    loop {
        sleep(every).await;
        let mut state = shared.borrow_mut();
        let reading_paused = std::mem::take(&mut state.link.reading_paused);
        if !state.link.unanswered_check {
            state.link.unanswered_check = true;
            state.link.send(&ClientCommand::LinkCheck);
        } else if !reading_paused {
            return format!("no answer to a link check within {every:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vumi_kit::backoff::Backoff;

    use super::Reconnects;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_server_that_drops_good_connections_again_and_again_is_back_after_the_first_wait_each_time() {
        let (mut reconnects, backoff) = (Reconnects::default(), Backoff::new(seconds(1), seconds(30)));
        for _ in 0..20 {
            assert!(reconnects.wait(seconds(13), &backoff) <= backoff.first);
        }
    }

    #[test]
    fn a_server_that_drops_connections_at_once_is_left_alone_for_longer_and_longer() {
        let (mut reconnects, backoff) = (Reconnects::default(), Backoff::new(seconds(1), seconds(30)));
        let waits: Vec<Duration> = (0..8).map(|_| reconnects.wait(Duration::from_millis(50), &backoff)).collect();
        assert!(waits.last().unwrap() > &(backoff.most / 2), "{waits:?}");
        assert!(reconnects.wait(seconds(40), &backoff) <= backoff.first, "and begins anew after a good one");
    }
}
