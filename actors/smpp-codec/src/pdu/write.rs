//! Writes bodies, within the maxima of the specification.

use bytes::BytesMut;

use super::{
    AlertNotification, Bind, BindResp, CancelSm, DataSm, Message, MessageResp, MultiDestination, Outbind, Pdu, QuerySm,
    QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp,
};
use crate::{
    address::{LONG_ADDRESS, SHORT_ADDRESS},
    field::{EncodeError, FieldWriter},
    status::ESME_ROK,
};

// Octets with the NUL.
const SYSTEM_ID: usize = 16;
const PASSWORD: usize = 9;
const SYSTEM_TYPE: usize = 13;
const ADDRESS_RANGE: usize = 41;
const SERVICE_TYPE: usize = 6;
const MESSAGE_ID: usize = 65;
const DL_NAME: usize = 21;

// Octets of 3.4; 5.0 allows 255.
const SHORT_MESSAGE: u8 = 254;
const DESTINATIONS: usize = 254;
const FAILURES: usize = 255;

impl Pdu {
    /// Appends the body. An error response whose fields are all empty has none, as 3.4 asks.
    pub(crate) fn write(&self, status: u32, out: &mut BytesMut) -> Result<(), EncodeError> {
        if status != ESME_ROK && self.is_bare() {
            return Ok(());
        }
        let mut to = FieldWriter::new(out);
        match self {
            Self::Bind(body) => body.write(&mut to),
            Self::BindResp(body) => body.write(&mut to),
            Self::Outbind(body) => body.write(&mut to),
            Self::SubmitSm(body) | Self::DeliverSm(body) => body.write(&mut to),
            Self::SubmitSmResp(body) | Self::DeliverSmResp(body) | Self::DataSmResp(body) => body.write(&mut to),
            Self::DataSm(body) => body.write(&mut to),
            Self::SubmitMulti(body) => body.write(&mut to),
            Self::SubmitMultiResp(body) => body.write(&mut to),
            Self::QuerySm(body) => body.write(&mut to),
            Self::QuerySmResp(body) => body.write(&mut to),
            Self::CancelSm(body) => body.write(&mut to),
            Self::ReplaceSm(body) => body.write(&mut to),
            Self::AlertNotification(body) => body.write(&mut to),
            Self::Unknown { raw, .. } => to.raw(raw),
            Self::CancelSmResp | Self::ReplaceSmResp | Self::Unbind | Self::UnbindResp => {}
            Self::EnquireLink | Self::EnquireLinkResp | Self::GenericNack => {}
        }
        to.finish()
    }

    fn is_bare(&self) -> bool {
        match self {
            Self::BindResp(body) => body.system_id.is_empty() && body.tlvs.is_empty(),
            Self::SubmitSmResp(body) | Self::DeliverSmResp(body) | Self::DataSmResp(body) => {
                *body == MessageResp::default()
            }
            Self::SubmitMultiResp(body) => *body == SubmitMultiResp::default(),
            Self::QuerySmResp(body) => *body == QuerySmResp::default(),
            _ => false,
        }
    }
}

impl Bind {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("system_id", &self.system_id, SYSTEM_ID);
        to.c_string("password", &self.password.0, PASSWORD);
        to.c_string("system_type", &self.system_type, SYSTEM_TYPE);
        to.u8(self.interface_version);
        to.u8(self.addr_ton);
        to.u8(self.addr_npi);
        to.c_string("address_range", &self.address_range, ADDRESS_RANGE);
    }
}

impl BindResp {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("system_id", &self.system_id, SYSTEM_ID);
        self.tlvs.write(to);
    }
}

impl Outbind {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("system_id", &self.system_id, SYSTEM_ID);
        to.c_string("password", &self.password.0, PASSWORD);
    }
}

impl Message {
    fn write(&self, to: &mut FieldWriter<'_>) {
        self.write_sender(to);
        self.destination.write(to, "destination_addr", SHORT_ADDRESS);
        self.write_rest(to);
    }

    fn write_sender(&self, to: &mut FieldWriter<'_>) {
        to.c_string("service_type", &self.service_type, SERVICE_TYPE);
        self.source.write(to, "source_addr", SHORT_ADDRESS);
    }

    fn write_rest(&self, to: &mut FieldWriter<'_>) {
        to.u8(self.esm_class);
        to.u8(self.protocol_id);
        to.u8(self.priority_flag);
        to.time("schedule_delivery_time", &self.schedule_delivery_time);
        to.time("validity_period", &self.validity_period);
        to.u8(self.registered_delivery);
        to.u8(self.replace_if_present_flag);
        to.u8(self.data_coding);
        to.u8(self.sm_default_msg_id);
        to.counted("short_message", &self.short_message, SHORT_MESSAGE);
        self.tlvs.write(to);
    }
}

impl MessageResp {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("message_id", &self.message_id, MESSAGE_ID);
        self.tlvs.write(to);
    }
}

impl DataSm {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("service_type", &self.service_type, SERVICE_TYPE);
        self.source.write(to, "source_addr", LONG_ADDRESS);
        self.destination.write(to, "destination_addr", LONG_ADDRESS);
        to.u8(self.esm_class);
        to.u8(self.registered_delivery);
        to.u8(self.data_coding);
        self.tlvs.write(to);
    }
}

impl SubmitMulti {
    fn write(&self, to: &mut FieldWriter<'_>) {
        self.message.write_sender(to);
        match u8::try_from(self.destinations.len()) {
            Ok(count) if count > 0 && usize::from(count) <= DESTINATIONS => to.u8(count),
            _ => to.fail(EncodeError::BadCount { field: "number_of_dests", max: DESTINATIONS }),
        }
        for destination in &self.destinations {
            match destination {
                MultiDestination::Address(address) => {
                    to.u8(1);
                    address.write(to, "destination_addr", SHORT_ADDRESS);
                }
                MultiDestination::List(name) => {
                    to.u8(2);
                    to.c_string("dl_name", name, DL_NAME);
                }
            }
        }
        self.message.write_rest(to);
    }
}

impl SubmitMultiResp {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("message_id", &self.message_id, MESSAGE_ID);
        match u8::try_from(self.failures.len()) {
            Ok(count) => to.u8(count),
            Err(_) => to.fail(EncodeError::BadCount { field: "no_unsuccess", max: FAILURES }),
        }
        for failure in &self.failures {
            failure.address.write(to, "destination_addr", SHORT_ADDRESS);
            to.u32(failure.status);
        }
        self.tlvs.write(to);
    }
}

impl QuerySm {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("message_id", &self.message_id, MESSAGE_ID);
        self.source.write(to, "source_addr", SHORT_ADDRESS);
    }
}

impl QuerySmResp {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("message_id", &self.message_id, MESSAGE_ID);
        to.time("final_date", &self.final_date);
        to.u8(self.message_state);
        to.u8(self.error_code);
        self.tlvs.write(to);
    }
}

impl CancelSm {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("service_type", &self.service_type, SERVICE_TYPE);
        to.c_string("message_id", &self.message_id, MESSAGE_ID);
        self.source.write(to, "source_addr", SHORT_ADDRESS);
        self.destination.write(to, "destination_addr", SHORT_ADDRESS);
    }
}

impl ReplaceSm {
    fn write(&self, to: &mut FieldWriter<'_>) {
        to.c_string("message_id", &self.message_id, MESSAGE_ID);
        self.source.write(to, "source_addr", SHORT_ADDRESS);
        to.time("schedule_delivery_time", &self.schedule_delivery_time);
        to.time("validity_period", &self.validity_period);
        to.u8(self.registered_delivery);
        to.u8(self.sm_default_msg_id);
        to.counted("short_message", &self.short_message, SHORT_MESSAGE);
        self.tlvs.write(to);
    }
}

impl AlertNotification {
    fn write(&self, to: &mut FieldWriter<'_>) {
        self.source.write(to, "source_addr", LONG_ADDRESS);
        self.esme.write(to, "esme_addr", LONG_ADDRESS);
        self.tlvs.write(to);
    }
}
