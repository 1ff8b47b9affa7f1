//! Properties of the codec.

use bytes::BytesMut;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{any_pdu::command, read, read_pieces};
use crate::{
    Alphabet, IncomingPdu,
    parts::{Method, PartLimits, split, split_octets},
    receipt::{Detect, SmppReceipt},
    time::{SmppTime, read_date},
    udh::Udh,
};

const GSM: &str = "[@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !#¤%&*+0-9A-Za-z¡ÄÖÑÜ§¿äöñüà^{}\\\\\\[~\\]|€]{0,700}";

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => command().prop_map(|command| {
            let mut octets = BytesMut::new();
            command.encode_into(&mut octets).unwrap();
            octets.to_vec()
        }),
        // A frame with any body.
        3 => (prop_oneof![Just(4_u8), Just(5), Just(9), Just(0x21), Just(7)], vec(any::<u8>(), 0..90)).prop_map(
            |(command, body)| {
                let length = u8::try_from(16 + body.len()).unwrap();
                [&[0, 0, 0, length, 0, 0, 0, command, 0, 0, 0, 0, 0, 0, 0, 1], &body[..]].concat()
            }
        ),
        1 => vec(any::<u8>(), 0..100),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn any_alphabet() -> impl Strategy<Value = Alphabet> {
    use Alphabet as A;
    let all = [A::Gsm7, A::Gsm7Packed, A::Ascii, A::Latin1, A::Cp1252, A::Iso8859_5, A::Iso8859_8, A::Ucs2, A::Utf8];
    prop::sample::select(all.to_vec())
}

fn any_method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![Method::Udh8, Method::Udh16, Method::Sar])
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(command in command()) {
        let mut octets = BytesMut::new();
        command.encode_into(&mut octets).unwrap();
        let id = command.pdu.command_id();
        let frame = IncomingPdu { command: id, status: command.status, sequence: command.sequence, body: Ok(command.pdu) };
        prop_assert_eq!(read(&octets), vec![Ok(frame)]);
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(stream in any_stream(), cuts in vec(any::<Index>(), 0..20)) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(read_pieces(1200, &pieces), read_pieces(1200, &[&stream]));
    }

    #[test]
    fn any_octets_are_read_without_a_panic(
        octets in vec(any::<u8>(), 0..300), esm in any::<u8>(), alphabet in any_alphabet(), text in ".{0,80}",
    ) {
        read_pieces(200, &[&octets]);
        let udh = Udh::read(&octets);
        prop_assert!(udh.is_none_or(|udh| udh.length <= octets.len()));
        let decoded = alphabet.decode(&octets);
        prop_assert!(decoded.chars().count() <= octets.len() * 8 / 7 + 1);
        let _ = SmppReceipt::read(esm, &octets, &crate::Tlvs::new(), Detect::ByTextToo);
        let _ = SmppReceipt::read(4, text.as_bytes(), &crate::Tlvs::new(), Detect::ByMarks);
        let _ = SmppTime::read(&octets);
        let _ = read_date(&text);
    }

    #[test]
    fn a_text_that_an_alphabet_has_is_read_as_it_was_written(alphabet in any_alphabet(), text in ".{0,40}") {
        // Packed, an `@` or a carriage return at the end may be taken for padding.
        prop_assume!(alphabet != Alphabet::Gsm7Packed || !text.ends_with(['@', '\r']));
        match alphabet.encode(&text) {
            Ok(octets) => prop_assert_eq!(alphabet.decode(&octets), text),
            Err(lacks) => prop_assert_eq!(text.chars().nth(lacks.position), Some(lacks.character)),
        }
    }

    #[test]
    fn parts_join_to_their_text(text in GSM, method in any_method(), reference in any::<u16>(), packed in any::<bool>()) {
        let alphabet = if packed { Alphabet::Gsm7Packed } else { Alphabet::Gsm7 };
        prop_assume!(!packed || !text.contains('@'));
        let joined: String = split(alphabet, &text, method, reference).unwrap().iter().map(|part| {
            let udh = if part.esm_class == 0 { 0 } else { Udh::read(&part.short_message).unwrap().length };
            assert!(part.short_message.len() <= if packed { 140 } else { 160 });
            alphabet.decode_after_udh(&part.short_message[udh..], udh)
        }).collect();
        prop_assert_eq!(joined, text);
    }

    #[test]
    fn parts_of_any_octets_and_limits_join_again(
        octets in vec(any::<u8>(), 0..250), alphabet in any_alphabet(), single in 0..50_usize, part in 0..20_usize,
    ) {
        prop_assume!(alphabet != Alphabet::Gsm7Packed);
        if let Ok(parts) = split_octets(Some(alphabet), &octets, Method::Sar, PartLimits { single, part }, 1) {
            let joined: Vec<_> = parts.iter().flat_map(|part| part.short_message.to_vec()).collect();
            prop_assert_eq!(joined, octets);
        }
    }
}
