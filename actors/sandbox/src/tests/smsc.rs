//! The SMPP centre, with a scripted router on the connection: PDUs in, PDUs out.

mod misbehaviour;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;
use vumi_smpp_codec::{
    Alphabet, Bind, BindMode, BindPassword, CancelSm, CommandId, IncomingPdu, Message, MessageResp, OutgoingPdu, Pdu,
    PduAddress, QuerySm, ReplaceSm, SmppCodec,
    parts::{Method, split},
    status, tag,
};

use super::harness::{DEADLINE, SandboxHarness};
use crate::{SandboxSettings, SmscSettings};

/// The router's end of a connection.
struct ScriptedEsme {
    stream: Framed<TcpStream, SmppCodec>,
    sequence: u32,
}

impl ScriptedEsme {
    async fn connect(harness: &SandboxHarness) -> Self {
        let socket = TcpStream::connect(harness.running.smsc_address()).await.unwrap();
        Self { stream: Framed::new(socket, SmppCodec::default()), sequence: 0 }
    }

    async fn bound(harness: &SandboxHarness, mode: BindMode) -> Self {
        let mut esme = Self::connect(harness).await;
        assert_eq!(esme.bind(mode, "vumi", "vumi").await, status::ESME_ROK);
        esme
    }

    async fn bind(&mut self, mode: BindMode, system_id: &'static str, password: &'static str) -> u32 {
        let bind = Bind {
            mode,
            system_id: system_id.into(),
            password: BindPassword(password.into()),
            interface_version: 0x34,
            ..Bind::default()
        };
        self.ask(Pdu::Bind(Box::new(bind))).await.status
    }

    /// Sends a request; its sequence_number.
    async fn send(&mut self, pdu: Pdu) -> u32 {
        self.sequence += 1;
        self.answer(self.sequence, status::ESME_ROK, pdu).await;
        self.sequence
    }

    async fn answer(&mut self, sequence: u32, status: u32, pdu: Pdu) {
        self.stream.send(OutgoingPdu { status, sequence, pdu }).await.unwrap();
    }

    async fn receive(&mut self) -> IncomingPdu {
        self.next().await.expect("the centre closed the connection")
    }

    async fn next(&mut self) -> Option<IncomingPdu> {
        let frame = tokio::time::timeout(DEADLINE, self.stream.next()).await.expect("the centre sent nothing");
        frame.map(|frame| frame.unwrap())
    }

    /// Sends a request and reads its answer.
    async fn ask(&mut self, pdu: Pdu) -> IncomingPdu {
        let sequence = self.send(pdu).await;
        let frame = self.receive().await;
        assert_eq!(frame.sequence, sequence, "{frame:?}");
        frame
    }

    /// Submits and reads the answer; the status and the message_id.
    async fn submit(&mut self, message: Message) -> (u32, String) {
        taken(&self.ask(Pdu::SubmitSm(Box::new(message))).await)
    }

    /// Reads a delivery and acknowledges it.
    async fn delivered(&mut self) -> Message {
        self.delivered_with(status::ESME_ROK).await
    }

    async fn delivered_with(&mut self, status: u32) -> Message {
        let frame = self.receive().await;
        let Ok(Pdu::DeliverSm(message)) = frame.body else { panic!("no deliver_sm: {frame:?}") };
        self.answer(frame.sequence, status, Pdu::DeliverSmResp(MessageResp::default())).await;
        *message
    }
}

/// The status and the message_id of a submit_sm_resp.
fn taken(frame: &IncomingPdu) -> (u32, String) {
    let Ok(Pdu::SubmitSmResp(resp)) = &frame.body else { panic!("no submit_sm_resp: {frame:?}") };
    (frame.status, words(&resp.message_id))
}

fn words(octets: &Bytes) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn sms(text: &str) -> Message {
    Message {
        source: PduAddress::new(3, 0, "38080"),
        destination: PduAddress::new(1, 1, "27831234567"),
        registered_delivery: 1,
        short_message: Alphabet::Gsm7.encode(text).unwrap().into(),
        ..Message::default()
    }
}

fn parts(text: &str, method: Method) -> Vec<Message> {
    let cut = split(Alphabet::Gsm7, text, method, 7).unwrap();
    let part = |part: vumi_smpp_codec::parts::MessagePart| {
        let mut message = sms("");
        part.put_into(&mut message);
        message
    };
    cut.into_iter().map(part).collect()
}

async fn start() -> SandboxHarness {
    let smsc = SmscSettings {
        system_id: Some("vumi".to_owned()),
        password: Some(SecretString::from("vumi")),
        ..SmscSettings::default()
    };
    let harness = SandboxHarness::start(SandboxSettings { smsc, ..SandboxSettings::default() }, &[]).await;
    harness.misbehave("smsc", json!({"receipt_delay": "0s"})).await;
    harness
}

#[tokio::test]
async fn a_bind_is_accepted_or_refused_and_must_come_first() {
    let harness = start().await;
    let mut esme = ScriptedEsme::connect(&harness).await;
    assert_eq!(esme.submit(sms("early")).await.0, status::ESME_RINVBNDSTS);
    assert_eq!(esme.bind(BindMode::Transceiver, "vumi", "wrong").await, status::ESME_RINVPASWD);
    assert_eq!(esme.bind(BindMode::Transceiver, "other", "vumi").await, status::ESME_RINVSYSID);
    assert_eq!(esme.bind(BindMode::Receiver, "vumi", "vumi").await, status::ESME_ROK);
    assert_eq!(esme.bind(BindMode::Receiver, "vumi", "vumi").await, status::ESME_RALYBND);
    assert_eq!(esme.submit(sms("over a receiver")).await.0, status::ESME_RINVBNDSTS);
    assert_eq!(esme.ask(Pdu::EnquireLink).await.body, Ok(Pdu::EnquireLinkResp));
    assert_eq!(esme.ask(Pdu::Unbind).await.body, Ok(Pdu::UnbindResp));
    assert_eq!(esme.next().await, None);
    let counts = harness.seen("smsc").await["smsc"]["smpp"].clone();
    assert_eq!([&counts["binds"], &counts["binds_refused"]], [1, 2].map(|n| json!(n)).each_ref());
}

#[tokio::test]
async fn a_submission_gets_an_id_and_a_receipt_by_the_same_id() {
    let harness = start().await;
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transceiver).await;
    let (status, id) = esme.submit(sms("hello, world")).await;
    assert_eq!(status, status::ESME_ROK);
    let receipt = esme.delivered().await;
    let text = words(&receipt.short_message);
    assert!(text.starts_with(&format!("id:{id} sub:001 dlvrd:001 submit date:")), "{text}");
    assert!(text.ends_with(" stat:DELIVRD err:000 text:hello  world"), "{text}");
    assert_eq!(
        (receipt.esm_class, words(&receipt.source.addr), words(&receipt.destination.addr)),
        (4, "27831234567".to_owned(), "38080".to_owned())
    );
    assert_eq!(receipt.tlvs.get(tag::RECEIPTED_MESSAGE_ID), Some(&Bytes::from(format!("{id}\0"))));
    assert_eq!(receipt.tlvs.octet(tag::MESSAGE_STATE), Some(2));
    harness.until("smsc", "receipts_posted", 1).await;
    let none = Message { registered_delivery: 0, ..sms("no receipt") };
    esme.submit(none).await;
    let failures_only = Message { registered_delivery: 2, ..sms("no failure") };
    esme.submit(failures_only).await;
    assert_eq!(esme.ask(Pdu::EnquireLink).await.command, CommandId::ENQUIRE_LINK_RESP, "nothing came in between");
    let seen = harness.seen("smsc").await;
    assert_eq!(seen["ids"]["27831234567 hello, world"], 1);
    assert_eq!(seen["smsc"]["last"]["registered_delivery"], 2);
}

#[tokio::test]
async fn parts_are_counted_one_by_one_and_shown_as_one_sms() {
    let harness = start().await;
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transmitter).await;
    let text = "abc€".repeat(80);
    for method in [Method::Udh8, Method::Udh16, Method::Sar, Method::Payload] {
        for part in parts(&text, method).into_iter().rev() {
            assert_eq!(esme.submit(part).await.0, status::ESME_ROK);
        }
    }
    let seen = harness.seen("smsc").await;
    assert_eq!(seen["smsc"]["texts"], json!({format!("27831234567 {text}"): 4}));
    assert_eq!((&seen["submissions"], &seen["smsc"]["smpp"]["parts"]), (&json!(10), &json!(9)));
    assert_eq!(seen["smsc"]["sms"], 4);
}

#[tokio::test]
async fn receipts_wait_for_a_receiver_and_come_again_while_they_are_refused() {
    let harness = start().await;
    let mut transmitter = ScriptedEsme::bound(&harness, BindMode::Transmitter).await;
    let (_, id) = transmitter.submit(sms("a")).await;
    let mut receiver = ScriptedEsme::bound(&harness, BindMode::Receiver).await;
    let receipt = receiver.delivered_with(status::ESME_RX_T_APPN).await;
    let again = receiver.receive().await;
    assert_eq!(again.body, Ok(Pdu::DeliverSm(Box::new(receipt))));
    drop(receiver);
    let mut receiver = ScriptedEsme::bound(&harness, BindMode::Receiver).await;
    assert!(words(&receiver.delivered().await.short_message).starts_with(&format!("id:{id} ")));
    harness.until("smsc", "receipts_posted", 1).await;
    assert_eq!(harness.count("smsc", "receipts_failed").await, 1);
}

#[tokio::test]
async fn an_sms_can_be_asked_for_and_cancelled() {
    let harness = start().await;
    harness.misbehave("smsc", json!({"receipt_delay": "1h"})).await;
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transmitter).await;
    let (_, id) = esme.submit(sms("a")).await;
    let ours = PduAddress::new(3, 0, "38080");
    let query = |id: &str| Pdu::QuerySm(QuerySm { message_id: id.to_owned().into(), source: ours.clone() });
    let state = |frame: IncomingPdu| match frame.body {
        Ok(Pdu::QuerySmResp(resp)) => (frame.status, resp.message_state),
        other => panic!("{other:?}"),
    };
    let (enroute, deleted) = (1, 4);
    assert_eq!(state(esme.ask(query(&id)).await), (status::ESME_ROK, enroute));
    assert_eq!(state(esme.ask(query("1")).await).0, status::ESME_RQUERYFAIL);
    let cancel = |id: &str| {
        let destination = PduAddress::new(1, 1, "27831234567");
        let message_id = id.to_owned().into();
        Pdu::CancelSm(Box::new(CancelSm { message_id, source: ours.clone(), destination, ..CancelSm::default() }))
    };
    assert_eq!(esme.ask(cancel(&id)).await.status, status::ESME_ROK);
    assert_eq!(esme.ask(cancel(&id)).await.status, status::ESME_RCANCELFAIL);
    assert_eq!(state(esme.ask(query(&id)).await), (status::ESME_ROK, deleted));
    esme.submit(sms("b")).await;
    assert_eq!(esme.ask(cancel("")).await.status, status::ESME_ROK, "all that wait");
    let replace = Pdu::ReplaceSm(Box::new(ReplaceSm { message_id: id.into(), ..ReplaceSm::default() }));
    assert_eq!(esme.ask(replace).await.status, status::ESME_RREPLACEFAIL);
    let unknown = Pdu::Unknown { command: CommandId(0x111), raw: Bytes::new() };
    let nack = esme.ask(unknown).await;
    assert_eq!((nack.command, nack.status), (CommandId::GENERIC_NACK, status::ESME_RINVCMDID));
}

#[tokio::test]
async fn a_person_writes_to_the_router() {
    let harness = start().await;
    let order =
        |text: &str, method: &str| json!({"from": "+27831234567", "to": "38080", "text": text, "method": method});
    assert_eq!(harness.json("inbound/smsc", order("a", "udh8")).await.0, 503, "nobody is bound");
    let mut esme = ScriptedEsme::bound(&harness, BindMode::Transceiver).await;
    assert_eq!(harness.json("inbound/smsc", order("a", "fax")).await.0, 400);
    let long = "ж".repeat(100);
    let (shown, messages) = tokio::join!(harness.json("inbound/smsc", order(&long, "sar")), async {
        [esme.delivered().await, esme.delivered_with(status::ESME_RX_T_APPN).await]
    });
    let answered = |part: u8, status: u32, name: &str| json!({"part": part, "status": status, "name": name});
    let expected = [answered(1, 0, "ESME_ROK"), answered(2, 0x64, "ESME_RX_T_APPN")];
    assert_eq!(shown, (200, json!({ "parts": expected })));
    let text: String = messages.iter().map(|part| Alphabet::Ucs2.decode(&part.short_message)).collect();
    assert_eq!((text, messages[1].data_coding), (long, 8));
    let addresses = (&messages[0].source, &messages[0].destination);
    assert_eq!(addresses, (&PduAddress::new(1, 1, "27831234567"), &PduAddress::new(3, 0, "38080")));
    let counts: Value = harness.seen("smsc").await["smsc"]["smpp"].clone();
    assert_eq!([&counts["inbound_taken"], &counts["inbound_refused"]], [1, 1].map(|n| json!(n)).each_ref());
}
