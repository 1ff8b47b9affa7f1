//! Long texts: cut into parts that a network carries.

use bytes::Bytes;
use thiserror::Error;

use crate::{
    Alphabet, Message, Tlvs,
    alphabet::{LacksCharacter, packed},
    esm_class, tag,
    udh::{Concat, Width},
};

/// How a text that does not fit a single SMS is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A UDH with a reference of 8 bits.
    Udh8,
    /// A UDH with a reference of 16 bits.
    Udh16,
    /// The TLVs `sar_*`.
    Sar,
    /// The whole text in message_payload; the SMSC cuts it.
    Payload,
}

/// How many octets a single SMS holds, and how many of the text a part of a longer one. Septets count as octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named by the type")]
pub struct PartLimits {
    pub single: usize,
    pub part: usize,
}

impl PartLimits {
    /// The limits of an alphabet, or of binary octets. The SMSC writes a UDH of 8 bits for `sar`.
    #[must_use]
    pub const fn of(alphabet: Option<Alphabet>, method: Method) -> Self {
        let wide = matches!(method, Method::Udh16);
        let (single, part) = match alphabet {
            Some(Alphabet::Gsm7 | Alphabet::Gsm7Packed) if wide => (160, 152),
            Some(Alphabet::Gsm7 | Alphabet::Gsm7Packed) => (160, 153),
            Some(Alphabet::Ucs2) if wide => (140, 132),
            _ if wide => (140, 133),
            _ => (140, 134),
        };
        Self { single, part }
    }
}

/// What a PDU carries of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePart {
    /// The UDH and the octets; empty where the TLVs hold them.
    pub short_message: Bytes,
    /// [`esm_class::UDH`] where a UDH leads the octets, else 0.
    pub esm_class: u8,
    /// The TLVs `sar_*` or message_payload.
    pub tlvs: Tlvs,
}

impl MessagePart {
    /// Puts the part into a PDU: its octets, its bit of esm_class, its TLVs.
    pub fn put_into(self, message: &mut Message) {
        message.short_message = self.short_message;
        message.esm_class |= self.esm_class;
        message.tlvs.extend(self.tlvs);
    }
}

/// Why a text could not be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SplitError {
    /// See [`LacksCharacter`].
    #[error(transparent)]
    LacksCharacter(#[from] LacksCharacter),
    /// It takes more than 255 parts, or more than 65,535 octets of message_payload.
    #[error("the text takes more than 255 parts, or more than 65,535 octets")]
    TooLong,
}

/// Cuts a text by the limits of its alphabet. `reference` is the same for all parts; of it `Udh8` uses the lower 8 bits.
pub fn split(alphabet: Alphabet, text: &str, method: Method, reference: u16) -> Result<Vec<MessagePart>, SplitError> {
    let limits = PartLimits::of(Some(alphabet), method);
    split_octets(Some(alphabet), &alphabet.encode_units(text)?, method, limits, reference)
}

/// Cuts octets that are encoded already; no alphabet for binary ones. Escapes, surrogate pairs and characters of
/// UTF-8 stay whole. For [`Alphabet::Gsm7Packed`] the octets are septets, one an octet; they are packed here.
pub fn split_octets(
    alphabet: Option<Alphabet>,
    octets: &[u8],
    method: Method,
    limits: PartLimits,
    reference: u16,
) -> Result<Vec<MessagePart>, SplitError> {
    if octets.len() <= limits.single {
        let short_message = written(alphabet, octets, 0).into();
        return Ok(vec![MessagePart { short_message, esm_class: 0, tlvs: Tlvs::new() }]);
    }
    let width = match method {
        Method::Udh8 => Width::Eight,
        Method::Udh16 => Width::Sixteen,
        Method::Sar => Width::Sar,
        Method::Payload => return payload(&written(alphabet, octets, 0)),
    };
    let pieces = pieces(alphabet, octets, limits.part);
    let total = u8::try_from(pieces.len()).map_err(|_| SplitError::TooLong)?;
    let reference = if width == Width::Eight { reference & 0xFF } else { reference };
    let part = |(number, piece)| part(alphabet, piece, Concat { reference, width, total, number });
    Ok((1..=total).zip(pieces).map(part).collect())
}

fn payload(octets: &[u8]) -> Result<Vec<MessagePart>, SplitError> {
    if octets.len() > usize::from(u16::MAX) {
        return Err(SplitError::TooLong);
    }
    let tlvs = Tlvs::new().with(tag::MESSAGE_PAYLOAD, octets.to_vec());
    Ok(vec![MessagePart { short_message: Bytes::new(), esm_class: 0, tlvs }])
}

fn part(alphabet: Option<Alphabet>, piece: &[u8], concat: Concat) -> MessagePart {
    match concat.udh() {
        Some(mut short_message) => {
            let text = written(alphabet, piece, short_message.len());
            short_message.extend(text);
            MessagePart { short_message: short_message.into(), esm_class: esm_class::UDH, tlvs: Tlvs::new() }
        }
        None => MessagePart { short_message: written(alphabet, piece, 0).into(), esm_class: 0, tlvs: concat.sar() },
    }
}

fn written(alphabet: Option<Alphabet>, piece: &[u8], udh: usize) -> Vec<u8> {
    match alphabet {
        Some(Alphabet::Gsm7Packed) => packed::pack(piece, packed::fill_bits(udh)),
        _ => piece.to_vec(),
    }
}

fn pieces(alphabet: Option<Alphabet>, octets: &[u8], most: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(octets.len() / most.max(1) + 1);
    let mut rest = octets;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at_checked(cut(alphabet, rest, most)).unwrap_or((rest, &[]));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Where to cut: at `most` octets, or before what must stay whole. At least one octet, whatever the limit.
fn cut(alphabet: Option<Alphabet>, octets: &[u8], most: usize) -> usize {
    if octets.len() <= most {
        return octets.len();
    }
    let before = match alphabet {
        Some(Alphabet::Gsm7 | Alphabet::Gsm7Packed) => {
            let escapes = octets.iter().take(most).rev().take_while(|&&septet| septet == 0x1B).count();
            most - escapes % 2
        }
        Some(Alphabet::Ucs2) => {
            let even = most - most % 2;
            let high = even.checked_sub(2).and_then(|last| octets.get(last)).is_some_and(|o| o & 0xFC == 0xD8);
            if high { even - 2 } else { even }
        }
        Some(Alphabet::Utf8) => {
            (0..=most).rev().find(|&at| octets.get(at).is_none_or(|o| o & 0xC0 != 0x80)).unwrap_or(0)
        }
        _ => most,
    };
    if before == 0 { most.max(1) } else { before }
}

#[cfg(test)]
mod tests {
    use super::{Alphabet as A, MessagePart, Method as M, PartLimits, SplitError, split, split_octets};
    use crate::{
        Tlvs, tag,
        udh::{Concat, Udh, Width},
    };

    fn lengths(parts: &[MessagePart]) -> Vec<usize> {
        parts.iter().map(|part| part.short_message.len()).collect()
    }

    #[test]
    fn limits_of_alphabets() {
        let table = [
            (Some(A::Gsm7), 160, 153, 152),
            (Some(A::Gsm7Packed), 160, 153, 152),
            (Some(A::Latin1), 140, 134, 133),
            (Some(A::Ascii), 140, 134, 133),
            (Some(A::Ucs2), 140, 134, 132),
            (None, 140, 134, 133),
        ];
        for (alphabet, single, narrow, wide) in table {
            assert_eq!(PartLimits::of(alphabet, M::Udh8), PartLimits { single, part: narrow }, "{alphabet:?}");
            assert_eq!(PartLimits::of(alphabet, M::Udh16), PartLimits { single, part: wide }, "{alphabet:?}");
        }
    }

    #[test]
    fn a_text_is_single_up_to_the_limit() {
        assert_eq!(lengths(&split(A::Gsm7, &"a".repeat(160), M::Udh8, 7).unwrap()), [160]);
        assert_eq!(lengths(&split(A::Gsm7, &"a".repeat(161), M::Udh8, 7).unwrap()), [159, 6 + 8]);
        assert_eq!(lengths(&split(A::Gsm7, &"a".repeat(161), M::Udh16, 7).unwrap()), [159, 7 + 9]);
        assert_eq!(lengths(&split(A::Ucs2, &"ж".repeat(70), M::Udh8, 7).unwrap()), [140]);
        assert_eq!(lengths(&split(A::Ucs2, &"ж".repeat(71), M::Udh8, 7).unwrap()), [140, 6 + 8]);
        assert_eq!(lengths(&split(A::Ucs2, &"ж".repeat(71), M::Udh16, 7).unwrap()), [139, 7 + 10]);
        assert_eq!(lengths(&split(A::Gsm7Packed, &"a".repeat(160), M::Udh8, 7).unwrap()), [140]);
        assert_eq!(lengths(&split(A::Gsm7Packed, &"a".repeat(306), M::Udh8, 7).unwrap()), [140, 140]);
        assert_eq!(split(A::Gsm7, "", M::Udh8, 7).unwrap().len(), 1);
    }

    #[test]
    fn an_escape_and_a_surrogate_pair_stay_whole() {
        let text = format!("{}€{}", "a".repeat(152), "b".repeat(20));
        let parts = split(A::Gsm7, &text, M::Udh8, 7).unwrap();
        assert_eq!(lengths(&parts), [6 + 152, 6 + 22]);
        assert_eq!(parts[1].short_message[6..8], [0x1B, 0x65]);
        let parts = split(A::Ucs2, &format!("{}😀{}", "a".repeat(66), "b".repeat(9)), M::Udh8, 7).unwrap();
        assert_eq!(lengths(&parts), [6 + 132, 6 + 22]);
        let parts = split(A::Utf8, &"é".repeat(71), M::Udh16, 7).unwrap();
        assert_eq!(lengths(&parts), [7 + 132, 7 + 10]);
    }

    #[test]
    fn each_method_says_which_part_it_is() {
        let text = "a".repeat(310);
        for (method, width, reference) in [(M::Udh8, Width::Eight, 0xCD), (M::Udh16, Width::Sixteen, 0xABCD)] {
            let parts = split(A::Gsm7, &text, method, 0xABCD).unwrap();
            for (number, part) in (1..).zip(&parts) {
                let concat = Concat::new(reference, width, 3, number);
                assert_eq!(Udh::read(&part.short_message).unwrap().concat, concat);
                assert_eq!((part.esm_class, &part.tlvs), (0x40, &Tlvs::new()));
            }
        }
        let parts = split(A::Gsm7, &text, M::Sar, 0xABCD).unwrap();
        assert_eq!(lengths(&parts), [153, 153, 4]);
        assert_eq!(Concat::from_sar(&parts[1].tlvs), Concat::new(0xABCD, Width::Sar, 3, 2));
        assert_eq!(parts[1].esm_class, 0);
        let parts = split(A::Gsm7, &text, M::Payload, 0xABCD).unwrap();
        assert_eq!((parts.len(), lengths(&parts)), (1, vec![0]));
        assert_eq!(parts[0].tlvs.get(tag::MESSAGE_PAYLOAD).unwrap().len(), 310);
    }

    #[test]
    fn more_than_255_parts_are_refused() {
        assert_eq!(split(A::Gsm7, &"a".repeat(255 * 153), M::Udh8, 1).unwrap().len(), 255);
        assert_eq!(split(A::Gsm7, &"a".repeat(255 * 153 + 1), M::Udh8, 1), Err(SplitError::TooLong));
        assert_eq!(split(A::Utf8, &"a".repeat(65536), M::Payload, 1), Err(SplitError::TooLong));
        assert!(matches!(split(A::Gsm7, "ж", M::Payload, 1), Err(SplitError::LacksCharacter(_))));
    }

    #[test]
    fn binary_octets_are_cut_anywhere() {
        let limits = PartLimits::of(None, M::Udh8);
        assert_eq!(lengths(&split_octets(None, &[0x1B; 141], M::Udh8, limits, 1).unwrap()), [140, 13]);
    }
}
