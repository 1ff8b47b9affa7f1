//! The user data header (3GPP TS 23.040, 9.2.3.24), and which part of a long SMS a PDU is.

use crate::{Tlvs, tag};

const CONCAT_8: u8 = 0x00;
const CONCAT_16: u8 = 0x08;
const PORTS_8: u8 = 0x04;
const PORTS_16: u8 = 0x05;

/// The width of a reference: parts whose references differ in width belong to different SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 8 bits, in a UDH.
    Eight,
    /// 16 bits, in a UDH.
    Sixteen,
    /// 16 bits, in the TLVs `sar_*`.
    Sar,
}

/// Which part of a long SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The same for all parts of an SMS; 0 is one like others.
    pub reference: u16,
    /// How the reference was written.
    pub width: Width,
    /// How many parts: 1 to 255.
    pub total: u8,
    /// Which one: 1 to `total`.
    pub number: u8,
}

impl Concat {
    /// `None` where the numbers are none of a part (a total or number of 0, a number above the total): such a message is
    /// a single one.
    #[must_use]
    pub const fn new(reference: u16, width: Width, total: u8, number: u8) -> Option<Self> {
        if total == 0 || number == 0 || number > total {
            return None;
        }
        Some(Self { reference, width, total, number })
    }

    /// From the TLVs sar_msg_ref_num, sar_total_segments and sar_segment_seqnum, all three.
    #[must_use]
    pub fn from_sar(tlvs: &Tlvs) -> Option<Self> {
        let reference = tlvs.integer(tag::SAR_MSG_REF_NUM)?.try_into().ok()?;
        Self::new(reference, Width::Sar, tlvs.octet(tag::SAR_TOTAL_SEGMENTS)?, tlvs.octet(tag::SAR_SEGMENT_SEQNUM)?)
    }

    /// The UDH, its own length included; `None` for [`Width::Sar`]. Of a reference of 8 bits the lower ones are written.
    #[must_use]
    pub fn udh(&self) -> Option<Vec<u8>> {
        let [high, low] = self.reference.to_be_bytes();
        match self.width {
            Width::Eight => Some(vec![5, CONCAT_8, 3, low, self.total, self.number]),
            Width::Sixteen => Some(vec![6, CONCAT_16, 4, high, low, self.total, self.number]),
            Width::Sar => None,
        }
    }

    /// The TLVs `sar_*`.
    #[must_use]
    pub fn sar(&self) -> Tlvs {
        Tlvs::new()
            .with(tag::SAR_MSG_REF_NUM, self.reference.to_be_bytes().to_vec())
            .with(tag::SAR_TOTAL_SEGMENTS, vec![self.total])
            .with(tag::SAR_SEGMENT_SEQNUM, vec![self.number])
    }
}

/// The application ports of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Where it goes.
    pub destination: u16,
    /// Where it comes from.
    pub source: u16,
}

/// What a UDH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udh {
    /// Its octets with its own length: the text begins behind them.
    pub length: usize,
    /// Which part of a long SMS; `None` for a single one.
    pub concat: Option<Concat>,
    /// The ports, if it has any.
    pub ports: Option<Ports>,
}

impl Udh {
    /// Reads the UDH in front of a text. `None` where it is longer than the octets, or an element is longer than it.
    /// Elements that are not known, or have another length than theirs, are skipped; of two the last counts.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let (&length, rest) = octets.split_first()?;
        let mut elements = rest.get(..usize::from(length))?;
        let mut udh = Self { length: usize::from(length) + 1, concat: None, ports: None };
        while let Some((&id, after)) = elements.split_first() {
            let (&size, after) = after.split_first()?;
            let (value, after) = after.split_at_checked(usize::from(size))?;
            udh.take(id, value);
            elements = after;
        }
        Some(udh)
    }

    fn take(&mut self, id: u8, value: &[u8]) {
        match (id, value) {
            (CONCAT_8, &[reference, total, number]) => {
                self.concat = Concat::new(u16::from(reference), Width::Eight, total, number);
            }
            (CONCAT_16, &[high, low, total, number]) => {
                self.concat = Concat::new(u16::from_be_bytes([high, low]), Width::Sixteen, total, number);
            }
            (PORTS_8, &[destination, source]) => {
                self.ports = Some(Ports { destination: destination.into(), source: source.into() });
            }
            (PORTS_16, &[d1, d2, s1, s2]) => {
                let (destination, source) = (u16::from_be_bytes([d1, d2]), u16::from_be_bytes([s1, s2]));
                self.ports = Some(Ports { destination, source });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Concat, Ports, Udh, Width};
    use crate::{Tlvs, tag};

    /// A name, octets, and what they say: the length, the part, the ports.
    type Row = (&'static str, &'static [u8], usize, Option<Concat>, Option<Ports>);

    #[test]
    fn headers_and_what_they_say() {
        let concat = |reference, width, total, number| Concat::new(reference, width, total, number);
        let ports = |destination, source| Some(Ports { destination, source });
        let table: [Row; 10] = [
            ("8 bits", &[5, 0, 3, 0x2A, 3, 2, b'x'], 6, concat(0x2A, Width::Eight, 3, 2), None),
            ("16 bits", &[6, 8, 4, 1, 2, 3, 1], 7, concat(0x102, Width::Sixteen, 3, 1), None),
            ("reference 0", &[5, 0, 3, 0, 2, 1], 6, concat(0, Width::Eight, 2, 1), None),
            ("ports of 8 bits", &[4, 4, 2, 7, 8], 5, None, ports(7, 8)),
            ("ports of 16", &[6, 5, 4, 0x0B, 0x84, 0x23, 0xF0], 7, None, ports(2948, 9200)),
            (
                "ports, unknown, concat",
                &[14, 5, 4, 0, 1, 0, 2, 0x24, 1, 9, 0, 3, 9, 2, 2],
                15,
                concat(9, Width::Eight, 2, 2),
                ports(1, 2),
            ),
            ("total 0", &[5, 0, 3, 1, 0, 0], 6, None, None),
            ("number above total", &[5, 0, 3, 1, 2, 3], 6, None, None),
            ("number 0", &[5, 0, 3, 1, 2, 0], 6, None, None),
            ("empty", &[0, b'x'], 1, None, None),
        ];
        for (name, octets, length, concat, ports) in table {
            assert_eq!(Udh::read(octets), Some(Udh { length, concat, ports }), "{name}");
        }
    }

    #[test]
    fn a_header_that_does_not_fit_is_none() {
        for malformed in [&b""[..], &[5, 0, 3, 1], &[5, 0, 9, 1, 2, 3], &[1, 0], &[255]] {
            assert_eq!(Udh::read(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn a_part_is_written_as_it_is_read() {
        for width in [Width::Eight, Width::Sixteen] {
            let concat = Concat::new(0xAB, width, 255, 254).unwrap();
            assert_eq!(Udh::read(&concat.udh().unwrap()).unwrap().concat, Some(concat));
        }
        let concat = Concat::new(0xABCD, Width::Sar, 2, 1).unwrap();
        assert_eq!(concat.udh(), None);
        assert_eq!(Concat::from_sar(&concat.sar()), Some(concat));
    }

    #[test]
    fn sar_needs_all_three_tlvs_of_any_length() {
        let two = Tlvs::new().with(tag::SAR_MSG_REF_NUM, &b"\x01"[..]).with(tag::SAR_TOTAL_SEGMENTS, &b"\0\x02"[..]);
        assert_eq!(Concat::from_sar(&two), None);
        let three = two.with(tag::SAR_SEGMENT_SEQNUM, &b"\x02"[..]);
        assert_eq!(Concat::from_sar(&three), Concat::new(1, Width::Sar, 2, 2));
    }
}
