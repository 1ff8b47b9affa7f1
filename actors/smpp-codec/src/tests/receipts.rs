//! Receipts as real SMSC spell them.

use bytes::Bytes;
use chrono::DateTime;

use crate::{
    MessageState as S, Tlvs,
    receipt::{Detect, NetworkError, ReceiptText, SmppReceipt},
    tag,
    time::read_date,
};

fn tlvs(id: &'static [u8], state: u8) -> Tlvs {
    Tlvs::new().with(tag::RECEIPTED_MESSAGE_ID, Bytes::from_static(id)).with(tag::MESSAGE_STATE, vec![state])
}

fn read(text: &str, tlvs: &Tlvs) -> SmppReceipt {
    SmppReceipt::read(4, text.as_bytes(), tlvs, Detect::ByMarks).unwrap()
}

struct Shape {
    text: &'static str,
    id: Option<&'static str>,
    state: Option<S>,
    err: Option<&'static str>,
    sub: Option<&'static str>,
    dates: [Option<&'static str>; 2],
}

#[rustfmt::skip]
const SHAPES: &[(&str, Shape)] = &[
    ("1", Shape {
        text: "id:0123456789 sub:001 dlvrd:001 submit date:1507201641 done date:1507201642 stat:DELIVRD err:000 text:id:9 stat:EXPIRED",
        id: Some("0123456789"), state: Some(S::Delivered), err: Some("000"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("1, Text", Shape {
        text: "id:1 sub:001 dlvrd:000 submit date:1507201641 done date:1507201642 stat:UNDELIV err:001 Text:hello",
        id: Some("1"), state: Some(S::Undeliverable), err: Some("001"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("2", Shape {
        text: "id:a1b2 sub:001 dlvrd:001 submit date:150720164130 done date:150720164131 stat:DELIVRD err:000 text:",
        id: Some("a1b2"), state: Some(S::Delivered), err: Some("000"), sub: Some("001"),
        dates: [Some("150720164130"), Some("150720164131")],
    }),
    ("3", Shape {
        text: "id:0972660a-81cd-4e0f-8f57-2c7f2b0f3a11 submit date:201506201641 done date:201506201642 stat:DELIVRD err:000",
        id: Some("0972660a-81cd-4e0f-8f57-2c7f2b0f3a11"), state: Some(S::Delivered), err: Some("000"), sub: None,
        dates: [Some("201506201641"), Some("201506201642")],
    }),
    ("4", Shape {
        text: "id:0000123 submit date:1507201641 done date:1507201642 stat:EXPIRED err:000",
        id: Some("0000123"), state: Some(S::Expired), err: Some("000"), sub: None,
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("5", Shape {
        text: "id:7 submit date:1507201641 done date:1507201642 stat:REJECTD err:011 text:err:999",
        id: Some("7"), state: Some(S::Rejected), err: Some("011"), sub: None,
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("6", Shape {
        text: "id:ABCDEFGHIJKLMNOPQRSTUVWXYZ sub:001 dlvrd:001 submit date:180711070003912+ done date:180711070005012+ stat:DELIVRD err:000",
        id: Some("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), state: Some(S::Delivered), err: Some("000"), sub: Some("001"),
        dates: [Some("180711070003912+"), Some("180711070005012+")],
    }),
    ("7", Shape {
        text: "id:77 sub:001 dlvrd:001 submit date:180903120810 done date:180903120816 DELIVRD err:000 Text:UNDELIV",
        id: Some("77"), state: Some(S::Delivered), err: Some("000"), sub: Some("001"),
        dates: [Some("180903120810"), Some("180903120816")],
    }),
    ("8", Shape {
        text: "id:8 sub:001 dlvrd:000 submit date:1507201641 done date:0000000000 stat:FAILED err:005 text:x",
        id: Some("8"), state: Some(S::Undeliverable), err: Some("005"), sub: Some("001"),
        dates: [Some("1507201641"), Some("0000000000")],
    }),
    ("9", Shape {
        text: "id:9 sub:001 dlvrd:001 submit date:1507201641 done date:1507201642 stat:DELIVRD err:0000 text:",
        id: Some("9"), state: Some(S::Delivered), err: Some("0000"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("10", Shape {
        text: "id:10 sub:001 dlvrd:000 submit date:1507201641 done date:1507201642 stat:UNDELIV err:21b text:",
        id: Some("10"), state: Some(S::Undeliverable), err: Some("21b"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("11", Shape {
        text: "id:0118Z-0122I-2309U-57DGB sub:001 dlvrd:000 submitdate:1507201641 donedate:0000000000 stat:ENROUTE err:0000 text:",
        id: Some("0118Z-0122I-2309U-57DGB"), state: Some(S::Enroute), err: Some("0000"), sub: Some("001"),
        dates: [Some("1507201641"), Some("0000000000")],
    }),
    ("12", Shape {
        text: "id:12 sub:1 dlvrd:1 submit date:1507201641 done date:1507201642 stat:DELIVRD err:0 text:",
        id: Some("12"), state: Some(S::Delivered), err: Some("0"), sub: Some("1"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("12, of 0", Shape {
        text: "id:12 sub:000 dlvrd:000 submit date:1507201641 done date:1507201642 stat:DELIVRD err:000 text:",
        id: Some("12"), state: Some(S::Delivered), err: Some("000"), sub: Some("000"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("15", Shape {
        text: "id:15 dlvrd:001 submit date:1507201641 done date:1507201642 stat:DELIVRD err:000 text:",
        id: Some("15"), state: Some(S::Delivered), err: Some("000"), sub: None,
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("16", Shape {
        text: "id:16 sub:001 dlvrd:001 submit date:1507201641 done date:1507201642 stat:0 err:000 text:",
        id: Some("16"), state: Some(S::Delivered), err: Some("000"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("17", Shape {
        text: "id:SAR-2347039245475-1eedf843-2-1 stat:DELIVRD",
        id: Some("SAR-2347039245475-1eedf843-2-1"), state: Some(S::Delivered), err: None, sub: None,
        dates: [None, None],
    }),
    ("17, groups", Shape {
        text: "id:1101c1-c9d03d-f000 stat:DELIVRD",
        id: Some("1101c1-c9d03d-f000"), state: Some(S::Delivered), err: None, sub: None, dates: [None, None],
    }),
    ("17, 23 digits", Shape {
        text: "id:01234567890123456789012 stat:DELIVRD",
        id: Some("01234567890123456789012"), state: Some(S::Delivered), err: None, sub: None, dates: [None, None],
    }),
    ("18, first", Shape {
        text: "id:18 sub:001 dlvrd:000 submit date:1507201641 done date:1507201641 stat:ACCEPTD err:000 text:",
        id: Some("18"), state: Some(S::Accepted), err: Some("000"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201641")],
    }),
    ("any order and case, blanks", Shape {
        text: "STAT: delivrd ERR:  000 Id: X1 Sub:001 done_date:1507201642 Submit  Date : 1507201641 more words",
        id: Some("X1"), state: Some(S::Delivered), err: Some("000"), sub: Some("001"),
        dates: [Some("1507201641"), Some("1507201642")],
    }),
    ("an unknown state", Shape {
        text: "id:1 stat:LOST err:000", id: Some("1"), state: None, err: Some("000"), sub: None, dates: [None, None],
    }),
];

#[test]
fn every_shape_of_text_is_read() {
    for (name, shape) in SHAPES {
        let receipt = read(shape.text, &Tlvs::new());
        assert_eq!(receipt.id.as_deref(), shape.id, "{name}");
        assert_eq!(receipt.state(), shape.state, "{name}");
        assert_eq!(receipt.err.as_deref(), shape.err, "{name}");
        assert_eq!(receipt.sub.as_deref(), shape.sub, "{name}");
        assert_eq!([receipt.submit_date.as_deref(), receipt.done_date.as_deref()], shape.dates, "{name}");
        for date in shape.dates.into_iter().flatten().filter(|date| !date.starts_with("00")) {
            assert!(read_date(date).is_some(), "{name}: {date}");
        }
    }
}

#[test]
fn shape_13_has_tlvs_only() {
    let with_error = tlvs(b"abc\0", 2).with(tag::NETWORK_ERROR_CODE, &b"\x03\0\x22"[..]);
    let receipt = read("", &with_error);
    assert_eq!(
        (receipt.id.as_deref(), receipt.tlv_id.as_deref(), receipt.state()),
        (None, Some("abc"), Some(S::Delivered))
    );
    assert_eq!(receipt.network_error, Some(NetworkError { network: 3, code: 0x22 }));
    // They make a receipt whatever esm_class says; one of them alone does not.
    assert_eq!(SmppReceipt::read(0, b"", &with_error, Detect::ByMarks), Some(receipt));
    let only_id = Tlvs::new().with(tag::RECEIPTED_MESSAGE_ID, &b"abc"[..]);
    assert_eq!(SmppReceipt::read(0, b"hello", &only_id, Detect::ByMarks), None);
}

#[test]
fn shape_14_has_its_id_in_the_tlv_only() {
    for text in ["sub:001 dlvrd:001 stat:DELIVRD err:000", "id: sub:001 dlvrd:001 stat:DELIVRD err:000 text:"] {
        let receipt = read(text, &tlvs(b"abc", 2));
        assert_eq!((receipt.id.as_deref(), receipt.sub.as_deref()), (None, Some("001")), "{text}");
        assert_eq!(receipt.ids().collect::<Vec<_>>(), ["abc"]);
    }
    assert_eq!(read("id:12 stat:DELIVRD", &tlvs(b"c", 2)).ids().collect::<Vec<_>>(), ["c", "12"]);
    assert_eq!(read("id:c stat:DELIVRD", &tlvs(b"c", 2)).ids().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn the_tlvs_state_wins_unless_it_is_not_final_and_the_texts_is() {
    let table = [
        (2, "UNDELIV", S::Delivered),
        (5, "DELIVRD", S::Undeliverable),
        (6, "DELIVRD", S::Delivered),
        (7, "UNDELIV", S::Undeliverable),
        (6, "ENROUTE", S::Accepted),
        (7, "LOST", S::Unknown),
        (1, "DELIVRD", S::Enroute),
        (77, "DELIVRD", S::Other(77)),
    ];
    for (tlv, text, state) in table {
        assert_eq!(read(&format!("id:1 stat:{text}"), &tlvs(b"1", tlv)).state(), Some(state), "{tlv} {text}");
    }
}

#[test]
fn what_marks_a_receipt() {
    let text = b"id:1 stat:DELIVRD err:000";
    for esm in [0x04, 0x08, 0x0C, 0x10, 0x18, 0x20, 0x44] {
        let receipt = SmppReceipt::read(esm, text, &Tlvs::new(), Detect::ByMarks).unwrap();
        assert_eq!(receipt.intermediate, esm == 0x20);
    }
    assert_eq!(SmppReceipt::read(0, text, &Tlvs::new(), Detect::ByMarks), None);
    assert!(SmppReceipt::read(0, text, &Tlvs::new(), Detect::ByTextToo).is_some());
    for person in ["hello", "id:1 is my id", "stat:DELIVRD", "text:id:1 stat:DELIVRD", "kid:1 stat:DELIVRD", ""] {
        assert_eq!(SmppReceipt::read(0, person.as_bytes(), &Tlvs::new(), Detect::ByTextToo), None, "{person}");
    }
    let wide: Vec<u8> = "id:1 stat:DELIVRD".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(SmppReceipt::read(4, &wide, &Tlvs::new(), Detect::ByMarks).unwrap().state(), Some(S::Delivered));
}

#[test]
fn our_receipts_have_all_eight_fields() {
    let date = |text| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let ours = ReceiptText {
        id: "1234567890",
        sub: 1,
        dlvrd: 1,
        submit_date: date("2026-11-27T12:00:59Z"),
        done_date: date("2026-11-27T12:01:00Z"),
        stat: S::Delivered,
        err: "000",
        text: "",
    };
    let text = "id:1234567890 sub:001 dlvrd:001 submit date:2611271200 done date:2611271201 stat:DELIVRD err:000 text:";
    assert_eq!(ours.write(), text);
    let receipt = read(&ours.write(), &Tlvs::new());
    assert_eq!((receipt.id.as_deref(), receipt.state()), (Some("1234567890"), Some(S::Delivered)));
    let long = ReceiptText { text: "123456789012345678901", ..ours };
    assert!(long.write().ends_with("text:12345678901234567890"));
}
