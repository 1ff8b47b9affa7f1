//! PDUs: their fields have the specification's names and order. Strings are raw octets without their NUL.

mod read;
mod write;

use std::fmt;

use bytes::Bytes;

use crate::{CommandId, PduAddress, Tlvs, esm_class, tag};

/// A password in a bind; `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BindPassword(pub Bytes);

impl fmt::Debug for BindPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindPassword(***)")
    }
}

/// Which way messages go over a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BindMode {
    /// deliver_sm only.
    Receiver,
    /// submit_sm only.
    Transmitter,
    /// Both.
    #[default]
    Transceiver,
}

/// bind_receiver, bind_transmitter or bind_transceiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct Bind {
    pub mode: BindMode,
    pub system_id: Bytes,
    pub password: BindPassword,
    pub system_type: Bytes,
    /// 0x34 for 3.4, 0x50 for 5.0; 0x33 and below know no TLVs.
    pub interface_version: u8,
    pub addr_ton: u8,
    pub addr_npi: u8,
    pub address_range: Bytes,
}

/// What answers a bind. The TLV 0210 (sc_interface_version) is often missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct BindResp {
    pub mode: BindMode,
    pub system_id: Bytes,
    pub tlvs: Tlvs,
}

/// submit_sm or deliver_sm: an SMS, a part of one, or a receipt. Its `Debug` shows numbers and texts of people: for
/// tests, not for logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct Message {
    pub service_type: Bytes,
    pub source: PduAddress,
    pub destination: PduAddress,
    /// See [`crate::esm_class`].
    pub esm_class: u8,
    pub protocol_id: u8,
    pub priority_flag: u8,
    /// See [`crate::time`].
    pub schedule_delivery_time: Bytes,
    /// See [`crate::time`].
    pub validity_period: Bytes,
    /// See [`crate::registered_delivery`].
    pub registered_delivery: u8,
    pub replace_if_present_flag: u8,
    /// See [`crate::data_coding`].
    pub data_coding: u8,
    pub sm_default_msg_id: u8,
    /// At most 254 octets where it is sent; the UDH is its front where [`crate::esm_class::has_udh`].
    pub short_message: Bytes,
    pub tlvs: Tlvs,
}

impl Message {
    /// The octets of the text, with the UDH if there is one: short_message, or message_payload where that is empty.
    #[must_use]
    pub fn octets(&self) -> &Bytes {
        let payload = self.tlvs.get(tag::MESSAGE_PAYLOAD);
        payload.filter(|_| self.short_message.is_empty()).unwrap_or(&self.short_message)
    }

    /// Whether the octets begin with a UDH.
    #[must_use]
    pub const fn has_udh(&self) -> bool {
        esm_class::has_udh(self.esm_class)
    }
}

/// What answers submit_sm, deliver_sm and data_sm. An empty message_id is one that the peer does not tell; in
/// deliver_sm_resp it is the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct MessageResp {
    pub message_id: Bytes,
    pub tlvs: Tlvs,
}

/// A recipient of submit_multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiDestination {
    /// An address.
    Address(PduAddress),
    /// The name of a distribution list, at most 20 octets.
    List(Bytes),
}

/// An SMS to several recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitMulti {
    /// 1 to 254 recipients.
    pub destinations: Vec<MultiDestination>,
    /// The rest; its `destination` is not sent, and is empty where the PDU was read.
    pub message: Message,
}

/// A recipient that submit_multi failed for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiFailure {
    /// The recipient.
    pub address: PduAddress,
    /// The command_status for it.
    pub status: u32,
}

/// What answers submit_multi.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct SubmitMultiResp {
    pub message_id: Bytes,
    /// The list unsuccess_sme, at most 255 entries.
    pub failures: Vec<MultiFailure>,
    pub tlvs: Tlvs,
}

/// A message whose text is the TLV message_payload. Receipts may come as data_sm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct DataSm {
    pub service_type: Bytes,
    pub source: PduAddress,
    pub destination: PduAddress,
    pub esm_class: u8,
    pub registered_delivery: u8,
    pub data_coding: u8,
    pub tlvs: Tlvs,
}

/// A data_sm in the form of a submit_sm or deliver_sm, which have the same and more. Its text is the TLV message_payload.
impl From<DataSm> for Message {
    fn from(data: DataSm) -> Self {
        let DataSm { service_type, source, destination, esm_class, registered_delivery, data_coding, tlvs } = data;
        Self { service_type, source, destination, esm_class, registered_delivery, data_coding, tlvs, ..Self::default() }
    }
}

/// Asks what became of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct QuerySm {
    pub message_id: Bytes,
    pub source: PduAddress,
}

/// What answers query_sm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct QuerySmResp {
    pub message_id: Bytes,
    /// Empty until the state is final.
    pub final_date: Bytes,
    /// See [`crate::MessageState`].
    pub message_state: u8,
    pub error_code: u8,
    pub tlvs: Tlvs,
}

/// Cancels a message; with an empty message_id all of source and destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct CancelSm {
    pub service_type: Bytes,
    pub message_id: Bytes,
    pub source: PduAddress,
    pub destination: PduAddress,
}

/// Replaces the text of a message that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct ReplaceSm {
    pub message_id: Bytes,
    pub source: PduAddress,
    pub schedule_delivery_time: Bytes,
    pub validity_period: Bytes,
    pub registered_delivery: u8,
    pub sm_default_msg_id: u8,
    pub short_message: Bytes,
    pub tlvs: Tlvs,
}

/// An SMSC's wish to be bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct Outbind {
    pub system_id: Bytes,
    pub password: BindPassword,
}

/// A recipient is reachable again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct AlertNotification {
    pub source: PduAddress,
    pub esme: PduAddress,
    pub tlvs: Tlvs,
}

/// The body of a PDU, and which operation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub enum Pdu {
    Bind(Box<Bind>),
    BindResp(BindResp),
    Outbind(Outbind),
    SubmitSm(Box<Message>),
    SubmitSmResp(MessageResp),
    DeliverSm(Box<Message>),
    DeliverSmResp(MessageResp),
    DataSm(Box<DataSm>),
    DataSmResp(MessageResp),
    SubmitMulti(Box<SubmitMulti>),
    SubmitMultiResp(SubmitMultiResp),
    QuerySm(QuerySm),
    QuerySmResp(QuerySmResp),
    CancelSm(Box<CancelSm>),
    CancelSmResp,
    ReplaceSm(Box<ReplaceSm>),
    ReplaceSmResp,
    AlertNotification(Box<AlertNotification>),
    Unbind,
    UnbindResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    /// An operation that is not read: broadcasts, and ids without a name. A request is answered with generic_nack
    /// and `ESME_RINVCMDID`.
    Unknown {
        command: CommandId,
        raw: Bytes,
    },
}

impl Pdu {
    /// The id in the header.
    #[must_use]
    pub const fn command_id(&self) -> CommandId {
        match self {
            Self::Bind(bind) => bind.mode.request(),
            Self::BindResp(resp) => resp.mode.response(),
            Self::Outbind(_) => CommandId::OUTBIND,
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::DataSm(_) => CommandId::DATA_SM,
            Self::DataSmResp(_) => CommandId::DATA_SM_RESP,
            Self::SubmitMulti(_) => CommandId::SUBMIT_MULTI,
            Self::SubmitMultiResp(_) => CommandId::SUBMIT_MULTI_RESP,
            Self::QuerySm(_) => CommandId::QUERY_SM,
            Self::QuerySmResp(_) => CommandId::QUERY_SM_RESP,
            Self::CancelSm(_) => CommandId::CANCEL_SM,
            Self::CancelSmResp => CommandId::CANCEL_SM_RESP,
            Self::ReplaceSm(_) => CommandId::REPLACE_SM,
            Self::ReplaceSmResp => CommandId::REPLACE_SM_RESP,
            Self::AlertNotification(_) => CommandId::ALERT_NOTIFICATION,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::Unknown { command, .. } => *command,
        }
    }

    /// The body that answers a request and says no more than the command_status does. `None` for responses, outbind and
    /// alert_notification; generic_nack for a request without a name.
    #[must_use]
    pub fn bare_response(request: CommandId) -> Option<Self> {
        Some(match request {
            CommandId::BIND_RECEIVER => Self::bare_bind_resp(BindMode::Receiver),
            CommandId::BIND_TRANSMITTER => Self::bare_bind_resp(BindMode::Transmitter),
            CommandId::BIND_TRANSCEIVER => Self::bare_bind_resp(BindMode::Transceiver),
            CommandId::SUBMIT_SM => Self::SubmitSmResp(MessageResp::default()),
            CommandId::DELIVER_SM => Self::DeliverSmResp(MessageResp::default()),
            CommandId::DATA_SM => Self::DataSmResp(MessageResp::default()),
            CommandId::SUBMIT_MULTI => Self::SubmitMultiResp(SubmitMultiResp::default()),
            CommandId::QUERY_SM => Self::QuerySmResp(QuerySmResp::default()),
            CommandId::CANCEL_SM => Self::CancelSmResp,
            CommandId::REPLACE_SM => Self::ReplaceSmResp,
            CommandId::UNBIND => Self::UnbindResp,
            CommandId::ENQUIRE_LINK => Self::EnquireLinkResp,
            CommandId::OUTBIND | CommandId::ALERT_NOTIFICATION => return None,
            other if other.is_response() => return None,
            _ => Self::GenericNack,
        })
    }

    fn bare_bind_resp(mode: BindMode) -> Self {
        Self::BindResp(BindResp { mode, ..BindResp::default() })
    }
}

impl BindMode {
    const fn request(self) -> CommandId {
        match self {
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    const fn response(self) -> CommandId {
        match self {
            Self::Receiver => CommandId::BIND_RECEIVER_RESP,
            Self::Transmitter => CommandId::BIND_TRANSMITTER_RESP,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER_RESP,
        }
    }
}
