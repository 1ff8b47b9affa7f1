//! The fields that bodies are made of: how they are read, how they are written, and their maxima.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::status;

/// Why a body could not be read: the first field that is at fault, by its name in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field}: {kind}")]
pub struct FieldFault {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FaultKind {
    /// The body ends before the field does.
    #[error("the PDU ends before it does")]
    CutOff,
    /// A string goes on to the end of the body.
    #[error("its NUL is missing")]
    NoNul,
    /// A list has more entries than are read.
    #[error("it has too many entries")]
    TooMany,
    /// A flag or number has no meaning, so that what follows cannot be read.
    #[error("its value is not defined")]
    Undefined,
}

impl FieldFault {
    /// The command_status to answer the PDU with.
    #[must_use]
    pub fn status(&self) -> u32 {
        match self.field {
            "source_addr" => status::ESME_RINVSRCADR,
            "destination_addr" | "dl_name" => status::ESME_RINVDSTADR,
            "dest_flag" => status::ESME_RINVDESTFLAG,
            "number_of_dests" => status::ESME_RINVNUMDESTS,
            "message_id" => status::ESME_RINVMSGID,
            "sm_length" | "short_message" => status::ESME_RINVMSGLEN,
            "tlvs" => status::ESME_RINVTLVSTREAM,
            _ => status::ESME_RINVCMDLEN,
        }
    }
}

/// Why a PDU could not be written; nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A field is longer than the specification allows.
    #[error("{field} has more than {max} octets")]
    TooLong {
        /// The field's name in the specification.
        field: &'static str,
        /// The most octets that it may have, without its NUL.
        max: usize,
    },
    /// A string holds a NUL, which would end it.
    #[error("{field} holds a NUL")]
    HoldsNul {
        /// The field's name in the specification.
        field: &'static str,
    },
    /// A time is neither empty nor 16 octets.
    #[error("{field} is neither empty nor 16 octets")]
    BadTime {
        /// The field's name in the specification.
        field: &'static str,
    },
    /// A list has fewer or more entries than the specification allows.
    #[error("{field} has no entries, or more than {max}")]
    BadCount {
        /// The field's name in the specification.
        field: &'static str,
        /// The most entries that it may have.
        max: usize,
    },
}

/// Reads fields from the front of a body. Strings are slices of the body, without a copy.
#[derive(Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) const fn new(body: Bytes) -> Self {
        Self { rest: body }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn into_rest(self) -> Bytes {
        self.rest
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, FieldFault> {
        self.rest.try_get_u8().map_err(|_| FieldFault { field, kind: FaultKind::CutOff })
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, FieldFault> {
        self.rest.try_get_u32().map_err(|_| FieldFault { field, kind: FaultKind::CutOff })
    }

    /// The octets before the next NUL, of any number.
    pub(crate) fn c_string(&mut self, field: &'static str) -> Result<Bytes, FieldFault> {
        if self.rest.is_empty() {
            return Err(FieldFault { field, kind: FaultKind::CutOff });
        }
        let Some(end) = self.rest.iter().position(|&octet| octet == 0) else {
            return Err(FieldFault { field, kind: FaultKind::NoNul });
        };
        let value = if end == 0 { Bytes::new() } else { self.rest.split_to(end) };
        self.rest.advance(1);
        Ok(value)
    }

    /// As [`Reader::c_string`]; a string that is the last of its body needs no NUL, and may be missing.
    pub(crate) fn last_c_string(&mut self, field: &'static str) -> Bytes {
        match self.c_string(field) {
            Ok(value) => value,
            Err(_) => std::mem::take(&mut self.rest),
        }
    }

    pub(crate) fn octets(&mut self, field: &'static str, length: usize) -> Result<Bytes, FieldFault> {
        match length {
            0 => Ok(Bytes::new()),
            _ if length > self.rest.len() => Err(FieldFault { field, kind: FaultKind::CutOff }),
            _ => Ok(self.rest.split_to(length)),
        }
    }
}

/// Writes fields to the end of a buffer. The first error is kept; [`FieldWriter::finish`] gives it.
#[derive(Debug)]
pub(crate) struct FieldWriter<'a> {
    out: &'a mut BytesMut,
    error: Option<EncodeError>,
}

impl<'a> FieldWriter<'a> {
    pub(crate) const fn new(out: &'a mut BytesMut) -> Self {
        Self { out, error: None }
    }

    pub(crate) fn finish(self) -> Result<(), EncodeError> {
        self.error.map_or(Ok(()), Err)
    }

    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.out.put_u16(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    pub(crate) fn raw(&mut self, octets: &[u8]) {
        self.out.put_slice(octets);
    }

    /// A string and its NUL; `max` counts the NUL, as the specification does.
    pub(crate) fn c_string(&mut self, field: &'static str, value: &[u8], max: usize) {
        if value.len() >= max {
            self.fail(EncodeError::TooLong { field, max: max - 1 });
        }
        if value.contains(&0) {
            self.fail(EncodeError::HoldsNul { field });
        }
        self.raw(value);
        self.u8(0);
    }

    /// A time: 1 or 17 octets with its NUL.
    pub(crate) fn time(&mut self, field: &'static str, value: &[u8]) {
        if !matches!(value.len(), 0 | 16) {
            self.fail(EncodeError::BadTime { field });
        }
        self.c_string(field, value, 17);
    }

    /// A length of one octet, and as many octets.
    pub(crate) fn counted(&mut self, field: &'static str, value: &[u8], max: u8) {
        match u8::try_from(value.len()) {
            Ok(length) if length <= max => self.u8(length),
            _ => self.fail(EncodeError::TooLong { field, max: usize::from(max) }),
        }
        self.raw(value);
    }
}
