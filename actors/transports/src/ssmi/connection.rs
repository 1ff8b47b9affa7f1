//! The connection to the server: made, logged in, kept alive, made again when it is lost.

use std::{io, rc::Rc, time::Duration};

use bytes::{Buf, BytesMut};
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep, timeout},
};
use vumi_ssmi_codec::{AckKind, ClientCommand, Codec, Malformed, Password, ServerCommand, SsmiCommand};

use super::{
    Settings,
    server_link::{LinkState, Signals},
    state::SharedState,
};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How a connection ended.
enum LinkEnd {
    /// The transport stops.
    Stopped,
    /// It is to be made again, for this reason.
    Lost(String),
}

/// Connects, and connects again, until the transport is to stop.
pub(super) async fn keep_connected(shared: SharedState) {
    let (settings, signals) = {
        let state = shared.borrow();
        (state.settings.clone(), state.link.signals.clone())
    };
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let end = connect_and_serve(&shared, &settings, &signals).await;
        let LinkEnd::Lost(why) = end else { return };
        // A server that accepts the connection and drops it at once counts as a failure, too.
        failures = if began.elapsed() > settings.reconnect.most { 1 } else { failures + 1 };
        let wait = settings.reconnect.wait(failures);
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
    let address = settings.address();
    let connect = timeout(settings.connect_limit, TcpStream::connect(&address));
    let connected = tokio::select! {
        connected = connect => connected,
        () = signals.stop.notified() => return LinkEnd::Stopped,
    };
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return LinkEnd::Lost(format!("can't connect: {error}")),
        Err(_) => return LinkEnd::Lost(format!("can't connect: no answer within {:?}", settings.connect_limit)),
    };
    // Frames are written together already; the kernel need not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        return LinkEnd::Lost(format!("can't connect: {error}"));
    }
    let (read, write) = stream.into_split();
    let mut reader = FrameReader { read, codec: Codec::default(), buffer: BytesMut::with_capacity(CHUNK) };
    let mut write = write;
    let logged_in = tokio::select! {
        logged_in = timeout(settings.login_limit, log_in(settings, &mut reader, &mut write)) => logged_in,
        () = signals.stop.notified() => return LinkEnd::Stopped,
    };
    match logged_in {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return LinkEnd::Lost(why),
        Err(_) => return LinkEnd::Lost(format!("no answer to the login within {:?}", settings.login_limit)),
    }
    {
        let mut state = shared.borrow_mut();
        tracing::info!(transport = %state.name, server = %address, sessions = state.sessions.table.len(), "logged in");
        state.link_up();
    }
    tokio::select! {
        why = reader.read_commands(shared, signals) => LinkEnd::Lost(why),
        error = write_frames(write, shared, signals) => LinkEnd::Lost(format!("could not write: {error}")),
        why = check_link(shared, settings.link_check) => LinkEnd::Lost(why),
        () = signals.stop.notified() => LinkEnd::Stopped,
    }
}

/// Logs in; an error says why not. The first answer decides.
async fn log_in(settings: &Settings, reader: &mut FrameReader, write: &mut OwnedWriteHalf) -> Result<(), String> {
    let password = Password(settings.password.expose_secret().to_owned());
    let login = ClientCommand::Login { username: settings.username.clone(), password };
    let frame = login.encode().map_err(|bad| bad.to_string())?.bytes;
    write.write_all(&frame).await.map_err(|error| format!("can't log in: {error}"))?;
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
    read: OwnedReadHalf,
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
async fn write_frames(mut write: OwnedWriteHalf, shared: &SharedState, signals: &Signals) -> io::Error {
    loop {
        let mut frames = shared.borrow_mut().link.frames.take();
        if frames.is_empty() {
            signals.writable.notified().await;
            continue;
        }
        while frames.has_remaining() {
            match write.write(&frames).await {
                Ok(0) => return io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    frames.advance(written);
                    shared.borrow_mut().wrote(written);
                }
                Err(error) => return error,
            }
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
