//! Tests of the whole codec.

mod any_pdu;
mod odd;
mod oracle;
mod proptests;
mod receipts;

use bytes::BytesMut;

use crate::{BadLength, IncomingPdu, OutgoingPdu, Pdu, SmppCodec};

/// What comes out of a stream that arrives in these pieces.
fn read_pieces(max_length: usize, pieces: &[&[u8]]) -> Vec<Result<IncomingPdu, BadLength>> {
    let (mut codec, mut buffer, mut items) = (SmppCodec::with_max_length(max_length), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(item) = codec.next(&mut buffer) {
            items.push(item);
        }
        assert!(buffer.len() < max_length.max(16), "more is held than a PDU");
    }
    items
}

fn read(octets: &[u8]) -> Vec<Result<IncomingPdu, BadLength>> {
    read_pieces(crate::MAX_LENGTH, &[octets])
}

fn written(status: u32, sequence: u32, pdu: Pdu) -> BytesMut {
    let mut octets = BytesMut::new();
    OutgoingPdu { status, sequence, pdu }.encode_into(&mut octets).unwrap();
    octets
}
