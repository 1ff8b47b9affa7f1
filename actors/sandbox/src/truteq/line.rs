//! One router's connection to TruTeq.

use std::{io, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::Instant,
};
use tokio_util::codec::FramedRead;
use vumi_ssmi_codec::{AckKind, ClientCommand, Codec, Password, ReturnCode, ServerCommand, SsmiCommand as _};

use super::{
    TruteqSettings,
    exchange::{Exchange, MOST_REPORTS},
};
use crate::{behaviour::DropWhen, carrier::accepts, later::Later};

/// How many messages from handsets can wait for a router to read.
const ORDERS: usize = 4096;
/// How long a connection may stay without a login, and a write without room.
const PATIENCE: Duration = Duration::from_secs(30);
/// The NACK of a login, and of everything that comes before one.
const NOT_LOGGED_IN: u32 = 1;

struct Line {
    exchange: Arc<Exchange>,
    settings: Arc<TruteqSettings>,
    orders: mpsc::Sender<ServerCommand>,
    /// Its number at the exchange, once it is logged in.
    number: Option<u64>,
    commands: u64,
    later: Later<ServerCommand>,
    out: BytesMut,
}

/// Serves a connection to its end.
pub(super) async fn run(socket: TcpStream, exchange: Arc<Exchange>, settings: Arc<TruteqSettings>) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a TruTeq connection keeps its delay");
    }
    let (reader, writer) = socket.into_split();
    let (sender, orders) = mpsc::channel(ORDERS);
    let mut line = Line {
        exchange,
        settings,
        orders: sender,
        number: None,
        commands: 0,
        later: Later::default(),
        out: BytesMut::new(),
    };
    let frames = FramedRead::new(reader, Codec::<ClientCommand>::default());
    if let Err(error) = line.serve(frames, writer, orders).await {
        tracing::debug!(%error, "a router's connection to TruTeq failed");
    }
    let reports = std::mem::take(&mut line.later).into_things().filter(is_report);
    line.exchange.log_out(line.number, reports);
}

impl Line {
    async fn serve(
        &mut self,
        mut frames: FramedRead<OwnedReadHalf, Codec<ClientCommand>>,
        mut writer: OwnedWriteHalf,
        mut orders: mpsc::Receiver<ServerCommand>,
    ) -> io::Result<()> {
        let login_by = Instant::now() + PATIENCE;
        let mut drops = self.exchange.drops();
        loop {
            while let Some(command) = self.later.take_due(Instant::now()) {
                if is_report(&command) {
                    self.exchange.carrier.seen.tally().counts.receipts_posted += 1;
                }
                self.say(&command);
            }
            if !self.out.is_empty() {
                tokio::time::timeout(PATIENCE, writer.write_all_buf(&mut self.out)).await??;
            }
            tokio::select! {
                item = frames.next() => match item {
                    None => return Ok(()),
                    Some(Err(error)) => return Err(error),
                    Some(Ok(Err(malformed))) => {
                        tracing::debug!(?malformed, "a router sent TruTeq a command that can't be read");
                        self.exchange.ignored();
                    }
                    Some(Ok(Ok(command))) => if self.hear(command).is_break() {
                        // What was answered before goes out; what a drop swallows was never written here.
                        return tokio::time::timeout(PATIENCE, writer.write_all_buf(&mut self.out)).await?;
                    },
                },
                Some(order) = orders.recv() => self.say(&order),
                () = self.later.wait() => {}
                _ = drops.changed() => return Ok(()),
                () = tokio::time::sleep_until(login_by), if self.number.is_none() => return Ok(()),
            }
        }
    }

    fn say(&mut self, command: &ServerCommand) {
        if self.number.is_some() && self.exchange.carrier.behaviour.rules().malformed {
            self.out.extend_from_slice(b"SSMI,110,what\r");
        }
        if let Err(bad) = command.encode_into(&mut self.out) {
            tracing::debug!(field = bad.field, "TruTeq could not write a command");
        }
    }

    /// Does what a command asks; `Break` closes the connection.
    fn hear(&mut self, command: ClientCommand) -> ControlFlow<()> {
        let rules = self.exchange.carrier.behaviour.rules();
        let Some(number) = self.number else {
            match command {
                ClientCommand::Login { username, password } => self.log_in(&username, &password, rules.refuse_login),
                _ => self.say(&ServerCommand::Nack { kind: NOT_LOGGED_IN }),
            }
            return ControlFlow::Continue(());
        };
        self.commands += 1;
        match command {
            ClientCommand::Logout => return ControlFlow::Break(()),
            ClientCommand::LinkCheck if rules.ignore_link_checks => {}
            ClientCommand::LinkCheck => self.say(&ServerCommand::Ack { kind: AckKind::LinkCheck }),
            ClientCommand::Ussd { msisdn, kind, message }
            | ClientCommand::ExtendedUssd { msisdn, kind, message, .. } => {
                self.exchange.show(number, &msisdn, kind, message);
            }
            ClientCommand::SendSms { msisdn, message, .. } => self.take_sms(&msisdn, &message)?,
            ClientCommand::SendBinarySms { msisdn, hex, .. } => self.take_sms(&msisdn, &hex)?,
            ClientCommand::Login { .. }
            | ClientCommand::Mms { .. }
            | ClientCommand::WapPush { .. }
            | ClientCommand::ImsiLookup { .. } => self.exchange.ignored(),
        }
        if rules.drop_after > 0 && self.commands >= rules.drop_after {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn log_in(&mut self, username: &str, password: &Password, refuse: bool) {
        let wanted = self.settings.password.as_ref().map(|password| password.expose_secret());
        if refuse || !accepts(self.settings.username.as_deref(), username) || !accepts(wanted, &password.0) {
            self.say(&ServerCommand::Nack { kind: NOT_LOGGED_IN });
            return;
        }
        self.say(&ServerCommand::Ack { kind: AckKind::Login });
        let (number, reports) = self.exchange.log_in(self.orders.clone());
        self.number = Some(number);
        for report in reports {
            self.later.put(Instant::now(), report);
        }
    }

    /// Takes an SMS: a sequence number at once, a delivery report later.
    fn take_sms(&mut self, msisdn: &str, text: &str) -> ControlFlow<()> {
        let carrier = Arc::clone(&self.exchange.carrier);
        let turn = carrier.behaviour.turn();
        if turn.dropped == Some(DropWhen::Before) {
            carrier.seen.dropped();
            return ControlFlow::Break(());
        }
        let (taken, code, times) = if turn.refused {
            carrier.seen.refused();
            (carrier.next_number(), turn.refusal("3"), 1)
        } else {
            let taken = carrier.take(&format!("{msisdn} {text}"));
            (taken, turn.receipt_status("0"), turn.rules.receipts.times())
        };
        let (msisdn, sequence) = (msisdn.to_owned(), taken.number.to_string());
        let code = ReturnCode::from(code.parse::<u32>().unwrap_or(0));
        let answered = Instant::now() + turn.rules.delay;
        let reported = answered + turn.rules.receipt_delay;
        if turn.dropped.is_none() {
            self.later.put(answered, ServerCommand::Seq { msisdn: msisdn.clone(), sequence: sequence.clone() });
        }
        for _ in 0..times {
            if self.later.len() < MOST_REPORTS {
                let (msisdn, sequence) = (msisdn.clone(), sequence.clone());
                self.later.put(reported, ServerCommand::DeliveryReport { msisdn, sequence, code });
            } else {
                carrier.seen.tally().counts.receipts_given_up += 1;
            }
        }
        if turn.dropped.is_some() {
            carrier.seen.dropped();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

const fn is_report(command: &ServerCommand) -> bool {
    matches!(command, ServerCommand::DeliveryReport { .. })
}
