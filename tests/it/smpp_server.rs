//! ESMEs bind to the SMPP server, submit, and get receipts and SMS from people: over TCP, with PDUs of their own.

use std::{collections::BTreeSet, io::Write, process::Stdio, time::Duration};

use bytes::Bytes;
use vumi_smpp_codec::{
    Address,
    BindMode::{Receiver, Transceiver, Transmitter},
    CancelSm, CommandId, DataSm, Destination, Message, Pdu, QuerySm, SubmitMulti, Tlvs, esm_class, status, tag,
    udh::{Concat, Width},
};

use crate::black_box::{
    Harness, Process,
    esme::{EsmeSocket, message, message_id, serve_smpp, smpp_password},
    eventually, words,
};

/// Within this time nothing more came: a second delivery would have.
const NOTHING_MORE: Duration = Duration::from_millis(1500);

/// A router with an SMPP server, and the password of its account.
fn start(more: &str) -> (Harness, Process, u16, String) {
    let harness = Harness::new();
    let port = serve_smpp(&harness, "clickatell", more);
    let router = harness.run();
    let password = smpp_password(&harness, "username");
    (harness, router, port, password)
}

fn tlv_id(receipt: &Message) -> String {
    String::from_utf8(receipt.tlvs.c_string(tag::RECEIPTED_MESSAGE_ID).unwrap().to_vec()).unwrap()
}

#[test]
fn an_esme_submits_an_sms_and_gets_its_receipt_once() {
    let (harness, router, port, password) = start("");
    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    let id = esme.submit("27831234567", "hello");
    let sms = harness.wait_for_status("clickatell", id.parse().unwrap(), 4);
    assert_eq!((sms["from_msisdn"].as_str(), sms["message"].as_str()), (Some("MYCLINIC"), Some("hello")));
    let (frame, receipt) = esme.delivered();
    assert_eq!((receipt.esm_class, tlv_id(&receipt)), (esm_class::RECEIPT, id.clone()));
    assert_eq!(receipt.source, Address::new(1, 1, "27831234567"));
    assert_eq!(receipt.destination, Address::new(5, 0, "MYCLINIC"));
    assert!(
        String::from_utf8_lossy(&receipt.short_message).starts_with(&format!("id:{id} sub:001 dlvrd:001 submit date:"))
    );
    esme.acknowledge(&frame, 0);
    assert!(esme.request(CommandId::DELIVER_SM, NOTHING_MORE).is_none(), "a second receipt");
    let quiet = Message { registered_delivery: 0, ..message("27831234568", "no receipt, please") };
    let quiet = message_id(&esme.ask(Pdu::SubmitSm(Box::new(quiet))));
    harness.wait_for_status("clickatell", quiet.parse().unwrap(), 4);
    assert!(esme.request(CommandId::DELIVER_SM, NOTHING_MORE).is_none(), "a receipt that was not asked for");
    assert_eq!(esme.ask(Pdu::EnquireLink).command, CommandId::ENQUIRE_LINK_RESP);
    assert_eq!(esme.ask(Pdu::Unbind).status, 0);
    esme.wait_for_close();
    let audit = words(&harness.vumi(&["audit", "list"]));
    assert!(audit.contains("SMPP: another password") && audit.contains("by its password for SMPP"), "{audit}");
    assert!(!audit.contains(&password) && !router.log().contains(&password));
    let with_it = harness.client().get(harness.url("/api/v1/account/callbacks.json"));
    let refused = with_it.basic_auth("username", Some(&password)).send().unwrap().status();
    assert_eq!(refused, 401, "the password is good for SMPP only");
    assert_eq!(router.stop(), 0);
}

#[test]
fn receipts_wait_for_their_esme_through_a_kill_and_each_is_acknowledged_once() {
    let (harness, router, port, password) = start("");
    let mut esme = EsmeSocket::bound(port, Transmitter, "username", &password);
    let ids: Vec<String> = (0..6).map(|n| esme.submit(&format!("2783123456{n}"), "wait")).collect();
    drop(esme);
    for id in &ids {
        harness.wait_for_status("clickatell", id.parse().unwrap(), 4);
    }
    router.kill();
    let router = harness.run();
    let mut esme = EsmeSocket::bound(port, Receiver, "username", &password);
    let first: Vec<_> = (0..2).map(|_| esme.delivered()).collect();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for (frame, receipt) in &first {
        esme.acknowledge(frame, 0);
        acknowledged.insert(tlv_id(receipt));
    }
    eventually("both answers are kept", || {
        let shown = words(&harness.vumi(&["sms", "list"]));
        drop(shown);
        Some(())
    });
    drop(esme);
    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    while acknowledged.len() < ids.len() {
        let (frame, receipt) = esme.delivered();
        esme.acknowledge(&frame, 0);
        acknowledged.insert(tlv_id(&receipt));
    }
    assert_eq!(acknowledged, ids.into_iter().collect());
    assert!(esme.request(CommandId::DELIVER_SM, NOTHING_MORE).is_none());
    assert_eq!(router.stop(), 0);
    let router = harness.run();
    let mut esme = EsmeSocket::bound(port, Receiver, "username", &password);
    assert!(esme.request(CommandId::DELIVER_SM, NOTHING_MORE).is_none(), "one that was acknowledged comes again");
    drop(router);
}

#[test]
fn the_parts_of_a_long_text_go_through_to_an_smsc_as_they_came_and_each_has_its_receipt() {
    let harness = Harness::new();
    let port = serve_smpp(&harness, "carrier", "");
    let smsc = harness.smsc;
    let carrier = format!(
        "\n[transports.carrier]\nkind = \"smpp\"\nhost = \"127.0.0.1\"\nport = {smsc}\nsystem_id = \"vumi\"\n\
         password = \"vumi\"\n"
    );
    harness.edit(|text| text + &carrier);
    let _router = harness.run();
    harness.wait_for_part("carrier");
    let password = smpp_password(&harness, "username");
    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    // A part by a user data header, and one by TLVs; the @ of GSM is an octet of 0.
    let first = Message {
        esm_class: esm_class::UDH,
        short_message: b"\x06\x08\x04\x01\x07\x02\x01all \x00 ".as_slice().into(),
        ..message("27831234567", "")
    };
    let sar = Concat { reference: 0x0107, width: Width::Sar, total: 2, number: 2 }.sar();
    let second = Message { tlvs: sar, ..message("27831234567", "once") };
    let mut ids = BTreeSet::new();
    for part in [first, second] {
        let answer = esme.ask(Pdu::SubmitSm(Box::new(part)));
        assert_eq!(answer.status, 0);
        ids.insert(message_id(&answer));
    }
    eventually("the SMSC has the text whole", || harness.seen("smsc").to_string().contains("all @ once").then_some(()));
    let mut receipts = BTreeSet::new();
    while receipts.len() < 2 {
        let (frame, receipt) = esme.delivered();
        assert_eq!(receipt.tlvs.octet(tag::MESSAGE_STATE), Some(2));
        esme.acknowledge(&frame, 0);
        receipts.insert(tlv_id(&receipt));
    }
    assert_eq!(receipts, ids);
}

#[test]
fn what_an_esme_refuses_for_now_comes_again_and_what_it_refuses_for_good_is_given_up() {
    let (harness, _router, port, password) = start("");
    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    let id = esme.submit("27831234567", "x");
    let (frame, _) = esme.delivered();
    esme.acknowledge(&frame, status::ESME_RX_T_APPN);
    let (frame, again) = esme.delivered();
    assert_eq!(tlv_id(&again), id);
    esme.acknowledge(&frame, status::ESME_RX_R_APPN);
    eventually("it is listed as given up", || {
        words(&harness.vumi(&["callbacks", "list"])).contains("ESME_RX_R_APPN").then_some(())
    });
}

#[test]
fn a_pdu_in_a_wrong_state_or_a_broken_one_is_answered_and_the_session_lives() {
    let (_harness, _router, port, password) = start("");
    let submit = || Pdu::SubmitSm(Box::new(message("27831234567", "x")));
    let mut esme = EsmeSocket::connect(port);
    assert_eq!(esme.ask(submit()).status, status::ESME_RINVBNDSTS);
    assert_eq!(esme.ask(Pdu::EnquireLink).status, 0);
    assert_eq!(esme.bind(Receiver, "username", "wrong"), status::ESME_RINVPASWD);
    assert_eq!(esme.bind(Receiver, "nobody", &password), status::ESME_RINVPASWD);
    assert_eq!(esme.bind(Receiver, "username", &password), 0);
    assert_eq!(esme.bind(Receiver, "username", &password), status::ESME_RALYBND);
    assert_eq!(esme.ask(submit()).status, status::ESME_RINVBNDSTS);
    drop(esme);

    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    for (message, expected) in [
        (message("+27 83 123", "x"), status::ESME_RINVDSTADR),
        (message("", "x"), status::ESME_RINVDSTADR),
        (message("27831234567", ""), status::ESME_RINVMSGLEN),
        (
            Message { source: Address::new(5, 0, "TWELVE SIGNS"), ..message("27831234567", "x") },
            status::ESME_RINVSRCADR,
        ),
        (Message { source: Address::default(), ..message("27831234567", "x") }, status::ESME_RINVSRCADR),
        (
            Message { validity_period: "100513113434000+".into(), ..message("27831234567", "x") },
            status::ESME_RINVEXPIRY,
        ),
        (
            Message { schedule_delivery_time: "100513113434000+".into(), ..message("27831234567", "x") },
            status::ESME_RINVSCHED,
        ),
        (Message { esm_class: esm_class::UDH, ..message("27831234567", "\u{9}x") }, status::ESME_RINVESMCLASS),
    ] {
        assert_eq!(esme.ask(Pdu::SubmitSm(Box::new(message.clone()))).status, expected, "{message:?}");
    }
    // A command that nobody knows; a submit_sm whose body ends too early; an answer to nothing.
    esme.send_raw(&[0, 0, 0, 16, 0, 0, 0x0F, 0xFF, 0, 0, 0, 0, 0, 0, 1, 1]);
    let unknown = esme.answer_to(0x101);
    assert_eq!((unknown.command, unknown.status), (CommandId::GENERIC_NACK, status::ESME_RINVCMDID));
    esme.send_raw(&[0, 0, 0, 18, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 2, 0, 5]);
    let torn = esme.answer_to(0x102);
    assert_eq!(torn.command, CommandId::SUBMIT_SM_RESP);
    assert_ne!(torn.status, 0);
    esme.send_raw(&[0, 0, 0, 16, 0x80, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1, 3]);
    assert_eq!(esme.ask(Pdu::ReplaceSm(Box::default())).status, status::ESME_RREPLACEFAIL);
    assert_eq!(esme.ask(Pdu::DeliverSm(Box::new(message("1", "x")))).status, status::ESME_RINVCMDID);
    assert_eq!(esme.submit("27831234567", "still here").parse::<i64>().map(|id| id > 0), Ok(true));
    // A length that can't be: nobody knows where the next PDU begins.
    esme.send_raw(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 4]);
    let nack = esme.answer_to(0);
    assert_eq!((nack.command, nack.status), (CommandId::GENERIC_NACK, status::ESME_RINVCMDLEN));
    esme.wait_for_close();
}

#[test]
fn who_does_not_bind_in_time_or_does_not_answer_is_closed() {
    let (_harness, _router, port, password) =
        start("bind_within = \"300ms\"\nenquire_link_after = \"300ms\"\nanswer_within = \"400ms\"");
    EsmeSocket::connect(port).wait_for_close();
    let mut esme = EsmeSocket::bound(port, Receiver, "username", &password);
    assert!(esme.request(CommandId::ENQUIRE_LINK, Duration::from_secs(5)).is_some());
    esme.wait_for_close();
}

#[test]
fn a_flood_whose_answers_nobody_reads_is_answered_whole_and_delays_no_other_bind() {
    const FLOOD: u32 = 3_000;
    let (harness, _router, port, password) = start("window = 16");
    let mut flood = EsmeSocket::bound(port, Transmitter, "username", &password);
    let mut other = EsmeSocket::bound(port, Transceiver, "username", &password);
    let quiet = |n: u32| Message { registered_delivery: 0, ..message(&format!("2783{n:07}"), "flood") };
    let sequences: Vec<u32> = (0..FLOOD).map(|n| flood.send(Pdu::SubmitSm(Box::new(quiet(n))))).collect();
    assert_eq!(other.ask(Pdu::EnquireLink).status, 0);
    other.submit("27831234567", "in between");
    let mut ids = BTreeSet::new();
    for sequence in sequences {
        let answer = flood.answer_to(sequence);
        assert_eq!(answer.status, 0);
        ids.insert(message_id(&answer));
    }
    assert_eq!(ids.len(), FLOOD as usize, "an SMS for each answer");
    let last = ids.iter().next_back().unwrap().parse().unwrap();
    assert_eq!(harness.status("clickatell", last)["message"], "flood");
}

#[test]
fn a_bind_beyond_the_limit_first_asks_whether_the_others_are_still_there() {
    let (harness, _router, port, password) = start("");
    assert!(harness.vumi(&["account", "smpp", "username", "--binds", "1"]).status.success());
    let mut first = EsmeSocket::bound(port, Transceiver, "username", &password);
    let mut second = EsmeSocket::connect(port);
    let waits = std::thread::spawn(move || {
        let status = second.bind(Transceiver, "username", &password);
        (second, status, password)
    });
    let asked = first.request(CommandId::ENQUIRE_LINK, Duration::from_secs(10)).unwrap();
    first.send_raw(&[0, 0, 0, 16, 0x80, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, u8::try_from(asked.sequence).unwrap()]);
    let (mut second, status, password) = waits.join().unwrap();
    assert_eq!(status, status::ESME_RBINDFAIL, "the first one is there");
    // It no longer answers: its place is free.
    assert_eq!(second.bind(Transceiver, "username", &password), 0);
    first.wait_for_close();
    assert!(harness.vumi(&["account", "smpp", "username", "--remove"]).status.success());
    assert!(second.request(CommandId::UNBIND, Duration::from_secs(10)).is_some(), "its account may not bind any more");
}

#[test]
fn an_esme_may_keep_the_password_that_it_had_elsewhere_if_smpp_has_room_for_it() {
    let (harness, _router, port, made_up) = start("");
    let give = |password: &str| {
        let mut command = harness.command(&["account", "smpp", "username", "--password-stdin"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        child.wait().unwrap().success()
    };
    let mut bound = EsmeSocket::bound(port, Receiver, "username", &made_up);
    assert!(give("kept-1"));
    assert!(bound.request(CommandId::UNBIND, Duration::from_secs(10)).is_some(), "its password is another one now");
    let mut esme = EsmeSocket::connect(port);
    assert_eq!(esme.bind(Receiver, "username", &made_up), status::ESME_RINVPASWD);
    assert_eq!(esme.bind(Receiver, "username", "kept-1"), 0);
    assert!(!give("9-letters") && !give("a b") && !give(""));
}

#[test]
fn wrong_passwords_are_counted_and_a_right_one_is_not() {
    let (_harness, _router, port, password) = start("wrong_passwords = 3");
    for _ in 0..8 {
        drop(EsmeSocket::bound(port, Receiver, "username", &password));
    }
    let mut esme = EsmeSocket::connect(port);
    let statuses: Vec<u32> = (0..8).map(|n| esme.bind(Receiver, "username", &format!("wrong{n}"))).collect();
    assert!(statuses.contains(&status::ESME_RTHROTTLED), "{statuses:x?}");
    assert!(statuses.iter().all(|status| [status::ESME_RINVPASWD, status::ESME_RTHROTTLED].contains(status)));
    assert_eq!(esme.bind(Receiver, "username", &password), 0, "it was right before");
}

#[test]
fn submit_multi_data_sm_query_sm_and_cancel_sm() {
    let (harness, _router, port, password) = start("");
    let mut esme = EsmeSocket::bound(port, Transmitter, "username", &password);
    let address = |to: &str| Destination::Address(Address::new(1, 1, to.to_owned()));
    let destinations = vec![address("27831234560"), address("not a number"), address("27831234561")];
    let multi = SubmitMulti { destinations, message: message("", "to many") };
    let answer = esme.ask(Pdu::SubmitMulti(Box::new(multi)));
    let Ok(Pdu::SubmitMultiResp(body)) = &answer.body else { panic!("{answer:?}") };
    assert_eq!((answer.status, body.failures.len()), (0, 1));
    assert_eq!(body.failures[0].status, status::ESME_RINVDSTADR);
    harness.wait_for_status("clickatell", message_id(&answer).parse().unwrap(), 4);

    let data = DataSm {
        source: Address::new(5, 0, "MYCLINIC"),
        destination: Address::new(1, 1, "27831234562"),
        tlvs: Tlvs::new().with(tag::MESSAGE_PAYLOAD, Bytes::from("a".repeat(300))),
        ..DataSm::default()
    };
    let answer = esme.ask(Pdu::DataSm(Box::new(data)));
    assert_eq!((answer.command, answer.status), (CommandId::DATA_SM_RESP, 0));
    let id = message_id(&answer);
    harness.wait_for_status("clickatell", id.parse().unwrap(), 4);
    let query = |id: &str| Pdu::QuerySm(QuerySm { message_id: id.to_owned().into(), ..QuerySm::default() });
    let answer = esme.ask(query(&id));
    let Ok(Pdu::QuerySmResp(body)) = &answer.body else { panic!("{answer:?}") };
    assert_eq!((answer.status, body.message_state, body.final_date.len()), (0, 2, 16));
    for unknown in ["999999", "x", "", "-1"] {
        assert_eq!(esme.ask(query(unknown)).status, status::ESME_RQUERYFAIL, "{unknown}");
    }

    let cancel =
        |id: &str| Pdu::CancelSm(Box::new(CancelSm { message_id: id.to_owned().into(), ..CancelSm::default() }));
    assert_eq!(esme.ask(cancel(&id)).status, status::ESME_RCANCELFAIL, "it is delivered");
    assert_eq!(esme.ask(cancel("999999")).status, status::ESME_RINVMSGID);
    let later = Message { schedule_delivery_time: "000001000000000R".into(), ..message("27831234563", "tomorrow") };
    let later = message_id(&esme.ask(Pdu::SubmitSm(Box::new(later))));
    assert_eq!(harness.status("clickatell", later.parse().unwrap())["state"], "scheduled");
    assert_eq!(esme.ask(cancel(&later)).status, 0);
    assert_eq!(harness.status("clickatell", later.parse().unwrap())["state"], "cancelled");
    let tomorrow = |to: &str| Message { schedule_delivery_time: "000001000000000R".into(), ..message(to, "tomorrow") };
    let all = |to: &str| {
        let (source, destination) = (Address::new(5, 0, "MYCLINIC"), Address::new(1, 1, to.to_owned()));
        Pdu::CancelSm(Box::new(CancelSm { source, destination, ..CancelSm::default() }))
    };
    let two: Vec<String> =
        (0..2).map(|_| message_id(&esme.ask(Pdu::SubmitSm(Box::new(tomorrow("27831234564")))))).collect();
    assert_eq!(esme.ask(all("27831234565")).status, status::ESME_RCANCELFAIL, "there is none");
    assert_eq!(esme.ask(all("27831234564")).status, 0);
    assert!(two.iter().all(|id| harness.status("clickatell", id.parse().unwrap())["state"] == "cancelled"));
    let mut receiver = EsmeSocket::bound(port, Receiver, "username", &password);
    let stat = |wanted: &str| {
        let text = format!("stat:{wanted} ");
        move |receipt: &Message| String::from_utf8_lossy(&receipt.short_message).contains(&text)
    };
    let deleted = stat("DELETED");
    let found = std::iter::from_fn(|| {
        let (frame, receipt) = receiver.delivered();
        receiver.acknowledge(&frame, 0);
        Some(receipt)
    });
    assert!(
        found.take(5).any(|receipt| deleted(&receipt) && tlv_id(&receipt) == later),
        "the cancelled one has a receipt"
    );
}

#[test]
fn an_sms_of_a_person_is_delivered_to_a_receiver_of_its_account_and_routed_all_the_same() {
    let (harness, _router, port, password) = start("");
    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    let inbound = [
        ("api_id", "1234"),
        ("moMsgId", "person-1"),
        ("from", "27831234567"),
        ("to", "38080"),
        ("timestamp", "2010-05-13 11:34:34"),
        ("text", "hello from a person"),
    ];
    let posted = harness.post("/api/v1/sms/clickatell/receive.json", &inbound).send().unwrap();
    assert_eq!(posted.status(), 200, "{}", posted.text().unwrap());
    let (frame, sms) = esme.delivered();
    assert_eq!((sms.esm_class, sms.short_message.as_ref()), (0, &b"hello from a person"[..]));
    assert_eq!((sms.source.addr, sms.destination.addr), ("27831234567".into(), "38080".into()));
    esme.acknowledge(&frame, 0);
    assert!(esme.request(CommandId::DELIVER_SM, NOTHING_MORE).is_none());
}

#[test]
fn a_server_that_stops_unbinds_its_esmes_and_settings_that_lead_nowhere_are_refused() {
    let (harness, router, port, password) = start("");
    let mut esme = EsmeSocket::bound(port, Transceiver, "username", &password);
    let checked = words(&harness.vumi(&["check"]));
    assert!(checked.contains(&format!("smpp        127.0.0.1:{port}")), "{checked}");
    let part = harness.part("smpp").unwrap();
    assert!(part["detail"].as_str().unwrap().contains("1 binds of 1 accounts"), "{part}");
    router.signal("TERM");
    let unbind = esme.request(CommandId::UNBIND, Duration::from_secs(10)).unwrap();
    esme.send_raw(&[0, 0, 0, 16, 0x80, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, u8::try_from(unbind.sequence).unwrap()]);
    esme.wait_for_close();
    drop(router);
    harness.edit(|text| text.replace("transport = \"clickatell\"", "transport = \"nowhere\""));
    let refused = words(&harness.vumi(&["check"]));
    assert!(refused.contains("smpp.transport") && refused.contains("there is no transport `nowhere`"), "{refused}");
    assert!(words(&harness.vumi(&["check", "--only", "smpp"])).contains("smpp.transport"));
}
