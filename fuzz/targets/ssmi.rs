//! The SSMI codec, both directions: a stream reads the same however it is cut, and what was read can be written.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use vumi_ssmi_codec::{ClientCommand, Codec, SsmiCommand, Malformed, ServerCommand};

fn read<C: SsmiCommand>(pieces: &[&[u8]]) -> Vec<Result<C, Malformed>> {
    let (mut codec, mut buffer, mut items) = (Codec::with_max_line(200), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(item) = codec.next(&mut buffer) {
            items.push(item);
        }
    }
    items
}

fn check<C: SsmiCommand + PartialEq + std::fmt::Debug>(cut: usize, stream: &[u8]) {
    let (front, back) = stream.split_at(cut.min(stream.len()));
    let whole = read::<C>(&[stream]);
    assert_eq!(whole, read::<C>(&[front, back]));
    for command in whole.into_iter().flatten() {
        if let Ok(frame) = command.encode() {
            assert_eq!(frame.bytes.iter().filter(|byte| **byte == b'\r').count(), 1);
            assert_eq!(C::decode(&frame.bytes[..frame.bytes.len() - 1]), Ok(command));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    check::<ClientCommand>(usize::from(*cut), stream);
    check::<ServerCommand>(usize::from(*cut), stream);
});
