//! Another library must read what this crate writes, and write it the same.

use bytes::{Bytes, BytesMut};
use rusmpp_core::tokio_codec::CommandCodec;
use tokio_util::codec::{Decoder, Encoder};

use super::written;
use crate::{
    AlertNotification, Bind, BindMode, BindPassword, BindResp, CancelSm, DataSm, Message, MessageResp,
    MultiDestination, MultiFailure, Outbind, Pdu, PduAddress, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti,
    SubmitMultiResp, Tlvs, tag,
};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn message() -> Message {
    Message {
        service_type: bytes("USSD"),
        source: PduAddress::new(5, 0, &b"Vumi"[..]),
        destination: PduAddress::new(1, 1, &b"27831234567"[..]),
        esm_class: 0x40,
        protocol_id: 1,
        priority_flag: 2,
        schedule_delivery_time: bytes("000002000000000R"),
        validity_period: bytes("261127120000000+"),
        registered_delivery: 1,
        replace_if_present_flag: 1,
        data_coding: 8,
        sm_default_msg_id: 3,
        short_message: Bytes::from_static(b"\x05\0\x03\x01\x02\x01hello"),
        tlvs: Tlvs::new().with(tag::USER_MESSAGE_REFERENCE, &b"\x01\x02"[..]).with(0x1400, &b"vendor"[..]),
    }
}

/// One of each, every field set.
fn samples() -> Vec<(u32, Pdu)> {
    let (source, destination) = (message().source, message().destination);
    let version = || Tlvs::new().with(tag::SC_INTERFACE_VERSION, &b"\x34"[..]);
    let payload = || Tlvs::new().with(tag::MESSAGE_PAYLOAD, vec![b'x'; 500]);
    let resp = || MessageResp { message_id: bytes("1234567890"), tlvs: Tlvs::new() };
    let mut samples = Vec::new();
    for mode in [BindMode::Receiver, BindMode::Transmitter, BindMode::Transceiver] {
        let (system_id, password) = (bytes("system"), BindPassword(bytes("password")));
        let (system_type, address_range) = (bytes("type"), bytes("^27"));
        let bind = Bind {
            mode,
            system_id,
            password,
            system_type,
            interface_version: 0x34,
            addr_ton: 1,
            addr_npi: 1,
            address_range,
        };
        samples.push((0, Pdu::Bind(Box::new(bind))));
        samples.push((0, Pdu::BindResp(BindResp { mode, system_id: bytes("smsc"), tlvs: version() })));
    }
    let receipt = Message {
        esm_class: 4,
        data_coding: 0,
        short_message: bytes("id:1 stat:DELIVRD"),
        tlvs: Tlvs::new()
            .with(tag::RECEIPTED_MESSAGE_ID, &b"1\0"[..])
            .with(tag::MESSAGE_STATE, &b"\x02"[..])
            .with(tag::NETWORK_ERROR_CODE, &b"\x03\0\0"[..]),
        schedule_delivery_time: Bytes::new(),
        validity_period: Bytes::new(),
        ..message()
    };
    let long = Message { esm_class: 0, short_message: Bytes::new(), tlvs: payload(), ..message() };
    let recipients = vec![MultiDestination::Address(destination.clone()), MultiDestination::List(bytes("list"))];
    let multi = SubmitMulti { destinations: recipients, message: message() };
    let failures = vec![MultiFailure { address: destination.clone(), status: 0x0B }];
    let data = DataSm {
        service_type: bytes("WAP"),
        source: source.clone(),
        destination: destination.clone(),
        esm_class: 0,
        registered_delivery: 1,
        data_coding: 4,
        tlvs: payload(),
    };
    let cancel = CancelSm {
        service_type: bytes("USSD"),
        message_id: bytes("12"),
        source: source.clone(),
        destination: destination.clone(),
    };
    let replace = ReplaceSm {
        message_id: bytes("12"),
        source: source.clone(),
        schedule_delivery_time: bytes("000002000000000R"),
        validity_period: Bytes::new(),
        registered_delivery: 1,
        sm_default_msg_id: 0,
        short_message: bytes("new"),
        tlvs: Tlvs::new(),
    };
    let query_resp = QuerySmResp {
        message_id: bytes("12"),
        final_date: bytes("261127120000000+"),
        message_state: 2,
        error_code: 0,
        tlvs: Tlvs::new(),
    };
    let alert = AlertNotification { source: source.clone(), esme: destination, tlvs: Tlvs::new() };
    samples.extend([
        (0, Pdu::SubmitSm(Box::new(message()))),
        (0, Pdu::SubmitSm(Box::new(long))),
        (0, Pdu::SubmitSmResp(resp())),
        (0x58, Pdu::SubmitSmResp(MessageResp::default())),
        (0, Pdu::DeliverSm(Box::new(receipt))),
        (0, Pdu::DeliverSmResp(MessageResp::default())),
        (0, Pdu::DataSm(Box::new(data))),
        (0, Pdu::DataSmResp(resp())),
        (0, Pdu::SubmitMulti(Box::new(multi))),
        (0, Pdu::SubmitMultiResp(SubmitMultiResp { message_id: bytes("12"), failures, tlvs: Tlvs::new() })),
        (0, Pdu::QuerySm(QuerySm { message_id: bytes("12"), source })),
        (0, Pdu::QuerySmResp(query_resp)),
        (0, Pdu::CancelSm(Box::new(cancel))),
        (0x11, Pdu::CancelSmResp),
        (0, Pdu::ReplaceSm(Box::new(replace))),
        (0, Pdu::ReplaceSmResp),
        (0, Pdu::Outbind(Outbind { system_id: bytes("smsc"), password: BindPassword(bytes("secret")) })),
        (0, Pdu::AlertNotification(Box::new(alert))),
        (0, Pdu::Unbind),
        (0, Pdu::UnbindResp),
        (0, Pdu::EnquireLink),
        (0, Pdu::EnquireLinkResp),
        (0x03, Pdu::GenericNack),
    ]);
    samples
}

#[test]
fn another_library_reads_and_writes_the_same() {
    for (sequence, (status, pdu)) in (1..).zip(samples()) {
        let octets = written(status, sequence, pdu.clone());
        let mut other = CommandCodec::new();
        let read = other.decode(&mut octets.clone()).unwrap_or_else(|error| panic!("{pdu:?}: {error:?}")).unwrap();
        assert_eq!(u32::from(read.id()), pdu.command_id().0);
        assert_eq!((u32::from(read.status()), read.sequence_number()), (status, sequence));
        let mut back = BytesMut::new();
        other.encode(&read, &mut back).unwrap();
        assert_eq!(back, octets, "{pdu:?}\n{read:?}");
    }
}
