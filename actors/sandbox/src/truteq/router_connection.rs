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
    handset_network::{HandsetNetwork, MAX_REPORTS},
    settings::TruteqSettings,
};
use crate::{behaviour::DropWhen, due_queue::DueQueue, provider_core::accepts};

/// How many messages from handsets can wait for a router to read.
const MAX_ORDERS: usize = 4096;
/// How long a connection may stay without a login, and how long a write may wait for the router to read.
const IO_LIMIT: Duration = Duration::from_secs(30);
/// The kind of the NACK to a refused login and to every command before a login.
const NOT_LOGGED_IN: u32 = 1;

struct RouterConnection {
    network: Arc<HandsetNetwork>,
    settings: Arc<TruteqSettings>,
    orders: mpsc::Sender<ServerCommand>,
    /// Its number in the network, after the login.
    number: Option<u64>,
    commands: u64,
    queue: DueQueue<ServerCommand>,
    out: BytesMut,
}

/// Serves a connection to its end.
pub(super) async fn run(socket: TcpStream, network: Arc<HandsetNetwork>, settings: Arc<TruteqSettings>) {
    let (reader, writer) = socket.into_split();
    let (sender, orders) = mpsc::channel(MAX_ORDERS);
    let mut connection = RouterConnection {
        network,
        settings,
        orders: sender,
        number: None,
        commands: 0,
        queue: DueQueue::default(),
        out: BytesMut::new(),
    };
    let frames = FramedRead::new(reader, Codec::<ClientCommand>::default());
    if let Err(error) = connection.serve(frames, writer, orders).await {
        tracing::debug!(%error, "a router's connection to TruTeq failed");
    }
    let reports = std::mem::take(&mut connection.queue).into_items().filter(is_report);
    connection.network.log_out(connection.number, reports);
}

impl RouterConnection {
    async fn serve(
        &mut self,
        mut frames: FramedRead<OwnedReadHalf, Codec<ClientCommand>>,
        mut writer: OwnedWriteHalf,
        mut orders: mpsc::Receiver<ServerCommand>,
    ) -> io::Result<()> {
        let login_by = Instant::now() + IO_LIMIT;
        let mut drops = self.network.drops();
        loop {
            while let Some(command) = self.queue.take_due(Instant::now()) {
                if is_report(&command) {
                    self.network.core.seen.record().counts.receipts_posted += 1;
                }
                self.write(&command);
            }
            if !self.out.is_empty() {
                tokio::time::timeout(IO_LIMIT, writer.write_all_buf(&mut self.out)).await??;
            }
            tokio::select! {
                item = frames.next() => match item {
                    None => return Ok(()),
                    Some(Err(error)) => return Err(error),
                    Some(Ok(Err(malformed))) => {
                        tracing::debug!(?malformed, "a router sent TruTeq a command that can't be read");
                        self.network.ignored();
                    }
                    Some(Ok(Ok(command))) => if self.handle(command).is_break() {
                        // Earlier answers are sent; the answer to a dropped command was never written to `out`.
                        return tokio::time::timeout(IO_LIMIT, writer.write_all_buf(&mut self.out)).await?;
                    },
                },
                Some(order) = orders.recv() => self.write(&order),
                () = self.queue.wait() => {}
                _ = drops.changed() => return Ok(()),
                () = tokio::time::sleep_until(login_by), if self.number.is_none() => return Ok(()),
            }
        }
    }

    fn write(&mut self, command: &ServerCommand) {
        if self.number.is_some() && self.network.core.behaviour.rules().malformed {
            self.out.extend_from_slice(b"SSMI,110,what\r");
        }
        if let Err(bad) = command.encode_into(&mut self.out) {
            tracing::debug!(field = bad.field, "TruTeq could not write a command");
        }
    }

    /// Handles a command; `Break` closes the connection.
    fn handle(&mut self, command: ClientCommand) -> ControlFlow<()> {
        let rules = self.network.core.behaviour.rules();
        let Some(number) = self.number else {
            match command {
                ClientCommand::Login { username, password } => self.log_in(&username, &password, rules.refuse_login),
                _ => self.write(&ServerCommand::Nack { kind: NOT_LOGGED_IN }),
            }
            return ControlFlow::Continue(());
        };
        self.commands += 1;
        match command {
            ClientCommand::Logout => return ControlFlow::Break(()),
            ClientCommand::LinkCheck if rules.ignore_link_checks => {}
            ClientCommand::LinkCheck => self.write(&ServerCommand::Ack { kind: AckKind::LinkCheck }),
            ClientCommand::Ussd { msisdn, kind, message }
            | ClientCommand::ExtendedUssd { msisdn, kind, message, .. } => {
                self.network.show(number, &msisdn, kind, message);
            }
            ClientCommand::SendSms { msisdn, message, .. } => self.take_sms(&msisdn, &message)?,
            ClientCommand::SendBinarySms { msisdn, hex, .. } => self.take_sms(&msisdn, &hex)?,
            ClientCommand::Login { .. }
            | ClientCommand::Mms { .. }
            | ClientCommand::WapPush { .. }
            | ClientCommand::ImsiLookup { .. } => self.network.ignored(),
        }
        if rules.drop_after > 0 && self.commands >= rules.drop_after {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn log_in(&mut self, username: &str, password: &Password, refuse: bool) {
        let wanted = self.settings.password.as_ref().map(|password| password.expose_secret());
        if refuse || !accepts(self.settings.username.as_deref(), username) || !accepts(wanted, &password.0) {
            self.write(&ServerCommand::Nack { kind: NOT_LOGGED_IN });
            return;
        }
        self.write(&ServerCommand::Ack { kind: AckKind::Login });
        let (number, reports) = self.network.log_in(self.orders.clone());
        self.number = Some(number);
        for report in reports {
            self.queue.put(Instant::now(), report);
        }
    }

    /// Takes an SMS and queues its sequence number and its delivery report.
    fn take_sms(&mut self, msisdn: &str, text: &str) -> ControlFlow<()> {
        let core = Arc::clone(&self.network.core);
        let plan = core.behaviour.plan_next();
        if plan.dropped == Some(DropWhen::Before) {
            core.seen.dropped();
            return ControlFlow::Break(());
        }
        let (taken, code, times) = if plan.refused {
            core.seen.refused();
            (core.next_number(), plan.refusal("3"), 1)
        } else {
            core.show_on_handset("", msisdn, text);
            let taken = core.take(&format!("{msisdn} {text}"));
            (taken, plan.receipt_status("0"), plan.rules.receipts.times())
        };
        let (msisdn, sequence) = (msisdn.to_owned(), taken.number.to_string());
        let code = ReturnCode::from(code.parse::<u32>().unwrap_or(0));
        let answered = Instant::now() + plan.rules.delay;
        let reported = answered + plan.rules.receipt_delay;
        if plan.dropped.is_none() {
            self.queue.put(answered, ServerCommand::Seq { msisdn: msisdn.clone(), sequence: sequence.clone() });
        }
        for _ in 0..times {
            if self.queue.len() < MAX_REPORTS {
                let (msisdn, sequence) = (msisdn.clone(), sequence.clone());
                self.queue.put(reported, ServerCommand::DeliveryReport { msisdn, sequence, code });
            } else {
                core.seen.record().counts.receipts_given_up += 1;
            }
        }
        if plan.dropped.is_some() {
            core.seen.dropped();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

const fn is_report(command: &ServerCommand) -> bool {
    matches!(command, ServerCommand::DeliveryReport { .. })
}
