//! The connection: made, logged in, kept alive, made again.

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
use vumi_ssmi_codec::{AckKind, ClientCommand, Codec, Command, Malformed, Password, ServerCommand};

use super::{
    Settings,
    core::{LinkState, Shared, Signals},
};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How a connection ended.
enum End {
    /// We were told to stop.
    Stopped,
    /// It is to be made again.
    Lost(String),
}

/// Keeps a connection until the transport is to stop.
pub(super) async fn keep(shared: Shared) {
    let (settings, signals) = {
        let core = shared.borrow();
        (core.settings.clone(), core.signals.clone())
    };
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let end = connect_and_serve(&shared, &settings, &signals).await;
        let End::Lost(why) = end else { return };
        // A server that takes us and drops us at once is not hurried.
        failures = if began.elapsed() > settings.reconnect.most { 1 } else { failures + 1 };
        let wait = settings.reconnect.wait(failures);
        down(&shared, why, wait);
        tokio::select! {
            () = sleep(wait) => {}
            () = signals.stop.notified() => return,
        }
    }
}

fn down(shared: &Shared, why: String, wait: Duration) {
    let mut core = shared.borrow_mut();
    let now = core.clock.now();
    let since = match &core.link {
        LinkState::Down { since, .. } => *since,
        _ => now,
    };
    tracing::warn!(transport = %core.name, server = %core.settings.address(), %why, again_in_ms = wait.as_millis(),
        "not connected");
    core.lose_link();
    core.link = LinkState::Down { since, why };
}

async fn connect_and_serve(shared: &Shared, settings: &Settings, signals: &Rc<Signals>) -> End {
    let address = settings.address();
    let connect = timeout(settings.connect_limit, TcpStream::connect(&address));
    let connected = tokio::select! {
        connected = connect => connected,
        () = signals.stop.notified() => return End::Stopped,
    };
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return End::Lost(format!("can't connect: {error}")),
        Err(_) => return End::Lost(format!("can't connect: no answer within {:?}", settings.connect_limit)),
    };
    // Frames are gathered here already; the kernel need not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        return End::Lost(format!("can't connect: {error}"));
    }
    let (read, write) = stream.into_split();
    let mut reader = Reader { read, codec: Codec::default(), buffer: BytesMut::with_capacity(CHUNK) };
    let mut write = write;
    let logged_in = tokio::select! {
        logged_in = timeout(settings.login_limit, log_in(settings, &mut reader, &mut write)) => logged_in,
        () = signals.stop.notified() => return End::Stopped,
    };
    match logged_in {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return End::Lost(why),
        Err(_) => return End::Lost(format!("no answer to the login within {:?}", settings.login_limit)),
    }
    {
        let mut core = shared.borrow_mut();
        tracing::info!(transport = %core.name, server = %address, sessions = core.table.len(), "logged in");
        core.gain_link();
    }
    tokio::select! {
        why = reader.listen(shared, signals) => End::Lost(why),
        error = speak(write, shared, signals) => End::Lost(format!("could not write: {error}")),
        why = check(shared, settings.link_check) => End::Lost(why),
        () = signals.stop.notified() => End::Stopped,
    }
}

/// Logs in; an error says why not. The first answer decides.
async fn log_in(settings: &Settings, reader: &mut Reader, write: &mut OwnedWriteHalf) -> Result<(), String> {
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

struct Reader {
    read: OwnedReadHalf,
    codec: Codec<ServerCommand>,
    buffer: BytesMut,
}

impl Reader {
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

    /// Hears the server until the connection is over. While nothing more can be passed on, nothing is read: TCP
    /// then holds the server back.
    async fn listen(&mut self, shared: &Shared, signals: &Signals) -> String {
        loop {
            {
                let mut core = shared.borrow_mut();
                while let Some(item) = self.codec.next(&mut self.buffer) {
                    if let Err(why) = core.hear(item) {
                        return why;
                    }
                }
            }
            while !shared.borrow().has_room() {
                shared.borrow_mut().reading_stood_still = true;
                signals.room.notified().await;
            }
            if let Err(error) = self.more().await {
                return error.to_string();
            }
        }
    }
}

/// Writes what there is to write, many frames at once, until that fails.
async fn speak(mut write: OwnedWriteHalf, shared: &Shared, signals: &Signals) -> io::Error {
    loop {
        let mut frames = shared.borrow_mut().wire.take();
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

/// Asks the server now and then whether it is there, until it is not.
async fn check(shared: &Shared, every: Duration) -> String {
    loop {
        sleep(every).await;
        let mut core = shared.borrow_mut();
        let stood_still = std::mem::take(&mut core.reading_stood_still);
        if !core.unanswered_check {
            core.unanswered_check = true;
            core.say(&ClientCommand::LinkCheck);
        } else if !stood_still {
            return format!("no answer to a link check within {every:?}");
        }
    }
}
