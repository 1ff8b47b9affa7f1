//! A deliver_sm or data_sm: a receipt, or an SMS from a person.

use vumi_kit::{
    clock::Timestamp,
    sms::{InboundPart, InboundSms},
};
use vumi_smpp_codec::{
    Alphabet, Message,
    data_coding::{DataCharset, coding},
    receipt::SmppReceipt,
    status,
    udh::{Concat, Udh, Width},
};

use super::{Settings, addresses, inbox::Item, reports};

/// What came.
pub(super) struct ReadMessage {
    pub(super) item: Item,
    /// Something about it that an operator should see.
    pub(super) odd: Option<&'static str>,
}

/// Reads it. An error is the command_status that it is refused with.
pub(super) fn read(settings: &Settings, message: &Message, now: Timestamp) -> Result<ReadMessage, u32> {
    let header = if message.has_udh() { Udh::read(message.octets()) } else { None };
    let octets = message.octets();
    let text = header.and_then(|udh| octets.get(udh.length..)).unwrap_or(octets);
    let receipt = SmppReceipt::read(message.esm_class, text, &message.tlvs, settings.receipts.detect());
    if let Some(receipt) = receipt {
        let (receipt, odd) = reports::report(settings, message, &receipt);
        return Ok(ReadMessage { item: Item::Receipt(Box::new(receipt)), odd });
    }
    let from = addresses::read(&message.source).ok_or(status::ESME_RINVSRCADR)?;
    let to = addresses::read(&message.destination).or_else(|| settings.short_code.clone());
    let to = to.ok_or(status::ESME_RINVDSTADR)?;
    let (words, charset) = decoded(settings, message.data_coding, text, header.map_or(0, |udh| udh.length));
    let concat = header.and_then(|udh| udh.concat).or_else(|| Concat::from_sar(&message.tlvs));
    let sms = InboundSms {
        from,
        to,
        message: words,
        charset: Some(charset.to_owned()),
        provider_id: None,
        at: Some(now),
        part: concat.and_then(part).map(|part| InboundPart { waits: settings.join_parts_within, ..part }),
    };
    let odd = (charset == UNREAD).then_some("SMS from people in an alphabet that is not read: kept as hex digits");
    Ok(ReadMessage { item: Item::Sms(Box::new(sms)), odd })
}

fn part(concat: Concat) -> Option<InboundPart> {
    let Concat { reference, width, total, number } = concat;
    let reference = match width {
        Width::Eight => format!("{reference:02x}"),
        Width::Sixteen => format!("{reference:04x}"),
        Width::Sar => format!("sar {reference:04x}"),
    };
    InboundPart::new(reference, total, number)
}

/// What is said of octets that are no text.
const BINARY: &str = "binary";
/// What is said of octets in an alphabet that is not read.
const UNREAD: &str = "unknown";

/// The text, and its alphabet; octets that are no text as hex digits.
fn decoded(settings: &Settings, data_coding: u8, octets: &[u8], header: usize) -> (String, &'static str) {
    let alphabet = match coding(data_coding).charset {
        DataCharset::Default => settings.sms.alphabet.alphabet(),
        DataCharset::Gsm7 => Alphabet::Gsm7,
        DataCharset::Ascii => Alphabet::Ascii,
        DataCharset::Latin1 => Alphabet::Latin1,
        DataCharset::Cyrillic => Alphabet::Iso8859_5,
        DataCharset::Hebrew => Alphabet::Iso8859_8,
        DataCharset::Ucs2 => Alphabet::Ucs2,
        DataCharset::Binary => return (hex(octets), BINARY),
        DataCharset::Raw => return (hex(octets), UNREAD),
    };
    let name = match alphabet {
        Alphabet::Gsm7 | Alphabet::Gsm7Packed => "GSM 03.38",
        Alphabet::Ascii => "US-ASCII",
        Alphabet::Latin1 => "ISO-8859-1",
        Alphabet::Cp1252 => "windows-1252",
        Alphabet::Iso8859_5 => "ISO-8859-5",
        Alphabet::Iso8859_8 => "ISO-8859-8",
        Alphabet::Ucs2 => "UTF-16BE",
        Alphabet::Utf8 => "UTF-8",
    };
    (alphabet.decode_after_udh(octets, header), name)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use vumi_kit::{clock::Timestamp, sms::InboundPart};
    use vumi_smpp_codec::{Message, PduAddress, status, tag};

    use super::{super::tests::settings, Item, read};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn message(data_coding: u8, octets: &[u8]) -> Message {
        Message {
            source: PduAddress::new(1, 1, &b"27831234567"[..]),
            destination: PduAddress::new(3, 0, &b"38080"[..]),
            data_coding,
            short_message: octets.to_vec().into(),
            ..Message::default()
        }
    }

    fn sms(toml: &str, message: &Message) -> vumi_kit::sms::InboundSms {
        match read(&settings(toml), message, NOW).map(|arrived| arrived.item) {
            Ok(Item::Sms(sms)) => *sms,
            other => panic!("{:?}", other.map(|_| ())),
        }
    }

    #[test]
    fn texts_are_read_by_their_data_coding() {
        for (toml, coding, octets, text, charset) in [
            ("", 0, &b"\x00\x11\x02\x01\x05"[..], "@_$£é", "GSM 03.38"),
            ("sms = { alphabet = \"latin1\" }", 0, b"\x40\x5f\x24\xa3\xe9", "@_$£é", "ISO-8859-1"),
            ("sms = { alphabet = \"utf8\" }", 0, "é".as_bytes(), "é", "UTF-8"),
            ("", 1, b"hi", "hi", "US-ASCII"),
            ("", 3, b"\xe9", "é", "ISO-8859-1"),
            ("", 6, b"\xbf", "П", "ISO-8859-5"),
            ("", 7, b"\xf9", "ש", "ISO-8859-8"),
            ("", 8, b"\xd8\x3d\xde\x00", "😀", "UTF-16BE"),
            ("", 0xf0, b"\x00", "@", "GSM 03.38"),
            ("", 4, b"\x01\xff", "01ff", "binary"),
            ("", 0xf5, b"\x01\xff", "01ff", "binary"),
            ("", 5, b"\x01\xff", "01ff", "unknown"),
            ("", 0x0e, b"\x01", "01", "unknown"),
        ] {
            let sms = sms(toml, &message(coding, octets));
            assert_eq!((sms.message.as_str(), sms.charset.as_deref()), (text, Some(charset)), "{coding:#x} {toml}");
        }
    }

    #[test]
    fn parts_are_known_by_header_and_by_tlvs() {
        let header = |octets: &[u8]| Message { esm_class: 0x40, ..message(0, octets) };
        let sar = |reference: u8, total: u8, number: u8| {
            let mut message = message(0, b"hi");
            message.tlvs.push(tag::SAR_MSG_REF_NUM, vec![0, reference]);
            message.tlvs.push(tag::SAR_TOTAL_SEGMENTS, vec![total]);
            message.tlvs.push(tag::SAR_SEGMENT_SEQNUM, vec![number]);
            message
        };
        for (message, part) in [
            (header(b"\x05\x00\x03\x00\x02\x01hi"), InboundPart::new("00", 2, 1)),
            (header(b"\x06\x08\x04\x01\x02\x02\x02hi"), InboundPart::new("0102", 2, 2)),
            (header(b"\x0b\x05\x04\x15\x8a\x00\x00\x00\x03\x07\x04\x02hi"), InboundPart::new("07", 4, 2)),
            (header(b"\x05\x00\x03\x07\x00\x00hi"), None),
            (header(b"\x05\x00\x03\x07\x02\x03hi"), None),
            (sar(7, 3, 3), InboundPart::new("sar 0007", 3, 3)),
            (sar(7, 1, 1), None),
        ] {
            let sms = sms("", &message);
            assert_eq!((sms.message.as_str(), sms.part), ("hi", part));
        }
        assert_eq!(sms("", &header(b"\xff\x00hi")).part, None, "a header that does not fit");
        let quick = sms("join_parts_within = \"30s\"", &sar(7, 3, 3)).part.unwrap();
        assert_eq!(quick.waits, Some(std::time::Duration::from_secs(30)));
    }

    #[test]
    fn names_are_senders_and_what_lacks_an_address_is_refused() {
        let named = Message { source: PduAddress::new(5, 0, &b"Vodacom"[..]), ..message(0, b"hi") };
        assert_eq!(sms("", &named).from.as_str(), "Vodacom");
        let nobody = Message { source: PduAddress::default(), ..message(0, b"hi") };
        assert_eq!(read(&settings(""), &nobody, NOW).map(|_| ()), Err(status::ESME_RINVSRCADR));
        let nowhere = Message { destination: PduAddress::default(), ..message(0, b"hi") };
        assert_eq!(read(&settings(""), &nowhere, NOW).map(|_| ()), Err(status::ESME_RINVDSTADR));
        assert_eq!(sms("short_code = \"38080\"", &nowhere).to.as_str(), "38080");
    }

    #[test]
    fn a_payload_is_the_text() {
        let mut long = message(0, b"");
        long.tlvs.push(tag::MESSAGE_PAYLOAD, b"a".repeat(1000));
        assert_eq!(sms("", &long).message.len(), 1000);
    }
}
