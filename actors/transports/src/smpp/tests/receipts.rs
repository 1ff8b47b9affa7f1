//! Receipts, on their way to the ledger.

use vumi_kit::{
    clock::Timestamp,
    sms::{Receipt, TransportStatus as S},
    store::StoreError,
};
use vumi_smpp_codec::{Message, Pdu, PduAddress, tag};

use super::{
    harness::{SmppHarness, receipt},
    settings,
};
use crate::smpp::{inbound, inbox::Item};

/// What the transport makes of a message.
fn read(toml: &str, message: &Message) -> Option<Receipt> {
    let read = inbound::read(&settings(toml), message, Timestamp::from_seconds(1)).ok()?;
    match read.item {
        Item::Receipt(receipt) => Some(*receipt),
        Item::Sms(_) => None,
    }
}

#[test]
fn the_shapes_of_the_sheet_have_their_ids_and_statuses() {
    let uuid = "4f3f1a2e-95a5-4cb5-ab5e-8b5d3a0e5b11";
    for (text, id, status, words) in [
        (
            "id:0123456789 sub:001 dlvrd:001 submit date:1507080900 done date:1507080901 stat:DELIVRD err:000 text:Hello",
            "0123456789",
            S::Delivered,
            "DELIVRD 000",
        ),
        (
            "id:abc sub:001 dlvrd:001 submit date:150708090000 done date:150708090100 stat:UNDELIV err:21b text:",
            "abc",
            S::DeliveryError,
            "UNDELIV 21b",
        ),
        (
            &format!("id:{uuid} submit date:201506201641 done date:201506201641 stat:EXPIRED err:999"),
            uuid,
            S::Expired,
            "EXPIRED 999",
        ),
        (
            "id:0972660181 submit date:1507080900 done date:1507080901 stat:ACCEPTD err:000",
            "0972660181",
            S::AtGateway,
            "ACCEPTD 000",
        ),
        ("id:7 stat:UNKNOWN err:0 text:x", "7", S::AtGateway, "UNKNOWN 0"),
        ("id:7 done date:180903120816 DELIVRD err:000 Text:", "7", S::Delivered, "DELIVRD 000"),
        ("id:7 done date:0000000000 stat:FAILED err:0000", "7", S::DeliveryError, "FAILED 0000"),
        (
            "id:0118Z-0122I-2309U-57DGB submitdate:1507080900 donedate:0000000000 stat:REJECTD err:0011",
            "0118Z-0122I-2309U-57DGB",
            S::DeliveryError,
            "REJECTD 0011",
        ),
        ("id:7 sub:1 dlvrd:1 stat:0 err:0", "7", S::Delivered, "0 0"),
        ("id:7 stat:DELETED", "7", S::Cancelled, "DELETED"),
        ("id:SAR-2347039245475-1eedf843-2-1 stat:ENROUTE", "SAR-2347039245475-1eedf843-2-1", S::AtGateway, "ENROUTE"),
        ("id:7 stat:LOST", "7", S::AtGateway, "LOST"),
    ] {
        let found = read("", &receipt(text)).unwrap();
        let said = (found.provider_id.as_deref(), found.status, found.provider_status.as_deref());
        assert_eq!(said, (Some(id), status, Some(words)), "{text}");
        assert_eq!(found.to.as_ref().map(|to| to.as_str()), Some("27831234567"));
    }
}

#[test]
fn tlvs_alone_are_a_receipt_and_go_before_the_text_unless_that_is_final() {
    let with = |state: u8, text: &str| {
        let mut message = receipt(text);
        message.esm_class = 0;
        message.tlvs.push(tag::RECEIPTED_MESSAGE_ID, &b"tlv\0"[..]);
        message.tlvs.push(tag::MESSAGE_STATE, vec![state]);
        message.tlvs.push(tag::NETWORK_ERROR_CODE, &b"\x03\x00\x0b"[..]);
        read("", &message).unwrap()
    };
    for (state, text, status) in [
        (2, "", S::Delivered),
        (5, "id:x stat:DELIVRD", S::DeliveryError),
        (6, "id:x stat:DELIVRD", S::Delivered),
        (7, "id:x stat:UNDELIV", S::DeliveryError),
        (7, "", S::AtGateway),
        (9, "", S::DeliveryError),
        (77, "", S::AtGateway),
    ] {
        let found = with(state, text);
        assert_eq!((found.status, found.provider_id.as_deref()), (status, Some("tlv")), "{state} {text}");
        assert!(found.fields.contains(&("network_error_code".to_owned(), "3:11".to_owned())));
    }
    let other = with(2, "id:X1 stat:DELIVRD").spellings.unwrap();
    assert!(other.others.contains(&"x1".to_owned()), "{other:?}");
}

#[test]
fn an_unmarked_text_is_a_receipt_where_the_settings_say_so() {
    let mut message = receipt("id:7 stat:DELIVRD");
    message.esm_class = 0;
    assert_eq!(read("", &message), None);
    assert!(read("receipts = { unmarked = true }", &message).is_some());
}

#[test]
fn the_recipient_is_the_phone_whichever_address_has_it() {
    let mut message = receipt("id:7 stat:DELIVRD");
    std::mem::swap(&mut message.source, &mut message.destination);
    assert_eq!(read("", &message).unwrap().to.map(String::from).as_deref(), Some("27831234567"));
    message.destination = PduAddress::default();
    assert_eq!(read("", &message).unwrap().to, None);
}

#[actix_rt::test]
async fn a_receipt_is_answered_when_it_is_recorded_and_put_off_where_it_is_not() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    let message = receipt("id:7 stat:DELIVRD");
    let sequence = smsc.request(Pdu::DeliverSm(Box::new(message.clone()))).await;
    harness.next_receipts(Err(StoreError::Unavailable("disk full".into()))).await;
    assert_eq!(smsc.answered(sequence).await, 0x64);
    let sequence = smsc.request(Pdu::DeliverSm(Box::new(message))).await;
    assert_eq!(harness.next_receipts(Ok(())).await[0].provider_id.as_deref(), Some("7"));
    assert_eq!(smsc.answered(sequence).await, 0);
}
