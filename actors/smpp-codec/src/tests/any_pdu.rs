//! PDUs of every kind within the maxima, for properties and for the oracle.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use crate::{
    AlertNotification, Bind, BindMode, BindPassword, BindResp, CancelSm, CommandId, DataSm, Message, MessageResp,
    MultiDestination, MultiFailure, Outbind, OutgoingPdu, Pdu, PduAddress, QuerySm, QuerySmResp, ReplaceSm,
    SubmitMulti, SubmitMultiResp, Tlvs,
};

fn string(max: usize) -> impl Strategy<Value = Bytes> {
    vec(1..=255_u8, 0..=max).prop_map(Bytes::from)
}

fn time() -> impl Strategy<Value = Bytes> {
    prop_oneof!["", "[0-9]{15}[-+R]"].prop_map(Bytes::from)
}

fn address(max: usize) -> impl Strategy<Value = PduAddress> {
    (any::<u8>(), any::<u8>(), string(max)).prop_map(|(ton, npi, addr)| PduAddress { ton, npi, addr })
}

/// Tag 0 is left out: with it a list may read as one behind a stray NUL.
fn tlvs() -> impl Strategy<Value = Tlvs> {
    vec((0x100..=0xFFFF_u16, vec(any::<u8>(), 0..40).prop_map(Bytes::from)), 0..5).prop_map(Tlvs::from_iter)
}

fn message() -> impl Strategy<Value = Message> {
    let octets = any::<[u8; 7]>();
    let text = vec(any::<u8>(), 0..=254).prop_map(Bytes::from);
    (string(5), address(20), address(20), octets, time(), time(), text, tlvs()).prop_map(
        |(service_type, source, destination, [a, b, c, d, e, f, g], schedule, validity, short_message, tlvs)| Message {
            service_type,
            source,
            destination,
            esm_class: a,
            protocol_id: b,
            priority_flag: c,
            schedule_delivery_time: schedule,
            validity_period: validity,
            registered_delivery: d,
            replace_if_present_flag: e,
            data_coding: f,
            sm_default_msg_id: g,
            short_message,
            tlvs,
        },
    )
}

fn message_resp() -> impl Strategy<Value = MessageResp> {
    (string(64), tlvs()).prop_map(|(message_id, tlvs)| MessageResp { message_id, tlvs })
}

fn mode() -> impl Strategy<Value = BindMode> {
    prop_oneof![Just(BindMode::Receiver), Just(BindMode::Transmitter), Just(BindMode::Transceiver)]
}

fn bind() -> impl Strategy<Value = Bind> {
    (mode(), string(15), string(8), string(12), any::<[u8; 3]>(), string(40)).prop_map(
        |(mode, system_id, password, system_type, [version, ton, npi], address_range)| Bind {
            mode,
            system_id,
            password: BindPassword(password),
            system_type,
            interface_version: version,
            addr_ton: ton,
            addr_npi: npi,
            address_range,
        },
    )
}

fn data_sm() -> impl Strategy<Value = DataSm> {
    (string(5), address(64), address(64), any::<[u8; 3]>(), tlvs()).prop_map(
        |(service_type, source, destination, [esm_class, registered_delivery, data_coding], tlvs)| DataSm {
            service_type,
            source,
            destination,
            esm_class,
            registered_delivery,
            data_coding,
            tlvs,
        },
    )
}

fn submit_multi() -> impl Strategy<Value = SubmitMulti> {
    let one = prop_oneof![address(20).prop_map(MultiDestination::Address), string(20).prop_map(MultiDestination::List)];
    (vec(one, 1..6), message()).prop_map(|(destinations, mut message)| {
        message.destination = PduAddress::default();
        SubmitMulti { destinations, message }
    })
}

fn submit_multi_resp() -> impl Strategy<Value = SubmitMultiResp> {
    let failure = (address(20), any::<u32>()).prop_map(|(address, status)| MultiFailure { address, status });
    (string(64), vec(failure, 0..5), tlvs()).prop_map(|(message_id, failures, tlvs)| SubmitMultiResp {
        message_id,
        failures,
        tlvs,
    })
}

fn replace_sm() -> impl Strategy<Value = ReplaceSm> {
    (string(64), address(20), message()).prop_map(|(message_id, source, like)| ReplaceSm {
        message_id,
        source,
        schedule_delivery_time: like.schedule_delivery_time,
        validity_period: like.validity_period,
        registered_delivery: like.registered_delivery,
        sm_default_msg_id: like.sm_default_msg_id,
        short_message: like.short_message,
        tlvs: like.tlvs,
    })
}

fn session_pdu() -> impl Strategy<Value = Pdu> {
    let command = prop_oneof![Just(0x111_u32), Just(0x7777), Just(0x8000_0111)].prop_map(CommandId);
    prop_oneof![
        bind().prop_map(|bind| Pdu::Bind(Box::new(bind))),
        (mode(), string(15), tlvs()).prop_map(|(mode, system_id, tlvs)| Pdu::BindResp(BindResp {
            mode,
            system_id,
            tlvs
        })),
        (string(15), string(8))
            .prop_map(|(system_id, p)| Pdu::Outbind(Outbind { system_id, password: BindPassword(p) })),
        (address(64), address(64), tlvs()).prop_map(|(source, esme, tlvs)| Pdu::AlertNotification(Box::new(
            AlertNotification { source, esme, tlvs }
        ))),
        Just(Pdu::Unbind),
        Just(Pdu::UnbindResp),
        Just(Pdu::EnquireLink),
        Just(Pdu::EnquireLinkResp),
        Just(Pdu::GenericNack),
        (command, vec(any::<u8>(), 0..50)).prop_map(|(command, raw)| Pdu::Unknown { command, raw: raw.into() }),
    ]
}

fn message_pdu() -> impl Strategy<Value = Pdu> {
    prop_oneof![
        message().prop_map(|message| Pdu::SubmitSm(Box::new(message))),
        message().prop_map(|message| Pdu::DeliverSm(Box::new(message))),
        message_resp().prop_map(Pdu::SubmitSmResp),
        message_resp().prop_map(Pdu::DeliverSmResp),
        message_resp().prop_map(Pdu::DataSmResp),
        data_sm().prop_map(|data| Pdu::DataSm(Box::new(data))),
        submit_multi().prop_map(|multi| Pdu::SubmitMulti(Box::new(multi))),
        submit_multi_resp().prop_map(Pdu::SubmitMultiResp),
        (string(64), address(20)).prop_map(|(message_id, source)| Pdu::QuerySm(QuerySm { message_id, source })),
        (string(64), time(), any::<[u8; 2]>(), tlvs()).prop_map(|(message_id, final_date, [state, error], tlvs)| {
            Pdu::QuerySmResp(QuerySmResp { message_id, final_date, message_state: state, error_code: error, tlvs })
        }),
        (string(5), string(64), address(20), address(20)).prop_map(
            |(service_type, message_id, source, destination)| {
                Pdu::CancelSm(Box::new(CancelSm { service_type, message_id, source, destination }))
            }
        ),
        replace_sm().prop_map(|replace| Pdu::ReplaceSm(Box::new(replace))),
        Just(Pdu::CancelSmResp),
        Just(Pdu::ReplaceSmResp),
    ]
}

/// Any PDU that can be written; a status in responses only.
pub(super) fn command() -> impl Strategy<Value = OutgoingPdu> {
    (any::<u32>(), any::<u32>(), prop_oneof![session_pdu(), message_pdu()]).prop_map(|(status, sequence, pdu)| {
        let status = if pdu.command_id().is_response() { status % 3 * 0x58 } else { 0 };
        OutgoingPdu { status, sequence, pdu }
    })
}
