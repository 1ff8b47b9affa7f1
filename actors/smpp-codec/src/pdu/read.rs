//! Reads bodies. Lengths above the maxima, spare octets at the end and missing bodies of responses are accepted.

use bytes::Bytes;

use super::{
    AlertNotification, Bind, BindMode, BindPassword, BindResp, CancelSm, DataSm, Message, MessageResp,
    MultiDestination, MultiFailure, Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp,
};
use crate::{
    CommandId as Id, PduAddress, Tlvs,
    field::{FaultKind, FieldFault, Reader},
    status::ESME_ROK,
};

type FieldResult<T> = Result<T, FieldFault>;

impl Pdu {
    /// Reads a body. An error response is read as one without a body where its body cannot be read.
    pub(crate) fn read(command: Id, status: u32, body: Bytes) -> FieldResult<Self> {
        let read = Self::read_body(command, body);
        if command.is_response() && status != ESME_ROK {
            return read.or_else(|_| Self::read_body(command, Bytes::new()));
        }
        read
    }

    fn read_body(command: Id, body: Bytes) -> FieldResult<Self> {
        let from = Reader::new(body);
        Ok(match command {
            Id::BIND_RECEIVER => Self::Bind(Box::new(Bind::read(from, BindMode::Receiver)?)),
            Id::BIND_TRANSMITTER => Self::Bind(Box::new(Bind::read(from, BindMode::Transmitter)?)),
            Id::BIND_TRANSCEIVER => Self::Bind(Box::new(Bind::read(from, BindMode::Transceiver)?)),
            Id::BIND_RECEIVER_RESP => Self::BindResp(BindResp::read(from, BindMode::Receiver)?),
            Id::BIND_TRANSMITTER_RESP => Self::BindResp(BindResp::read(from, BindMode::Transmitter)?),
            Id::BIND_TRANSCEIVER_RESP => Self::BindResp(BindResp::read(from, BindMode::Transceiver)?),
            Id::OUTBIND => Self::Outbind(Outbind::read(from)?),
            Id::SUBMIT_SM => Self::SubmitSm(Box::new(Message::read(from)?)),
            Id::SUBMIT_SM_RESP => Self::SubmitSmResp(MessageResp::read(from)?),
            Id::DELIVER_SM => Self::DeliverSm(Box::new(Message::read(from)?)),
            Id::DELIVER_SM_RESP => Self::DeliverSmResp(MessageResp::read(from)?),
            Id::DATA_SM => Self::DataSm(Box::new(DataSm::read(from)?)),
            Id::DATA_SM_RESP => Self::DataSmResp(MessageResp::read(from)?),
            Id::SUBMIT_MULTI => Self::SubmitMulti(Box::new(SubmitMulti::read(from)?)),
            Id::SUBMIT_MULTI_RESP => Self::SubmitMultiResp(SubmitMultiResp::read(from)?),
            Id::QUERY_SM => Self::QuerySm(QuerySm::read(from)?),
            Id::QUERY_SM_RESP => Self::QuerySmResp(QuerySmResp::read(from)?),
            Id::CANCEL_SM => Self::CancelSm(Box::new(CancelSm::read(from)?)),
            Id::CANCEL_SM_RESP => Self::CancelSmResp,
            Id::REPLACE_SM => Self::ReplaceSm(Box::new(ReplaceSm::read(from)?)),
            Id::REPLACE_SM_RESP => Self::ReplaceSmResp,
            Id::ALERT_NOTIFICATION => Self::AlertNotification(Box::new(AlertNotification::read(from)?)),
            Id::UNBIND => Self::Unbind,
            Id::UNBIND_RESP => Self::UnbindResp,
            Id::ENQUIRE_LINK => Self::EnquireLink,
            Id::ENQUIRE_LINK_RESP => Self::EnquireLinkResp,
            Id::GENERIC_NACK => Self::GenericNack,
            command => Self::Unknown { command, raw: from.into_rest() },
        })
    }
}

impl Bind {
    fn read(mut from: Reader, mode: BindMode) -> FieldResult<Self> {
        Ok(Self {
            mode,
            system_id: from.c_string("system_id")?,
            password: BindPassword(from.c_string("password")?),
            system_type: from.c_string("system_type")?,
            interface_version: from.u8("interface_version")?,
            addr_ton: from.u8("addr_ton")?,
            addr_npi: from.u8("addr_npi")?,
            address_range: from.last_c_string("address_range"),
        })
    }
}

impl BindResp {
    fn read(mut from: Reader, mode: BindMode) -> FieldResult<Self> {
        Ok(Self { mode, system_id: from.last_c_string("system_id"), tlvs: Tlvs::read(from.into_rest())? })
    }
}

impl Outbind {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self { system_id: from.c_string("system_id")?, password: BindPassword(from.last_c_string("password")) })
    }
}

impl Message {
    fn read(mut from: Reader) -> FieldResult<Self> {
        let service_type = from.c_string("service_type")?;
        let source = PduAddress::read(&mut from, "source_addr")?;
        let destination = PduAddress::read(&mut from, "destination_addr")?;
        Self::read_rest(from, service_type, source, destination)
    }

    /// What follows the recipients, which is the same for one and for many.
    fn read_rest(
        mut from: Reader,
        service_type: Bytes,
        source: PduAddress,
        destination: PduAddress,
    ) -> FieldResult<Self> {
        Ok(Self {
            service_type,
            source,
            destination,
            esm_class: from.u8("esm_class")?,
            protocol_id: from.u8("protocol_id")?,
            priority_flag: from.u8("priority_flag")?,
            schedule_delivery_time: from.c_string("schedule_delivery_time")?,
            validity_period: from.c_string("validity_period")?,
            registered_delivery: from.u8("registered_delivery")?,
            replace_if_present_flag: from.u8("replace_if_present_flag")?,
            data_coding: from.u8("data_coding")?,
            sm_default_msg_id: from.u8("sm_default_msg_id")?,
            short_message: short_message(&mut from)?,
            tlvs: Tlvs::read(from.into_rest())?,
        })
    }
}

fn short_message(from: &mut Reader) -> FieldResult<Bytes> {
    let length = from.u8("sm_length")?;
    from.octets("short_message", usize::from(length))
}

impl MessageResp {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self { message_id: from.last_c_string("message_id"), tlvs: Tlvs::read(from.into_rest())? })
    }
}

impl DataSm {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self {
            service_type: from.c_string("service_type")?,
            source: PduAddress::read(&mut from, "source_addr")?,
            destination: PduAddress::read(&mut from, "destination_addr")?,
            esm_class: from.u8("esm_class")?,
            registered_delivery: from.u8("registered_delivery")?,
            data_coding: from.u8("data_coding")?,
            tlvs: Tlvs::read(from.into_rest())?,
        })
    }
}

impl SubmitMulti {
    fn read(mut from: Reader) -> FieldResult<Self> {
        let service_type = from.c_string("service_type")?;
        let source = PduAddress::read(&mut from, "source_addr")?;
        let count = from.u8("number_of_dests")?;
        let destinations = (0..count).map(|_| MultiDestination::read(&mut from)).collect::<FieldResult<_>>()?;
        Ok(Self { destinations, message: Message::read_rest(from, service_type, source, PduAddress::default())? })
    }
}

impl MultiDestination {
    fn read(from: &mut Reader) -> FieldResult<Self> {
        match from.u8("dest_flag")? {
            1 => Ok(Self::Address(PduAddress::read(from, "destination_addr")?)),
            2 => Ok(Self::List(from.c_string("dl_name")?)),
            _ => Err(FieldFault { field: "dest_flag", kind: FaultKind::Undefined }),
        }
    }
}

impl SubmitMultiResp {
    fn read(mut from: Reader) -> FieldResult<Self> {
        let message_id = from.last_c_string("message_id");
        let count = if from.is_empty() { 0 } else { from.u8("no_unsuccess")? };
        let failures = (0..count).map(|_| MultiFailure::read(&mut from)).collect::<FieldResult<_>>()?;
        Ok(Self { message_id, failures, tlvs: Tlvs::read(from.into_rest())? })
    }
}

impl MultiFailure {
    fn read(from: &mut Reader) -> FieldResult<Self> {
        Ok(Self { address: PduAddress::read(from, "destination_addr")?, status: from.u32("error_status_code")? })
    }
}

impl QuerySm {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self { message_id: from.c_string("message_id")?, source: PduAddress::read(&mut from, "source_addr")? })
    }
}

impl QuerySmResp {
    fn read(mut from: Reader) -> FieldResult<Self> {
        if from.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: from.c_string("message_id")?,
            final_date: from.c_string("final_date")?,
            message_state: from.u8("message_state")?,
            error_code: from.u8("error_code")?,
            tlvs: Tlvs::read(from.into_rest())?,
        })
    }
}

impl CancelSm {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self {
            service_type: from.c_string("service_type")?,
            message_id: from.c_string("message_id")?,
            source: PduAddress::read(&mut from, "source_addr")?,
            destination: PduAddress::read(&mut from, "destination_addr")?,
        })
    }
}

impl ReplaceSm {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self {
            message_id: from.c_string("message_id")?,
            source: PduAddress::read(&mut from, "source_addr")?,
            schedule_delivery_time: from.c_string("schedule_delivery_time")?,
            validity_period: from.c_string("validity_period")?,
            registered_delivery: from.u8("registered_delivery")?,
            sm_default_msg_id: from.u8("sm_default_msg_id")?,
            short_message: short_message(&mut from)?,
            tlvs: Tlvs::read(from.into_rest())?,
        })
    }
}

impl AlertNotification {
    fn read(mut from: Reader) -> FieldResult<Self> {
        Ok(Self {
            source: PduAddress::read(&mut from, "source_addr")?,
            esme: PduAddress::read(&mut from, "esme_addr")?,
            tlvs: Tlvs::read(from.into_rest())?,
        })
    }
}
