//! Receipts and SMS from people as deliver_sm.

use chrono::{DateTime, Utc};
use vumi_kit::{
    address::Address as Sender,
    esme::{EsmeEvent, EsmeReceipt, EsmeSms, NumberPlan},
    sms::TransportStatus,
};
use vumi_smpp_codec::{
    Alphabet, Message, Pdu, PduAddress, Tlvs,
    address::{npi, ton},
    data_coding, esm_class,
    receipt::{NetworkError, ReceiptText},
    tag,
};

use crate::lookup::state_of;

/// The most octets of short_message that are written; more go into message_payload.
const SHORT: usize = 254;
/// network_error_code says GSM.
const GSM: u8 = 3;
/// The most digits of a short code.
const SHORT_CODE: usize = 6;

/// The PDU for an event. `default` is what `data_coding = 0` means to the ESME, `tlvs` whether it knows TLVs.
pub(crate) fn pdu_of(event: &EsmeEvent, default: Alphabet, tlvs: bool) -> Pdu {
    let message = match event {
        EsmeEvent::Receipt(receipt) => receipt_of(receipt, tlvs),
        EsmeEvent::Sms(sms) => sms_of(sms, default),
    };
    Pdu::DeliverSm(Box::new(message))
}

/// Its addresses are those of the SMS with their places swapped.
fn receipt_of(receipt: &EsmeReceipt, tlvs: bool) -> Message {
    let id = receipt.id.to_string();
    let (state, delivered) = (state_of(receipt.status), receipt.status == TransportStatus::Delivered);
    let text = ReceiptText {
        id: &id,
        sub: 1,
        dlvrd: u16::from(delivered),
        submit_date: date(receipt.accepted_at),
        done_date: date(receipt.ended_at),
        stat: state,
        err: "000",
        text: "",
    };
    let mut message = Message {
        source: address(receipt.to_plan, receipt.to.as_str()),
        destination: address(receipt.from_plan, receipt.from.as_str()),
        esm_class: esm_class::RECEIPT,
        short_message: text.write().into(),
        ..Message::default()
    };
    if tlvs {
        message.tlvs = Tlvs::new()
            .with(tag::RECEIPTED_MESSAGE_ID, format!("{id}\0").into_bytes())
            .with(tag::MESSAGE_STATE, vec![u8::from(state)])
            .with(tag::NETWORK_ERROR_CODE, NetworkError { network: GSM, code: 0 }.to_octets().to_vec());
    }
    message
}

fn sms_of(sms: &EsmeSms, default: Alphabet) -> Message {
    let (octets, data_coding) = match default.encode(&sms.message) {
        Ok(octets) => (octets, data_coding::DEFAULT),
        Err(_) => (sms.message.encode_utf16().flat_map(u16::to_be_bytes).collect(), data_coding::UCS2),
    };
    let mut message =
        Message { source: guessed(&sms.from), destination: guessed(&sms.to), data_coding, ..Message::default() };
    if octets.len() <= SHORT {
        message.short_message = octets.into();
    } else {
        message.tlvs.push(tag::MESSAGE_PAYLOAD, octets);
    }
    message
}

fn date(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}

fn address(plan: NumberPlan, text: &str) -> PduAddress {
    PduAddress::new(plan.ton, plan.npi, octets(text))
}

/// An address that came from elsewhere: a number of a person, a short code or a name.
fn guessed(text: &str) -> PduAddress {
    let (ton, npi) = match Sender::inbound(text) {
        Ok(sender) if !sender.is_number() => (ton::ALPHANUMERIC, npi::UNKNOWN),
        Ok(sender) if sender.as_str().len() <= SHORT_CODE => (ton::NETWORK_SPECIFIC, npi::UNKNOWN),
        Ok(_) => (ton::INTERNATIONAL, npi::ISDN),
        Err(_) => (ton::UNKNOWN, npi::UNKNOWN),
    };
    PduAddress::new(ton, npi, octets(text))
}

/// The octets of an address: 20 at the most, none of them a NUL. What Latin-1 lacks is a question mark.
fn octets(text: &str) -> Vec<u8> {
    let octet = |c: char| u8::try_from(c).ok().filter(|octet| *octet != 0).unwrap_or(b'?');
    text.chars().take(20).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        address::{Address as Sender, Msisdn},
        sms::TransportStatus as S,
    };
    use vumi_smpp_codec::{
        MessageState as M, OutgoingPdu,
        receipt::{Detect, SmppReceipt},
    };

    use super::*;

    fn receipt(status: S) -> EsmeReceipt {
        EsmeReceipt {
            id: 281,
            from: Sender::sender("MYCLINIC").unwrap(),
            from_plan: NumberPlan { ton: 5, npi: 0 },
            to: Msisdn::parse("27831234567").unwrap(),
            to_plan: NumberPlan { ton: 1, npi: 1 },
            status,
            accepted_at: 1_273_750_474_000_000,
            ended_at: 1_273_750_534_000_000,
            bind: 1,
        }
    }

    fn message(event: &EsmeEvent, alphabet: Alphabet, tlvs: bool) -> Message {
        let pdu = pdu_of(event, alphabet, tlvs);
        let mut buffer = bytes::BytesMut::new();
        (OutgoingPdu { status: 0, sequence: 1, pdu: pdu.clone() }).encode_into(&mut buffer).unwrap();
        let Pdu::DeliverSm(message) = pdu else { panic!("no deliver_sm") };
        *message
    }

    #[test]
    fn a_receipt_has_all_eight_fields_and_its_addresses_swapped() {
        let sent = message(&EsmeEvent::Receipt(receipt(S::Delivered)), Alphabet::Gsm7, true);
        let text = "id:281 sub:001 dlvrd:001 submit date:1005131134 done date:1005131135 stat:DELIVRD err:000 text:";
        assert_eq!(std::str::from_utf8(&sent.short_message).unwrap(), text);
        assert_eq!(
            (sent.source, sent.destination),
            (PduAddress::new(1, 1, "27831234567"), PduAddress::new(5, 0, "MYCLINIC"))
        );
        let read = SmppReceipt::read(sent.esm_class, &sent.short_message, &sent.tlvs, Detect::ByMarks).unwrap();
        assert_eq!((read.tlv_id.as_deref(), read.state()), (Some("281"), Some(M::Delivered)));
        assert_eq!(sent.tlvs.get(tag::RECEIPTED_MESSAGE_ID).unwrap().as_ref(), b"281\0");
        let old = message(&EsmeEvent::Receipt(receipt(S::Delivered)), Alphabet::Gsm7, false);
        assert!(old.tlvs.is_empty());
    }

    #[test]
    fn each_end_has_its_state() {
        for (status, state, word) in [
            (S::Delivered, M::Delivered, "DELIVRD"),
            (S::Expired, M::Expired, "EXPIRED"),
            (S::Cancelled, M::Deleted, "DELETED"),
            (S::DeliveryError, M::Undeliverable, "UNDELIV"),
            (S::RoutingError, M::Rejected, "REJECTD"),
            (S::MessageError, M::Rejected, "REJECTD"),
        ] {
            let sent = message(&EsmeEvent::Receipt(receipt(status)), Alphabet::Gsm7, true);
            let text = std::str::from_utf8(&sent.short_message).unwrap();
            assert!(text.contains(&format!("stat:{word} ")), "{text}");
            assert_eq!(sent.tlvs.octet(tag::MESSAGE_STATE), Some(u8::from(state)));
        }
    }

    #[test]
    fn an_sms_of_a_person_is_in_the_esmes_alphabet_or_in_ucs_2_and_a_long_one_in_the_payload() {
        let event = |text: &str| {
            EsmeEvent::Sms(EsmeSms { from: "27831234567".to_owned(), to: "38080".to_owned(), message: text.to_owned() })
        };
        let short = message(&event("hi @"), Alphabet::Gsm7, true);
        assert_eq!((short.data_coding, short.short_message.as_ref()), (0, &b"hi \0"[..]));
        assert_eq!(
            (short.source, short.destination),
            (PduAddress::new(1, 1, "27831234567"), PduAddress::new(3, 0, "38080"))
        );
        let latin = message(&event("hi @"), Alphabet::Latin1, true);
        assert_eq!(latin.short_message.as_ref(), b"hi @");
        let cyrillic = message(&event("Ж"), Alphabet::Gsm7, true);
        assert_eq!((cyrillic.data_coding, cyrillic.short_message.as_ref()), (8, &b"\x04\x16"[..]));
        let long = message(&event(&"a".repeat(300)), Alphabet::Gsm7, true);
        assert_eq!((long.short_message.len(), long.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap().len()), (0, 300));
    }
}
