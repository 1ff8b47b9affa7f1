//! Reads a stream of octets as PDUs, and writes PDUs.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::{CommandId, EncodeError, FieldFault, Pdu};

/// The octets of a header.
const HEADER: usize = 16;

/// The longest PDU that is read by default, and the longest that is written, in octets: a message_payload of 64 KiB and
/// 1 KiB for the rest.
pub const MAX_LENGTH: usize = 65 * 1024;

/// A PDU that was read: its header, and its body or the fault in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingPdu {
    /// Which operation.
    pub command: CommandId,
    /// The command_status: 0 in requests and in responses of success; see [`crate::status`].
    pub status: u32,
    /// The sequence_number, any that the peer chose.
    pub sequence: u32,
    /// The body. On a fault in a request, answer [`CommandId::response`] with [`FieldFault::status`].
    pub body: Result<Pdu, FieldFault>,
}

/// A PDU to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingPdu {
    /// The command_status: 0 in requests.
    pub status: u32,
    /// The sequence_number: 1 to 0x7FFFFFFF in our requests, the peer's in responses.
    pub sequence: u32,
    /// The body, which says which operation it is.
    pub pdu: Pdu,
}

/// A command_length below 16 or above the limit. Where the next PDU begins is unknown: answer generic_nack with
/// `ESME_RINVCMDLEN` and sequence 0, and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a command_length of {length}, where 16 to {max} are read")]
pub struct BadLength {
    /// The command_length.
    pub length: u32,
    /// The limit.
    pub max: usize,
}

/// Why a stream could not be read on.
#[derive(Debug, Error)]
pub enum StreamFault {
    /// See [`BadLength`].
    #[error(transparent)]
    BadLength(#[from] BadLength),
    /// The stream ended within a PDU.
    #[error("the stream ended within a PDU, after {octets} octets of it")]
    CutOff {
        /// How much of it had come.
        octets: usize,
    },
    /// The transport's own error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a PDU could not be written to a stream.
#[derive(Debug, Error)]
pub enum WriteFault {
    /// Nothing was written; the stream is sound.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport's own error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads PDUs of either direction from a stream, and writes them. After [`BadLength`] it reads nothing more.
#[derive(Debug)]
pub struct SmppCodec {
    max_length: usize,
    failed: bool,
}

impl Default for SmppCodec {
    fn default() -> Self {
        Self::with_max_length(MAX_LENGTH)
    }
}

impl SmppCodec {
    /// A codec that reads PDUs of at most `max_length` octets, header included: a low limit for a peer that is not bound
    /// yet.
    #[must_use]
    pub const fn with_max_length(max_length: usize) -> Self {
        Self { max_length, failed: false }
    }

    /// Changes the limit for the PDUs that follow.
    pub const fn set_max_length(&mut self, max_length: usize) {
        self.max_length = max_length;
    }

    /// The next PDU; `None` until more octets come. What it reads is removed from the front of the buffer. The
    /// buffer never needs to hold more than the limit. Fields are slices of the buffer's memory: whoever keeps one
    /// for long should copy it.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Option<Result<IncomingPdu, BadLength>> {
        if self.failed {
            buffer.clear();
            return None;
        }
        let length = u32::from_be_bytes(*buffer.first_chunk()?);
        let octets = usize::try_from(length).unwrap_or(usize::MAX);
        if octets < HEADER || octets > self.max_length {
            self.failed = true;
            buffer.clear();
            return Some(Err(BadLength { length, max: self.max_length }));
        }
        if buffer.len() < octets {
            return None;
        }
        let mut pdu = buffer.split_to(octets).freeze();
        pdu.advance(4);
        let (command, status, sequence) = (CommandId(pdu.get_u32()), pdu.get_u32(), pdu.get_u32());
        Some(Ok(IncomingPdu { command, status, sequence, body: Pdu::read(command, status, pdu) }))
    }
}

impl Decoder for SmppCodec {
    type Item = IncomingPdu;
    type Error = StreamFault;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<IncomingPdu>, StreamFault> {
        Ok(self.next(buffer).transpose()?)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<IncomingPdu>, StreamFault> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => {
                let octets = buffer.len();
                buffer.clear();
                Err(StreamFault::CutOff { octets })
            }
            item => Ok(item),
        }
    }
}

impl Encoder<&OutgoingPdu> for SmppCodec {
    type Error = WriteFault;

    fn encode(&mut self, command: &OutgoingPdu, buffer: &mut BytesMut) -> Result<(), WriteFault> {
        Ok(command.encode_into(buffer)?)
    }
}

impl Encoder<OutgoingPdu> for SmppCodec {
    type Error = WriteFault;

    fn encode(&mut self, command: OutgoingPdu, buffer: &mut BytesMut) -> Result<(), WriteFault> {
        Ok(command.encode_into(buffer)?)
    }
}

impl OutgoingPdu {
    /// Appends the PDU's octets. Nothing is appended on an error.
    pub fn encode_into(&self, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let start = buffer.len();
        let written = self.append(buffer);
        if written.is_err() {
            buffer.truncate(start);
        }
        written
    }

    fn append(&self, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let start = buffer.len();
        buffer.put_u32(0);
        buffer.put_u32(self.pdu.command_id().0);
        buffer.put_u32(self.status);
        buffer.put_u32(self.sequence);
        self.pdu.write(self.status, buffer)?;
        let length = buffer.len() - start;
        let too_long = EncodeError::TooLong { field: "command_length", max: MAX_LENGTH };
        let length_octets = u32::try_from(length).ok().filter(|_| length <= MAX_LENGTH).ok_or(too_long)?.to_be_bytes();
        if let Some(place) = buffer.get_mut(start..).and_then(|pdu| pdu.first_chunk_mut()) {
            *place = length_octets;
        }
        Ok(())
    }
}
