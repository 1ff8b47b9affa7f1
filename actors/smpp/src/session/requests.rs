//! The ESME's PDUs: what each asks for, and whether the session's state allows it.

use std::rc::Rc;

use futures_util::FutureExt;
use tokio::time::Instant;
use vumi_smpp_codec::{
    Bind, BindMode, BindResp, CommandId, FieldFault, IncomingPdu, MAX_LENGTH, Message, MessageResp, OutgoingPdu, Pdu,
    QuerySmResp, Tlvs, status, tag,
};

use super::{Done, End, EsmeBind, EsmeSession, UNBIND_WITHIN};
use crate::{
    binds::BindPlace,
    login::{self, BindStatus},
    lookup,
    submit::Submitter,
};

/// The versions of the protocol from which on an ESME knows TLVs.
const KNOWS_TLVS: u8 = 0x34;

impl EsmeSession {
    /// Deals with a PDU.
    pub(super) fn take(&mut self, frame: IncomingPdu) {
        let IncomingPdu { command, status, sequence, body } = frame;
        // Whatever comes shows that somebody is there.
        self.asked = None;
        for probe in self.probes.drain(..) {
            let _gives_up_already = probe.send(());
        }
        match body {
            Ok(pdu) if command.is_response() => self.take_response(status, sequence, pdu),
            Ok(pdu) => self.take_request(command, sequence, pdu),
            Err(fault) => self.refuse_field(command, sequence, &fault, status),
        }
    }

    fn take_response(&mut self, status: u32, sequence: u32, pdu: Pdu) {
        match pdu {
            Pdu::DeliverSmResp(_) | Pdu::DataSmResp(_) | Pdu::GenericNack => self.delivery_answered(sequence, status),
            Pdu::UnbindResp if matches!(self.end, End::Unbinding { .. }) => self.close(),
            // An answer to nothing that was asked, or one that says no more than that somebody is there.
            _ => {}
        }
    }

    /// A body that can't be read: the session goes on.
    fn refuse_field(&mut self, command: CommandId, sequence: u32, fault: &FieldFault, status: u32) {
        if !command.is_response() {
            return self.respond(command, sequence, fault.status());
        }
        // An answer that can't be read is one all the same.
        let status = if status == status::ESME_ROK { fault.status() } else { status };
        self.delivery_answered(sequence, status);
    }

    /// Answers with a status alone.
    fn respond(&mut self, command: CommandId, sequence: u32, status: u32) {
        if let Some(pdu) = Pdu::bare_response(command) {
            self.answer(OutgoingPdu { status, sequence, pdu });
        }
    }

    fn take_request(&mut self, command: CommandId, sequence: u32, pdu: Pdu) {
        let unbound = status::ESME_RINVBNDSTS;
        match pdu {
            Pdu::EnquireLink => self.respond(command, sequence, status::ESME_ROK),
            Pdu::Unbind if self.bound.is_none() => self.respond(command, sequence, unbound),
            Pdu::Unbind => {
                self.leave("the ESME unbinds");
                self.end = End::AskedToUnbind { sequence, until: Instant::now() + UNBIND_WITHIN };
            }
            Pdu::Bind(bind) => self.bind(command, sequence, bind),
            Pdu::Outbind(_) | Pdu::AlertNotification(_) => {}
            Pdu::Unknown { .. } => {
                let (status, pdu) = (status::ESME_RINVCMDID, Pdu::GenericNack);
                self.answer(OutgoingPdu { status, sequence, pdu });
            }
            Pdu::DeliverSm(_) => self.respond(command, sequence, status::ESME_RINVCMDID),
            _ if !self.transmits() => self.respond(command, sequence, unbound),
            Pdu::SubmitSm(message) => self.submit(command, sequence, message),
            Pdu::DataSm(data) => self.submit(command, sequence, Box::new(Message::from(*data))),
            Pdu::SubmitMulti(multi) => {
                if self.is_over_rate(u32::try_from(multi.destinations.len()).unwrap_or(u32::MAX)) {
                    return self.respond(command, sequence, status::ESME_RTHROTTLED);
                }
                if let Some(submitter) = self.submitter() {
                    self.work_on(async move {
                        let (status, pdu) = submitter.submit_multi(*multi).await;
                        OutgoingPdu { status, sequence, pdu: Pdu::SubmitMultiResp(pdu) }
                    });
                }
            }
            Pdu::QuerySm(query) => {
                if let Some(submitter) = self.submitter() {
                    self.work_on(async move {
                        let (status, found) = match lookup::query(&submitter, &query).await {
                            Ok(found) => (status::ESME_ROK, found),
                            Err(status) => (status, QuerySmResp::default()),
                        };
                        OutgoingPdu { status, sequence, pdu: Pdu::QuerySmResp(found) }
                    });
                }
            }
            Pdu::CancelSm(cancel) => {
                if let Some(submitter) = self.submitter() {
                    self.work_on(async move {
                        let status = lookup::cancel(&submitter, &cancel).await.err().unwrap_or(status::ESME_ROK);
                        OutgoingPdu { status, sequence, pdu: Pdu::CancelSmResp }
                    });
                }
            }
            Pdu::ReplaceSm(_) => self.respond(command, sequence, status::ESME_RREPLACEFAIL),
            _ => self.respond(command, sequence, status::ESME_RINVCMDID),
        }
    }

    fn transmits(&self) -> bool {
        let bound = self.bound.as_ref().filter(|_| self.end == End::None);
        bound.is_some_and(|bound| !matches!(bound.mode, BindMode::Receiver))
    }

    /// What submits for the account that is bound.
    fn submitter(&self) -> Option<Submitter> {
        let bound = self.bound.as_ref()?;
        let account = bound.place.account.account.borrow().clone();
        Some(Submitter { state: Rc::clone(&self.state), account, bind: bound.place.entry.id })
    }

    fn work_on(&self, work: impl Future<Output = OutgoingPdu> + 'static) {
        self.work.push(async move { Done::Answer(work.await) }.boxed_local());
    }

    fn submit(&mut self, command: CommandId, sequence: u32, message: Box<Message>) {
        if self.is_over_rate(1) {
            return self.respond(command, sequence, status::ESME_RTHROTTLED);
        }
        let Some(submitter) = self.submitter() else { return };
        let answer = if command == CommandId::DATA_SM { Pdu::DataSmResp } else { Pdu::SubmitSmResp };
        self.work_on(async move {
            let (status, message_id) = match submitter.submit(*message).await {
                Ok(id) => (status::ESME_ROK, id.to_string().into()),
                Err(status) => (status, bytes::Bytes::new()),
            };
            OutgoingPdu { status, sequence, pdu: answer(MessageResp { message_id, tlvs: Tlvs::new() }) }
        });
    }

    /// Whether the account has submitted as much this second as it may.
    fn is_over_rate(&self, count: u32) -> bool {
        let count = std::num::NonZeroU32::new(count).unwrap_or(std::num::NonZeroU32::MIN);
        let rate = self.bound.as_ref().and_then(|bound| bound.place.account.rate.as_ref());
        rate.is_some_and(|rate| !matches!(rate.check_n(count), Ok(Ok(()))))
    }

    fn bind(&mut self, command: CommandId, sequence: u32, bind: Box<Bind>) {
        if self.bound.is_some() {
            return self.respond(command, sequence, status::ESME_RALYBND);
        }
        if self.binding || self.end != End::None {
            return self.respond(command, sequence, status::ESME_RINVBNDSTS);
        }
        self.binding = true;
        let (state, peer, mode) = (Rc::clone(&self.state), self.peer, bind.mode);
        let tlvs = bind.interface_version >= KNOWS_TLVS;
        let work = async move { Done::Bind { sequence, mode, tlvs, outcome: login::bind(state, bind, peer).await } };
        self.work.push(work.boxed_local());
    }

    pub(super) fn bind_done(
        &mut self,
        sequence: u32,
        mode: BindMode,
        tlvs: bool,
        outcome: Result<BindPlace, BindStatus>,
    ) {
        self.binding = false;
        let outcome = if self.end == End::None { outcome } else { Err(status::ESME_RBINDFAIL) };
        let mut answer = BindResp { mode, ..BindResp::default() };
        let place = match outcome {
            Ok(place) => place,
            Err(status) => return self.answer(OutgoingPdu { status, sequence, pdu: Pdu::BindResp(answer) }),
        };
        answer.system_id = self.state.settings.system_id.clone().into();
        if tlvs {
            answer.tlvs = Tlvs::new().with(tag::SC_INTERFACE_VERSION, vec![KNOWS_TLVS]);
        }
        self.answer(OutgoingPdu { status: status::ESME_ROK, sequence, pdu: Pdu::BindResp(answer) });
        tracing::info!(account = place.account.id, peer = %self.peer, ?mode, "an ESME is bound");
        self.counted.bound();
        self.codec.set_max_length(MAX_LENGTH);
        self.bound = Some(EsmeBind { place, mode, tlvs, silent: false });
    }
}
