//! SMPP 3.4 with what 5.0 adds to it: PDUs, the octets that carry them, and what they hold (alphabets, parts,
//! receipts, times, message ids). No I/O.
//!
//! [`SmppCodec`] reads a stream of either direction. It is tolerant by field: a fault in a body is the value of that
//! [`IncomingPdu`], beside the header, so that the PDU is answered with a status and the session lives. What is written
//! keeps the maxima of the specification; [`EncodeError`] names the field that does not, and nothing is written.

pub mod address;
pub mod alphabet;
pub mod data_coding;
pub mod esm_class;
pub mod message_id;
pub mod parts;
pub mod receipt;
pub mod registered_delivery;
pub mod status;
pub mod time;
pub mod udh;
pub mod ussd_service_op;

mod codec;
mod command_id;
mod field;
mod message_state;
mod pdu;
mod tlv;

#[cfg(test)]
mod tests;

pub use address::PduAddress;
pub use alphabet::Alphabet;
pub use codec::{BadLength, IncomingPdu, MAX_LENGTH, OutgoingPdu, SmppCodec, StreamFault, WriteFault};
pub use command_id::CommandId;
pub use field::{EncodeError, FaultKind, FieldFault};
pub use message_state::MessageState;
pub use pdu::{
    AlertNotification, Bind, BindMode, BindPassword, BindResp, CancelSm, DataSm, Message, MessageResp,
    MultiDestination, MultiFailure, Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp,
};
pub use tlv::{MAX_TLVS, Tlv, Tlvs, tag};
