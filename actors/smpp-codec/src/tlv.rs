//! Optional parameters: a tag, a length, and as many octets.

use bytes::{Buf, Bytes};

use crate::field::{EncodeError, FaultKind, FieldFault, FieldWriter};

/// How many TLVs of a PDU are read, and may be written.
pub const MAX_TLVS: usize = 256;

/// The tags of the specification that are used, by its names.
#[expect(missing_docs, reason = "the specification's own names")]
pub mod tag {
    pub const DEST_ADDR_SUBUNIT: u16 = 0x0005;
    pub const ADDITIONAL_STATUS_INFO_TEXT: u16 = 0x001D;
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub const SOURCE_PORT: u16 = 0x020A;
    pub const DESTINATION_PORT: u16 = 0x020B;
    pub const SAR_MSG_REF_NUM: u16 = 0x020C;
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020F;
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    /// The type of the network (1 to 3, GSM is 3) and its code in 2 octets.
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const DELIVERY_FAILURE_REASON: u16 = 0x0425;
    pub const MORE_MESSAGES_TO_SEND: u16 = 0x0426;
    pub const MESSAGE_STATE: u16 = 0x0427;
    /// 5.0: 0 idle, 90 nearly congested, 100 congested.
    pub const CONGESTION_STATE: u16 = 0x0428;
    pub const USSD_SERVICE_OP: u16 = 0x0501;
    pub const ITS_REPLY_TYPE: u16 = 0x1380;
    pub const ITS_SESSION_INFO: u16 = 0x1383;
    /// The first tag of the vendors' range.
    pub const VENDOR_FIRST: u16 = 0x1400;
    /// The last tag of the vendors' range.
    pub const VENDOR_LAST: u16 = 0x3FFF;
}

/// A tag and its value, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlv {
    /// Which parameter; see [`tag`].
    pub tag: u16,
    /// Its octets.
    pub value: Bytes,
}

/// The TLVs of a PDU in their order, unknown ones and repeated ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs(Vec<Tlv>);

impl Tlvs {
    /// No TLVs.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a TLV.
    pub fn push(&mut self, tag: u16, value: impl Into<Bytes>) {
        self.0.push(Tlv { tag, value: value.into() });
    }

    /// These TLVs and one more.
    #[must_use]
    pub fn with(mut self, tag: u16, value: impl Into<Bytes>) -> Self {
        self.push(tag, value);
        self
    }

    /// Appends all of another list.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Tlv> {
        self.0.iter()
    }

    /// The value of the first TLV with the tag.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&Bytes> {
        self.0.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value)
    }

    /// A string: the octets before the first NUL, or all of them where there is none.
    #[must_use]
    pub fn c_string(&self, tag: u16) -> Option<&[u8]> {
        let value = self.get(tag)?;
        value.split(|&octet| octet == 0).next()
    }

    /// An integer, whatever its length in octets. `None` where it is empty or above `u32::MAX`.
    #[must_use]
    pub fn integer(&self, tag: u16) -> Option<u32> {
        let value = self.get(tag)?;
        let number = value.iter().try_fold(0_u32, |sum, &octet| sum.checked_mul(256)?.checked_add(u32::from(octet)));
        number.filter(|_| !value.is_empty())
    }

    /// An integer that must fit an octet.
    #[must_use]
    pub fn octet(&self, tag: u16) -> Option<u8> {
        self.integer(tag)?.try_into().ok()
    }

    /// Reads the end of a body. Some peers write a NUL after short_message: it is skipped where the rest then is
    /// a list of TLVs to the last octet. Fewer than 4 octets at the end are no TLV, and are ignored.
    pub(crate) fn read(rest: Bytes) -> Result<Self, FieldFault> {
        let read = Self::read_list(rest.clone());
        if read.spare == 0 && !read.cut_off {
            return read.into_result();
        }
        if rest.first() == Some(&0) {
            let shifted = Self::read_list(rest.slice(1..));
            if shifted.spare == 0 && !shifted.cut_off {
                return shifted.into_result();
            }
        }
        read.into_result()
    }

    fn read_list(mut rest: Bytes) -> List {
        let mut list = List::default();
        while rest.len() >= 4 {
            let (tag, length) = (rest.get_u16(), usize::from(rest.get_u16()));
            if length > rest.len() {
                list.cut_off = true;
                return list;
            }
            if list.tlvs.len() == MAX_TLVS {
                list.too_many = true;
                return list;
            }
            let value = if length == 0 { Bytes::new() } else { rest.split_to(length) };
            list.tlvs.push(Tlv { tag, value });
        }
        list.spare = rest.len();
        list
    }

    pub(crate) fn write(&self, to: &mut FieldWriter<'_>) {
        if self.0.len() > MAX_TLVS {
            to.fail(EncodeError::BadCount { field: "tlvs", max: MAX_TLVS });
        }
        for Tlv { tag, value } in &self.0 {
            let Ok(length) = u16::try_from(value.len()) else {
                to.fail(EncodeError::TooLong { field: "tlvs", max: usize::from(u16::MAX) });
                return;
            };
            to.u16(*tag);
            to.u16(length);
            to.raw(value);
        }
    }
}

impl FromIterator<(u16, Bytes)> for Tlvs {
    fn from_iter<I: IntoIterator<Item = (u16, Bytes)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(tag, value)| Tlv { tag, value }).collect())
    }
}

#[derive(Default)]
struct List {
    tlvs: Vec<Tlv>,
    spare: usize,
    cut_off: bool,
    too_many: bool,
}

impl List {
    fn into_result(self) -> Result<Tlvs, FieldFault> {
        let kind = match self {
            Self { cut_off: true, .. } => FaultKind::CutOff,
            Self { too_many: true, .. } => FaultKind::TooMany,
            Self { tlvs, .. } => return Ok(Tlvs(tlvs)),
        };
        Err(FieldFault { field: "tlvs", kind })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{MAX_TLVS, Tlvs, tag};
    use crate::{FaultKind, FieldFault};

    fn read(octets: &[u8]) -> Result<Tlvs, FieldFault> {
        Tlvs::read(Bytes::copy_from_slice(octets))
    }

    #[test]
    fn strings_have_a_nul_or_none_and_integers_any_length() {
        let tlvs = read(b"\0\x1e\0\x03abc\x04\x27\0\x02\0\x02\x02\x04\0\0\x14\0\0\x05\x01\0\0\0\0").unwrap();
        assert_eq!(tlvs.c_string(tag::RECEIPTED_MESSAGE_ID), Some(&b"abc"[..]));
        assert_eq!(tlvs.integer(tag::MESSAGE_STATE), Some(2));
        assert_eq!(tlvs.octet(tag::MESSAGE_STATE), Some(2));
        assert_eq!(tlvs.integer(tag::USER_MESSAGE_REFERENCE), None, "empty");
        assert_eq!(tlvs.integer(tag::VENDOR_FIRST), None, "5 octets");
        assert_eq!(tlvs.get(tag::SOURCE_PORT), None);
        assert_eq!(tlvs.len(), 4);
        assert_eq!(read(b"\0\x1e\0\x04abc\0").unwrap().c_string(tag::RECEIPTED_MESSAGE_ID), Some(&b"abc"[..]));
    }

    #[test]
    fn a_stray_nul_is_skipped_and_spare_octets_are_ignored() {
        for stray in [&b"\0"[..], b"\0\0", b"\0\0\0"] {
            assert_eq!(read(stray), Ok(Tlvs::new()));
        }
        assert_eq!(read(b"\0\0\x1e\0\x03abc").unwrap().c_string(tag::RECEIPTED_MESSAGE_ID), Some(&b"abc"[..]));
        assert_eq!(read(b"\x04\x27\0\x01\x02zz").unwrap().octet(tag::MESSAGE_STATE), Some(2));
    }

    #[test]
    fn a_tlv_is_never_read_past_the_body_and_their_number_is_bounded() {
        assert_eq!(read(b"\x04\x24\0\x05abc"), Err(FieldFault { field: "tlvs", kind: FaultKind::CutOff }));
        let many = b"\x14\0\0\0".repeat(MAX_TLVS);
        assert_eq!(read(&many).unwrap().len(), MAX_TLVS);
        let fault = FieldFault { field: "tlvs", kind: FaultKind::TooMany };
        assert_eq!(read(&[&many[..], b"\x14\0\0\0"].concat()), Err(fault));
    }
}
