//! Properties of the codec.

use bytes::BytesMut;
use proptest::prelude::*;

use crate::{ClientCommand as C, Codec, Genfields, Malformed, Password, ServerCommand as S, SsmiCommand, to_latin1};

fn field() -> impl Strategy<Value = String> {
    "[ -+\\--~\u{a0}-\u{ff}]{0,20}"
}

fn text() -> impl Strategy<Value = String> {
    "[\u{0}-\u{c}\u{e}-\u{ff}]{0,60}"
}

fn client() -> impl Strategy<Value = C> {
    (0..10_u8, any::<[u32; 3]>(), [field(), field(), field()], text()).prop_map(
        |(which, [one, two, three], [msisdn, a, b], message)| match which {
            0 => C::Login { username: a, password: Password(b) },
            1 => C::SendSms { validity: one, msisdn, message },
            2 => C::LinkCheck,
            3 => C::SendBinarySms { validity: one, msisdn, pid: two.into(), coding: three.into(), hex: a },
            4 => C::Logout,
            5 => C::Ussd { msisdn, kind: (one % 8).into(), message },
            6 => C::Mms { msisdn, subject: a, name: b, content: message },
            7 => C::WapPush { msisdn, subject: a, url: message },
            8 => C::ExtendedUssd { msisdn, kind: one.into(), genfields: Genfields(a), message },
            _ => C::ImsiLookup { sequence: a, msisdn, imsi: b },
        },
    )
}

fn server() -> impl Strategy<Value = S> {
    (0..13_u8, any::<[u32; 2]>(), [field(), field(), field()], text()).prop_map(
        |(which, [one, two], [msisdn, sequence, a], message)| {
            let (pid, coding) = ((one % 16).into(), (two % 247).into());
            match which {
                0 => S::Seq { msisdn, sequence },
                1 => S::Ack { kind: (one % 4).into() },
                2 => S::Nack { kind: one },
                3 => S::Mo { msisdn, sequence, message },
                4 => S::DeliveryReport { msisdn, sequence, code: (one % 8).into() },
                5 => S::FreeText { text: message },
                6 => S::BinaryMo { msisdn, sequence, pid, coding, hex: a },
                7 => S::PremiumMo { msisdn, sequence, destination: a, message },
                8 => S::PremiumBinaryMo { msisdn, sequence, pid, coding, destination: a, hex: "00ff".to_owned() },
                9 => S::Ussd { msisdn, kind: (one % 8).into(), phase: (two % 4).into(), message },
                10 => S::ExtendedUssd { msisdn, kind: one.into(), phase: two.into(), genfields: Genfields(a), message },
                11 => S::RemoteLogout { ip: a },
                _ => S::ImsiReply { spid: sequence.clone(), sequence, msisdn, imsi: a },
            }
        },
    )
}

/// What comes out of a stream that arrives in pieces cut at these places.
fn read_in_pieces<D: SsmiCommand>(stream: &[u8], cuts: &[prop::sample::Index]) -> Vec<Result<D, Malformed>> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let mut codec = Codec::with_max_line(200);
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    for cut in cuts.windows(2) {
        buffer.extend_from_slice(&stream[cut[0]..cut[1]]);
        while let Some(item) = codec.next(&mut buffer) {
            items.push(item);
        }
    }
    items
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => server().prop_map(|command| command.encode().unwrap().bytes.to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => "(SSMI|,|[0-9]{1,3}|\r|\n|x){0,30}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_a_client_says_is_read_as_it_was_said(command in client()) {
        let frame = command.encode().unwrap();
        prop_assert_eq!(frame.bytes.iter().filter(|&&b| b == b'\r').count(), 1);
        prop_assert_eq!(&frame.replaced, &vec![]);
        prop_assert_eq!(C::decode(&frame.bytes[..frame.bytes.len() - 1]), Ok(command));
    }

    #[test]
    fn what_a_server_says_is_read_as_it_was_said(command in server()) {
        let frame = command.encode().unwrap();
        prop_assert_eq!(S::decode(&frame.bytes[..frame.bytes.len() - 1]), Ok(command));
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_commands(
        stream in any_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        prop_assert_eq!(read_in_pieces::<S>(&stream, &cuts), read_in_pieces::<S>(&stream, &[]));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_every_whole_line_is_answered(
        stream in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let lines = stream.iter().filter(|&&b| b == b'\r').count();
        let items = read_in_pieces::<C>(&stream, &[]).len();
        prop_assert!(items == lines || items == lines + 1);
    }

    #[test]
    fn any_text_makes_one_whole_frame_that_reads_as_its_spelling(message in any::<String>()) {
        let command = C::SendSms { validity: 0, msisdn: "27831234567".to_owned(), message: message.clone() };
        let frame = command.encode().unwrap();
        prop_assert_eq!(frame.bytes.iter().position(|&b| b == b'\r'), Some(frame.bytes.len() - 1));
        let (spelled, replaced) = to_latin1(&message);
        prop_assert_eq!(replaced, frame.replaced);
        let read = C::decode(&frame.bytes[..frame.bytes.len() - 1]);
        let msisdn = "27831234567".to_owned();
        prop_assert_eq!(read, Ok(C::SendSms { validity: 0, msisdn, message: spelled.into_owned() }));
    }
}
