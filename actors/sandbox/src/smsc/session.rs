//! One router's connection to the centre.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::codec::FramedRead;
use vumi_smpp_codec::{
    Bind, BindResp, CommandId, IncomingPdu, Message, OutgoingPdu, Pdu, SmppCodec, StreamFault, Tlvs, status, tag,
};

use super::{
    delivery::{DeliveryContent, SmscDelivery},
    esme_queue::EsmeQueue,
    network::{SmscNetwork, directions},
    receipts::{deliver, odd_commands, receipt},
};
use crate::{behaviour::Misbehaviour, due_queue::DueQueue};

/// How many answers of a connection can be late at once; at more it is not read.
const MAX_LATE_ANSWERS: usize = 10_000;
/// How long a connection may stay without a bind, and how long a write may wait for the router to read.
const IO_LIMIT: Duration = Duration::from_secs(30);
/// The largest group of answers that come out of order, and how long one waits to be complete.
const MAX_GROUP: usize = 100;
const GROUP_LIMIT: Duration = Duration::from_millis(500);
/// The last sequence_number; 1 follows.
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;
/// SMPP 3.4, and the first version that knows TLVs.
const VERSION_3_4: u8 = 0x34;

/// What a connection is bound as.
pub(super) struct BoundSession {
    pub(super) esme: Arc<EsmeQueue>,
    pub(super) submits: bool,
    receives: bool,
    added: watch::Receiver<()>,
}

pub(super) struct SmscSession {
    pub(super) network: Arc<SmscNetwork>,
    pub(super) bound: Option<BoundSession>,
    /// Answers, each at its time.
    answers: DueQueue<OutgoingPdu>,
    /// Answers that wait until their group is complete, and how long.
    held: Vec<(Instant, OutgoingPdu)>,
    held_by: Option<Instant>,
    /// Deliveries that the router has not acknowledged, by sequence_number.
    unacknowledged: HashMap<u32, SmscDelivery>,
    /// When the first of them was sent, or the last was acknowledged.
    acknowledged_at: Instant,
    last_sequence: u32,
    commands: u64,
    pub(super) submissions: u64,
    out: BytesMut,
}

/// Serves a connection to its end.
pub(super) async fn run(socket: TcpStream, network: Arc<SmscNetwork>) {
    let (reader, writer) = socket.into_split();
    let mut session = SmscSession {
        network,
        bound: None,
        answers: DueQueue::default(),
        held: Vec::new(),
        held_by: None,
        unacknowledged: HashMap::new(),
        acknowledged_at: Instant::now(),
        last_sequence: 0,
        commands: 0,
        submissions: 0,
        out: BytesMut::new(),
    };
    let frames = FramedRead::new(reader, SmppCodec::default());
    if let Err(error) = session.serve(frames, writer).await {
        tracing::debug!(%error, "a router's connection to the SMPP centre failed");
    }
    session.end();
}

impl SmscSession {
    async fn serve(
        &mut self,
        mut frames: FramedRead<OwnedReadHalf, SmppCodec>,
        mut writer: OwnedWriteHalf,
    ) -> Result<(), StreamFault> {
        let bind_by = Instant::now() + IO_LIMIT;
        let mut drops = self.network.drops();
        loop {
            self.write_due();
            self.flush(&mut writer).await?;
            let has_capacity = self.answers.len() < MAX_LATE_ANSWERS;
            let acknowledge_by = self.acknowledged_at + self.network.settings.answer_limit;
            let expects_answers = !self.unacknowledged.is_empty() && !self.rules().smpp.half_open;
            tokio::select! {
                item = frames.next(), if has_capacity => match item {
                    None => return Ok(()),
                    Some(Err(fault)) => {
                        self.nack_stream(&fault);
                        return self.flush(&mut writer).await.and(Err(fault));
                    }
                    Some(Ok(frame)) => if self.handle(frame).is_break() {
                        return self.flush(&mut writer).await;
                    },
                },
                () = self.answers.wait() => {}
                () = sleep_until(self.held_by.unwrap_or(bind_by)), if self.held_by.is_some() => {}
                () = deliverable(self.bound.as_mut()), if self.has_window() => {}
                () = sleep_until(acknowledge_by), if expects_answers => {
                    self.network.count(|counts| counts.unacknowledged += 1);
                    return Ok(());
                }
                _ = drops.changed() => return Ok(()),
                () = sleep_until(bind_by), if self.bound.is_none() => return Ok(()),
            }
        }
    }

    async fn flush(&mut self, writer: &mut OwnedWriteHalf) -> Result<(), StreamFault> {
        if !self.out.is_empty() {
            timeout(IO_LIMIT, writer.write_all_buf(&mut self.out)).await.map_err(std::io::Error::from)??;
        }
        Ok(())
    }

    /// Where the next PDU begins is unknown.
    fn nack_stream(&mut self, fault: &StreamFault) {
        if matches!(fault, StreamFault::BadLength(_)) {
            self.network.count(|counts| counts.ignored += 1);
            self.write(&OutgoingPdu { status: status::ESME_RINVCMDLEN, sequence: 0, pdu: Pdu::GenericNack });
        }
    }

    fn rules(&self) -> Arc<Misbehaviour> {
        self.network.core.behaviour.rules()
    }

    fn has_window(&self) -> bool {
        self.unacknowledged.len() < self.network.settings.window && !self.rules().smpp.half_open
    }

    /// Writes what is due: an answer before its receipt, unless the rules say otherwise.
    fn write_due(&mut self) {
        let rules = self.rules();
        if rules.smpp.receipt_first {
            self.write_deliveries(&rules);
            self.write_answers(&rules);
        } else {
            self.write_answers(&rules);
            self.write_deliveries(&rules);
        }
    }

    fn write_answers(&mut self, rules: &Misbehaviour) {
        let now = Instant::now();
        if self.held_by.is_some_and(|by| by <= now) {
            self.release_held();
        }
        while let Some(answer) = self.answers.take_due(now) {
            if !rules.smpp.half_open {
                self.write(&answer);
            }
        }
    }

    /// Puts an answer at its time into the queue; where answers come out of order, once its group is complete.
    pub(super) fn answer_at(&mut self, due: Instant, answer: OutgoingPdu, group: usize) {
        if group == 0 {
            return self.answers.put(due, answer);
        }
        self.held_by.get_or_insert(Instant::now() + GROUP_LIMIT);
        self.held.push((due, answer));
        if self.held.len() >= group.min(MAX_GROUP) {
            self.release_held();
        }
    }

    /// The held answers, the last first; all when the last of them is due.
    fn release_held(&mut self) {
        self.held_by = None;
        let due = self.held.iter().map(|(due, _)| *due).max();
        for (own, answer) in std::mem::take(&mut self.held).into_iter().rev() {
            self.answers.put(due.unwrap_or(own), answer);
        }
    }

    fn write_deliveries(&mut self, rules: &Misbehaviour) {
        let now = Instant::now();
        while self.has_window()
            && let Some(bound) = self.bound.as_ref().filter(|bound| bound.receives)
            && let Some(delivery) = bound.esme.take_due(now)
        {
            self.deliver(delivery, rules);
        }
    }

    fn deliver(&mut self, delivery: SmscDelivery, rules: &Misbehaviour) {
        let pdu = match &delivery.content {
            DeliveryContent::Receipt(sms) => {
                if !sms.wants_receipt() {
                    return;
                }
                receipt(sms, &rules.smpp, self.network.core.clock.now())
            }
            DeliveryContent::Inbound { message, .. } => deliver(Message::clone(message)),
        };
        if rules.smpp.odd_pdus {
            let recipient = match &delivery.content {
                DeliveryContent::Receipt(sms) => &sms.destination,
                DeliveryContent::Inbound { message, .. } => &message.source,
            };
            for odd in odd_commands(self.next_sequence(), recipient) {
                self.write(&odd);
            }
        }
        if self.unacknowledged.is_empty() {
            self.acknowledged_at = Instant::now();
        }
        let sequence = self.next_sequence();
        self.unacknowledged.insert(sequence, delivery);
        self.write(&OutgoingPdu { status: status::ESME_ROK, sequence, pdu });
    }

    pub(super) fn next_sequence(&mut self) -> u32 {
        self.last_sequence = if self.last_sequence >= LAST_SEQUENCE { 1 } else { self.last_sequence + 1 };
        self.last_sequence
    }

    pub(super) fn write(&mut self, command: &OutgoingPdu) {
        if let Err(error) = command.encode_into(&mut self.out) {
            tracing::debug!(%error, "the SMPP centre could not write a PDU");
        }
    }

    /// Handles a PDU; `Break` closes the connection, once what was written is sent.
    fn handle(&mut self, frame: IncomingPdu) -> ControlFlow<()> {
        let rules = self.rules();
        if rules.smpp.half_open {
            self.network.count(|counts| counts.ignored += 1);
            return ControlFlow::Continue(());
        }
        let IncomingPdu { command, status, sequence, body } = frame;
        match body {
            Err(fault) => {
                self.network.count(|counts| counts.ignored += 1);
                self.refuse(command, sequence, fault.status());
            }
            Ok(pdu) => self.respond(command, sequence, status, pdu)?,
        }
        if self.bound.is_some() {
            self.commands += 1;
            if rules.drop_after > 0 && self.commands >= rules.drop_after {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn respond(&mut self, command: CommandId, sequence: u32, status: u32, pdu: Pdu) -> ControlFlow<()> {
        match pdu {
            Pdu::Bind(bind) => self.bind(sequence, &bind),
            Pdu::EnquireLink => {
                self.network.count(|counts| counts.enquiries += 1);
                if !self.rules().ignore_link_checks {
                    self.write(&OutgoingPdu { status: status::ESME_ROK, sequence, pdu: Pdu::EnquireLinkResp });
                }
            }
            Pdu::Unbind => {
                self.network.count(|counts| counts.unbinds += 1);
                self.write(&OutgoingPdu { status: status::ESME_ROK, sequence, pdu: Pdu::UnbindResp });
                return ControlFlow::Break(());
            }
            Pdu::UnbindResp => return ControlFlow::Break(()),
            Pdu::SubmitSm(message) => return self.submit(command, sequence, &message),
            Pdu::DataSm(data) => return self.submit_data(command, sequence, *data),
            Pdu::QuerySm(query) => self.query(command, sequence, &query),
            Pdu::CancelSm(cancel) => self.cancel(command, sequence, &cancel),
            Pdu::ReplaceSm(_) => self.refuse(command, sequence, status::ESME_RREPLACEFAIL),
            Pdu::DeliverSmResp(_) | Pdu::DataSmResp(_) => self.acknowledge(sequence, status),
            // It refuses a PDU of ours that the router could not read.
            Pdu::GenericNack => self.acknowledge(sequence, status.max(1)),
            Pdu::EnquireLinkResp => {}
            _ => {
                self.network.count(|counts| counts.ignored += 1);
                self.refuse(command, sequence, status::ESME_RINVCMDID);
            }
        }
        ControlFlow::Continue(())
    }

    /// Answers a request with a status and no more; responses get no answer.
    pub(super) fn refuse(&mut self, request: CommandId, sequence: u32, status: u32) {
        if let Some(pdu) = Pdu::bare_response(request) {
            self.write(&OutgoingPdu { status, sequence, pdu });
        }
    }

    fn bind(&mut self, sequence: u32, bind: &Bind) {
        let mode = bind.mode;
        let found = if self.bound.is_some() { Err(status::ESME_RALYBND) } else { self.network.bind(bind) };
        let esme = match found {
            Ok(esme) => esme,
            Err(status) => {
                self.write(&OutgoingPdu {
                    status,
                    sequence,
                    pdu: Pdu::BindResp(BindResp { mode, ..BindResp::default() }),
                });
                return;
            }
        };
        let (submits, receives) = directions(mode);
        esme.bound(receives);
        self.bound = Some(BoundSession { added: esme.added(), esme, submits, receives });
        let tlvs = if bind.interface_version < VERSION_3_4 {
            Tlvs::new()
        } else {
            Tlvs::new().with(tag::SC_INTERFACE_VERSION, vec![VERSION_3_4])
        };
        let pdu = Pdu::BindResp(BindResp { mode, system_id: "vumi-sandbox".into(), tlvs });
        self.write(&OutgoingPdu { status: status::ESME_ROK, sequence, pdu });
    }

    fn acknowledge(&mut self, sequence: u32, status: u32) {
        let Some(delivery) = self.unacknowledged.remove(&sequence) else {
            self.network.count(|counts| counts.ignored += 1);
            return;
        };
        self.acknowledged_at = Instant::now();
        if let Some(bound) = &self.bound {
            self.network.acknowledged(&bound.esme, delivery, status);
        }
    }

    /// What the router has not acknowledged goes to another connection, or waits for one.
    fn end(&mut self) {
        if let Some(bound) = self.bound.take() {
            bound.esme.unbound(bound.receives);
            for (_, delivery) in self.unacknowledged.drain() {
                bound.esme.put_back(delivery);
            }
        }
    }
}

/// Waits until a delivery is due for a connection that takes them; for ever if it takes none.
async fn deliverable(bound: Option<&mut BoundSession>) {
    let Some(bound) = bound.filter(|bound| bound.receives) else { return std::future::pending().await };
    let Some(due) = bound.esme.next_due() else {
        if bound.added.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        return;
    };
    tokio::select! {
        () = sleep_until(due) => {}
        _ = bound.added.changed() => {}
    }
}
