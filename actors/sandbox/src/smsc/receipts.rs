//! Receipts as deliver_sm or data_sm: the text of SMPP 3.4's appendix B, and TLVs.

use bytes::Bytes;
use vumi_kit::clock::Timestamp;
use vumi_smpp_codec::{
    AlertNotification, CommandId, DataSm, Message, MessageResp, MessageState, OutgoingPdu, Pdu, PduAddress, Tlvs,
    esm_class, status, tag,
};

use super::{
    misbehaviour::{ReceiptForm, SmscMisbehaviour},
    taken::TakenSms,
};

/// A command_id that SMPP does not have.
const NO_COMMAND: CommandId = CommandId(0x0001_0200);
/// A sequence_number that no router has come to.
const NO_SEQUENCE: u32 = 0x7FFF_FFF0;
/// The type of the network in network_error_code: GSM.
const GSM: u8 = 3;

/// The receipt of an SMS, at a moment.
pub(super) fn receipt(sms: &TakenSms, rules: &SmscMisbehaviour, now: Timestamp) -> Pdu {
    let id = rules.receipt_ids.id_of(sms.number);
    let state = sms.last_state();
    let text = if rules.receipt_form == ReceiptForm::Tlvs { String::new() } else { text(sms, &id, state, now) };
    let mut tlvs = if rules.receipt_form == ReceiptForm::Text { Tlvs::new() } else { tlvs(&id, state, rules.odd_tlvs) };
    // The roles are swapped: the receipt comes from the recipient.
    let (source, destination) = (sms.destination.clone(), sms.source.clone());
    if rules.receipts_as_data_sm {
        tlvs.push(tag::MESSAGE_PAYLOAD, text);
        let esm_class = esm_class::RECEIPT;
        return Pdu::DataSm(Box::new(DataSm { source, destination, esm_class, tlvs, ..DataSm::default() }));
    }
    deliver(Message {
        source,
        destination,
        esm_class: esm_class::RECEIPT,
        short_message: text.into(),
        tlvs,
        ..Message::default()
    })
}

/// A deliver_sm.
pub(super) fn deliver(message: Message) -> Pdu {
    Pdu::DeliverSm(Box::new(message))
}

fn text(sms: &TakenSms, id: &str, state: MessageState, now: Timestamp) -> String {
    let minute = |at: Timestamp| at.format("%y%m%d%H%M");
    let (delivered, err) = if state == MessageState::Delivered { ("001", "000") } else { ("000", "001") };
    format!(
        "id:{id} sub:001 dlvrd:{delivered} submit date:{} done date:{} stat:{} err:{err} text:{}",
        minute(sms.submitted_at),
        minute(now),
        sms.stat(),
        sms.head
    )
}

fn tlvs(id: &str, state: MessageState, odd: bool) -> Tlvs {
    let state = u8::from(state);
    let error = u8::from(state != u8::from(MessageState::Delivered));
    let network_error = vec![GSM, 0, error];
    if odd {
        return Tlvs::new()
            .with(tag::VENDOR_FIRST, "vendor")
            .with(tag::RECEIPTED_MESSAGE_ID, id.to_owned())
            .with(tag::MESSAGE_STATE, vec![0, state])
            .with(tag::VENDOR_LAST, Bytes::new())
            .with(tag::NETWORK_ERROR_CODE, network_error)
            .with(tag::VENDOR_FIRST, "vendor");
    }
    Tlvs::new()
        .with(tag::RECEIPTED_MESSAGE_ID, format!("{id}\0"))
        .with(tag::MESSAGE_STATE, vec![state])
        .with(tag::NETWORK_ERROR_CODE, network_error)
}

/// What `odd_pdus` sends before a delivery: an unknown command, a response that nobody asked for, an alert_notification.
pub(super) fn odd_commands(sequence: u32, recipient: &PduAddress) -> [OutgoingPdu; 3] {
    let unasked = MessageResp { message_id: "odd".into(), ..MessageResp::default() };
    let alert = AlertNotification { source: recipient.clone(), ..AlertNotification::default() };
    let command = |sequence, pdu| OutgoingPdu { status: status::ESME_ROK, sequence, pdu };
    [
        command(sequence, Pdu::Unknown { command: NO_COMMAND, raw: Bytes::from_static(b"odd") }),
        command(NO_SEQUENCE, Pdu::SubmitSmResp(unasked)),
        command(sequence, Pdu::AlertNotification(Box::new(alert))),
    ]
}
