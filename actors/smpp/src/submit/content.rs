//! What an ESME hands in as the text of an SMS: a text, octets, or a part of a longer text, which goes out as it came.

use std::fmt::Write;

use vumi_front_kit::sms_text::text_error;
use vumi_kit::sms_options::Content;
use vumi_smpp_codec::{
    Alphabet, Message,
    data_coding::{self, Charset, Coding, coding},
    status, tag,
    udh::{Concat, Udh, Width},
};

use super::RefusalStatus;

/// The most octets of an SMS, and septets.
const MAX_OCTETS: usize = 140;
const MAX_SEPTETS: usize = 160;
/// Message class 0: shown at once and not kept.
const FLASH: u8 = 0;

/// The text of an SMS, or its octets in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) content: Content,
    pub(super) text: String,
}

/// Reads what is handed in. `default` is what `data_coding = 0` means.
pub(super) fn handed(message: &Message, default: Alphabet, max_segments: u32) -> Result<Handed, RefusalStatus> {
    if message.tlvs.get(tag::MESSAGE_PAYLOAD).is_some() && !message.short_message.is_empty() {
        return Err(status::ESME_RINVMSGLEN);
    }
    let (octets, coding): (&[u8], _) = (message.octets(), coding(message.data_coding));
    let (header, body) = header(message, octets)?;
    let alphabet = alphabet(coding.charset, default, body);
    match (header, alphabet) {
        (None, Some(alphabet)) if is_plain(message, &coding) => text(&alphabet.decode(body), &coding, max_segments),
        (header, None) if matches!(message.data_coding, 0x02 | data_coding::BINARY) && message.protocol_id == 0 => {
            Ok(Handed {
                text: sized(&header, body, MAX_OCTETS)?,
                content: Content::Binary { udh: header.map(|udh| hex(&udh)) },
            })
        }
        (header, alphabet) => raw(message, &coding, header, body, alphabet, default),
    }
}

/// The user data header and what follows it; one of TLVs is as one in front of the text.
fn header<'m>(message: &Message, octets: &'m [u8]) -> Result<(Option<Vec<u8>>, &'m [u8]), RefusalStatus> {
    if message.has_udh() {
        let length = Udh::read(octets).ok_or(status::ESME_RINVESMCLASS)?.length;
        let (header, body) = octets.split_at_checked(length).ok_or(status::ESME_RINVESMCLASS)?;
        return Ok((Some(header.to_vec()), body));
    }
    let part = Concat::from_sar(&message.tlvs).filter(|part| part.total > 1);
    Ok((part.and_then(|part| Concat { width: Width::Sixteen, ..part }.udh()), octets))
}

/// The alphabet of a text; none: it is octets. node-smpp writes GSM 03.38 where it says ASCII: octets that ASCII has no
/// characters for tell.
fn alphabet(charset: Charset, default: Alphabet, body: &[u8]) -> Option<Alphabet> {
    let controls = || body.iter().any(|octet| *octet < b' ' && !b"\n\r".contains(octet));
    match charset {
        Charset::Default => Some(default),
        Charset::Gsm7 => Some(Alphabet::Gsm7),
        Charset::Ascii if controls() => Some(Alphabet::Gsm7),
        Charset::Ascii => Some(Alphabet::Ascii),
        Charset::Latin1 => Some(Alphabet::Latin1),
        Charset::Cyrillic => Some(Alphabet::Iso8859_5),
        Charset::Hebrew => Some(Alphabet::Iso8859_8),
        Charset::Ucs2 => Some(Alphabet::Ucs2),
        Charset::Binary | Charset::Raw => None,
    }
}

/// Whether nothing but a text is asked for, or a text that is shown at once.
fn is_plain(message: &Message, coding: &Coding) -> bool {
    message.protocol_id == 0 && !coding.message_waiting && matches!(coding.class, None | Some(FLASH))
}

fn text(text: &str, coding: &Coding, max_segments: u32) -> Result<Handed, RefusalStatus> {
    if text_error(text, max_segments).is_some() {
        return Err(status::ESME_RINVMSGLEN);
    }
    let content = if coding.class == Some(FLASH) { Content::Flash } else { Content::Text };
    Ok(Handed { content, text: text.to_owned() })
}

/// What goes out as it came. Where 0 is not GSM 03.38 to the ESME, a part in it becomes that, or UCS-2.
fn raw(
    message: &Message,
    coding: &Coding,
    udh: Option<Vec<u8>>,
    body: &[u8],
    alphabet: Option<Alphabet>,
    default: Alphabet,
) -> Result<Handed, RefusalStatus> {
    let (mut data_coding, mut octets, mut of_septets) =
        (message.data_coding, body.to_vec(), alphabet == Some(Alphabet::Gsm7));
    if coding.charset == Charset::Default && default != Alphabet::Gsm7 {
        let text = default.decode(body);
        match Alphabet::Gsm7.encode(&text) {
            Ok(septets) => (octets, of_septets) = (septets, true),
            Err(_) => {
                (data_coding, of_septets) = (data_coding::UCS2, false);
                octets = Alphabet::Ucs2.encode(&text).map_err(|_| status::ESME_RINVMSGLEN)?;
            }
        }
    }
    let most = if of_septets { MAX_SEPTETS } else { MAX_OCTETS };
    let text = sized(&udh, &octets, most)?;
    let udh = udh.map(|udh| hex(&udh));
    Ok(Handed { text, content: Content::Raw { data_coding, protocol_id: message.protocol_id, udh } })
}

/// The octets in hex, if they fit into one SMS with the header: of septets it takes 8 for 7 octets.
fn sized(udh: &Option<Vec<u8>>, octets: &[u8], most: usize) -> Result<String, RefusalStatus> {
    let header = udh.as_ref().map_or(0, Vec::len);
    let taken = if most == MAX_SEPTETS { (header * 8).div_ceil(7) } else { header };
    if octets.is_empty() || octets.len() + taken > most { Err(status::ESME_RINVMSGLEN) } else { Ok(hex(octets)) }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _to_memory = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use vumi_kit::sms_options::Content;
    use vumi_smpp_codec::{
        Alphabet, Message, Tlvs, esm_class, status, tag,
        udh::{Concat, Width},
    };

    use super::{Handed, handed};

    fn read(message: &Message) -> Result<(Content, String), u32> {
        handed(message, Alphabet::Gsm7, 9).map(|Handed { content, text }| (content, text))
    }

    fn message(data_coding: u8, short_message: &'static [u8]) -> Message {
        Message { data_coding, short_message: short_message.into(), ..Message::default() }
    }

    #[test]
    fn each_data_coding_is_read_as_the_sheet_says() {
        let text = |text: &str| Ok((Content::Text, text.to_owned()));
        let raw =
            |data_coding, hex: &str| Ok((Content::Raw { data_coding, protocol_id: 0, udh: None }, hex.to_owned()));
        for (coding, octets, expected) in [
            (0, &b"\x00\x02 \x1be"[..], text("@$ €")),
            (1, b"plain", text("plain")),
            (1, b"\x05\x1be node", text("é€ node")),
            (3, b"caf\xe9", text("café")),
            (6, b"\xd0\xd1", text("аб")),
            (8, b"\x04\x16\xd8\x3d\xde\x00", text("Ж😀")),
            (0x0F, b"\x00", text("@")),
            (0xF0, b"now", Ok((Content::Flash, "now".to_owned()))),
            (0x10, b"now", Ok((Content::Flash, "now".to_owned()))),
            (4, b"\x01\xff", Ok((Content::Binary { udh: None }, "01ff".to_owned()))),
            (2, b"\x01\xff", Ok((Content::Binary { udh: None }, "01ff".to_owned()))),
            (0xF5, b"\x01\xff", raw(0xF5, "01ff")),
            (0xF1, b"abc", raw(0xF1, "616263")),
            (0xC8, b"abc", raw(0xC8, "616263")),
            (5, b"abc", raw(5, "616263")),
            (0, b"", Err(status::ESME_RINVMSGLEN)),
            (4, b"", Err(status::ESME_RINVMSGLEN)),
        ] {
            assert_eq!(read(&message(coding, octets)), expected, "{coding:#x}");
        }
    }

    #[test]
    fn a_part_goes_out_as_it_came_whether_its_place_is_in_a_header_or_in_tlvs() {
        let part = Message { esm_class: esm_class::UDH, ..message(0, b"\x05\x00\x03\x07\x02\x01abc") };
        let raw = |udh: &str| Content::Raw { data_coding: 0, protocol_id: 0, udh: Some(udh.to_owned()) };
        assert_eq!(read(&part), Ok((raw("050003070201"), "616263".to_owned())));
        let sar = Concat { reference: 0x0107, width: Width::Sar, total: 2, number: 2 }.sar();
        let part = Message { tlvs: sar, ..message(0, b"abc") };
        assert_eq!(read(&part), Ok((raw("06080401070202"), "616263".to_owned())));
        let alone = Concat { reference: 1, width: Width::Sar, total: 1, number: 1 }.sar();
        assert_eq!(read(&Message { tlvs: alone, ..message(0, b"abc") }), Ok((Content::Text, "abc".to_owned())));
        let ports = Message { esm_class: esm_class::UDH, ..message(4, b"\x06\x05\x04\x15\x81\x15\x81\x01\x02") };
        let binary = Content::Binary { udh: Some("06050415811581".to_owned()) };
        assert_eq!(read(&ports), Ok((binary, "0102".to_owned())));
        let torn = Message { esm_class: esm_class::UDH, ..message(0, b"\x05\x00\x03\x07") };
        assert_eq!(read(&torn), Err(status::ESME_RINVESMCLASS));
    }

    #[test]
    fn a_part_in_latin_1_becomes_gsm_or_ucs_2() {
        let read = |text: &'static [u8]| {
            let part = Message { esm_class: esm_class::UDH, ..message(0, text) };
            handed(&part, Alphabet::Latin1, 9).map(|Handed { content, text }| (content, text))
        };
        let raw = |data_coding| Content::Raw { data_coding, protocol_id: 0, udh: Some("050003070201".to_owned()) };
        assert_eq!(read(b"\x05\x00\x03\x07\x02\x01a@"), Ok((raw(0), "6100".to_owned())));
        assert_eq!(read(b"\x05\x00\x03\x07\x02\x01\xe2"), Ok((raw(8), "00e2".to_owned())));
    }

    #[test]
    fn what_does_not_fit_into_an_sms_is_refused_and_a_payload_stands_in_place_of_a_short_message() {
        let with_payload = |payload: Vec<u8>, short| Message {
            tlvs: Tlvs::new().with(tag::MESSAGE_PAYLOAD, payload),
            ..message(0, short)
        };
        let long = "a".repeat(300);
        assert_eq!(read(&with_payload(long.clone().into_bytes(), b"")), Ok((Content::Text, long)));
        assert_eq!(read(&with_payload(vec![b'a'], b"b")), Err(status::ESME_RINVMSGLEN));
        assert_eq!(read(&with_payload(vec![b'a'; 2000], b"")), Err(status::ESME_RINVMSGLEN));
        let octets = |count: usize| Message { short_message: vec![1; count].into(), ..message(4, b"") };
        assert!(read(&octets(140)).is_ok());
        assert_eq!(read(&octets(141)), Err(status::ESME_RINVMSGLEN));
        let septets = |count: usize| {
            let octets = [&b"\x05\x00\x03\x07\x02\x01"[..], &vec![b'a'; count]].concat();
            Message { esm_class: esm_class::UDH, short_message: octets.into(), ..message(0, b"") }
        };
        assert!(read(&septets(153)).is_ok());
        assert_eq!(read(&septets(154)), Err(status::ESME_RINVMSGLEN));
    }
}
