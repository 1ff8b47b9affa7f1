//! PDUs as real peers send them.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use super::{read, read_pieces, written};
use crate::{
    BadLength, CommandId, EncodeError, FaultKind, FieldFault, IncomingPdu, Message, MessageResp, OutgoingPdu, Pdu,
    PduAddress, SmppCodec, StreamFault, Tlvs, status, tag,
};

fn pdu(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.put_u32(u32::try_from(16 + body.len()).unwrap());
    octets.put_u32(command);
    octets.put_u32(status);
    octets.put_u32(sequence);
    octets.put_slice(body);
    octets
}

fn body_of(command: u32, status: u32, body: &[u8]) -> Result<Pdu, FieldFault> {
    let frames = read(&pdu(command, status, 7, body));
    assert_eq!(frames.len(), 1);
    let frame = frames[0].clone().unwrap();
    assert_eq!((frame.command, frame.status, frame.sequence), (CommandId(command), status, 7));
    frame.body
}

/// A deliver_sm from `source`, valid until `validity`, with `tail` behind its text.
fn deliver(source: &[u8], validity: &[u8], tail: &[u8]) -> Message {
    let text = b"id:1 stat:DELIVRD";
    let start: &[u8] = &[b"\0\x01\x01", source, b"\0\x01\x0112345\0\x04\0\0\0", validity, b"\0\0\0\0\0\x11"].concat();
    match body_of(5, 0, &[start, text, tail].concat()) {
        Ok(Pdu::DeliverSm(message)) => *message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn deliver_sm_as_peers_send_it() {
    let plain = deliver(b"27831234567", b"", b"");
    assert_eq!(plain.source, PduAddress::new(1, 1, &b"27831234567"[..]));
    assert_eq!(plain.destination, PduAddress::new(1, 1, &b"12345"[..]));
    assert_eq!((plain.esm_class, &plain.short_message[..]), (4, &b"id:1 stat:DELIVRD"[..]));
    let receipts: [(&str, &[u8]); 4] = [
        ("id with NUL", b"\0\x1e\0\x04abc\0\x04\x27\0\x01\x02"),
        ("id without NUL", b"\0\x1e\0\x03abc\x04\x27\0\x01\x02"),
        ("id without NUL, last", b"\x04\x27\0\x01\x02\0\x1e\0\x03abc"),
        ("state of 2 octets, a stray NUL in front", b"\0\x04\x27\0\x02\0\x02\0\x1e\0\x03abc"),
    ];
    for (name, tail) in receipts {
        let tlvs = deliver(b"1", b"", tail).tlvs;
        let id = tlvs.c_string(tag::RECEIPTED_MESSAGE_ID);
        assert_eq!((id, tlvs.octet(tag::MESSAGE_STATE)), (Some(&b"abc"[..]), Some(2)), "{name}");
    }
    assert_eq!(deliver(b"Caf\xe9", b"", b"").source.addr, &b"Caf\xe9"[..]);
    assert_eq!(deliver(&[b'1'; 25], b"", b"").source.addr.len(), 25);
    assert_eq!(deliver(b"1", b"261127120000", b"").validity_period, &b"261127120000"[..]);
    assert_eq!(deliver(b"1", b"", b"\0").tlvs, Tlvs::new());
    assert_eq!(deliver(b"1", b"", b"\x14\0\0\x03xyz").tlvs, Tlvs::new().with(0x1400, &b"xyz"[..]));
}

#[test]
fn responses_with_and_without_a_body() {
    let resp = |id: &'static [u8]| MessageResp { message_id: Bytes::from_static(id), tlvs: Tlvs::new() };
    for (body, id) in [(&b""[..], &b""[..]), (b"\0", b""), (b"abc\0", b"abc"), (b"abc", b"abc"), (b"abc\0\0", b"abc")] {
        assert_eq!(body_of(0x8000_0005, 0, body), Ok(Pdu::DeliverSmResp(resp(id))));
        assert_eq!(body_of(0x8000_0004, 0x58, body), Ok(Pdu::SubmitSmResp(resp(id))));
        assert_eq!(body_of(0x8000_0103, 0, body), Ok(Pdu::DataSmResp(resp(id))));
    }
    // A body that cannot be read matters only where the status says success.
    let broken = b"abc\0\x04\x24\0\x09x";
    assert_eq!(body_of(0x8000_0004, 0x0B, broken), Ok(Pdu::SubmitSmResp(MessageResp::default())));
    assert_eq!(body_of(0x8000_0004, 0, broken), Err(FieldFault { field: "tlvs", kind: FaultKind::CutOff }));
    // Without the TLV 0210, and without anything.
    assert!(matches!(body_of(0x8000_0009, 0, b"smsc\0"), Ok(Pdu::BindResp(resp)) if resp.tlvs.is_empty()));
    assert!(matches!(body_of(0x8000_0009, 0x0E, b""), Ok(Pdu::BindResp(_))));
    assert_eq!(body_of(0x8000_0015, 0, b"spare"), Ok(Pdu::EnquireLinkResp));
}

#[test]
fn a_fault_leaves_the_header_and_the_stream() {
    let cut = pdu(4, 0, 9, b"\0\x01\x01277");
    let stream = [&cut[..], &pdu(0x15, 0, 10, b"")].concat();
    let fault = FieldFault { field: "source_addr", kind: FaultKind::NoNul };
    let first = IncomingPdu { command: CommandId::SUBMIT_SM, status: 0, sequence: 9, body: Err(fault) };
    let second = IncomingPdu { command: CommandId::ENQUIRE_LINK, status: 0, sequence: 10, body: Ok(Pdu::EnquireLink) };
    assert_eq!(read(&stream), [Ok(first), Ok(second)]);
    assert_eq!(fault.status(), status::ESME_RINVSRCADR);
    assert_eq!(body_of(4, 0, &[&[0; 16][..], b"\x05ab"].concat()).unwrap_err().status(), status::ESME_RINVMSGLEN);
    assert_eq!(body_of(4, 0, b"").unwrap_err(), FieldFault { field: "service_type", kind: FaultKind::CutOff });
    let dest_flag = FieldFault { field: "dest_flag", kind: FaultKind::Undefined };
    assert_eq!(body_of(0x21, 0, b"\0\0\0\0\x01\x03"), Err(dest_flag));
}

#[test]
fn unknown_commands_are_kept_raw() {
    for command in [0x111, 0x7777, 0x8000_7777] {
        let unknown = Pdu::Unknown { command: CommandId(command), raw: Bytes::from_static(b"abc") };
        assert_eq!(body_of(command, 0, b"abc"), Ok(unknown));
    }
}

#[test]
fn a_bad_length_is_fatal_and_said_once() {
    for (length, max) in [(0_u32, 100), (15, 100), (101, 100), (u32::MAX, 100), (66_561, crate::MAX_LENGTH)] {
        let stream = [&length.to_be_bytes()[..], &[0; 40], &pdu(0x15, 0, 1, b"")].concat();
        assert_eq!(read_pieces(max, &[&stream, &stream]), [Err(BadLength { length, max })]);
    }
    assert_eq!(read_pieces(16, &[&pdu(0x15, 0, 1, b"")]).len(), 1);
}

#[test]
fn a_pdu_that_the_end_of_the_stream_cuts_off_is_said() {
    let mut buffer = BytesMut::from(&pdu(0x15, 0, 1, b"")[..]);
    buffer.extend_from_slice(b"\0\0\0\x10\0");
    let mut codec = SmppCodec::default();
    assert!(codec.decode_eof(&mut buffer).unwrap().is_some());
    assert!(matches!(codec.decode_eof(&mut buffer), Err(StreamFault::CutOff { octets: 5 })));
    assert!(codec.decode_eof(&mut buffer).unwrap().is_none());
}

#[test]
fn what_is_above_the_maxima_is_not_written() {
    let long = |field, max| Err(EncodeError::TooLong { field, max });
    let message = |change: fn(&mut Message)| {
        let mut message = Message::default();
        change(&mut message);
        Pdu::SubmitSm(Box::new(message))
    };
    let table = [
        (message(|m| m.service_type = Bytes::from_static(b"123456")), long("service_type", 5)),
        (message(|m| m.source.addr = vec![b'1'; 21].into()), long("source_addr", 20)),
        (message(|m| m.destination.addr = vec![b'1'; 21].into()), long("destination_addr", 20)),
        (message(|m| m.short_message = vec![0; 255].into()), long("short_message", 254)),
        (message(|m| m.tlvs.push(1, vec![0; 65536])), long("tlvs", 65535)),
        (message(|m| (0..3).for_each(|_| m.tlvs.push(1, vec![0; 30000]))), long("command_length", crate::MAX_LENGTH)),
        (
            message(|m| m.validity_period = Bytes::from_static(b"261127120000")),
            Err(EncodeError::BadTime { field: "validity_period" }),
        ),
        (message(|m| m.source.addr = Bytes::from_static(b"a\0b")), Err(EncodeError::HoldsNul { field: "source_addr" })),
        (Pdu::SubmitMulti(Box::default()), Err(EncodeError::BadCount { field: "number_of_dests", max: 254 })),
    ];
    for (pdu, error) in table {
        let mut buffer = BytesMut::from(&b"before"[..]);
        assert_eq!(OutgoingPdu { status: 0, sequence: 1, pdu }.encode_into(&mut buffer), error);
        assert_eq!(&buffer[..], b"before");
    }
}

#[test]
fn an_error_response_has_no_body() {
    let bare = Pdu::bare_response(CommandId::SUBMIT_SM).unwrap();
    assert_eq!(written(0x58, 3, bare.clone()).len(), 16);
    assert_eq!(written(0, 3, bare).len(), 17);
    for request in [1, 2, 3, 4, 5, 6, 7, 8, 9, 0x15, 0x21, 0x103] {
        let response = Pdu::bare_response(CommandId(request)).unwrap();
        assert_eq!(Some(response.command_id()), CommandId(request).response());
    }
    assert_eq!(Pdu::bare_response(CommandId(0x111)), Some(Pdu::GenericNack));
    assert_eq!(Pdu::bare_response(CommandId::OUTBIND), None);
}

#[test]
fn passwords_are_not_shown() {
    let bind = crate::Bind { password: crate::BindPassword(Bytes::from_static(b"secret")), ..Default::default() };
    assert!(!format!("{:?}", Pdu::Bind(Box::new(bind))).contains("secret"));
}
