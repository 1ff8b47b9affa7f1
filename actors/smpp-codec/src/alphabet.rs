//! Alphabets: texts to octets and back.

mod gsm;
pub mod packed;

use encoding_rs::{Encoding, ISO_8859_5, ISO_8859_8, WINDOWS_1252};
use thiserror::Error;

/// An alphabet that a text is sent in. Which one data_coding 0 means is a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// GSM 03.38 with its extension table, an octet a septet.
    Gsm7,
    /// GSM 03.38 with 8 septets in 7 octets; see [`packed`].
    Gsm7Packed,
    /// ASCII.
    Ascii,
    /// ISO-8859-1.
    Latin1,
    /// Windows code page 1252.
    Cp1252,
    /// ISO-8859-5: Cyrillic.
    Iso8859_5,
    /// ISO-8859-8: Hebrew.
    Iso8859_8,
    /// UTF-16BE: UCS-2 and surrogate pairs.
    Ucs2,
    /// UTF-8.
    Utf8,
}

/// The first character of a text that the alphabet lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the alphabet has no {character:?} (character {position} of the text)")]
pub struct LacksCharacter {
    /// The character.
    pub character: char,
    /// Which one of the text, from 0.
    pub position: usize,
}

impl Alphabet {
    /// The octets of a text.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, LacksCharacter> {
        match self {
            Self::Gsm7 => gsm::encode(text),
            Self::Gsm7Packed => Ok(packed::pack(&gsm::encode(text)?, 0)),
            Self::Ascii => single_octets(text, 0x7F),
            Self::Latin1 => single_octets(text, 0xFF),
            Self::Cp1252 => by_table(WINDOWS_1252, text),
            Self::Iso8859_5 => by_table(ISO_8859_5, text),
            Self::Iso8859_8 => by_table(ISO_8859_8, text),
            Self::Ucs2 => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
        }
    }

    /// The text of octets. U+FFFD stands for what the alphabet does not define.
    #[must_use]
    pub fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Gsm7 => gsm::decode(octets),
            Self::Gsm7Packed => gsm::decode(&packed::unpack(octets, 0)),
            Self::Ascii => octets.iter().map(|&o| if o < 0x80 { char::from(o) } else { '\u{fffd}' }).collect(),
            Self::Latin1 => octets.iter().map(|&octet| char::from(octet)).collect(),
            Self::Cp1252 => WINDOWS_1252.decode_without_bom_handling(octets).0.into_owned(),
            Self::Iso8859_5 => ISO_8859_5.decode_without_bom_handling(octets).0.into_owned(),
            Self::Iso8859_8 => ISO_8859_8.decode_without_bom_handling(octets).0.into_owned(),
            Self::Ucs2 => decode_utf16(octets),
            Self::Utf8 => String::from_utf8_lossy(octets).into_owned(),
        }
    }

    /// The text of octets that follow a UDH of `udh` octets. Packed septets begin at a septet's boundary there.
    #[must_use]
    pub fn decode_after_udh(self, octets: &[u8], udh: usize) -> String {
        match self {
            Self::Gsm7Packed => gsm::decode(&packed::unpack(octets, packed::fill_bits(udh))),
            other => other.decode(octets),
        }
    }

    /// The octets that [`crate::parts`] cuts: septets, one an octet, where the alphabet is packed later.
    pub(crate) fn encode_units(self, text: &str) -> Result<Vec<u8>, LacksCharacter> {
        if self == Self::Gsm7Packed { gsm::encode(text) } else { self.encode(text) }
    }
}

fn single_octets(text: &str, last: u8) -> Result<Vec<u8>, LacksCharacter> {
    let octet = |(position, character)| {
        u8::try_from(character).ok().filter(|octet| *octet <= last).ok_or(LacksCharacter { character, position })
    };
    text.chars().enumerate().map(octet).collect()
}

fn by_table(encoding: &'static Encoding, text: &str) -> Result<Vec<u8>, LacksCharacter> {
    let (octets, _, unmappable) = encoding.encode(text);
    if !unmappable {
        return Ok(octets.into_owned());
    }
    let mut buffer = [0; 4];
    let lacking = |&(_, c): &(usize, char)| encoding.encode(c.encode_utf8(&mut buffer)).2;
    match text.chars().enumerate().find(lacking) {
        Some((position, character)) => Err(LacksCharacter { character, position }),
        None => Ok(octets.into_owned()),
    }
}

fn decode_utf16(octets: &[u8]) -> String {
    let (pairs, odd) = octets.as_chunks();
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let decoded = char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}'));
    decoded.chain((!odd.is_empty()).then_some('\u{fffd}')).collect()
}

#[cfg(test)]
mod tests {
    use super::{Alphabet as A, LacksCharacter};

    #[test]
    fn alphabets_have_these_octets() {
        let table: [(A, &str, &[u8]); 9] = [
            (A::Gsm7, "@_$£é", &[0x00, 0x11, 0x02, 0x01, 0x05]),
            (A::Latin1, "@_$£é", &[0x40, 0x5F, 0x24, 0xA3, 0xE9]),
            (A::Ascii, "a~", b"a~"),
            (A::Cp1252, "€é", &[0x80, 0xE9]),
            (A::Iso8859_5, "Привет", &[0xBF, 0xE0, 0xD8, 0xD2, 0xD5, 0xE2]),
            (A::Iso8859_8, "שלום", &[0xF9, 0xEC, 0xE5, 0xED]),
            (A::Ucs2, "é😀", &[0x00, 0xE9, 0xD8, 0x3D, 0xDE, 0x00]),
            (A::Utf8, "é", &[0xC3, 0xA9]),
            (A::Gsm7Packed, "hello", &[0xE8, 0x32, 0x9B, 0xFD, 0x06]),
        ];
        for (alphabet, text, octets) in table {
            assert_eq!(alphabet.encode(text).as_deref(), Ok(octets), "{alphabet:?}");
            assert_eq!(alphabet.decode(octets), text, "{alphabet:?}");
        }
    }

    #[test]
    fn the_first_character_that_lacks_is_named() {
        let table = [
            (A::Gsm7, "aéç€ж", LacksCharacter { character: 'ç', position: 2 }),
            (A::Ascii, "é", LacksCharacter { character: 'é', position: 0 }),
            (A::Latin1, "é€", LacksCharacter { character: '€', position: 1 }),
            (A::Cp1252, "€ж", LacksCharacter { character: 'ж', position: 1 }),
            (A::Iso8859_5, "Жé", LacksCharacter { character: 'é', position: 1 }),
            (A::Iso8859_8, "ж", LacksCharacter { character: 'ж', position: 0 }),
        ];
        for (alphabet, text, lacks) in table {
            assert_eq!(alphabet.encode(text), Err(lacks), "{alphabet:?}");
        }
    }

    #[test]
    fn octets_without_a_meaning_are_shown_as_such() {
        assert_eq!(A::Ascii.decode(b"a\xe9"), "a\u{fffd}");
        assert_eq!(A::Gsm7.decode(b"a\xe9"), "a\u{fffd}");
        assert_eq!(A::Ucs2.decode(&[0, 0x61, 0xD8, 0x3D, 0x00]), "a\u{fffd}\u{fffd}");
        assert_eq!(A::Utf8.decode(b"a\xff"), "a\u{fffd}");
    }
}
