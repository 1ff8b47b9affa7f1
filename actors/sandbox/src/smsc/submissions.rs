//! What a bound router asks for: submissions, queries, cancellations.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::Instant;
use vumi_smpp_codec::{
    CancelSm, CommandId, DataSm, Message, MessageResp, OutgoingPdu, Pdu, QuerySm, QuerySmResp, status, tag,
};

use super::{session::SmscSession, text::PduText};
use crate::behaviour::{DropWhen, SubmissionPlan};

/// How long an answer waits at least where its receipt comes first.
const BEHIND_RECEIPT: Duration = Duration::from_millis(50);

impl SmscSession {
    pub(super) fn submit_data(&mut self, command: CommandId, sequence: u32, data: DataSm) -> ControlFlow<()> {
        let message = Message {
            service_type: data.service_type,
            source: data.source,
            destination: data.destination,
            esm_class: data.esm_class,
            registered_delivery: data.registered_delivery,
            data_coding: data.data_coding,
            tlvs: data.tlvs,
            ..Message::default()
        };
        self.submit(command, sequence, &message)
    }

    /// Takes or refuses a submission, and answers it as the rules say; `Break` closes the connection.
    pub(super) fn submit(&mut self, command: CommandId, sequence: u32, message: &Message) -> ControlFlow<()> {
        let Some(bound) = self.bound.as_ref().filter(|bound| bound.submits) else {
            self.refuse(command, sequence, status::ESME_RINVBNDSTS);
            return ControlFlow::Continue(());
        };
        if message.tlvs.get(tag::USSD_SERVICE_OP).is_some() {
            let status = self.network.show(message);
            let pdu = Pdu::SubmitSmResp(MessageResp::default());
            self.answer_at(Instant::now(), OutgoingPdu { status, sequence, pdu }, 0);
            return ControlFlow::Continue(());
        }
        let esme = bound.esme.clone();
        let core = self.network.core.clone();
        let plan = core.behaviour.plan_next();
        if plan.dropped.is_some() {
            core.seen.dropped();
        }
        if plan.dropped == Some(DropWhen::Before) {
            return ControlFlow::Break(());
        }
        let text = PduText::read(message);
        let part = text.concat.map_or(0, |concat| concat.number);
        let refusal = refusal(&plan, part, message);
        let answered = Instant::now() + answer_delay(&plan);
        let mut message_id = String::new();
        if refusal.is_none() {
            let sms = self.network.take(message, text, &plan);
            message_id = plan.rules.smpp.answer_ids.id_of(sms.number);
            let receipted =
                if plan.rules.smpp.receipt_first { Instant::now() } else { answered + plan.rules.receipt_delay };
            if sms.wants_receipt() {
                self.network.queue_receipts(&esme, &sms, &plan, receipted);
            }
        } else {
            core.seen.refused();
        }
        if plan.dropped.is_some() {
            return ControlFlow::Break(());
        }
        if silent(&plan, part) {
            self.network.count(|counts| counts.silent += 1);
        } else {
            let status = refusal.unwrap_or(status::ESME_ROK);
            let resp = MessageResp { message_id: message_id.into(), ..MessageResp::default() };
            let pdu = if command == CommandId::DATA_SM { Pdu::DataSmResp(resp) } else { Pdu::SubmitSmResp(resp) };
            let group = usize::try_from(plan.rules.smpp.out_of_order).unwrap_or(usize::MAX);
            self.answer_at(answered, OutgoingPdu { status, sequence, pdu }, group);
        }
        self.unbind_if_asked(plan.rules.smpp.unbind_after);
        ControlFlow::Continue(())
    }

    fn unbind_if_asked(&mut self, after: u64) {
        self.submissions += 1;
        if self.submissions == after {
            let sequence = self.next_sequence();
            self.write(&OutgoingPdu { status: status::ESME_ROK, sequence, pdu: Pdu::Unbind });
        }
    }

    pub(super) fn query(&mut self, command: CommandId, sequence: u32, query: &QuerySm) {
        self.network.count(|counts| counts.queries += 1);
        if !self.submits() {
            return self.refuse(command, sequence, status::ESME_RINVBNDSTS);
        }
        let found = self.network.find(&query.message_id).filter(|sms| sms.source.addr == query.source.addr);
        let Some(sms) = found else {
            return self.refuse(command, sequence, status::ESME_RQUERYFAIL);
        };
        let state = sms.state_at(self.network.core.clock.now());
        let final_date = if state.is_final() { sms.final_at.format("%y%m%d%H%M%S000+") } else { String::new() };
        let resp = QuerySmResp {
            message_id: query.message_id.clone(),
            final_date: final_date.into(),
            message_state: state.into(),
            ..QuerySmResp::default()
        };
        self.write(&OutgoingPdu { status: status::ESME_ROK, sequence, pdu: Pdu::QuerySmResp(resp) });
    }

    pub(super) fn cancel(&mut self, command: CommandId, sequence: u32, cancel: &CancelSm) {
        if !self.submits() {
            return self.refuse(command, sequence, status::ESME_RINVBNDSTS);
        }
        let now = self.network.core.clock.now();
        let (source, destination) = (&cancel.source.addr, &cancel.destination.addr);
        let cancelled = if cancel.message_id.is_empty() {
            self.network.cancel_between(source, destination, now)
        } else {
            let found = self.network.find(&cancel.message_id);
            usize::from(found.is_some_and(|sms| sms.source.addr == *source && sms.cancel(now)))
        };
        self.network.count(|counts| counts.cancelled += u64::try_from(cancelled).unwrap_or(u64::MAX));
        let status = if cancelled > 0 { status::ESME_ROK } else { status::ESME_RCANCELFAIL };
        self.refuse(command, sequence, status);
    }

    fn submits(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.submits)
    }
}

/// The status that a submission is refused with, if it is.
fn refusal(plan: &SubmissionPlan, part: u8, message: &Message) -> Option<u32> {
    let rules = &plan.rules.smpp;
    if message.destination.addr.is_empty() {
        return Some(status::ESME_RINVDSTADR);
    }
    let usual = if plan.n <= rules.refuse_next {
        status::ESME_RTHROTTLED
    } else if plan.refused || (part > 0 && part == rules.refuse_part) {
        status::ESME_RINVDSTADR
    } else {
        return None;
    };
    // It was checked where the rules were set.
    Some(status::parse(plan.refusal("")).unwrap_or(usual))
}

fn silent(plan: &SubmissionPlan, part: u8) -> bool {
    let rules = &plan.rules.smpp;
    (rules.silent_every > 0 && plan.n.is_multiple_of(rules.silent_every)) || (part > 0 && part == rules.silent_part)
}

fn answer_delay(plan: &SubmissionPlan) -> Duration {
    let rules = &plan.rules.smpp;
    let ahead = if rules.receipt_first { BEHIND_RECEIPT } else { Duration::ZERO };
    plan.rules.delay.max(ahead)
}
