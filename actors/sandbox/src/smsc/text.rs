//! What a submission says: its text, and which part of a long SMS it is.

use std::fmt::Write as _;

use vumi_smpp_codec::{
    Alphabet, Message,
    data_coding::{DataCharset, coding},
    udh::{Concat, Udh},
};

/// The text of a PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PduText {
    /// Which part; none of an SMS that is whole.
    pub(super) concat: Option<Concat>,
    /// Octets that are no text, in hex.
    pub(super) text: String,
}

impl PduText {
    pub(super) fn read(message: &Message) -> Self {
        let octets = message.octets();
        let udh = if message.has_udh() { Udh::read(octets) } else { None };
        let concat = udh.and_then(|udh| udh.concat).or_else(|| Concat::from_sar(&message.tlvs));
        let body = octets.get(udh.map_or(0, |udh| udh.length)..).unwrap_or_default();
        Self { concat: concat.filter(|concat| concat.total > 1), text: decode(message.data_coding, body) }
    }
}

/// Data coding 0 is GSM 03.38, unpacked.
fn decode(data_coding: u8, octets: &[u8]) -> String {
    let alphabet = match coding(data_coding).charset {
        DataCharset::Default | DataCharset::Gsm7 => Alphabet::Gsm7,
        DataCharset::Ascii => Alphabet::Ascii,
        DataCharset::Latin1 => Alphabet::Latin1,
        DataCharset::Cyrillic => Alphabet::Iso8859_5,
        DataCharset::Hebrew => Alphabet::Iso8859_8,
        DataCharset::Ucs2 => Alphabet::Ucs2,
        DataCharset::Binary | DataCharset::Raw => return hex(octets),
    };
    alphabet.decode(octets)
}

/// Octets as hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        let _written_to_a_string = write!(text, "{octet:02x}");
        text
    })
}
