//! SMS from people, on their way to the ledger.

use vumi_kit::{sms::InboundPart, store::StoreError};
use vumi_smpp_codec::{CommandId, DataSm, Pdu, Tlvs, tag};

use super::harness::{LedgerRequest, SmppHarness, deliver};

#[actix_rt::test]
async fn an_sms_is_answered_when_it_is_committed_and_put_off_where_it_is_not() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    let first = smsc.request(Pdu::DeliverSm(Box::new(deliver(b"hi")))).await;
    let LedgerRequest::Received(request) = harness.next_request().await else { panic!("no SMS") };
    let enquiry = smsc.request(Pdu::EnquireLink).await;
    assert_eq!(smsc.answered(enquiry).await, 0, "before the SMS, which is not committed");
    assert_eq!(request.operation.inbound[0].message, "hi");
    request.reply.send(Ok(Vec::new())).ok();
    assert_eq!(smsc.answered(first).await, 0);
    let second = smsc.request(Pdu::DeliverSm(Box::new(deliver(b"again")))).await;
    harness.next_received(Err(StoreError::Unavailable("disk full".into()))).await;
    assert_eq!(smsc.answered(second).await, 0x64);
}

#[actix_rt::test]
async fn parts_go_to_the_ledger_in_the_order_in_which_they_come() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    for number in [2, 1] {
        let mut message = deliver(&[5, 0, 3, 7, 2, number, b'h', b'i']);
        message.esm_class = 0x40;
        let sequence = smsc.request(Pdu::DeliverSm(Box::new(message))).await;
        let received = harness.next_received(Ok(())).await;
        assert_eq!(received[0].part, InboundPart::new("07", 2, number));
        assert_eq!(smsc.answered(sequence).await, 0);
    }
}

#[actix_rt::test]
async fn a_data_sm_is_answered_as_one() {
    let mut harness = SmppHarness::start("").await;
    let mut smsc = harness.bound().await;
    let message = deliver(b"");
    let tlvs = Tlvs::new().with(tag::MESSAGE_PAYLOAD, &b"hello"[..]);
    let data = DataSm { source: message.source, destination: message.destination, tlvs, ..DataSm::default() };
    smsc.request(Pdu::DataSm(Box::new(data))).await;
    assert_eq!(harness.next_received(Ok(())).await[0].message, "hello");
    let frame = smsc.next().await.unwrap();
    assert_eq!((frame.command, frame.status), (CommandId::DATA_SM_RESP, 0));
}

#[actix_rt::test]
async fn a_flood_is_put_off_beyond_the_queue_and_nothing_is_lost() {
    let mut harness = SmppHarness::start("queue = 5").await;
    let mut smsc = harness.bound().await;
    let mut sequences = Vec::new();
    for number in 0..5 {
        sequences.push(smsc.request(Pdu::DeliverSm(Box::new(deliver(format!("{number}").as_bytes())))).await);
    }
    // The store has the first ones, and does not answer yet.
    let LedgerRequest::Received(first) = harness.next_request().await else { panic!("no SMS") };
    for _ in 0..100 {
        let beyond = smsc.request(Pdu::DeliverSm(Box::new(deliver(b"beyond")))).await;
        assert_eq!(smsc.answered(beyond).await, 0x64);
    }
    let mut kept = first.operation.inbound.len();
    first.reply.send(Ok(Vec::new())).ok();
    while kept < 5 {
        kept += harness.next_received(Ok(())).await.len();
    }
    for sequence in sequences {
        assert_eq!(smsc.answered(sequence).await, 0);
    }
    let after = smsc.request(Pdu::DeliverSm(Box::new(deliver(b"after")))).await;
    harness.next_received(Ok(())).await;
    assert_eq!(smsc.answered(after).await, 0);
}
