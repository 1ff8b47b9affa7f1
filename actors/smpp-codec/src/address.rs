//! Addresses: a type of number, a numbering plan, and the octets themselves.

use bytes::Bytes;

use crate::field::{FieldFault, FieldWriter, Reader};

/// Types of number.
#[expect(missing_docs, reason = "the specification's own names")]
pub mod ton {
    pub const UNKNOWN: u8 = 0;
    pub const INTERNATIONAL: u8 = 1;
    pub const NATIONAL: u8 = 2;
    /// Short codes.
    pub const NETWORK_SPECIFIC: u8 = 3;
    pub const SUBSCRIBER_NUMBER: u8 = 4;
    /// A name of at most 11 GSM characters; its numbering plan is 0.
    pub const ALPHANUMERIC: u8 = 5;
    pub const ABBREVIATED: u8 = 6;
}

/// Numbering plans.
#[expect(missing_docs, reason = "the specification's own names")]
pub mod npi {
    pub const UNKNOWN: u8 = 0;
    /// E.163 and E.164: MSISDNs.
    pub const ISDN: u8 = 1;
    pub const DATA: u8 = 3;
    pub const TELEX: u8 = 4;
    pub const LAND_MOBILE: u8 = 6;
    pub const NATIONAL: u8 = 8;
    pub const PRIVATE: u8 = 9;
    pub const ERMES: u8 = 10;
    pub const INTERNET: u8 = 14;
    pub const WAP_CLIENT_ID: u8 = 18;
}

/// The most octets of an address with its NUL; data_sm and alert_notification allow [`LONG_ADDRESS`].
pub(crate) const SHORT_ADDRESS: usize = 21;
pub(crate) const LONG_ADDRESS: usize = 65;

/// An address as it came: an alphanumeric one may hold any octets but NUL, an international one may begin with `+`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PduAddress {
    /// See [`ton`].
    pub ton: u8,
    /// See [`npi`].
    pub npi: u8,
    /// Without its NUL; at most 20 octets where it is sent (64 in data_sm and alert_notification), any number where
    /// it is received.
    pub addr: Bytes,
}

impl PduAddress {
    /// An address of these parts.
    #[must_use]
    pub fn new(ton: u8, npi: u8, addr: impl Into<Bytes>) -> Self {
        Self { ton, npi, addr: addr.into() }
    }

    pub(crate) fn read(from: &mut Reader, field: &'static str) -> Result<Self, FieldFault> {
        Ok(Self { ton: from.u8(field)?, npi: from.u8(field)?, addr: from.c_string(field)? })
    }

    pub(crate) fn write(&self, to: &mut FieldWriter<'_>, field: &'static str, max: usize) {
        to.u8(self.ton);
        to.u8(self.npi);
        to.c_string(field, &self.addr, max);
    }
}
