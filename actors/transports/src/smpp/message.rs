//! An SMS as the PDUs of its parts.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use vumi_kit::{
    clock::Timestamp,
    sms::{Decision, SmsId, Submission, TransportStatus},
    sms_options::{Content, Priority},
};
use vumi_smpp_codec::{
    Alphabet, Message, Tlvs,
    alphabet::packed,
    data_coding, esm_class,
    parts::{MessagePart, PartLimits, split, split_octets},
    tag,
    time::SmppTime,
};

use super::{
    Settings, addresses,
    settings::{SmsSettings, Validity, octets_of_hex},
};

/// The octets of short_message; more go as message_payload.
const MOST_SHORT: usize = 254;

/// UCS-2, shown at once and not kept.
const FLASH_UCS2: u8 = 0x18;

/// The PDUs of all its parts, in their order, the same for every attempt. An error says why there are none.
pub(super) fn of(settings: &Settings, submission: &Submission, now: Timestamp) -> Result<Vec<Message>, Decision> {
    let sms = &settings.sms;
    let source = addresses::sender(sms, &submission.from)
        .ok_or_else(|| rejected("the sender's name has characters that SMPP can't carry"))?;
    let (coding, parts) = parts_of(sms, submission)?;
    let whole = Message {
        service_type: Bytes::copy_from_slice(sms.service_type.as_bytes()),
        source,
        destination: addresses::recipient(sms, &submission.to),
        protocol_id: match submission.content {
            Content::Raw { protocol_id, .. } => protocol_id,
            _ => sms.protocol_id,
        },
        priority_flag: priority_flag(sms, submission.priority),
        validity_period: validity(sms, submission, now),
        registered_delivery: sms.registered_delivery,
        data_coding: coding,
        tlvs: sms.tlvs.iter().filter_map(|tlv| Some((tlv.tag, tlv.value()?))).collect(),
        ..Message::default()
    };
    let with = |part: MessagePart| {
        let mut message = whole.clone();
        part.put_into(&mut message);
        message
    };
    Ok(parts.into_iter().map(with).collect())
}

/// How many PDUs it takes; 1 where it can't be written.
pub(super) fn count(settings: &Settings, submission: &Submission) -> usize {
    // Nearly all are of one part, which their text tells.
    if submission.segments <= 1 && submission.message.len() <= 130 {
        return 1;
    }
    parts_of(&settings.sms, submission).map_or(1, |(_, parts)| parts.len()).max(1)
}

fn parts_of(sms: &SmsSettings, submission: &Submission) -> Result<(u8, Vec<MessagePart>), Decision> {
    let method = sms.long_texts.method();
    match &submission.content {
        Content::Binary { udh } => binary(sms, submission, udh.as_deref()),
        Content::Raw { data_coding, udh, .. } => raw(sms, submission, *data_coding, udh.as_deref().unwrap_or_default()),
        content => {
            let flash = *content == Content::Flash;
            let (coding, alphabet) = written_in(sms, &submission.message, flash);
            let parts = split(alphabet, &submission.message, method, reference(submission.id));
            Ok((coding, parts.map_err(|error| rejected(&error.to_string()))?))
        }
    }
}

/// The data_coding and the alphabet of a text.
fn written_in(sms: &SmsSettings, text: &str, flash: bool) -> (u8, Alphabet) {
    let usual = sms.alphabet.alphabet();
    let gsm = || Alphabet::Gsm7.encode(text).is_ok();
    // Octets of 8 bits that the SMSC makes septets of: what septets lack it would lose.
    let whole = match usual {
        Alphabet::Gsm7 | Alphabet::Gsm7Packed => gsm(),
        _ => gsm() && usual.encode(text).is_ok(),
    };
    match (flash, whole) {
        // A message class names its alphabet itself.
        (true, _) if gsm() => (data_coding::FLASH_GSM7, Alphabet::Gsm7),
        (true, _) => (FLASH_UCS2, Alphabet::Ucs2),
        (false, true) => (sms.data_coding, usual),
        (false, false) => (data_coding::UCS2, Alphabet::Ucs2),
    }
}

fn binary(sms: &SmsSettings, submission: &Submission, udh: Option<&str>) -> Result<(u8, Vec<MessagePart>), Decision> {
    let wrong = || rejected("its octets can't be read");
    let octets = octets_of_hex(&submission.message).ok_or_else(wrong)?;
    let Some(udh) = udh else {
        let method = sms.long_texts.method();
        let parts = split_octets(None, &octets, method, PartLimits::of(None, method), reference(submission.id));
        return Ok((data_coding::BINARY, parts.map_err(|error| rejected(&error.to_string()))?));
    };
    let mut short_message = octets_of_hex(udh).ok_or_else(wrong)?;
    short_message.extend(octets);
    let part = MessagePart { short_message: short_message.into(), esm_class: esm_class::UDH, tlvs: Tlvs::new() };
    Ok((data_coding::BINARY, vec![part]))
}

/// What an ESME handed in, as it came. Septets become what `data_coding = 0` is to this SMSC.
fn raw(sms: &SmsSettings, submission: &Submission, coding: u8, udh: &str) -> Result<(u8, Vec<MessagePart>), Decision> {
    let wrong = || rejected("its octets can't be read");
    let octets = octets_of_hex(&submission.message).ok_or_else(wrong)?;
    let mut short_message = octets_of_hex(udh).ok_or_else(wrong)?;
    let esm_class = if short_message.is_empty() { 0 } else { esm_class::UDH };
    let (coding, octets) = match (coding, sms.alphabet.alphabet()) {
        (data_coding::DEFAULT, Alphabet::Gsm7) => (sms.data_coding, octets),
        (data_coding::DEFAULT, Alphabet::Gsm7Packed) => {
            (sms.data_coding, packed::pack(&octets, packed::fill_bits(short_message.len())))
        }
        (data_coding::DEFAULT, usual) => {
            let octets = usual.encode(&Alphabet::Gsm7.decode(&octets));
            (sms.data_coding, octets.map_err(|lacks| rejected(&lacks.to_string()))?)
        }
        (coding, _) => (coding, octets),
    };
    short_message.extend(octets);
    let (short_message, tlvs) = if short_message.len() > MOST_SHORT {
        (Bytes::new(), Tlvs::new().with(tag::MESSAGE_PAYLOAD, short_message))
    } else {
        (short_message.into(), Tlvs::new())
    };
    Ok((coding, vec![MessagePart { short_message, esm_class, tlvs }]))
}

/// What the parts of an SMS have in common: made of its number, so that a later attempt has the same. Two SMS to one person share
/// one only after 256 (65,536) others.
fn reference(id: SmsId) -> u16 {
    let [.., high, low] = id.to_be_bytes();
    u16::from_be_bytes([high, low])
}

const fn priority_flag(sms: &SmsSettings, priority: Priority) -> u8 {
    let [low, normal, high] = sms.priority_flags;
    match priority {
        Priority::Low => low,
        Priority::Normal => normal,
        Priority::High => high,
    }
}

/// For how long the SMSC may deliver it, where its client limited that; empty: as long as the SMSC likes.
fn validity(sms: &SmsSettings, submission: &Submission, now: Timestamp) -> Bytes {
    let Some(left) = submission.remaining_validity(now) else { return Bytes::new() };
    let time = match sms.validity {
        Validity::Off => None,
        Validity::Relative => Some(SmppTime::Relative(left.max(Duration::from_secs(1)))),
        Validity::Absolute => DateTime::from_timestamp_micros(submission.give_up_at.micros()).map(SmppTime::from),
    };
    time.and_then(|time| time.write()).map(Bytes::from).unwrap_or_default()
}

fn rejected(why: &str) -> Decision {
    Decision::Rejected { status: TransportStatus::MessageError, provider_response: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vumi_kit::{
        clock::Timestamp,
        sms::Submission,
        sms_options::{Content, Priority},
    };
    use vumi_smpp_codec::{Message, tag, udh::Udh};

    use super::{super::tests::settings, count, of};
    use crate::tests::exam::submission;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn written(toml: &str, submission: &Submission) -> Vec<Message> {
        let settings = settings(toml);
        let messages = of(&settings, submission, NOW).unwrap();
        assert_eq!(messages.len(), count(&settings, submission));
        messages
    }

    #[test]
    fn texts_go_in_the_alphabet_of_the_settings_and_else_in_ucs2() {
        for (alphabet, text, coding, octets) in [
            ("gsm7", "@_$£é", 0, &b"\x00\x11\x02\x01\x05"[..]),
            ("latin1", "@_$£é", 0, b"\x40\x5f\x24\xa3\xe9"),
            ("latin1", "ê", 8, b"\x00\xea"),
            ("latin1", "€", 8, b"\x20\xac"),
            ("cp1252", "€", 0, b"\x80"),
            ("ascii", "hi", 0, b"hi"),
            ("ascii", "é", 8, b"\x00\xe9"),
            ("utf8", "é", 0, b"\xc3\xa9"),
            ("gsm7", "😀", 8, b"\xd8\x3d\xde\x00"),
            ("gsm7_packed", "hello", 0, b"\xe8\x32\x9b\xfd\x06"),
        ] {
            let messages = written(&format!("sms = {{ alphabet = \"{alphabet}\" }}"), &submission(text));
            assert_eq!(
                (messages[0].data_coding, &messages[0].short_message[..]),
                (coding, octets),
                "{alphabet} {text}"
            );
        }
        let three = written("sms = { alphabet = \"latin1\", data_coding = 3 }", &submission("é"));
        assert_eq!((three[0].data_coding, &three[0].short_message[..]), (3, &b"\xe9"[..]));
    }

    #[test]
    fn long_texts_go_in_parts_that_have_one_reference_made_of_the_number() {
        let long = Submission { id: 0x0123_4567, segments: 3, ..submission(&"a".repeat(310)) };
        for (method, lengths) in [("udh8", [159, 159, 10]), ("udh16", [159, 159, 13]), ("sar", [153, 153, 4])] {
            let messages = written(&format!("sms = {{ long_texts = \"{method}\" }}"), &long);
            let found: Vec<_> = messages.iter().map(|message| message.short_message.len()).collect();
            assert_eq!(found, lengths, "{method}");
            for message in &messages {
                assert_eq!((message.registered_delivery, message.data_coding), (1, 0));
                if method == "sar" {
                    assert_eq!(message.tlvs.integer(tag::SAR_MSG_REF_NUM), Some(0x4567));
                } else {
                    let reference = Udh::read(&message.short_message).unwrap().concat.unwrap().reference;
                    assert_eq!(reference, if method == "udh8" { 0x67 } else { 0x4567 });
                }
            }
        }
        let payload = written("sms = { long_texts = \"payload\" }", &long);
        assert_eq!((payload.len(), payload[0].octets().len()), (1, 310));
    }

    #[test]
    fn flash_binary_and_user_data_headers() {
        let flash = |text: &str| Submission { content: Content::Flash, ..submission(text) };
        assert_eq!(written("", &flash("hi"))[0].data_coding, 0xf0);
        assert_eq!(written("", &flash("ж"))[0].data_coding, 0x18);
        let octets = Submission { content: Content::Binary { udh: None }, ..submission("48ff") };
        let message = written("", &octets).remove(0);
        assert_eq!((message.data_coding, message.esm_class, &message.short_message[..]), (4, 0, &b"\x48\xff"[..]));
        let udh = Some("06050415811581".to_owned());
        let ported = Submission { content: Content::Binary { udh }, ..submission("48ff") };
        let message = written("", &ported).remove(0);
        assert_eq!(
            (message.esm_class, &message.short_message[..]),
            (0x40, &b"\x06\x05\x04\x15\x81\x15\x81\x48\xff"[..])
        );
    }

    #[test]
    fn what_an_esme_handed_in_goes_out_as_it_came() {
        let raw = |data_coding, udh: Option<&str>, octets: &str| Submission {
            content: Content::Raw { data_coding, protocol_id: 0x7f, udh: udh.map(str::to_owned) },
            ..submission(octets)
        };
        let part = raw(0, Some("050003070201"), "00");
        for (toml, expected) in [
            ("", &b"\x05\x00\x03\x07\x02\x01\x00"[..]),
            ("sms = { alphabet = \"latin1\" }", b"\x05\x00\x03\x07\x02\x01@"),
            ("sms = { alphabet = \"gsm7_packed\" }", b"\x05\x00\x03\x07\x02\x01\x00"),
        ] {
            let message = written(toml, &part).remove(0);
            assert_eq!((message.data_coding, message.protocol_id, message.esm_class), (0, 0x7f, 0x40));
            assert_eq!(message.short_message, expected, "{toml}");
        }
        let long = written("", &raw(0, None, &"61".repeat(300))).remove(0);
        assert_eq!((long.short_message.len(), long.octets().len()), (0, 300));
        let message = written("", &raw(0xf6, None, "01ff")).remove(0);
        assert_eq!((message.data_coding, message.esm_class, &message.short_message[..]), (0xf6, 0, &b"\x01\xff"[..]));
    }

    #[test]
    fn validity_priority_and_fields_of_the_settings() {
        let give_up_at = NOW.plus(Duration::from_secs(3600));
        let limited = Submission { limited: true, give_up_at, priority: Priority::High, ..submission("hi") };
        for (validity, expected) in [("relative", "000000010000000R"), ("absolute", "270115090000000+"), ("off", "")] {
            let message = written(&format!("sms = {{ validity = \"{validity}\" }}"), &limited).remove(0);
            assert_eq!(message.validity_period, expected, "{validity}");
        }
        let toml = r#"sms = { service_type = "WAP", protocol_id = 64, priority_flags = [0, 1, 3], registered_delivery = 0,
            tlvs = [{ tag = 0x1400, text = "1101" }, { tag = 0x1401, c_string = "a" }, { tag = 0x1402, hex = "0aff" }] }"#;
        let message = written(&toml.replace('\n', " "), &limited).remove(0);
        assert_eq!((&message.service_type[..], message.protocol_id, message.priority_flag), (&b"WAP"[..], 64, 3));
        assert_eq!(message.registered_delivery, 0);
        let tlvs: Vec<_> = message.tlvs.iter().map(|tlv| (tlv.tag, tlv.value.to_vec())).collect();
        assert_eq!(tlvs, [(0x1400, b"1101".to_vec()), (0x1401, b"a\0".to_vec()), (0x1402, vec![0x0a, 0xff])]);
        assert_eq!(written("", &submission("hi"))[0].validity_period, "", "its client limited nothing");
    }
}
