//! data_coding: the alphabet of a text, and its message class (3GPP TS 23.038).

/// The SMSC's default alphabet.
pub const DEFAULT: u8 = 0x00;
/// ASCII.
pub const ASCII: u8 = 0x01;
/// Octets.
pub const BINARY: u8 = 0x04;
/// ISO-8859-1.
pub const LATIN1: u8 = 0x03;
/// ISO-8859-5.
pub const CYRILLIC: u8 = 0x06;
/// ISO-8859-8.
pub const HEBREW: u8 = 0x07;
/// UTF-16BE.
pub const UCS2: u8 = 0x08;
/// USSD in the 7-bit alphabet.
pub const CBS_GSM7: u8 = 0x0F;
/// USSD in UCS-2.
pub const CBS_UCS2: u8 = 0x48;
/// A flash message in the 7-bit alphabet.
pub const FLASH_GSM7: u8 = 0xF0;

/// What the octets of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataCharset {
    /// The default alphabet of the SMSC: mostly GSM 03.38, a setting elsewhere.
    Default,
    /// GSM 03.38, by 23.038.
    Gsm7,
    /// ASCII.
    Ascii,
    /// ISO-8859-1.
    Latin1,
    /// ISO-8859-5.
    Cyrillic,
    /// ISO-8859-8.
    Hebrew,
    /// UTF-16BE.
    Ucs2,
    /// Octets that are no text.
    Binary,
    /// JIS, pictograms, ISO-2022-JP, kanji, KS C 5601 and what is reserved: kept raw.
    Raw,
}

/// A data_coding, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coding {
    /// The alphabet.
    pub charset: DataCharset,
    /// The message class: 0 flash, 1 device, 2 SIM, 3 terminal.
    pub class: Option<u8>,
    /// Whether it tells of a message that waits elsewhere.
    pub message_waiting: bool,
}

/// Takes a data_coding apart.
#[must_use]
pub const fn coding(data_coding: u8) -> Coding {
    let class = match data_coding {
        0x10..=0x1F | 0xF0..=0xFF => Some(data_coding & 3),
        _ => None,
    };
    Coding { charset: charset(data_coding), class, message_waiting: matches!(data_coding, 0xC0..=0xEF) }
}

const fn charset(data_coding: u8) -> DataCharset {
    match data_coding {
        0x00 => DataCharset::Default,
        0x01 => DataCharset::Ascii,
        0x02 | 0x04 => DataCharset::Binary,
        0x03 => DataCharset::Latin1,
        0x06 => DataCharset::Cyrillic,
        0x07 => DataCharset::Hebrew,
        0x08 | 0x48 | 0xE0..=0xEF => DataCharset::Ucs2,
        0x0F | 0xC0..=0xDF => DataCharset::Gsm7,
        0x10..=0x1F => match (data_coding >> 2) & 3 {
            0 => DataCharset::Gsm7,
            1 => DataCharset::Binary,
            2 => DataCharset::Ucs2,
            _ => DataCharset::Raw,
        },
        // Bit 3 is reserved there.
        0xF0..=0xFF if data_coding & 4 == 0 => DataCharset::Gsm7,
        0xF0..=0xFF => DataCharset::Binary,
        _ => DataCharset::Raw,
    }
}

#[cfg(test)]
mod tests {
    use super::{Coding, DataCharset as C, coding};

    #[test]
    fn codings_of_the_specification_and_of_23_038() {
        let table = [
            (0x00, C::Default, None, false),
            (0x01, C::Ascii, None, false),
            (0x02, C::Binary, None, false),
            (0x03, C::Latin1, None, false),
            (0x04, C::Binary, None, false),
            (0x05, C::Raw, None, false),
            (0x06, C::Cyrillic, None, false),
            (0x07, C::Hebrew, None, false),
            (0x08, C::Ucs2, None, false),
            (0x09, C::Raw, None, false),
            (0x0A, C::Raw, None, false),
            (0x0D, C::Raw, None, false),
            (0x0E, C::Raw, None, false),
            (0x0F, C::Gsm7, None, false),
            (0x10, C::Gsm7, Some(0), false),
            (0x15, C::Binary, Some(1), false),
            (0x18, C::Ucs2, Some(0), false),
            (0x1C, C::Raw, Some(0), false),
            (0x48, C::Ucs2, None, false),
            (0xC8, C::Gsm7, None, true),
            (0xD1, C::Gsm7, None, true),
            (0xE2, C::Ucs2, None, true),
            (0xF0, C::Gsm7, Some(0), false),
            (0xF2, C::Gsm7, Some(2), false),
            (0xF4, C::Binary, Some(0), false),
            (0xF7, C::Binary, Some(3), false),
        ];
        for (octet, charset, class, message_waiting) in table {
            assert_eq!(coding(octet), Coding { charset, class, message_waiting }, "{octet:#04x}");
        }
    }
}
