//! The SMPP codec: a stream reads the same however it is cut, what was read and can be written reads the same again,
//! and UDHs, alphabets, receipts and times take any octets.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use vumi_smpp_codec::{
    Alphabet, BadLength, SmppCodec, OutgoingPdu, IncomingPdu, Message, Pdu,
    receipt::{Detect, SmppReceipt},
    time::{SmppTime, read_date},
    udh::{Concat, Udh},
};

const ALPHABETS: [Alphabet; 9] = [
    Alphabet::Gsm7,
    Alphabet::Gsm7Packed,
    Alphabet::Ascii,
    Alphabet::Latin1,
    Alphabet::Cp1252,
    Alphabet::Iso8859_5,
    Alphabet::Iso8859_8,
    Alphabet::Ucs2,
    Alphabet::Utf8,
];

fn read(pieces: &[&[u8]]) -> Vec<Result<IncomingPdu, BadLength>> {
    let (mut codec, mut buffer, mut items) = (SmppCodec::with_max_length(2000), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(item) = codec.next(&mut buffer) {
            items.push(item);
        }
    }
    items
}

fn check(frame: IncomingPdu) {
    let Ok(pdu) = frame.body else { return };
    if let Pdu::SubmitSm(message) | Pdu::DeliverSm(message) = &pdu {
        look_into(message);
    }
    let command = OutgoingPdu { status: frame.status, sequence: frame.sequence, pdu };
    let mut octets = BytesMut::new();
    if command.encode_into(&mut octets).is_ok() && octets.len() <= 2000 {
        let OutgoingPdu { status, sequence, pdu } = command;
        let frame = IncomingPdu { command: frame.command, status, sequence, body: Ok(pdu) };
        assert_eq!(read(&[&octets]), [Ok(frame)]);
    }
}

fn look_into(message: &Message) {
    let octets = message.octets();
    let udh = Udh::read(octets).map_or(0, |udh| udh.length);
    for alphabet in ALPHABETS {
        let _ = alphabet.decode_after_udh(&octets[udh..], udh);
    }
    for detect in [Detect::ByMarks, Detect::ByTextToo] {
        let receipt = SmppReceipt::read(message.esm_class, octets, &message.tlvs, detect);
        let _ = receipt.and_then(|receipt| read_date(&receipt.done_date?));
    }
    let _ = Concat::from_sar(&message.tlvs);
    let _ = SmppTime::read(&message.validity_period);
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let (front, back) = stream.split_at(usize::from(*cut).min(stream.len()));
    let whole = read(&[stream]);
    assert_eq!(whole, read(&[front, back]));
    whole.into_iter().flatten().for_each(check);
    let text = stream.to_vec();
    look_into(&Message { esm_class: *cut, short_message: text.into(), ..Message::default() });
});
